"""Which token comes next: the likeliest one that may, or one drawn by the probabilities.

What a checkpoint forbids or forces is in `settings.json`, and counts as in transformers' `generate`. What a
question says besides has the names that NVIDIA's generators use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from .questions import lacks, shown

HowItWrites = Mapping[str, Any]
MOST_STOP_WORDS, LONGEST_STOP_WORD = 16, 100  # of a question; characters of one


@dataclass(frozen=True)
class Choice:
    """What a question says of the text that is written for it; with nothing said it is the likeliest."""

    max_tokens: int
    temperature: float = 0.0
    top_k: int = 0  # 0 is all of them
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop_words: tuple[str, ...] = ()

    @property
    def draws(self) -> bool:
        """Whether tokens are drawn."""
        return self.temperature > 0 and self.top_k != 1


PARAMETERS = tuple(field.name for field in fields(Choice))
# Of each number, whether it is a whole one, and what it may be.
_NUMBERS: Mapping[str, tuple[bool, float, float]] = {
    "temperature": (False, 0, 100),
    "top_k": (True, 0, 2**31 - 1),
    "top_p": (False, 0, 1),
    "repetition_penalty": (False, 0.01, 100),
    "seed": (True, 0, 2**63 - 1),
}


def fault_of(question: Mapping[str, Any], longest: int) -> str:
    """What of the parameters of a question can't be followed; "" if nothing."""
    most = question.get("max_tokens", longest)
    if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= longest:
        return f"max_tokens is {shown(most)}; give a whole number from 1 to {longest}"
    for name, (is_whole, least, greatest) in _NUMBERS.items():
        value = question.get(name, least)
        kinds = int if is_whole else int | float
        if isinstance(value, bool) or not isinstance(value, kinds) or not least <= value <= greatest:
            kind = "whole number" if is_whole else "number"
            return f"{name} is {shown(value)}; give a {kind} from {least:g} to {greatest:g}"
    if question.get("top_p", 1) == 0:
        return "top_p is 0, so no token would be left; give a number above 0"
    words = question.get("stop_words", ())
    if isinstance(words, str) or not isinstance(words, Sequence) or len(words) > MOST_STOP_WORDS:
        return f"stop_words is {shown(words)}; give a list of at most {MOST_STOP_WORDS} texts"
    for word in words:
        if fault := lacks({"stop word": word}, ["stop word"]):
            return fault
        if not 1 <= len(word) <= LONGEST_STOP_WORD:
            return f"the stop word {shown(word)} has {len(word)} characters; give 1 to {LONGEST_STOP_WORD}"
    return ""


def choice_of(question: Mapping[str, Any], usual: int) -> Choice:
    """What a question without fault says, with at most `usual` tokens where it says nothing else.

    Who asks for a seed, or for the likeliest several, wants them drawn: the temperature is then 1.
    """
    said = {name: question[name] for name in PARAMETERS if name in question}
    said["stop_words"] = tuple(said.get("stop_words", ()))
    wants_drawing = {"top_k", "top_p", "seed"} & said.keys()
    return Choice(**({"max_tokens": usual, "temperature": 1.0 if wants_drawing else 0.0} | said))


class Chooser:
    """Chooses the tokens of one text. The same seed draws the same tokens from the same probabilities."""

    def __init__(self, choice: Choice, how: HowItWrites, before: Sequence[int]) -> None:
        """`before` is what stands before the text, as far as rules about runs of tokens read it."""
        self.choice, self._how, self._before = choice, how, list(before)
        self._random = np.random.default_rng(choice.seed) if choice.draws else None

    def choose(self, logits: np.ndarray, text: Sequence[int]) -> int:
        """The token after a text, from the logits [V] of all."""
        if self.choice.repetition_penalty != 1:
            logits = self._less_of_what_was(logits, text)
        rest = allowed(logits, self._before, text, self._how, self.choice.max_tokens)
        return int(rest.argmax()) if self._random is None else self._drawn(rest)

    def _less_of_what_was(self, logits: np.ndarray, text: Sequence[int]) -> np.ndarray:
        """After Keskar et al. 2019 (CTRL, section 4.1)."""
        seen = np.unique([*self._before, *text])
        less = logits.copy()
        penalty = self.choice.repetition_penalty
        less[seen] = np.where(less[seen] > 0, less[seen] / penalty, less[seen] * penalty)
        return less

    def _drawn(self, logits: np.ndarray) -> int:
        assert self._random is not None
        scaled = logits.astype(np.float64) / self.choice.temperature
        order = np.argsort(-scaled, kind="stable")
        if self.choice.top_k:
            order = order[: self.choice.top_k]
        weights = np.exp(scaled[order] - scaled[order[0]])
        sums = np.cumsum(weights / weights.sum())
        # The fewest tokens that hold this much together, the one with which they do included.
        kept = int(np.searchsorted(sums, self.choice.top_p, side="left")) + 1
        sums = sums[:kept]
        place = int(np.searchsorted(sums, self._random.random() * sums[-1], side="right"))
        return int(order[min(place, len(sums) - 1)])


def allowed(
    logits: np.ndarray, before: Sequence[int], text: Sequence[int], how: HowItWrites, longest: int
) -> np.ndarray:
    """Logits [V] of the token after a text, without the tokens that may not follow."""
    forced = how["forced_first"] if not text else how["forced_last"] if len(text) == longest - 1 else None
    if forced is not None:
        only = np.full_like(logits, -np.inf)
        only[forced] = 0
        return only
    banned = list(how["banned"])
    if len(before) + len(text) < how["shortest"]:
        banned += how["ends"]
    if size := how["no_repeat"]:
        whole = [*before, *text]
        last = whole[len(whole) - size + 1 :]
        banned += [
            whole[place + size - 1]
            for place in range(len(whole) - size + 1)
            if whole[place : place + size - 1] == last
        ]
    if not banned:
        return logits
    rest = logits.copy()
    rest[banned] = -math.inf
    return rest
