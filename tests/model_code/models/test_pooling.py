from __future__ import annotations

import numpy as np
import pytest
import torch

from model_code.models.pooling import pooled, poolings_in

# Of the states of one text's tokens, [tokens, D].
PLAIN = {
    "cls": lambda states: states[0],
    "max": lambda states: states.max(axis=0),
    "mean": lambda states: states.mean(axis=0),
    "mean_sqrt_len_tokens": lambda states: states.sum(axis=0) / len(states) ** 0.5,
    "weightedmean": lambda states: np.average(states, axis=0, weights=np.arange(1, len(states) + 1)),
    "lasttoken": lambda states: states[-1],
}


@pytest.mark.parametrize("names", [*PLAIN, "cls+max+mean", "lasttoken+weightedmean+mean_sqrt_len_tokens"])
def test_the_vector_is_that_of_the_text_alone(names: str) -> None:
    states = np.random.default_rng(0).standard_normal((3, 7, 4)).astype(np.float32) - 2
    lengths = [7, 3, 1]
    mask = torch.tensor([[1] * length + [0] * (7 - length) for length in lengths])
    found = pooled(torch.from_numpy(states), mask, names).numpy()
    for row, length in enumerate(lengths):
        parts = [PLAIN[name](states[row, :length]) for name in poolings_in(names)]
        expected = np.concatenate(parts)
        if names in ("mean", "mean_sqrt_len_tokens"):
            expected *= np.linalg.norm(found[row]) / np.linalg.norm(expected)
        np.testing.assert_allclose(found[row], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("names", ["", "median", "mean+mean", "mean,cls"])
def test_unknown_and_repeated_names_are_refused(names: str) -> None:
    with pytest.raises(ValueError, match="join some of cls, max"):
        poolings_in(names)
