"""Conversations as batches: packed into rows to be learnt from, or as questions to be answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from tokenizers import Tokenizer

from model_code.data.padding import padded_length
from model_code.data.vocabulary import Vocabulary
from model_code.objectives.objective import Batch


@dataclass(frozen=True)
class Conversations:
    """Token ids of each conversation, which of them are to be learnt, and those that ask for its last reply.

    Several conversations share a row of `row` tokens, as long as they fit. `end` is what ends a reply.
    """

    ids: Sequence[Sequence[int]]
    learnt: Sequence[Sequence[bool]]
    questions: Sequence[Sequence[int]]
    end: int
    row: int
    tokenizer: Tokenizer
    vocabulary: Vocabulary

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each conversation, int64 [conversations]."""
        return np.array([len(ids) for ids in self.ids], np.int64)

    def batch(self, items: np.ndarray) -> Batch:
        """Conversations packed into rows, `ids`, `documents` and `positions` [R, S]; the flat `places` [N] of
        the tokens before those to be learnt, these, `targets` [N], and of which item they are, `owners` [N].
        """
        rows = packed([len(self.ids[i]) for i in items], self.row)
        longest = max(sum(len(self.ids[items[k]]) for k in row) for row in rows)
        shape = (len(rows), padded_length(longest))
        ids, documents, positions, owners = (np.full(shape, n, np.int64) for n in (self.pad, -1, 0, 0))
        learnt = np.zeros(shape, bool)
        for number, row in enumerate(rows):
            end = 0
            for document, (owner, item) in enumerate(zip(row, items[row], strict=True)):
                start, end = end, end + len(self.ids[item])
                ids[number, start:end] = self.ids[item]
                learnt[number, start:end] = self.learnt[item]
                documents[number, start:end] = document
                owners[number, start:end] = owner
                positions[number, start:end] = np.arange(end - start)
        # No conversation begins with a token to be learnt, so the one before it belongs to the same.
        places = np.flatnonzero(learnt) - 1
        arrays = {"ids": ids, "documents": documents, "positions": positions, "places": places}
        arrays["owners"] = owners.flatten()[places]
        tensors = {name: torch.from_numpy(array) for name, array in arrays.items()}
        tensors["targets"] = tensors["ids"].flatten()[tensors["places"] + 1]
        return Batch(tensors, {"reply": float(len(places))}, int((documents >= 0).sum()))

    def unpacked(self) -> Conversations:
        """The same, each conversation in a row of its own."""
        return replace(self, row=0)

    @property
    def pad(self) -> int:
        """What fills up a row."""
        return self.vocabulary.filler


@dataclass(frozen=True)
class Questions:
    """What was said before each last reply, and that the assistant is to speak."""

    conversations: Conversations

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each question, int64 [questions]."""
        return np.array([len(ids) for ids in self.conversations.questions], np.int64)

    def batch(self, items: np.ndarray) -> Batch:
        """`input_ids` and `attention_mask` [B, S], filled up on the left: replies go on at the right."""
        given, lengths = self.conversations, self.lengths[items]
        ids = torch.full((len(items), int(lengths.max())), given.pad)
        mask = torch.zeros_like(ids)
        for row, (item, length) in enumerate(zip(items, lengths, strict=True)):
            ids[row, -length:] = torch.tensor(given.questions[item])
            mask[row, -length:] = 1
        return Batch({"input_ids": ids, "attention_mask": mask}, {}, int(mask.sum()))


def packed(lengths: Sequence[int], room: int) -> list[list[int]]:
    """Which of the `lengths` share a row of `room` tokens: each goes, the longest first, where it first fits.

    First-fit decreasing (Johnson 1973) never takes more than 11/9 of the fewest rows, and one.
    """
    rows: list[list[int]] = []
    left: list[int] = []
    for item in sorted(range(len(lengths)), key=lambda item: -lengths[item]):
        row = next((row for row, free in enumerate(left) if free >= lengths[item]), len(rows))
        if row == len(rows):
            rows.append([])
            left.append(room)
        rows[row].append(item)
        left[row] -= lengths[item]
    return rows
