from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from model_code.errors import TrainingError
from model_code.shards import PackedBatches, SplitWriter, open_split, write_split


@pytest.mark.parametrize(("vocabulary", "dtype"), [(65_536, "<u2"), (65_537, "<u4")])
def test_ids_come_back_as_written(tmp_path: Path, vocabulary: int, dtype: str) -> None:
    documents = [[2, vocabulary - 1, 3], [], [2, 3]]
    write_split(tmp_path, "train", documents, vocabulary)
    split = open_split(tmp_path, "train")
    assert split.ids.tolist() == [2, vocabulary - 1, 3, 2, 3]
    assert split.offsets.tolist() == [0, 3, 3, 5]
    assert (split.info.dtype, split.info.tokens, split.info.documents) == (dtype, 5, 3)


def test_documents_are_wrapped_and_batches_leave_no_trace(tmp_path: Path) -> None:
    ids, lengths = np.array([5, 6, 7, 8], np.uint32), np.array([2, 0, 1, 1])
    for name, cuts in (("one", [0, 4]), ("many", [0, 1, 3, 4])):
        with SplitWriter(tmp_path, name, 10, begin=(2,), end=(3, 4)) as writer:
            for first, last in pairwise(cuts):
                span = slice(lengths[:first].sum(), lengths[:last].sum())
                writer.write(ids[span], lengths[first:last])
    split = open_split(tmp_path, "many")
    assert split.ids.tolist() == [2, 5, 6, 3, 4, 2, 3, 4, 2, 7, 3, 4, 2, 8, 3, 4]
    assert split.offsets.tolist() == [0, 5, 8, 12, 16]
    assert (split.info.begin, split.info.end) == ([2], [3, 4])
    assert split.info == open_split(tmp_path, "one").info


def test_a_split_that_was_not_finished_is_none(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [[1]], 10)
    with pytest.raises(KeyboardInterrupt), SplitWriter(tmp_path, "train", 10):
        raise KeyboardInterrupt
    with pytest.raises(TrainingError, match="no readable token shard"):
        open_split(tmp_path, "train")


@pytest.mark.parametrize("bad", [-1, 10])
def test_ids_outside_the_vocabulary_are_refused(tmp_path: Path, bad: int) -> None:
    with pytest.raises(TrainingError, match=f"documents 1 to 1 hold ids from {bad} to {bad}"):
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
    with pytest.raises(TrainingError, match=r"train\.bin: sha256"):
        open_split(tmp_path, "train")
    path.write_bytes(data)
    (tmp_path / "train.offsets").write_bytes(bytes(16))
    with pytest.raises(TrainingError, match=r"train\.offsets: sha256"):
        open_split(tmp_path, "train")
    (tmp_path / "train.offsets").unlink()
    with pytest.raises(TrainingError, match=r"train\.offsets: no readable token shard"):
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


@pytest.mark.parametrize("ranks", [2, 4])
def test_all_ranks_together_read_the_same_batch(tmp_path: Path, ranks: int) -> None:
    write_split(tmp_path, "train", [np.arange(1000)], 1000)
    split = open_split(tmp_path, "train")
    for step in (0, 13, 24, 25):
        shares = [PackedBatches(split, 10, 4, 5, rank, ranks).batch(step) for rank in range(ranks)]
        assert torch.cat(shares).equal(PackedBatches(split, 10, 4, seed=5).batch(step))


def test_ranks_that_can_not_share_a_batch_are_refused(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [np.arange(100)], 100)
    with pytest.raises(TrainingError, match="batch_size 4 can't be shared evenly by 3 ranks"):
        PackedBatches(open_split(tmp_path, "train"), 10, 4, 0, rank=1, ranks=3)


def test_a_corpus_smaller_than_a_batch_is_refused(tmp_path: Path) -> None:
    write_split(tmp_path, "train", [range(39)], 100)
    with pytest.raises(TrainingError, match="39 tokens, one batch needs 40"):
        PackedBatches(open_split(tmp_path, "train"), 10, 4, seed=0)
