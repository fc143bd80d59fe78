"""A module of torch as an ONNX graph that is the same for the same weights."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from model_code.errors import TrainingError

OPSET = 20
Axes = Mapping[str, Mapping[int, str]]
"""The dimensions of tensors, by name, that differ from batch to batch, and what they count."""


def traced_graph(
    module: nn.Module, example: Mapping[str, torch.Tensor], outputs: Sequence[str], axes: Axes, source: object
) -> Any:
    """The graph of a module that takes tensors one by one and returns a tuple of them, as a ModelProto.

    The sizes of the `example` along the `axes` must be above 1, and tell them apart. Needs onnxscript.
    Raises TrainingError, with the name of the `source`, when torch can't export it.
    """
    shapes = tuple(dict.fromkeys(axes[name], torch.export.Dim.DYNAMIC) for name in example)
    try:
        with _quiet():
            program = torch.onnx.export(
                module,
                tuple(example.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(example),
                output_names=list(outputs),
                dynamic_shapes=(shapes,),
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise TrainingError(f"{source}: torch {torch.__version__} can't export it ({error})") from error
    assert program is not None  # None is for the old exporter
    proto = program.model_proto
    for value in [*proto.graph.input, *proto.graph.output]:
        for place, counts in axes[value.name].items():
            value.type.tensor_type.shape.dim[place].dim_param = counts
    _strip_traces(proto)
    return proto


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
