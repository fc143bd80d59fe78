"""ONNX export: what is served no longer needs torch or transformers.

    PYTHONHASHSEED=0 python -m model_code.onnx_export JOB.json

JOB: model (directory of a classifier), output (directory that gets model.onnx), config (empty).

One graph serves every batch size and every length up to the encoder's positions. The file is
the same for the same weights: names of source files and stack traces are taken out of it. The
hash seed matters because transformers' ModernBERT walks over a set of strings in `forward`.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import AutoModelForSequenceClassification

from model_code.errors import TrainingError
from model_code.job import Job, Reporter, main
from model_code.models.checkpoints import load_model

OPSET = 20
# Torch traces with a concrete example; sizes of 0 and 1 would be taken for constants.
EXAMPLE_BATCH, EXAMPLE_LENGTH = 3, 24


class _Logits(nn.Module):
    """A classifier that returns one tensor instead of an object."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(input_ids=input_ids, attention_mask=attention_mask).logits
        return logits


def export_classifier(model_dir: Path, output: Path) -> None:
    """Write a fine-tuned classifier as one ONNX file of opset 20.

    Inputs `input_ids` and `attention_mask`, int64 [batch, sequence]; output `logits`, float32
    [batch, labels]. Needs onnx and onnxscript. Raises TrainingError when the directory holds no
    classifier or torch can't export it.
    """
    model = _Logits(load_model(model_dir, AutoModelForSequenceClassification)).train(False)
    ids = torch.ones((EXAMPLE_BATCH, EXAMPLE_LENGTH), dtype=torch.int64)
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with _quiet():
            program = torch.onnx.export(
                model,
                (ids, torch.ones_like(ids)),
                dynamo=True,
                opset_version=OPSET,
                input_names=["input_ids", "attention_mask"],
                output_names=["logits"],
                dynamic_shapes=(sizes, sizes),
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise TrainingError(f"{model_dir}: torch {torch.__version__} can't export it ({error})") from error
    assert program is not None  # None is for the old exporter
    proto = program.model_proto
    _name_axes(proto)
    _strip_traces(proto)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_bytes(proto.SerializeToString(deterministic=True))


def _name_axes(proto: Any) -> None:
    for value in proto.graph.input:
        for dim, name in zip(value.type.tensor_type.shape.dim, ("batch", "sequence"), strict=True):
            dim.dim_param = name
    proto.graph.output[0].type.tensor_type.shape.dim[0].dim_param = "batch"


def _strip_traces(proto: Any) -> None:
    """Drop doc strings, metadata and shapes of inner values: they hold paths and trace details."""
    proto.graph.doc_string = proto.doc_string = ""
    del proto.metadata_props[:], proto.graph.metadata_props[:], proto.graph.value_info[:]
    values = [*proto.graph.input, *proto.graph.output, *proto.graph.initializer, *proto.graph.node]
    for item in [*values, *proto.functions, *(node for f in proto.functions for node in f.node)]:
        item.doc_string = ""
        del item.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    names = ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)


def export(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Write `model.onnx` for the job; returns the opset."""
    export_classifier(job.paths["model"], job.paths["output"] / "model.onnx")
    return {"opset": OPSET}


if __name__ == "__main__":
    main(export, {"model", "output"})
