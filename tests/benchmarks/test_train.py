"""That the training benchmarks measure what they say; nothing here says how fast anything is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import train_gpu, train_sides
from benchmarks.bench import BenchmarkError
from benchmarks.train_peer import pieces, slices
from benchmarks.train_quality import needed
from benchmarks.train_worker import Run
from model_code.data.shards import Split, open_split, write_split


@pytest.fixture
def split(tmp_path: Path) -> Split:
    write_split(tmp_path, "train", [list(range(n)) for n in (3, 10, 4)], 20)
    return open_split(tmp_path, "train")


def test_the_trainer_reads_every_token_of_every_document(split: Split) -> None:
    read = [example["input_ids"].tolist() for example in pieces(split, 4)]
    assert read == [[0, 1, 2], [0, 1, 2, 3], [4, 5, 6, 7], [8, 9], [0, 1, 2, 3]]


def test_or_the_corpus_cut_in_equal_slices(split: Split) -> None:
    read = torch.stack([example["input_ids"] for example in slices(split, 5)]).flatten()
    assert np.array_equal(read.numpy(), split.ids[:15])


def test_the_time_to_a_loss_lies_on_the_line_between_two_runs() -> None:
    runs = [Run(1, 20.0, 6.0), Run(1, 80.0, 5.0)]
    assert needed(runs, 6.0) == pytest.approx(20)
    assert needed(runs, 5.5) == pytest.approx(40)
    assert needed(runs, 6.5) == pytest.approx(10)


def test_what_the_longer_run_does_not_reach_counts_as_its_time() -> None:
    assert needed([Run(1, 20.0, 6.0), Run(1, 80.0, 5.0)], 4.0) == pytest.approx(80)
    assert needed([Run(1, 20.0, 6.0), Run(1, 80.0, 6.1)], 6.2) == pytest.approx(80)


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


def test_the_gpu_benchmark_runs_small(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["train_gpu", "--tiny", "--steps", "8"])
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})  # one thread
    deterministic = torch.are_deterministic_algorithms_enabled()
    try:
        assert train_gpu.main() == 0
    finally:
        torch.use_deterministic_algorithms(deterministic)
    heading, *lines = capsys.readouterr().out.splitlines()
    assert heading == train_gpu.COLUMNS
    assert [line.split()[:2] for line in lines][:2] == [["tiny", "ours"], ["tiny", "plain"]]
    assert all(float(line.split()[2].replace(",", "")) > 0 for line in lines)
