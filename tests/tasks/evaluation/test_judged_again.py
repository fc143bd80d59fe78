"""A version is judged again from what was kept of it, against any other, and nothing changes."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tasks.contract.errors import StageError
from tasks.contract.store import Store
from tasks.evaluation import answers_before, judged_again
from tasks.evaluation.answers_before import KEPT
from tasks.evaluation.judged_again import judge_again
from tasks.tracking.registry import CHAMPION, move_alias
from tests.published import publish
from tests.tasks.evaluation.judged_version import judged, register_judged

EXAMPLES = [{"id": str(n), "text": f"text {n}", "label": "ab"[n % 2]} for n in range(300)]
MARGIN = {"below_champion": 0.1}


def answers(accuracy: float, seed: int, count: int = 300) -> list[str]:
    rng = random.Random(seed)
    return ["ab"[(n + (rng.random() > accuracy)) % 2] for n in range(count)]


FIRST, SECOND, THIRD = answers(0.85, 1), answers(0.9, 2), answers(0.5, 3)


@pytest.fixture
def three(mlflow: Any, model: str, tmp_path: Path) -> Store:
    """Three versions, the second is champion and the third is worse; and a home that made none."""
    register_judged(model, tmp_path / "1", FIRST, EXAMPLES, **MARGIN)
    register_judged(model, tmp_path / "2", SECOND, EXAMPLES, (1, FIRST), **MARGIN)
    register_judged(model, tmp_path / "3", THIRD, EXAMPLES, (2, SECOND), **MARGIN)
    move_alias(mlflow, model, CHAMPION, 2)
    return Store(tmp_path / "home")


def test_the_verdict_is_that_of_back_then_byte_for_byte(three: Store, model: str, mlflow: Any) -> None:
    before = mlflow.get_registered_model(model).aliases
    for number, said, champion in ((2, SECOND, (1, FIRST)), (3, THIRD, (2, SECOND))):
        found = judge_again(model, str(number), None, three)
        assert (found.version, found.against, found.source, found.examples) == (
            number,
            champion[0],
            KEPT,
            300,
        )
        expected = judged(said, EXAMPLES, champion, **MARGIN)["gate"]
        assert json.dumps(found.gate | {"passed": True}) == json.dumps(expected)
    assert found.gate["verdict"] == "keep"
    assert mlflow.get_registered_model(model).aliases == before


def test_any_two_versions_can_be_compared(three: Store, model: str) -> None:
    found = judge_again(model, "challenger", "1", three)
    assert (found.version, found.against, found.gate["verdict"]) == (3, 1, "keep")
    assert judge_again(model, "champion", "3", three).gate["verdict"] == "keep"  # too good to be true, 0.3
    assert judge_again(model, "1", None, three).against == 2


def test_the_first_version_is_judged_without_a_champion(mlflow: Any, model: str, tmp_path: Path) -> None:
    register_judged(model, tmp_path, FIRST, EXAMPLES)
    found = judge_again(model, "1", None, Store(tmp_path))
    assert (found.against, found.gate["verdict"]) == (None, "promote")


def test_versions_that_are_not_there_and_the_same_twice_are_one_sentence(three: Store, model: str) -> None:
    with pytest.raises(StageError, match=r"MLflow has no version 9 of .*; there are 1, 2 \(champion\), 3"):
        judge_again(model, "9", None, three)
    with pytest.raises(StageError, match=r"that is version 2 of .* on both sides; give two versions"):
        judge_again(model, "2", "champion", three)


@pytest.fixture
def newer(mlflow: Any, model: str, tmp_path: Path) -> Callable[[], Any]:
    """A second version that was judged on more examples than the first."""
    register_judged(model, tmp_path / "1", FIRST[:100], EXAMPLES[:100])
    register_judged(model, tmp_path / "2", SECOND, EXAMPLES, (1, FIRST), **MARGIN)
    return lambda: judge_again(model, "2", "1", Store(tmp_path / "home"))


def test_other_examples_that_are_nowhere_are_said_with_the_way_out(newer: Callable[[], Any]) -> None:
    with pytest.raises(StageError) as refused:
        newer()
    assert "version 1 of" in str(refused.value)
    assert "was not judged on the test examples of version 2, and those are not in" in str(refused.value)
    assert "run the recipe of the newer one in this home" in str(refused.value)


def test_of_other_examples_that_are_here_the_older_one_is_asked(
    newer: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "home")
    directory = store.begin("examples", "e" * 64)
    lines = "".join(json.dumps(example) + "\n" for example in EXAMPLES)
    (directory / "test.jsonl").write_text(lines, encoding="utf-8")
    publish(store, directory, "examples", "e" * 64)
    monkeypatch.setattr(answers_before, "predict_with", lambda *_: FIRST)
    found = newer()
    assert found.source.startswith("asking it anew, since the test examples are others")
    assert found.gate["verdict"] == judged(SECOND, EXAMPLES, (1, FIRST), **MARGIN)["gate"]["verdict"]


def test_versions_of_two_tasks_are_not_compared(
    three: Store, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    real = judged_again.kept_of

    def kept_of(version: Any, *others: Any) -> Any:
        kept = real(version, *others)
        assert kept
        task = "relations" if version.version == 1 else "classification"
        return replace(kept, settings=replace(kept.settings, task=task))

    monkeypatch.setattr(judged_again, "kept_of", kept_of)
    with pytest.raises(StageError, match="is for the task relations, version 3 for classification: they"):
        judge_again(model, "3", "1", three)


def test_a_version_of_an_older_textmill_is_said(
    three: Store, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judged_again, "kept_of", lambda *_: None)
    with pytest.raises(StageError, match="was registered by an older textmill, without its predictions"):
        judge_again(model, "3", None, three)
