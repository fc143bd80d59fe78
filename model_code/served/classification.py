"""One label for a text, or for a pair of texts: served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .graph import OnnxGraph, TokenRow
from .questions import lacks

ServedAnswer = dict[str, Any]


def softmax(logits: np.ndarray) -> np.ndarray:
    """Probabilities over the last axis, float64."""
    weights = np.exp(logits.astype(np.float64) - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = weights / weights.sum(axis=-1, keepdims=True)
    return shares


def ranked(answers: Sequence[ServedAnswer]) -> dict[str, np.ndarray]:
    """Labels (bytes) and their probabilities, float32 [answers, labels] each, likeliest first."""
    labels = np.array([label.encode() for label in answers[0]["probabilities"]], np.object_)
    values = np.array([list(answer["probabilities"].values()) for answer in answers], np.float64)
    # Stable, so that equal probabilities keep the labels' own order on every machine.
    order = np.argsort(-values, axis=-1, kind="stable")
    found = np.take_along_axis(values, order, axis=-1).astype(np.float32)
    return {"labels": labels[order], "probabilities": found}


class Form:
    """Labels of texts."""

    inputs: tuple[str, ...] = ("text",)  # of pairs there is a `second` one
    parameters: tuple[str, ...] = ()  # what a question may say besides its strings
    reads_whole = False  # what is longer than the model reads is cut

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Load the folder that `export` wrote."""
        self.graph = OnnxGraph(folder, threads)
        self.labels: list[str] = self.graph.settings["labels"]
        if self.graph.settings["pairs"]:
            self.inputs = ("text", "second")

    @property
    def outputs(self) -> dict[str, tuple[str, int]]:
        """Type and size of each tensor of an answer."""
        return {"labels": ("STRING", len(self.labels)), "probabilities": ("FP32", len(self.labels))}

    def fault(self, question: Mapping[str, Any]) -> str:
        """A text that is not there."""
        return lacks(question, self.inputs)

    def questions(self, example: Mapping[str, Any]) -> list[dict[str, str]]:
        """The questions that an example is to an endpoint; `joined` makes its answer of theirs."""
        return [{name: example[name] for name in self.inputs}]

    def joined(self, answers: Sequence[ServedAnswer]) -> ServedAnswer:
        """The answer to an example, from those to its questions."""
        return answers[0]

    def rows(self, questions: Sequence[Mapping[str, Any]]) -> list[TokenRow]:
        """The rows of tokens of the questions."""
        texts = ([question[name] for question in questions] for name in self.inputs)
        return self.graph.cut(*texts)

    def answers(self, questions: Sequence[Mapping[str, Any]]) -> list[ServedAnswer]:
        """Of each question the `label`, its `probability`, and the `probabilities` of all labels."""
        answers: list[ServedAnswer] = []
        for [logits] in self.graph.run(self.rows(questions)):
            probabilities = dict(zip(self.labels, softmax(logits).tolist(), strict=True))
            label = max(probabilities, key=lambda label: probabilities[label])
            answers.append(
                {"label": label, "probability": probabilities[label], "probabilities": probabilities}
            )
        return answers

    def tensors(self, answers: Sequence[ServedAnswer]) -> dict[str, np.ndarray]:
        """The answers as `outputs` says."""
        return ranked(answers)

    def prediction(self, answer: ServedAnswer) -> Any:
        """What metrics read of an answer: the label."""
        return answer["label"]
