from pathlib import Path

import numpy as np
import pytest

from model_code.classification import bucketed_order, padded, read_examples
from model_code.errors import TrainingError


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a", "label": "z"}', "line 2: label 'z' is not one of"),
        ('{"text": "a"}', "line 2: not an object with text and label"),
        ("nonsense", "line 2: not an object with text and label"),
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a", "label": "x"}\n' + line + "\n")
    with pytest.raises(TrainingError, match=message):
        read_examples(path, ["x", "y"])


def test_missing_and_empty_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"
    with pytest.raises(TrainingError, match="no such file"):
        read_examples(path, ["x"])
    path.touch()
    with pytest.raises(TrainingError, match="no examples"):
        read_examples(path, ["x"])


def test_padding_rounds_the_longest_up_to_eight() -> None:
    ids, mask = padded([[2, 7, 3], list(range(1, 10))], pad=0)
    assert ids.shape == mask.shape == (2, 16)
    assert mask.sum(dim=1).tolist() == [3, 9]
    assert ids[0, 3:].tolist() == [0] * 13


def test_an_epoch_holds_each_example_once_in_batches_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(3, 128, 1000)
    batches = bucketed_order(lengths, 16, seed=0, epoch=1)
    assert sorted(np.concatenate(batches)) == list(range(1000))
    padded_tokens = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded_tokens < 1.1 * lengths.sum()
    again, other = (bucketed_order(lengths, 16, seed=0, epoch=epoch) for epoch in (1, 2))
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(batches, other, strict=True))
