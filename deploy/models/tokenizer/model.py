"""Triton model: texts in, token ids out. It runs inside the server and imports nothing of ours.

NVIDIA's stock image has no `tokenizers`. The wheel is self-contained: unpack it beside this file
(`pip install --target <version directory> --no-deps tokenizers`), or install it in the image.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from tokenizers import Tokenizer

# The dynamic batcher merges requests of equal shape only, so widths come in few sizes.
BUCKET = 32


class TritonPythonModel:
    """One version of the tokenizer; `tokenizer.json` and `settings.json` lie beside this file."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read the version's own tokenizer, so that versions never share a vocabulary by accident."""
        here = Path(args["model_repository"]) / args["model_version"]
        settings = json.loads((here / "settings.json").read_text(encoding="utf-8"))
        self.max_length = int(settings["max_length"])
        self.pad_id = int(settings["pad_id"])
        self.max_text_bytes = int(settings["max_text_bytes"])
        self.max_request_bytes = int(settings["max_request_bytes"])
        self.tokenizer = Tokenizer.from_file(str(here / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.max_length)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request: BYTES `text` [B, 1] -> INT64 `input_ids` and `attention_mask` [B, S]."""
        return [self._answer(request) for request in requests]

    def _answer(self, request: Any) -> Any:
        rows = pb_utils.get_input_tensor_by_name(request, "text").as_numpy().reshape(-1)
        if excess := self._excess([len(row) for row in rows]):
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(excess))
        texts = [row.decode("utf-8", errors="replace") for row in rows]
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        width = self._width(max(map(len, encoded), default=0))
        input_ids = np.full((len(encoded), width), self.pad_id, dtype=np.int64)
        attention_mask = np.zeros((len(encoded), width), dtype=np.int64)
        for row, ids in enumerate(encoded):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor("input_ids", input_ids), pb_utils.Tensor("attention_mask", attention_mask)]
        )

    def _excess(self, lengths: Sequence[int]) -> str | None:
        """What is too long: a text is tokenized whole before it is cut, and others wait meanwhile."""
        for index, length in enumerate(lengths):
            if length > self.max_text_bytes:
                return (
                    f"text {index + 1} has {length} bytes, at most {self.max_text_bytes} are taken; "
                    f"shorten it (only its first {self.max_length} tokens count)"
                )
        if sum(lengths) > self.max_request_bytes:
            return (
                f"the texts of this request have {sum(lengths)} bytes together, at most "
                f"{self.max_request_bytes} are taken; send several requests"
            )
        return None

    def _width(self, longest: int) -> int:
        """Round up to whole buckets, at least one, never beyond what the encoder has positions for."""
        buckets = max(1, -(-longest // BUCKET))
        return min(buckets * BUCKET, self.max_length)
