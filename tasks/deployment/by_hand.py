"""What a person says of the endpoint: serve this registered version, or go back to the one before.

The alias `champion` goes with it, under the lock that runs take too. No stage is run and nothing is judged
anew; a version proves again that the endpoint answers as the registered model does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import client as triton
from deploy import live, model_config, repository
from deploy.triton_server import TritonServer
from tasks.contract.errors import StageError
from tasks.contract.store import Store
from tasks.deployment.deployed import (
    TOLERANCE,
    Canaries,
    answers_of,
    apart,
    canaries_of,
    changed_file,
    deployment,
    disagreement,
    is_built_from,
    wrong_answer,
)
from tasks.deployment.switch import Judgement, switch
from tasks.deployment.trial_rules import TrialConfig
from tasks.tracking.named_version import version_named
from tasks.tracking.registry import CHAMPION, ModelVersion, by_alias, by_version, client, move_alias
from tasks.tracking.version_files import EXPORTED, verified_files

# What every task can be asked; relations need two marked entities.
PROBES = (
    triton.PROBE,
    "<e1>Ada Lovelace</e1> was born in <e2>London</e2> in 1815, wasn't she?",
    "<e1>看海</e1>的<e2>人</e2>。",
    "<e1>a</e1> <e2>list</e2> of 3 things: sort it, and cut what is too long",
    "<e1>one</e1> <e2>two</e2> " + "and so on, and so on " * 100,
)

HITS = 10  # that a probe asks for, of a version that searches


@dataclass(frozen=True)
class Switched:
    """What answers now and what did before, None for nothing; and what `champion` was before."""

    version: int
    before: int | None
    champion_before: int | None
    compared: int
    max_abs_difference: float


def serve(
    name: str, which: str, server: TritonServer, store: Store, trial: TrialConfig | None = None
) -> Switched:
    """Make the endpoint answer from the version with this number or alias, and `champion` be it.

    The build among the version's verified files is staged, and has to answer as the registered model did to
    the canaries of an earlier deployment, or else does now to a few built-in questions. A version that is
    live already is questioned, and built again if need be. With a `trial` it has to stand that first.

    Raises:
        StageError: there is no such version, its files are not what was registered, or there is no build.
        ParityError: it answers differently; the version before goes on.
        TritonError: Triton can't load or run it; the version before goes on.
        ServerError: MLflow does not answer.
    """
    versions = client()
    with store.lock("endpoint", name):
        version = version_named(versions, name, which)
        before = repository.pinned_version(Path(server.repository), name)
        champion = by_alias(versions, name, CHAMPION)
        with verified_files(version, store) as folder:
            figures = _switched(version, folder, server, store, trial)
        move_alias(versions, name, CHAMPION, version.version)
    return Switched(
        version.version,
        before,
        champion.version if champion else None,
        figures["compared"],
        figures["max_abs_difference"],
    )


def roll_back(name: str, server: TritonServer, store: Store) -> tuple[int, int]:
    """Answer from the version before, which is on disk, and make `champion` it.

    Returns:
        The version that answers now, and the one that did.

    Raises:
        TritonError: there is no endpoint or no version before, or Triton can't run it; the live one goes on.
        StageError: the version before is not what was deployed, or is gone from MLflow; the live one goes on.
    """
    versions, models = client(), Path(server.repository)
    with store.lock("endpoint", name):
        before = live.version_before(models, name)
        now = repository.pinned_version(models, name)
        assert now is not None
        if by_version(versions, name, before) is None:
            raise StageError(
                f"version {before} of {name} is not in MLflow any more, so version {now} goes on; "
                f"`textmill deploy {name}@VERSION` serves any registered one"
            )
        refused = f"{name} can't go back to version {before}, so version {now} goes on"
        way_out = f"`textmill deploy {name}@{before}` builds it again"
        known = deployment(store, name, before)
        folder = f"{repository.model_of(name, before)}/"
        if known and (wrong := changed_file(known, server, store, folder)):
            raise StageError(f"{refused}: {wrong}; {way_out}")
        # The alias first: a rollback that is killed between the two is finished when it is given again.
        with _champion(versions, name, before, models):
            live.roll_back(server, name)
            if known and (wrong := wrong_answer(known, server, store)):
                live.go_live(server, name, now)
                raise StageError(f"{refused}: {wrong}; {way_out}")
    return before, now


@contextmanager
def _champion(versions: Any, name: str, version: int, models: Path) -> Iterator[None]:
    """Move the alias, and when the block fails to the version that the endpoint is left with."""
    move_alias(versions, name, CHAMPION, version)
    try:
        yield
    except BaseException:
        if left := repository.pinned_version(models, name):
            move_alias(versions, name, CHAMPION, left)
        raise


def _switched(
    version: ModelVersion, folder: Path, server: TritonServer, store: Store, trial: TrialConfig | None
) -> dict[str, Any]:
    """Move the endpoint to the build in a folder of verified files; the figures of the comparison."""
    onnx = folder / EXPORTED.folder
    if not all((onnx / file).is_file() for file in repository.EXPORTED):
        raise StageError(_no_build(version))
    if version.collection and not (onnx / model_config.COLLECTION).is_dir():
        raise StageError(
            f"version {version.version} of {version.model} is to search a collection that is not among its "
            "files: its run stopped before the index; run its recipe again, or deploy another version"
        )
    asked, tolerance = _questions(version, folder, onnx, store)

    def judge(endpoint: str) -> Judgement:
        answers = [answer.content for answer in answers_of(endpoint, server, asked.questions)]
        figures = apart(asked.expected, answers)
        return Judgement(figures, disagreement(figures, tolerance))

    return switch(version, onnx, judge, server, store, trial=trial)


def _no_build(version: ModelVersion) -> str:
    return (
        f"version {version.version} of {version.model} has no build in MLflow that can be served: its task "
        "is not served, its run stopped before the export, or an older textmill made it; run its recipe "
        "again, or deploy another version"
    )


def _questions(version: ModelVersion, folder: Path, onnx: Path, store: Store) -> tuple[Canaries, float]:
    """What to ask the endpoint, with the registered model's answers, and how far numbers may differ."""
    known = deployment(store, version.model, version.version)
    if known and is_built_from(onnx, known, store):
        return canaries_of(known, store), known.config["tolerance"]
    import mlflow

    model = mlflow.pyfunc.load_model(str(folder)).unwrap_python_model()
    if not hasattr(model, "answers"):
        raise StageError(_no_build(version))
    asked = _probes(model.form.inputs)
    if version.collection:
        asked = [*asked, *({**question, "k": HITS} for question in asked)]
    questions = [question for question in asked if not model.form.fault(question)]
    return Canaries(questions, model.answers(questions)), TOLERANCE


def _probes(inputs: Sequence[str]) -> list[Mapping[str, Any]]:
    """A question for each probe; of several strings each gets another one."""
    return [
        {name: PROBES[(number + place) % len(PROBES)] for place, name in enumerate(inputs)}
        for number in range(len(PROBES))
    ]
