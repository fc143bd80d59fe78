from pathlib import Path

import numpy as np
import pytest

from model_code.errors import TrainingError
from model_code.shards import PackedBatches, open_split, write_split


@pytest.mark.parametrize(("vocabulary", "dtype"), [(65_536, "<u2"), (65_537, "<u4")])
def test_ids_come_back_as_written(tmp_path: Path, vocabulary: int, dtype: str) -> None:
    documents = [[2, vocabulary - 1, 3], [], [2, 3]]
    write_split(tmp_path, "train", documents, vocabulary)
    split = open_split(tmp_path, "train")
    assert split.ids.tolist() == [2, vocabulary - 1, 3, 2, 3]
    assert (split.info.dtype, split.info.tokens, split.info.documents) == (dtype, 5, 3)


@pytest.mark.parametrize("bad", [-1, 10])
def test_ids_outside_the_vocabulary_are_refused(tmp_path: Path, bad: int) -> None:
    with pytest.raises(TrainingError, match="document 1 holds ids"):
        write_split(tmp_path, "train", [[1], [bad]], 10)


def test_a_missing_cut_or_damaged_shard_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no readable token shard"):
        open_split(tmp_path, "train")
    write_split(tmp_path, "train", [range(100)], 100)
    path = tmp_path / "train.bin"
    data = path.read_bytes()
    path.write_bytes(data[:-2])
    with pytest.raises(TrainingError, match="198 bytes where its description says 200"):
        open_split(tmp_path, "train")
    path.write_bytes(b"\x07" + data[1:])
    with pytest.raises(TrainingError, match="sha256"):
        open_split(tmp_path, "train")


def test_an_epoch_visits_every_chunk_once_and_epochs_differ(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [np.arange(85)], 100)
    batches = PackedBatches(open_split(tmp_path, "train"), sequence_length=10, batch_size=4, seed=0)
    assert batches.steps_per_epoch == 2
    first = np.concatenate([batches.batch(step).numpy() for step in (0, 1)])
    second = np.concatenate([batches.batch(step).numpy() for step in (2, 3)])
    assert sorted(first[:, 0]) == sorted(second[:, 0]) == list(range(0, 80, 10))
    assert first[:, 0].tolist() != second[:, 0].tolist()


def test_a_batch_depends_on_seed_and_step_only(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [np.arange(1000)], 1000)
    split = open_split(tmp_path, "train")
    walked = PackedBatches(split, 10, 4, seed=5)
    visited = [walked.batch(step) for step in range(60)]
    assert PackedBatches(split, 10, 4, seed=5).batch(57).equal(visited[57])
    assert not PackedBatches(split, 10, 4, seed=6).batch(57).equal(visited[57])


def test_a_corpus_smaller_than_a_batch_is_refused(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [range(39)], 100)
    with pytest.raises(TrainingError, match="39 tokens, one batch needs 40"):
        PackedBatches(open_split(tmp_path, "train"), 10, 4, seed=0)
