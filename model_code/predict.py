"""A fine-tuned model over examples, without gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.runtime import prepare
from model_code.task_types.task import Example, Prediction, read_settings, task_named


class Predictor:
    """A fine-tuned model as it was saved; it computes in float32."""

    def __init__(self, directory: Path, as_served: bool = False) -> None:
        """`as_served`: for what an endpoint does, where that is not what the model was judged by.

        Raises TrainingError when the directory holds no fine-tuned model.
        """
        self.settings = read_settings(directory)
        self.task: Any = task_named(self.settings.task)
        if as_served:
            self.task = task_named(getattr(self.task, "SERVED_AS", self.settings.task))
        self._runtime = prepare("float32")
        self._tokenizer, self._vocabulary = load_tokenizer(directory), vocabulary_of(directory)
        self._model = self.task.load(directory, self._vocabulary, self.settings)
        self._model.to(self._runtime.device)

    def predict(self, examples: Sequence[Example], batch_size: int = 64) -> list[Prediction]:
        """One prediction per example, in their order; what is to be predicted is not looked at.

        Texts are cut as they were in training.
        """
        return self._said(self.task.predict, examples, batch_size) if examples else []

    def predict_surely(
        self, examples: Sequence[Example], batch_size: int = 64
    ) -> tuple[list[Prediction], list[float] | None]:
        """As `predict`, and the probability of each prediction; None for tasks that have none."""
        if not examples or not hasattr(self.task, "predict_surely"):
            return self.predict(examples, batch_size), None
        predictions, probabilities = self._said(self.task.predict_surely, examples, batch_size)
        return predictions, probabilities

    def _said(self, predict: Callable[..., Any], examples: Sequence[Example], batch_size: int) -> Any:
        targets = {name for name, field in self.task.FIELDS.items() if field.target}
        given = [{name: v for name, v in example.items() if name not in targets} for example in examples]
        data = self.task.encode(given, self._tokenizer, self._vocabulary, self.settings)
        return predict(self._model, data, self._runtime, batch_size, self.settings)
