"""A model of any task as `mlflow.pyfunc.load_model` gives it: examples in, predictions out, with torch.

MLflow stores this file beside the model, and the package `model_code` that made it.
"""

from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel

from model_code.predict import Predictor


class TaskModel(PythonModel):
    """Predicts what the model was fine-tuned for."""

    # What an example is differs from task to task, so MLflow can't check it by a type, and warned of that.
    _skip_type_hint_validation = True

    def load_context(self, context: Any) -> None:
        """Load the checkpoint."""
        self.predictor = Predictor(Path(context.artifacts["checkpoint"]))

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """A row per example with its `prediction`.

        An example is a dictionary with the fields of the task but its target (a DataFrame has them as
        columns), or a string where one text is enough.
        """
        rows = model_input.to_dict("records") if isinstance(model_input, pd.DataFrame) else list(model_input)
        fields = self.predictor.task.FIELDS.items()
        text = next((name for name, field in fields if field.kind == "text" and not field.target), "")
        examples: list[Any] = [{text: row} if isinstance(row, str) else row for row in rows]
        return pd.DataFrame({"prediction": self.predictor.predict(examples)})


mlflow.models.set_model(TaskModel())
