"""One run of the pipeline: where its artifacts live, what may be made, and what becomes of each stage."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.contract.store import Store

# The digest of an artifact that a plan, or a run of one stage, does not make.
PENDING = "pending"


class StageOutcome(BaseModel):
    """What became of one stage in one run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str
    state: Literal["made", "cached", "failed", "pending", "skipped"]
    key: str
    digest: str = PENDING
    seconds: float = 0.0
    message: str = ""


class Run:
    """One run of the pipeline: where artifacts live, and what may be made.

    Args:
        home: the directory of the store.
        refresh: stages that are made anew even when their artifact exists.
        given: stages that must be there already; they are never made.
        skipped: stages that are passed over.
        planning: find out what would be made, and make nothing.
        check: is called once, before anything is made, and raises what forbids it. A run that finds all of
            its artifacts does without.
        record: is told the outcome of every stage.
    """

    def __init__(
        self,
        home: Path,
        *,
        refresh: Sequence[str] = (),
        given: Sequence[str] = (),
        skipped: Sequence[str] = (),
        planning: bool = False,
        check: Callable[[], None] = lambda: None,
        record: Callable[[StageOutcome], None] = lambda outcome: None,
    ) -> None:
        self.store = Store(home.absolute())
        self.refresh = frozenset(refresh)
        self.given = frozenset(given)
        self.skipped = frozenset(skipped)
        self.planning = planning
        self.record = record
        self._check: Callable[[], None] | None = check

    def check(self) -> None:
        """Call the check unless it was called before."""
        check, self._check = self._check, None
        if check:
            check()
