"""Tokens that a model writes, chosen as transformers' `generate` chooses them: the likeliest, or by beams.

What decides besides the logits is in `settings.json`: forced first and last tokens, banned ones, the shortest
text, runs of tokens that may not come twice, and how much a beam's length counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .graph import OnnxGraph, TokenRow

NEVER = -1e9  # what transformers adds to the score of what can't be
HowItWrites = Mapping[str, Any]


class Steps:
    """Rows that are written together: their last logits, and what the next step needs of those before."""

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
        """A token for each row; `logits` are then those of the next one, float32 [rows, V]."""
        given = {
            "token_ids": np.array(tokens, np.int64)[:, None],
            "attention_mask": self._mask,
            "past": self._past,
            "cross": self._cross,
        }
        self.logits, self._past = self._graph.run_next(given)


def likeliest(graph: OnnxGraph, rows: Sequence[TokenRow], longest: int) -> list[list[int]]:
    """The tokens that follow each row, always the likeliest one; at most `longest`, without the end token.

    A row leaves as soon as it is at its end.
    """
    how, steps = graph.settings, Steps(graph, rows)
    texts: list[list[int]] = [[] for _ in rows]
    going = list(range(len(rows)))
    while True:
        tokens = [
            int(allowed(logits, texts[row], how, longest).argmax())
            for row, logits in zip(going, steps.logits, strict=True)
        ]
        for row, token in zip(going, tokens, strict=True):
            texts[row].append(token)
        stay = [
            place
            for place, (row, token) in enumerate(zip(going, tokens, strict=True))
            if token not in how["ends"] and len(texts[row]) < longest
        ]
        if not stay:
            return texts
        if len(stay) < len(going):
            steps.keep(stay)
            going = [going[place] for place in stay]
        steps.write([tokens[place] for place in stay])


def beam_search(graph: OnnxGraph, rows: Sequence[TokenRow], longest: int, beams: int) -> list[list[int]]:
    """The tokens of the likeliest text of each row, among those that `beams` texts at a time lead to."""
    how, steps = graph.settings, Steps(graph, rows, copies=beams)
    searches = [BeamSearch(how, longest, beams) for _ in rows]
    going = list(range(len(rows)))
    while True:
        said = log_softmax(steps.logits).reshape(len(going), beams, -1)
        parents = [searches[row].choose(of_row) for row, of_row in zip(going, said, strict=True)]
        stay = [place for place, row in enumerate(going) if not searches[row].is_over]
        if not stay:
            return [search.best for search in searches]
        steps.follow([place * beams + parent for place, row in enumerate(parents) for parent in row])
        if len(stay) < len(going):
            steps.keep([place * beams + beam for place in stay for beam in range(beams)])
            going = [going[place] for place in stay]
        steps.write([text[-1] for row in going for text in searches[row].running])


class BeamSearch:
    """One row's beams, after `_beam_search` of transformers: texts that go on, and texts at their end."""

    def __init__(self, how: HowItWrites, longest: int, beams: int) -> None:
        self._how, self._longest, self._beams = how, longest, beams
        self.running: list[list[int]] = [[] for _ in range(beams)]
        self._scores = np.array([0.0] + [NEVER] * (beams - 1), np.float32)
        self._ended: list[tuple[float, list[int]]] = []
        self.is_over = False

    @property
    def best(self) -> list[int]:
        """The likeliest text, by its score for its length."""
        return self._ended[0][1] if self._ended else self.running[0]

    def choose(self, log_probabilities: np.ndarray) -> list[int]:
        """Go on by a token, given the logarithms of all, float32 [beams, V]; the beam that each came from."""
        for beam, text in enumerate(self.running):
            log_probabilities[beam] = allowed(log_probabilities[beam], text, self._how, self._longest)
        flat = (log_probabilities + self._scores[:, None]).ravel()
        count = max(2, 1 + len(self._how["ends"])) * self._beams
        order = np.argsort(-flat, kind="stable")[:count]
        parents, tokens = np.divmod(order, log_probabilities.shape[1])
        texts = [[*self.running[p], int(t)] for p, t in zip(parents, tokens, strict=True)]
        length = len(texts[0])
        ends = np.array([text[-1] in self._how["ends"] or length >= self._longest for text in texts])
        self._close(texts, flat[order], ends, length)
        going = np.argsort(-(flat[order] + np.where(ends, NEVER, 0)).astype(np.float32), kind="stable")
        going = going[: self._beams]
        self.running = [texts[place] for place in going]
        self._scores = (flat[order] + np.where(ends, NEVER, 0))[going].astype(np.float32)
        self.is_over = bool(ends.all()) or self._can_not_improve(length)
        return [int(parents[place]) for place in going]

    def _close(self, texts: list[list[int]], scores: np.ndarray, ends: np.ndarray, length: int) -> None:
        """Keep the best of the texts that have just ended: of the first ones, the rest are there to go on."""
        if self._how["early_stopping"] is True and len(self._ended) == self._beams:
            return
        for text, score, is_at_end in list(zip(texts, scores, ends, strict=True))[: self._beams]:
            if is_at_end:
                self._ended.append((float(score) / length ** self._how["length_penalty"], text))
        self._ended = sorted(self._ended, key=lambda one: -one[0])[: self._beams]

    def _can_not_improve(self, length: int) -> bool:
        if len(self._ended) < self._beams:
            return False
        if self._how["early_stopping"] is True:
            return True
        is_patient = self._how["early_stopping"] == "never" and self._how["length_penalty"] > 0
        reach = self._longest if is_patient else length
        best: float = float(self._scores[0]) / reach ** self._how["length_penalty"]
        return best <= self._ended[-1][0]


def allowed(logits: np.ndarray, text: Sequence[int], how: HowItWrites, longest: int) -> np.ndarray:
    """Logits [V] of the token after a text, without the tokens that may not follow."""
    forced = how["forced_first"] if not text else how["forced_last"] if len(text) == longest - 1 else None
    if forced is not None:
        only = np.full_like(logits, -np.inf)
        only[forced] = 0
        return only
    banned = list(how["banned"])
    if len(text) + 1 < how["shortest"]:
        banned += how["ends"]
    if (size := how["no_repeat"]) and len(text) + 1 >= size:
        whole = [how["begins_with"], *text]
        last = whole[len(whole) - size + 1 :]
        banned += [
            whole[place + size - 1]
            for place in range(len(whole) - size + 1)
            if whole[place : place + size - 1] == last
        ]
    if not banned:
        return logits
    rest = logits.copy()
    rest[banned] = -np.inf
    return rest


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities over the last axis, float32."""
    above = logits - logits.max(axis=-1, keepdims=True)
    logarithms: np.ndarray = above - np.log(np.exp(above).sum(axis=-1, keepdims=True))
    return logarithms
