"""Training batches from a packed split, in an order that any step and any number of ranks can begin with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from model_code.data.padding import padded_length
from model_code.data.permutation import permuted
from model_code.data.shards import TokenSplit
from model_code.errors import TrainingError

# 262,144 tokens at a length of 128: the standard error of a masked loss is then below 0.01 nats.
EVALUATED_SEQUENCES = 2048
NO_DOCUMENT = -1  # what fills up a row is of


@dataclass(frozen=True)
class Rows:
    """Packed sequences, int64 [R, S] each, and their places in the whole batch of the step, int64 [R].

    Several documents, or parts of them, lie end to end in a row: `documents` counts them from 0 within the
    row, `positions` counts the tokens of each from 0; what fills up a row is of NO_DOCUMENT. `source`
    [tokens] is the whole split that they are cut from, for an objective that needs text from elsewhere; rows
    that were made by hand have none.
    """

    ids: torch.Tensor
    documents: torch.Tensor
    positions: torch.Tensor
    places: npt.NDArray[np.int64]
    source: npt.NDArray[np.integer] | None = None

    @property
    def tokens(self) -> int:
        """How many there are, without what fills up rows."""
        return int((self.documents != NO_DOCUMENT).sum())

    def parts(self, shortest: int = 1) -> list[tuple[int, int, int]]:
        """(row, first column, column behind the last) of every part with at least `shortest` tokens."""
        columns = self.documents.shape[1]
        first = torch.ones_like(self.documents, dtype=torch.bool)
        first[:, 1:] = self.documents[:, 1:] != self.documents[:, :-1]
        begins = first.flatten().nonzero().squeeze(1).tolist()
        ends = [*begins[1:], self.documents.numel()]
        return [
            (begin // columns, begin % columns, (end - 1) % columns + 1)
            for begin, end in zip(begins, ends, strict=True)
            if end - begin >= shortest and self.documents[begin // columns, begin % columns] != NO_DOCUMENT
        ]

    def split(self, size: int) -> list[Rows]:
        """The same rows in parts of at most `size`."""
        parts = zip(
            torch.split(self.ids, size),
            torch.split(self.documents, size),
            torch.split(self.positions, size),
            np.split(self.places, range(size, len(self.places), size)),
            strict=True,
        )
        return [Rows(*part, self.source) for part in parts]


class PackedBatches:
    """Batches of equally long slices, in a new random order each epoch.

    `batch(step)` depends on the split, the seed and the step only. With several ranks each reads its own
    rows of that one batch, so the order of the data is the same for every number of ranks.
    """

    def __init__(
        self,
        split: TokenSplit,
        sequence_length: int,
        batch_size: int,
        seed: int,
        rank: int = 0,
        ranks: int = 1,
        filler: int | None = None,
    ) -> None:
        """`batch_size` is that of all ranks together; `filler` is as for `slices`.

        Raises TrainingError when the split does not fill one batch or the ranks can't share it evenly.
        """
        if batch_size % ranks:
            raise TrainingError(
                f"batch_size {batch_size} can't be shared evenly by {ranks} ranks; "
                f"make it a multiple of {ranks}"
            )
        self._slices = slices(split, sequence_length, filler)
        self.chunks = len(self._slices)
        self.steps_per_epoch = self.chunks // batch_size
        if not self.steps_per_epoch:
            needed = (
                f"{split.info.tokens} tokens, one batch needs {sequence_length * batch_size} "
                f"(sequence_length {sequence_length} x batch_size {batch_size})"
                if filler is None
                else f"{self.chunks} parts of documents of up to {sequence_length} tokens, one batch needs "
                f"{batch_size} (batch_size)"
            )
            raise TrainingError(f"{split.path}: {needed}; collect more text or lower one of the two")
        self._batch_size, self._seed = batch_size, seed
        self._mine = np.arange(batch_size).reshape(ranks, -1)[rank]

    def batch(self, step: int) -> Rows:
        """This rank's rows of step `step` (0-based)."""
        epoch, index = divmod(step, self.steps_per_epoch)
        chunks = permuted(index * self._batch_size + self._mine, self.chunks, (self._seed, epoch))
        return self._slices.rows(chunks, self._mine)

    def tokens(self, steps: int) -> int:
        """The tokens of the first `steps` batches, of all ranks; what rows are filled up with is none."""
        if isinstance(self._slices, Packed):
            return steps * self._batch_size * self._slices.length
        epochs, rest = divmod(steps, self.steps_per_epoch)
        total = 0
        for epoch in range(epochs + 1):
            batches = self.steps_per_epoch if epoch < epochs else rest
            chosen = permuted(np.arange(batches * self._batch_size), self.chunks, (self._seed, epoch))
            total += self._slices.tokens(chosen)
        return total


