"""The model as `mlflow.pyfunc.load_model` gives it: questions in, answers out, without torch.

MLflow stores this file beside the model and runs it on the user's machine, so it imports nothing of ours but
the code that was exported with the model: only onnxruntime, tokenizers, numpy and pandas are needed.
"""

import importlib.util
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
from mlflow.pyfunc.model import PythonModel

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is imported


class ServedModel(PythonModel):
    """Answers questions with the ONNX build, as the endpoint does."""

    # What a question is differs from task to task, so MLflow can't check it by a type, and warned of that.
    _skip_type_hint_validation = True

    def load_context(self, context: Any) -> None:
        """Load the ONNX build from the folder `onnx` beside the checkpoint."""
        folder = Path(context.artifacts["checkpoint"]).parent / "onnx"
        if not (folder / "model.onnx").is_file():
            raise FileNotFoundError(
                f"{folder}: this version has no ONNX build yet; its run stopped before the export. "
                "Run the recipe again, or load another version"
            )
        task = json.loads((folder / "settings.json").read_text(encoding="utf-8"))["task"]
        self.code = served(folder)
        self.form = self.code.form_of(task)(folder)

    def answers(self, questions: Any) -> list[dict[str, Any]]:
        """The answer to each question: its strings by name, or a string where one is all that is asked for.

        Raises ValueError for a question that can't be answered.
        """
        one_alone = isinstance(questions, str | Mapping)
        rows: Sequence[Any] = [questions] if one_alone else questions
        asked = [{self.form.inputs[0]: one} if isinstance(one, str) else one for one in rows]
        for number, question in enumerate(asked, 1):
            if fault := self.form.fault(question):
                raise ValueError(f"question {number} can't be answered: {fault}")
        found: list[dict[str, Any]] = self.form.answers(asked)
        return found

    def predictions(self, examples: list[Any]) -> list[Any]:
        """What the metrics of the task read of the answers."""
        predictions: list[Any] = self.code.predictions(self.form, examples)
        return predictions

    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        """A row per question with the fields of its answer.

        For labels these are `label`, `probability` and `probabilities` (label -> probability).
        """
        is_table = isinstance(model_input, pd.DataFrame)
        return pd.DataFrame(self.answers(model_input.to_dict("records") if is_table else model_input))


def served(folder: Path) -> Any:
    """The package `served` of a folder; each model has its own, under a name of its own."""
    place = folder / "served"
    spec = importlib.util.spec_from_file_location(
        f"served_{abs(hash(str(folder.resolve())))}",
        place / "__init__.py",
        submodule_search_locations=[str(place)],
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


mlflow.models.set_model(ServedModel())
