"""Texts that are written by beams: of several at a time, the one that is likeliest as a whole."""

from __future__ import annotations

import numpy as np

from .choosing import HowItWrites, allowed

NEVER = -1e9  # what transformers adds to the score of what can't be


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
        before = [self._how["begins_with"]]
        for beam, text in enumerate(self.running):
            log_probabilities[beam] = allowed(log_probabilities[beam], before, text, self._how, self._longest)
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


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the probabilities over the last axis, float32."""
    above = logits - logits.max(axis=-1, keepdims=True)
    logarithms: np.ndarray = above - np.log(np.exp(above).sum(axis=-1, keepdims=True))
    return logarithms