def held_out(
    split: TokenSplit, sequence_length: int, batch_size: int, filler: int | None = None
) -> Iterator[Rows]:
    """A split in its own order, for measuring; a long one is represented by evenly spread sequences.

    `filler` is as for `slices`. Raises TrainingError when the split is shorter than one sequence.
    """
    cut = slices(split, sequence_length, filler)
    chunks = len(cut)
    if not chunks:
        raise TrainingError(
            f"{split.path}: {split.info.tokens} tokens, one sequence needs {sequence_length}; "
            "hold out more text"
        )
    chosen = np.unique(np.linspace(0, chunks - 1, EVALUATED_SEQUENCES).astype(np.int64))
    for start in range(0, len(chosen), batch_size):
        part = chosen[start : start + batch_size]
        yield cut.rows(part, np.arange(start, start + len(part)))


def slices(split: TokenSplit, length: int, filler: int | None) -> Packed | PartsOfDocuments:
    """Slices of `length` tokens, wherever documents end; with a `filler` parts of one document each.

    Parts have at most `length` tokens, and rows are filled up with that id to the longest of them.
    """
    return Packed(split, length) if filler is None else PartsOfDocuments(split, length, filler)


@dataclass(frozen=True)
class Packed:
    """A split cut every `length` tokens."""

    split: TokenSplit
    length: int

    def __len__(self) -> int:
        return self.split.info.tokens // self.length

    def rows(self, chosen: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> Rows:
        """Documents end to end, int64 [R, length]."""
        return read_rows(self.split, chosen, self.length, places)


class PartsOfDocuments:
    """A split whose documents are divided evenly into as few parts as have at most `length` tokens."""

    def __init__(self, split: TokenSplit, length: int, filler: int) -> None:
        offsets = np.asarray(split.offsets)
        lengths = np.diff(offsets)
        parts = -(-lengths // length)
        sizes = -(-lengths // np.maximum(1, parts))
        document = np.repeat(np.arange(len(lengths)), parts)
        number = np.arange(len(document)) - np.repeat(np.cumsum(parts) - parts, parts)
        self._starts = offsets[document] + number * sizes[document]
        self._ends = np.minimum(self._starts + sizes[document], offsets[document + 1])
        self._split, self._length, self._filler = split, length, filler

    def __len__(self) -> int:
        return len(self._starts)

    def tokens(self, chosen: npt.NDArray[np.int64]) -> int:
        """What the parts have, without what rows are filled up with."""
        return int((self._ends[chosen] - self._starts[chosen]).sum())

    def rows(self, chosen: npt.NDArray[np.int64], places: npt.NDArray[np.int64]) -> Rows:
        """One part a row, int64 [R, S]; S is the longest of them, rounded up."""
        spans = list(zip(self._starts[chosen], self._ends[chosen], strict=True))
        width = min(self._length, padded_length(max(end - start for start, end in spans)))
        ids = np.full((len(spans), width), self._filler, np.int64)
        documents = np.full_like(ids, NO_DOCUMENT)
        for row, (start, end) in enumerate(spans):
            ids[row, : end - start] = self._split.ids[start:end]
            documents[row, : end - start] = 0
        positions = np.tile(np.arange(width), (len(spans), 1))
        filled, theirs, counted = map(torch.from_numpy, (ids, documents, positions))
        return Rows(filled, theirs, counted, places, self._split.ids)


def read_rows(
    split: TokenSplit, chunks: npt.NDArray[np.int64], length: int, places: npt.NDArray[np.int64]
) -> Rows:
    """The slices `chunks` [R] of a split that is cut every `length` tokens."""
    starts = chunks * length
    ids = np.stack([split.ids[start : start + length] for start in starts]).astype(np.int64)
    documents, positions = np.zeros_like(ids), np.zeros_like(ids)
    first = np.searchsorted(split.offsets, starts, side="right")
    last = np.searchsorted(split.offsets, starts + length, side="left")
    for row, (start, begin, end) in enumerate(zip(starts, first, last, strict=True)):
        bounds = np.concatenate([[0], split.offsets[begin:end] - start, [length]])
        sizes = np.diff(bounds)
        documents[row] = np.repeat(np.arange(len(sizes)), sizes)
        positions[row] = np.arange(length) - np.repeat(bounds[:-1], sizes)
    return Rows(
        torch.from_numpy(ids),
        torch.from_numpy(documents),
        torch.from_numpy(positions),
        places,
        split.ids,
    )
