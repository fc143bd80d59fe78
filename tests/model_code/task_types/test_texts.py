import numpy as np
import pytest

from model_code.task_types.texts import bucketed_order, padded


@pytest.mark.parametrize(("gpu", "width"), [(False, 9), (True, 16)])
def test_padding_rounds_the_longest_up_to_eight_for_a_gpu(
    monkeypatch: pytest.MonkeyPatch, gpu: bool, width: int
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpu)
    ids, mask = padded([[2, 7, 3], list(range(1, 10))], fill=0)
    assert ids.shape == mask.shape == (2, width)
    assert mask.sum(dim=1).tolist() == [3, 9]
    assert ids[0, 3:].tolist() == [0] * (width - 3)


def test_an_epoch_holds_each_example_once_in_batches_of_similar_length() -> None:
    lengths = np.random.default_rng(0).integers(3, 128, 1000)
    batches = bucketed_order(lengths, 16, seed=0, epoch=1)
    assert sorted(np.concatenate(batches)) == list(range(1000))
    padded_tokens = sum(lengths[batch].max() * len(batch) for batch in batches)
    assert padded_tokens < 1.1 * lengths.sum()
    again, other = (bucketed_order(lengths, 16, seed=0, epoch=epoch) for epoch in (1, 2))
    assert all((a == b).all() for a, b in zip(batches, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(batches, other, strict=True))
