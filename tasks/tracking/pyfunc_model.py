"""The model as `mlflow.pyfunc.load_model` gives it: strings in, labels and probabilities out, without torch.

MLflow stores this file beside the model and runs it on the user's machine, so it imports nothing of ours:
only onnxruntime, tokenizers, numpy and pandas.
"""

import json
import os
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
from mlflow.pyfunc.model import PythonModel
from tokenizers import Tokenizer

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at import
import onnxruntime

BATCH_SIZE = 64


class TextClassifier(PythonModel):
    """Classifies texts with the ONNX build."""

    def load_context(self, context: Any) -> None:
        """Load the ONNX build from the folder `onnx` beside the checkpoint."""
        folder = Path(context.artifacts["checkpoint"]).parent / "onnx"
        if not (folder / "model.onnx").is_file():
            raise FileNotFoundError(
                f"{folder}: this version has no ONNX build yet; its run stopped before the export. "
                "Run the recipe again, or load another version"
            )
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        self.labels = settings["labels"]
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(settings["max_length"])
        self.tokenizer.enable_padding(pad_id=settings["pad_id"])
        self.session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])

    def predict(
        self, context: Any, model_input: list[str], params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """A row per text: `label`, `probability`, and `probabilities` (label -> probability)."""
        rows = []
        for start in range(0, len(model_input), BATCH_SIZE):
            encodings = self.tokenizer.encode_batch(list(model_input[start : start + BATCH_SIZE]))
            feeds = {
                "input_ids": np.array([encoding.ids for encoding in encodings], dtype=np.int64),
                "attention_mask": np.array([e.attention_mask for e in encodings], dtype=np.int64),
            }
            logits = self.session.run(["logits"], feeds)[0].astype(np.float64)
            exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
            for row in exponentials / exponentials.sum(axis=1, keepdims=True):
                best = int(row.argmax())
                probabilities = dict(zip(self.labels, map(float, row), strict=True))
                rows.append((self.labels[best], float(row[best]), probabilities))
        return pd.DataFrame(rows, columns=["label", "probability", "probabilities"])


mlflow.models.set_model(TextClassifier())
