"""That the training benchmarks measure what they say; nothing here says how fast anything is."""

import os
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import train_gpu, train_quality, train_sides
from benchmarks.bench import BenchmarkError
from benchmarks.train_peer import pieces, slices
from benchmarks.train_worker import TrainingMeasured
from model_code.data.shards import TokenSplit, open_split
from tests.token_shards import write_split


@pytest.fixture
def split(tmp_path: Path) -> TokenSplit:
    write_split(tmp_path, "train", [list(range(n)) for n in (3, 10, 4)], 20)
    return open_split(tmp_path, "train")


def test_the_trainer_reads_every_token_of_every_document(split: TokenSplit) -> None:
    read = [example["input_ids"].tolist() for example in pieces(split, 4)]
    assert read == [[0, 1, 2], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3]]


def test_or_the_corpus_cut_in_equal_slices(split: TokenSplit) -> None:
    read = torch.stack([example["input_ids"] for example in slices(split, 5)]).flatten()
    assert np.array_equal(read.numpy(), split.ids[:15])


class Paced:
    """A side that needs so many CPU-seconds a step, and always ends with the same loss."""

    def __init__(self, seconds: float, loss: float) -> None:
        self._seconds, self._loss = seconds, loss

    def train(self, config: dict[str, Any], peer: dict[str, Any] | None = None) -> TrainingMeasured:
        steps = config["steps"] - 1
        return TrainingMeasured(steps * 128 * 32, steps * self._seconds, self._loss)


@pytest.mark.parametrize(("loss", "passed"), [(6.1, True), (5.9, False)])
def test_quality_is_judged_by_a_trainer_with_twice_the_time(loss: float, passed: bool) -> None:
    result = train_quality.measure("causal", Namespace(quick=False), (Paced(0.4, 6.0), Paced(0.7, loss)))
    assert result.passed is passed
    ours, trainer = (float(row[2].split()[0]) for row in result.rows)
    assert 2 * ours <= trainer <= 2.2 * ours


def test_without_the_peer_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(train_sides, "PEER_PYTHON", tmp_path / "python")
    with pytest.raises(BenchmarkError, match="make bench-env"), train_sides.both_sides(quick=True):
        pass


def test_without_a_gpu_the_gpu_benchmark_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr("sys.argv", ["train_gpu"])
    assert train_gpu.main() == 2
    assert "no GPU" in capsys.readouterr().err


@pytest.mark.smoke
def test_the_gpu_benchmark_runs_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["train_gpu", "--tiny", "--steps", "8", "--corpus", str(tmp_path)])
    train_gpu.write_random_corpus(tmp_path, 128, 120)
    deterministic, cores = torch.are_deterministic_algorithms_enabled(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # one thread, also in the process that is killed
    try:
        assert train_gpu.main() == 0
    finally:
        torch.use_deterministic_algorithms(deterministic)
        os.sched_setaffinity(0, cores)
    resume, learning, heading, *lines = capsys.readouterr().out.splitlines()
    assert resume == "resume after kill -9: the same losses and weights, bit for bit"
    assert learning.startswith("held-out loss 5.0: ")
    assert "steps; corpus of" in learning
    assert heading == train_gpu.COLUMNS
    assert [line.split()[:2] for line in lines][:2] == [["tiny", "ours"], ["tiny", "plain"]]
    assert all(float(line.split()[2].replace(",", "")) > 0 for line in lines)
