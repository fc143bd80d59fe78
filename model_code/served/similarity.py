"""How alike two texts are: served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import matching
from .classification import ServedAnswer
from .questions import lacks


class Form(matching.Form):
    """The cosine of two texts."""

    inputs = matching.SIDES
    parameters = ()
    outputs: Mapping[str, tuple[str, int]] = {"score": ("FP32", 1)}

    def fault(self, question: Mapping[str, Any]) -> str:
        """A text that is not there."""
        return lacks(question, self.inputs)

    def questions(self, example: Mapping[str, Any]) -> list[dict[str, str]]:
        """The question that an example is, as an endpoint is asked it."""
        return [{name: example[name] for name in self.inputs}]

    def joined(self, answers: Sequence[ServedAnswer]) -> ServedAnswer:
        """The answer to an example."""
        return answers[0]

    def answers(self, questions: Sequence[Mapping[str, Any]]) -> list[ServedAnswer]:
        """Of each question the `score` of its `first` and its `second` text, from -1 to 1."""
        asked = [(side, question[side]) for question in questions for side in self.inputs]
        vectors = iter(self.vectors(asked))
        return [{"score": float(first @ next(vectors))} for first in vectors]

    def tensors(self, answers: Sequence[ServedAnswer]) -> dict[str, np.ndarray]:
        """The answers as `outputs` says, float32 [answers, 1]."""
        return {"score": np.array([[answer["score"]] for answer in answers], np.float32)}

    def prediction(self, answer: ServedAnswer) -> Any:
        """What metrics read of an answer: the cosine."""
        return answer["score"]
