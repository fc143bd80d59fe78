"""Triton model: logits in, named labels out. It runs inside the server and imports nothing of ours."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """One version's label names, in the order of the logits (`labels.json` beside this file)."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the version's own labels."""
        here = Path(args["model_repository"]) / args["model_version"]
        labels = json.loads((here / "labels.json").read_text(encoding="utf-8"))
        self.labels = np.array([label.encode("utf-8") for label in labels], dtype=np.object_)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request: FP32 `logits` [B, L] -> `labels`, `probabilities` [B, L], likeliest first."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        logits = pb_utils.get_input_tensor_by_name(request, "logits").as_numpy().astype(np.float64)
        if not np.isfinite(logits).all():
            return pb_utils.InferenceResponse(
                error=pb_utils.TritonError("the encoder's logits are not finite")
            )
        weights = np.exp(logits - logits.max(axis=-1, keepdims=True))
        probabilities = weights / weights.sum(axis=-1, keepdims=True)
        # Stable, so that equal probabilities keep the labels' own order on every machine.
        order = np.argsort(-probabilities, axis=-1, kind="stable")
        ranked = np.take_along_axis(probabilities, order, axis=-1).astype(np.float32)
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("labels", self.labels[order]), pb_utils.Tensor("probabilities", ranked)]
        )
