"""A registered version judged again, by what was kept of it and of the one that it is held against.

Nothing is changed and, where both were judged on the same examples, no model is run: the same verdict as back
then, or that against another version.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from corpus.examples.written_examples import read_split
from tasks.contract.errors import StageError
from tasks.contract.store import Store
from tasks.evaluation import kept_predictions
from tasks.evaluation.answers_before import KEPT, Answers, answers_of, kept_of
from tasks.evaluation.gate import EvaluateConfig, judge_model
from tasks.evaluation.kept_predictions import Kept
from tasks.evaluation.paired_bootstrap import OWN, measured
from tasks.tracking.named_version import version_named
from tasks.tracking.registry import CHAMPION, COMPARED_TAG, ModelVersion, by_alias, by_version, client
from tasks.tracking.version_files import JUDGED, verified_file


class JudgedAgain(NamedTuple):
    """The verdict on a version, which one it was held against, and where the answers of that one are from."""

    version: int
    against: int | None
    source: str
    examples: int
    gate: dict[str, Any]


def judge_again(name: str, which: str, against: str | None, store: Store) -> JudgedAgain:
    """The verdict on the version with this number or alias, by the demands of the recipe that made it.

    Args:
        against: the number or alias of the version to compare with. None: the champion, or what the champion
            itself was compared with.

    Raises:
        StageError: there is no such version, nothing was kept of it, or the two can't be compared.
        ServerError: MLflow does not answer.
    """
    mlflow = client()
    version = version_named(mlflow, name, which)
    other = version_named(mlflow, name, against) if against else _champion_for(mlflow, version)
    if other and other.version == version.version:
        raise StageError(f"that is version {version.version} of {name} on both sides; give two versions")
    kept, evaluation = kept_of(version, store), _evaluation(version, store)
    if kept is None or evaluation is None:
        raise StageError(
            f"version {version.version} of {name} was registered by an older textmill, without its "
            "predictions; run its recipe again, and the version that it makes has them"
        )
    evaluation |= {"champion": None, "against_champion": None}
    answers = Answers([], "")
    if other:
        answers = _answers(other, version, kept, store)
        evaluation |= _against(other, answers, kept)
    gate = judge_model(evaluation, EvaluateConfig(**evaluation["demanded"]))
    number = other.version if other else None
    return JudgedAgain(version.version, number, answers.source, len(kept.said), gate)


def _champion_for(mlflow: Any, version: ModelVersion) -> ModelVersion | None:
    champion = by_alias(mlflow, version.model, CHAMPION)
    if champion is None or champion.version != version.version:
        return champion
    compared = mlflow.get_model_version(version.model, str(version.version)).tags.get(COMPARED_TAG, "")
    return by_version(mlflow, version.model, int(compared)) if compared else None


def _evaluation(version: ModelVersion, store: Store) -> dict[str, Any] | None:
    with verified_file(version, store, f"{JUDGED}/evaluation.json") as file:
        found: dict[str, Any] | None = json.loads(file.read_text(encoding="utf-8")) if file else None
    return found


def _answers(other: ModelVersion, version: ModelVersion, kept: Kept, store: Store) -> Answers:
    """What the other version said of the examples of this one; it is asked where the examples are here."""
    before = kept_of(other, store, kept.examples)
    if before and before.settings.task != kept.settings.task:
        raise StageError(
            f"version {other.version} of {other.model} is for the task {before.settings.task}, version "
            f"{version.version} for {kept.settings.task}: they answer different questions and can't be "
            "compared; give another version"
        )
    if before and before.examples == kept.examples:
        return Answers(before.said, KEPT)
    if examples := _examples(kept.examples, store):
        return answers_of(other, kept.settings.task, examples, store)
    raise StageError(
        f"version {other.version} of {other.model} was not judged on the test examples of version "
        f"{version.version}, and those are not in {store.home}, so what was kept can't be compared; "
        "run the recipe of the newer one in this home, which asks the older one about them"
    )


def _examples(digest: str, store: Store) -> list[dict[str, Any]] | None:
    """The test examples with this digest, if an artifact of this home has them."""
    for manifest in store.manifests("examples"):
        place: Path = store.place("examples", manifest.key)
        if "test.jsonl" in manifest.files and not store.damage(manifest):
            test = read_split(place, "test")
            if kept_predictions.digest_of(test) == digest:
                return test
    return None


def _against(other: ModelVersion, answers: Answers, kept: Kept) -> dict[str, Any]:
    """What `evaluate` would find of the champion, were it the other version."""
    from model_code.task_types.task import task_named

    task = task_named(kept.settings.task)
    said = {OWN: kept.said, CHAMPION: answers.said}
    found = measured(task, kept.truths, said, kept.settings)
    figures = task.metrics(kept.truths, answers.said, kept.settings)
    return {
        "champion": {"version": other.version, "source": answers.source, **figures},
        "against_champion": found.comparisons[CHAMPION],
    }
