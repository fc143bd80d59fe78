"""Held-out examples as an endpoint is asked them, and what the registered model answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from deploy.model_config import limits_of
from tasks.contract.errors import ParityError, StageError
from tasks.contract.workspace import Workspace
from tasks.deployment.parity import form_in
from tasks.deployment.task_settings import as_served, settings_in

METRIC_TOLERANCE = 1e-3  # a tenth of a point


class AskedExamples:
    """The `questions` of examples that an endpoint takes, the `expected` answer to each, and the metric.

    `registered` is the figure that the gate reads, of what the registered model makes of the examples.
    """

    def __init__(self, examples: Sequence[Mapping[str, Any]], onnx: Path, model: Any) -> None:
        """`onnx` is the folder that `export` made, `model` the registered one as MLflow loads it.

        Raises:
            ParityError: an endpoint takes none of the examples.
            StageError: the version's stored code is of a textmill that could not answer for this task.
        """
        if not hasattr(model, "answers"):
            raise StageError(
                "deploy: the registered version is of an older textmill, whose stored code has no answers to "
                "compare with; delete this version in MLflow and run again, and it is registered anew"
            )
        self._form = form_in(onnx)
        self._judged_as = settings_in(onnx)
        examples = as_served(examples)
        self._limits = limits_of(onnx)
        self.most = self._limits["text_bytes"]
        by_example = [(example, self._form.questions(example)) for example in examples]
        fit = [(example, asked) for example, asked in by_example if asked and self._fit(asked)]
        self.left_out = len(examples) - len(fit)
        if not fit:
            raise ParityError(
                f"deploy: all {len(examples)} test texts are longer than the {self.most} bytes that an "
                "endpoint takes, or have words with blanks in them, so it can't be compared; shorten them"
            )
        self._examples = [example for example, _ in fit]
        self._counts = [len(asked) for _, asked in fit]
        self.questions = [question for _, asked in fit for question in asked]
        self.expected: list[dict[str, Any]] = model.answers(self.questions)
        self.metric, self.registered = self._figure(model.predictions(self._examples))

    def _fit(self, questions: Sequence[Mapping[str, str]]) -> bool:
        sizes = [[len(str(text).encode()) for text in question.values()] for question in questions]
        return all(max(of) <= self.most and sum(of) <= self._limits["request_bytes"] for of in sizes)

    def tell(self, workspace: Workspace) -> None:
        """Count what is left out, since a user can't send it either."""
        if self.left_out:
            workspace.say(
                f"{self.left_out} texts are not compared: longer than the {self.most} bytes that an endpoint "
                "takes, or with blanks in a word"
            )

    def served(self, answers: Sequence[Mapping[str, Any]]) -> float:
        """The same figure of what an endpoint answered to the questions."""
        ends = [0]
        for count in self._counts:
            ends.append(ends[-1] + count)
        joined = [self._form.joined(answers[start:end]) for start, end in pairwise(ends)]
        return self._figure([self._form.prediction(answer) for answer in joined])[1]

    def _figure(self, predictions: Sequence[Any]) -> tuple[str, float]:
        task, settings = self._judged_as
        return task.METRIC, task.metrics(self._examples, predictions, settings)[task.METRIC]
