"""How an endpoint moves to a version: staged beside the live one, questioned, and then switched.

One way for the stage `deploy` and for `textmill deploy`; they differ in the questions.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from deploy import live, repository
from deploy.errors import TritonError
from deploy.triton_server import TritonServer
from tasks.contract import console
from tasks.contract.errors import ParityError
from tasks.contract.store import Store
from tasks.deployment.deployed import changed_file, deployment
from tasks.tracking.registry import ModelVersion


class Judgement(NamedTuple):
    """The figures of a comparison, and what an endpoint `found` wrong must not do; None where all is well."""

    figures: dict[str, Any]
    found: str | None


Judge = Callable[[str], Judgement]


def switch(
    version: ModelVersion, onnx: Path, judge: Judge, server: TritonServer, store: Store, keep: int = live.KEEP
) -> dict[str, Any]:
    """Make the endpoint answer from a version; one that is live is questioned, and built again if need be.

    Args:
        onnx: the folder that `export` made, verified.
        judge: asks the endpoint of this name.
        keep: versions that stay on disk.

    Returns:
        The figures of the comparison.

    Raises:
        ParityError: it answers differently from the registered model; the version before goes on.
        TritonError: Triton can't load or run it; the version before goes on.
    """
    name, number = version.model, version.version
    if repository.pinned_version(Path(server.repository), name) == number:
        return _go_on(version, onnx, judge, server, store)
    candidate = live.stage_version(server, name, number, onnx)
    try:
        figures, found = judge(candidate)
        if found:
            raise ParityError(f"deploy: the endpoint of {name} version {number} {found}; it did not go live")
    except BaseException:
        with contextlib.suppress(TritonError):
            live.discard(server, name, number)
        raise
    live.go_live(server, name, number, keep)
    return figures


def _go_on(
    version: ModelVersion, onnx: Path, judge: Judge, server: TritonServer, store: Store
) -> dict[str, Any]:
    """Question the live version; where its files or answers are not what was judged, build it again."""
    name, number = version.model, version.version
    before = deployment(store, name, number)
    wrong = changed_file(before, server, store) if before else None
    if wrong is None:
        try:
            live.revive(server, name)
            figures, wrong = judge(name)
        except TritonError as error:
            wrong = str(error)
    if wrong is None:
        return figures
    console.say(console.escaped(f"  {name} version {number}: {wrong}; built again from the verified export"))
    live.rebuild(server, name, number, onnx)
    figures, found = judge(name)
    if found:
        raise ParityError(
            f"deploy: {name} version {number} is live and, also after it was built again from its export, "
            f"{found}; make both anew: --refresh export"
        )
    return figures
