"""Rows that are written together: their last logits, and what the next step needs of those before.

The keys and values of what was read and written so far are one tensor, [B, 2 L, H, P, D], of L layers the
keys and the values in turn (`model_code/models/steps.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from .graph import OnnxGraph, TokenRow


class Steps(Protocol):
    """What all kinds have; `logits` are those of each row's next token, float32 [rows, V]."""

    logits: np.ndarray

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""

    def write(self, tokens: Sequence[int]) -> None:
        """A token for each row; `logits` are then those of the one after."""


class SourceSteps:
    """Texts that are written for sources: an encoder read those, and no text has a longer past than another.

    So rows that come later are written beside these, not among them.
    """

    def __init__(self, graph: OnnxGraph, rows: Sequence[TokenRow], copies: int = 1) -> None:
        """Read the rows; each is written `copies` times."""
        self._graph, tensors = graph, graph.padded(rows)
        found = dict(zip(graph.outputs, graph.run_batch(tensors), strict=True))
        self.logits, self._past, self._cross = (
            np.repeat(found[name], copies, axis=0) for name in ("logits", "past", "cross")
        )
        self._mask = np.repeat(tensors["attention_mask"], copies, axis=0)

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone."""
        self._past, self._cross, self._mask = (each[rows] for each in (self._past, self._cross, self._mask))

    def follow(self, parents: Sequence[int]) -> None:
        """Go on from these rows, each in its place: the sources stay as they are."""
        self._past = self._past[parents]

    def write(self, tokens: Sequence[int]) -> None:
        """A token for each row; `logits` are then those of the one after."""
        given = {
            "token_ids": np.array(tokens, np.int64)[:, None],
            "attention_mask": self._mask,
            "past": self._past,
            "cross": self._cross,
        }
        self.logits, self._past = self._graph.run_next(given)


class PromptSteps:
    """Texts that go on from prompts. Rows stand right-aligned, with padding before the shorter ones, so that
    others can join them at any token."""

    def __init__(self, graph: PromptGraph, rows: Sequence[TokenRow]) -> None:
        """Read the rows."""
        self._graph, tensors = graph, graph.padded(rows)
        self._mask = tensors["attention_mask"]
        self.logits, self._past = graph.run_next(tensors)

    def join(self, others: PromptSteps) -> None:
        """Go on with these rows, too, behind those that are here."""
        width = max(self._mask.shape[1], others._mask.shape[1])
        both = [steps._padded_to(width) for steps in (self, others)]
        self._mask, self._past = (np.concatenate(arrays) for arrays in zip(*both, strict=True))
        self.logits = np.concatenate([self.logits, others.logits])

    def _padded_to(self, width: int) -> tuple[np.ndarray, np.ndarray]:
        more = width - self._mask.shape[1]
        mask = np.pad(self._mask, ((0, 0), (more, 0)))
        return mask, np.pad(self._past, ((0, 0), (0, 0), (0, 0), (more, 0), (0, 0)))

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these rows alone, without the padding that none of them needs."""
        mask = self._mask[rows]
        first = int(mask.argmax(axis=1).min()) if len(rows) else 0
        self._mask, self._past = mask[:, first:], self._past[rows, :, :, first:]

    def write(self, tokens: Sequence[int]) -> None:
        """A token for each row; `logits` are then those of the one after."""
        positions = self._mask.sum(axis=1, keepdims=True)
        self._mask = np.pad(self._mask, ((0, 0), (0, 1)), constant_values=1)
        given = {
            "input_ids": np.array(tokens, np.int64)[:, None],
            "attention_mask": self._mask,
            "position_ids": positions,
            "past": self._past,
        }
        self.logits, self._past = self._graph.run_next(given)


class PromptGraph(OnnxGraph):
    """A graph that reads tokens after those it has read: a whole prompt after nothing, or a token."""

    def padded(self, rows: Sequence[TokenRow]) -> dict[str, np.ndarray]:
        """Tensors of prompts, int64 [rows, longest] each, and `past`, float32 [rows, 2 L, H, 0, D]."""
        tensors: dict[str, Any] = super().padded(rows)
        ids, mask = tensors["input_ids"], tensors["attention_mask"]
        for number, row in enumerate(rows):
            ids[number] = np.roll(ids[number], ids.shape[1] - len(row.ids))
            mask[number] = np.roll(mask[number], ids.shape[1] - len(row.ids))
        layers, heads, size = self.settings["past"]
        return {
            "input_ids": ids,
            "attention_mask": mask,
            "position_ids": np.maximum(mask.cumsum(axis=1) - 1, 0),
            "past": np.zeros((len(rows), layers, heads, 0, size), np.float32),
        }
