"""That the fine-tuning benchmarks measure what they say; nothing here says how good or fast anything is."""

from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from benchmarks import fine_tune_methods, fine_tune_quality, fine_tune_speed
from benchmarks.fine_tune_quality import FEW, SETS, BenchmarkSet, Cell
from benchmarks.fine_tune_stages import ChangedRecipe, Evaluated, evaluated, prepare
from benchmarks.train_worker import TrainingMeasured
from corpus.errors import CorpusError
from flows.recipe import load_recipe

SST2 = SETS[0]


def found(accuracies: list[float], seconds: float = 600) -> Evaluated:
    models = [{"accuracy": accuracy} for accuracy in accuracies]
    baseline = {SST2.baseline: {"accuracy": 0.79}}
    evaluation = {"model": models[0], "seeds": {"models": models}, "baselines": baseline, "pretrained": {}}
    return Evaluated(evaluation, {"pretrain": seconds - 90, "fine_tune": 90}, {})


@pytest.mark.parametrize("of", SETS, ids=lambda of: of.recipe)
def test_a_cell_changes_the_recipe_and_nothing_else_is_needed(of: BenchmarkSet) -> None:
    own = load_recipe(of.recipe)
    assert own.fine_tune is not None
    for pretrained, size in ((True, 0), (False, FEW)):
        trial = Cell(of, pretrained, size).trial(own.fine_tune.epochs, quick=False)
        changed = load_recipe(trial.recipe, trial.changes)
        assert changed.examples is not None
        assert changed.fine_tune is not None
        assert changed.pretrain is not None
        assert changed.examples.limit == size
        assert changed.fine_tune.seeds == 3
        assert (changed.pretrain == own.pretrain) is pretrained
        assert changed.collect == own.collect


@pytest.mark.parametrize("name", fine_tune_methods.METHODS)
def test_a_method_is_a_change_that_the_recipe_takes(name: str) -> None:
    own = load_recipe("sst2", ()).fine_tune
    for trial in fine_tune_methods._trials(name):
        assert load_recipe(trial.recipe, trial.changes).fine_tune != own


@pytest.mark.parametrize(
    ("accuracies", "seconds", "word"),
    [([0.79, 0.81, 0.81], 600, "ok"), ([0.79, 0.80, 0.80], 600, "short"), ([0.82] * 3, 1900, "short")],
)
def test_the_bar_is_for_the_mean_and_the_time(accuracies: list[float], seconds: float, word: str) -> None:
    line = fine_tune_quality.verdict(SST2, {Cell(SST2, True, 0): found(accuracies, seconds)}, "")
    assert line.split()[0] == word
    assert "baseline=0.790" in line


def test_the_table_has_a_place_for_each_start_and_size() -> None:
    cells: Mapping[Cell, Evaluated] = {
        Cell(SST2, pretrained, size): found([value, value + 0.02])
        for (pretrained, size), value in zip(
            ((False, FEW), (True, FEW), (False, 0), (True, 0)), (0.5, 0.6, 0.7, 0.8), strict=True
        )
    }
    *_, row = fine_tune_quality.table([SST2], cells).splitlines()
    places = [cell.strip() for cell in row.strip("|").split("|")]
    assert [place.split()[0] for place in places[3:7]] == ["0.510", "0.610", "0.710", "0.810"]
    assert places[-1] == "5.0"


def test_without_data_the_file_is_named(tmp_path: Path) -> None:
    prepare(tmp_path / "work", tmp_path / "nothing")
    with pytest.raises(CorpusError, match=r"data/sst2/train\.tsv"):
        evaluated(ChangedRecipe("sst2", smoke=True), tmp_path / "work")


class Paced:
    """A side that fine-tunes so many tokens per CPU-second."""

    def __init__(self, speed: int) -> None:
        self._speed = speed
        self.seeds: list[int] = []

    def train(self, config: dict[str, Any], peer: dict[str, Any] | None = None) -> TrainingMeasured:
        self.seeds.append(config["seed"])
        return TrainingMeasured(self._speed, 1.0, accuracy=0.8)


@pytest.mark.parametrize(("speed", "passed"), [(160, True), (140, False)])
def test_speed_is_judged_round_by_round_with_equal_seeds(speed: int, passed: bool) -> None:
    ours, peer = Paced(speed), Paced(100)
    result = fine_tune_speed.measure(Namespace(quick=False), (ours, peer))  # type: ignore[arg-type]
    assert result.passed is passed
    assert ours.seeds == sorted(set(ours.seeds))
    assert peer.seeds == [
        seed for seed in ours.seeds for _ in (fine_tune_speed.DEFAULT, fine_tune_speed.PLAIN)
    ]
    assert "0.800" in result.report()
