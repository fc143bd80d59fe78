"""A registered version with what it was judged by, without any model that answers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from model_code.task_types.task import Settings, task_named
from tasks.evaluation import kept_predictions
from tasks.evaluation.gate import EvaluateConfig, judge_model
from tasks.evaluation.kept_predictions import FILE
from tasks.evaluation.paired_bootstrap import measured
from tasks.tracking.registry import ModelVersion, by_digest, client
from tests.published import publish
from tests.release_artifacts import Release, evaluation

SETTINGS = Settings("classification", ("a", "b"))


def judged(
    said: Sequence[str],
    examples: Sequence[Mapping[str, Any]],
    champion: tuple[int, Sequence[str]] | None = None,
    **config: Any,
) -> dict[str, Any]:
    """What `evaluate` writes of a classifier that says this, compared with a champion that said that."""
    task = task_named("classification")
    answered = {"model": said, "majority": ["a"] * len(said)} | (
        {"champion": champion[1]} if champion else {}
    )
    intervals, comparisons = measured(task, examples, answered, SETTINGS)
    figures = {name: task.metrics(examples, each, SETTINGS) for name, each in answered.items()}
    found = evaluation() | {
        **{"metric": task.METRIC, "model": figures["model"], "trivial": "majority", "unavailable": {}},
        **{"baselines": {"majority": figures["majority"]}, "intervals": intervals, "champion": None},
        "comparisons": {"majority": comparisons["majority"]},
        "against_champion": comparisons.get("champion"),
        "test_examples": len(examples),
        "demanded": EvaluateConfig(**config).model_dump(mode="json"),
    }
    if champion:
        found["champion"] = {"version": champion[0], **figures["champion"]}
    return found | {"gate": judge_model(found, EvaluateConfig(**config)) | {"passed": True}}


def register_judged(
    model: str,
    home: Path,
    said: Sequence[str],
    examples: Sequence[Mapping[str, Any]],
    champion: tuple[int, Sequence[str]] | None = None,
    **config: Any,
) -> ModelVersion:
    """Register a version of a model whose files hold the judgement and the predictions."""
    found = judged(said, examples, champion, **config)
    release = Release(home, model, judged=found, others={"seed": "".join(said)})
    before = release.made["evaluate"]
    directory = release.store.begin("evaluate", before.key)
    for name in ("evaluation.json", "loss_curves.png"):
        (directory / name).write_bytes((release.store.path(before) / name).read_bytes())
    kept_predictions.write(directory / FILE, examples, said, SETTINGS)
    release.made["evaluate"] = publish(release.store, directory, "evaluate", before.key)
    release.register(ModelVersion(model=model, version=champion[0], digest="d") if champion else None)
    version = by_digest(client(), model, release.made["fine_tune"].digest)
    assert version
    assert json.loads((release.store.path(release.made["evaluate"]) / "evaluation.json").read_text("utf-8"))
    return version
