from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from model_code.data.shards import SplitWriter, open_split
from model_code.errors import TrainingError
from tests.token_shards import write_split


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
