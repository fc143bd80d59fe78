"""A served model's folder: its tokenizer, its ONNX graph, and rows of tokens run through it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from .rows import Frame

TOKENS_PER_RUN = 16384  # of a batch, padding included: memory stays bounded
WASTE = 64  # tokens of padding that cost less than another run, and besides
WASTE_SHARE = 0.15  # of what a batch holds
# What a graph says of each token of a row.
OF_TOKENS = ("token_logits", "start_logits", "end_logits")


class TokenRow(NamedTuple):
    """The ids of a row, and which text each belongs to, 0 or 1, where there are two."""

    ids: Sequence[int]
    types: Sequence[int] | None = None


class OnnxGraph:
    """`model.onnx`, `tokenizer.json` and `settings.json` of a folder that `export` wrote."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Read tokenizer and settings; `threads` are those of one run, 0 for as many as there are cores."""
        self._folder, self._threads = folder, threads
        self.settings: dict[str, Any] = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        self.max_length = int(self.settings["max_length"])
        # One that cuts and one that doesn't: switching one to and fro would show in another thread.
        self.tokenizer, self._cutting = (
            Tokenizer.from_file(str(folder / "tokenizer.json")) for _ in range(2)
        )
        for tokenizer in (self.tokenizer, self._cutting):
            tokenizer.no_padding()
            tokenizer.no_truncation()
        self._cutting.enable_truncation(self.max_length)

    @cached_property
    def _session(self) -> Any:
        """The graph, opened when it is first run: who only looks at questions and answers needs none."""
        return self._opened("model.onnx")

    @cached_property
    def _next(self) -> Any:
        """The graph of the tokens after the first, of a model that writes; or the same, if there is one."""
        return self._opened("next.onnx") if (self._folder / "next.onnx").is_file() else self._session

    def _opened(self, file: str) -> Any:
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read at import
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        path = str(self._folder / file)
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    @cached_property
    def _inputs(self) -> list[str]:
        return [tensor.name for tensor in self._session.get_inputs()]

    @cached_property
    def outputs(self) -> list[str]:
        """The names of what the graph says, in order."""
        return [tensor.name for tensor in self._session.get_outputs()]

    @property
    def frame(self) -> Frame:
        """What stands around the texts of a row."""
        return Frame(**{name: tuple(ids) for name, ids in self.settings["frame"].items()})

    def cut(self, texts: Sequence[str], seconds: Sequence[str] | None = None) -> list[TokenRow]:
        """A row for each text, or pair of texts, with special tokens, of `max_length` tokens at most."""
        if seconds is None:
            return [TokenRow(encoding.ids) for encoding in self._cutting.encode_batch(list(texts))]
        encodings = self._cutting.encode_batch(list(zip(texts, seconds, strict=True)))
        return [TokenRow(encoding.ids, encoding.type_ids) for encoding in encodings]

    def run(self, rows: Sequence[TokenRow]) -> list[list[np.ndarray]]:
        """The graph's outputs of each row, in the rows' order; what is of tokens is as long as its row.

        Raises ValueError when a number among them is not finite.
        """
        outputs: list[list[np.ndarray]] = [[] for _ in rows]
        for batch in self.batches(rows):
            together = [rows[i] for i in batch]
            found = self.run_batch(self.padded(together))
            for i, of_row in zip(batch, self.by_row(found, together), strict=True):
                outputs[i] = of_row
        return outputs

    def batches(self, rows: Sequence[TokenRow]) -> Iterator[list[int]]:
        """Rows that run together, by their numbers; each alone where its answer would depend on the others.

        With weights of eight bits, what goes into a product is rounded by the range of the whole batch.
        """
        lengths = [len(row.ids) for row in rows]
        return ([number] for number in range(len(rows))) if self.settings["alone"] else batches(lengths)

    def run_batch(self, tensors: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The graph's outputs for one batch. Raises ValueError as `run` does."""
        found: list[np.ndarray] = self._session.run(
            self.outputs, {name: tensors[name] for name in self._inputs}
        )
        if not all(np.isfinite(array).all() for array in found):
            raise ValueError("the model's numbers are not finite")
        return found

    def run_next(self, tensors: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """A step of a model that writes: logits of the next token [B, V], and the past with this one.

        Raises ValueError as `run` does.
        """
        logits, past = self._next.run(["logits", "new_past"], dict(tensors))
        if not np.isfinite(logits).all():
            raise ValueError("the model's numbers are not finite")
        return logits, past

    def by_row(self, arrays: Sequence[np.ndarray], rows: Sequence[TokenRow]) -> list[list[np.ndarray]]:
        """Outputs of a batch, cut to what is of each of its rows."""
        return [
            [
                array[place, : len(row.ids)] if name in OF_TOKENS else array[place]
                for name, array in zip(self.outputs, arrays, strict=True)
            ]
            for place, row in enumerate(rows)
        ]

    def padded(self, rows: Sequence[TokenRow]) -> dict[str, np.ndarray]:
        """The tensors of a batch, int64 [rows, longest] each."""
        shape = len(rows), max(1, *(len(row.ids) for row in rows))
        ids = np.full(shape, int(self.settings["pad_id"]), np.int64)
        mask, types = np.zeros((2, *shape), np.int64)
        for number, row in enumerate(rows):
            ids[number, : len(row.ids)] = row.ids
            mask[number, : len(row.ids)] = 1
            if row.types is not None:
                types[number, : len(row.ids)] = row.types
        return {"input_ids": ids, "attention_mask": mask, "token_type_ids": types}


def batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Rows that run together, by their numbers: neighbours in length, so that little of a batch is padding.

    A batch is full when another row would make it larger than memory allows, or waste more than a run costs.
    """
    batch: list[int] = []
    held = 0
    for number in sorted(range(len(lengths)), key=lambda number: lengths[number]):
        length = max(1, lengths[number])
        whole = (len(batch) + 1) * length
        wasted = whole - held - length
        if batch and (whole > TOKENS_PER_RUN or wasted > WASTE + WASTE_SHARE * (held + length)):
            yield batch
            batch, held = [], 0
        batch.append(number)
        held += length
    if batch:
        yield batch
