"""Any number of labels for a text, none included: served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from . import classification
from .classification import ServedAnswer


class Form(classification.Form):
    """Labels of texts, each by a sigmoid of its own."""

    def answers(self, questions: Sequence[Mapping[str, Any]]) -> list[ServedAnswer]:
        """Of each question the `labels` that are probable enough, sorted, and all `probabilities`."""
        threshold = self.graph.settings["options"]["threshold"]
        answers: list[ServedAnswer] = []
        for [logits] in self.graph.run(self.rows(questions)):
            # In the precision in which the trained model is judged by its threshold.
            values = (1 / (1 + np.exp(-logits.astype(np.float32)))).tolist()
            probabilities = dict(zip(self.labels, values, strict=True))
            labels = [label for label, value in probabilities.items() if value >= threshold]
            answers.append({"labels": sorted(labels), "probabilities": probabilities})
        return answers

    def prediction(self, answer: ServedAnswer) -> Any:
        """What metrics read of an answer: all of it."""
        return answer
