"""Batches of similar length, and a model run over all of them.

Short texts padded to the longest one of a random batch would triple the work; a batch is therefore cut from
items of similar length, and the batches are visited in random order.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch

from model_code.data.padding import padded_length
from model_code.objectives.objective import Batch
from model_code.runtime import Runtime
from model_code.task_types.task import Data

Output = TypeVar("Output")
POOL = 50  # batches that are sorted by length together


def padded(
    sequences: Sequence[Sequence[int]], fill: int, width: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of one length and the mask of what is in them, int64 [B, S] each.

    S is `width`, or the longest length; rounded up to eight for a GPU, which wants few shapes and
    aligned rows. A CPU only gets more to do by it: a sixth more where sentences have 23 tokens.
    """
    if width is None:
        width = max(1, *(len(sequence) for sequence in sequences))
        width = padded_length(width) if torch.cuda.is_available() else width
    rows = torch.full((len(sequences), width), fill)
    mask = torch.zeros((len(sequences), width), dtype=torch.int64)
    for row, sequence in enumerate(sequences):
        rows[row, : len(sequence)] = torch.tensor(sequence, dtype=torch.int64)
        mask[row, : len(sequence)] = 1
    return rows, mask


def bucketed_order(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Items of each batch of one epoch; every item once, a pure function of the arguments."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    size = batch_size * POOL
    pools = [order[start : start + size] for start in range(0, len(order), size)]
    batches = [
        pool[np.argsort(lengths[pool], kind="stable")][start : start + batch_size]
        for pool in pools
        for start in range(0, len(pool), batch_size)
    ]
    return [batches[i] for i in random.permutation(len(batches))]


def inputs_of(model: Any, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What an encoder reads of a batch; which text a token is of only where the model tells them apart."""
    known = ["input_ids", "attention_mask"]
    if tells_texts_apart(model.config):
        known.append("token_type_ids")
    return {name: tensors[name] for name in known if name in tensors}


def names_of_inputs(config: Any) -> list[str]:
    """What a model reads, by the names that transformers has for it."""
    return ["input_ids", *(["token_type_ids"] if tells_texts_apart(config) else []), "attention_mask"]


def tells_texts_apart(config: Any) -> bool:
    """Whether a model has an embedding for each of the two texts of a pair."""
    return getattr(config, "type_vocab_size", 0) > 1


def told_cut(whole: np.ndarray, kept: np.ndarray, max_length: int) -> dict[str, int]:
    """How many examples are longer than `max_length` and what of them is cut, in tokens; told on stderr.

    `whole` and `kept` are the lengths before and after; windows cut nothing, and there are more of them.
    """
    lost = whole - kept if len(whole) == len(kept) else np.zeros(1, np.int64)
    cut = {"cut_examples": int((lost > 0).sum()), "cut_tokens": int(lost.sum())}
    if cut["cut_examples"]:
        share = cut["cut_tokens"] / whole.sum()
        print(
            f"{cut['cut_examples']:,} of {len(whole):,} examples are longer than max_length {max_length}: "
            f"{cut['cut_tokens']:,} of {whole.sum():,} tokens ({share:.1%}) are cut",
            file=sys.stderr,
        )
    return cut


class BucketedBatches:
    """Which items meet in which step: a pure function of the seed and the place in the data."""

    def __init__(self, data: Data, batch_size: int, seed: int) -> None:
        """`steps_per_epoch` says how many steps see every item once."""
        self._data, self._lengths, self._batch_size, self._seed = data, data.lengths, batch_size, seed
        self.steps_per_epoch = -(-len(self._lengths) // batch_size)
        self._epoch, self._batches = -1, list[np.ndarray]()

    def __call__(self, place: int) -> list[Batch]:
        """The batch of a place in the data, which is the number of a step counted from 0."""
        epoch, index = divmod(place, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch = epoch
            self._batches = bucketed_order(self._lengths, self._batch_size, self._seed, epoch)
        return [self._data.batch(self._batches[index])]


def outputs(
    forward: Callable[[Batch], Output], model: Any, data: Data, runtime: Runtime, batch_size: int
) -> Iterator[tuple[np.ndarray, Output]]:
    """What `forward` makes of every item, neighbours in length together: their numbers and its output.

    Without gradients, in the runtime's precision, the model in evaluation mode, the batch on its device.
    """
    model.train(False)
    order = np.argsort(data.lengths, kind="stable")
    for start in range(0, len(order), batch_size):
        items = order[start : start + batch_size]
        batch = data.batch(items).to(runtime.device)
        with torch.inference_mode(), runtime.autocast():
            output = forward(batch)
        yield items, output
