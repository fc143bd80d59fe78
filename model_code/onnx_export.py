"""The served folder of a fine-tuned model: what answers without torch or transformers.

    PYTHONHASHSEED=0 python -m model_code.onnx_export JOB.json

JOB: model (directory of a fine-tuned model), output (directory that gets the files), config: `metadata`
(texts by name, written into the graph), `pairs` and `words` as in `settings.json`.

    model.onnx       one graph for every batch size and every length up to the model's positions
    tokenizer.json   as it was trained with
    settings.json    the task's settings, what stands around a text, and whether questions are pairs
    signature.json   the strings of a question and the tensors of an answer
    served/          the code that makes the one out of the other (`model_code/served`)

The files are the same for the same weights: names of source files and stack traces are taken out of the
graph. The hash seed matters because transformers' ModernBERT walks over a set of strings in `forward`.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model_code.data.frames import frame_of
from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.job import Job, Reporter, main, write_json
from model_code.served import code_files, form_of
from model_code.served.graph import OF_TOKENS
from model_code.task_types.task import Settings, read_settings, task_named
from model_code.task_types.texts import names_of_inputs

OPSET = 20
# Torch traces with a concrete example; sizes of 0 and 1 would be taken for constants.
EXAMPLE_BATCH, EXAMPLE_LENGTH = 3, 24


class TracedModel(nn.Module):
    """A fine-tuned model from tensors of token ids to what is served of it.

    `names` are those of its inputs and `outputs` those of what it returns, both in order; each input is int64
    [batch, sequence].
    """

    def __init__(self, directory: Path, pairs: bool) -> None:
        """Raises TrainingError when the directory holds no fine-tuned model whose task has a graph."""
        super().__init__()
        self.settings = read_settings(directory)
        self._task: Any = task_named(self.settings.task)
        if not hasattr(self._task, "graph"):
            raise TrainingError(f"{directory}: the task {self.settings.task} can't be exported yet")
        self.model = self._task.load(directory, vocabulary_of(directory), self.settings)
        several = pairs or self.settings.task == "question_answering"
        known = names_of_inputs(self.model.config)
        self.names = [name for name in known if several or name != "token_type_ids"]
        self.train(False)
        if self.model._supports_sdpa:
            self.model.set_attn_implementation("eager")  # T5's other kernel can't be traced
        with torch.inference_mode():
            self.outputs = list(self._said(self.example()))

    def example(self) -> dict[str, torch.Tensor]:
        """Inputs of the size with which the graph is traced."""
        ids = torch.ones((EXAMPLE_BATCH, EXAMPLE_LENGTH), dtype=torch.int64)
        return {
            name: torch.zeros_like(ids) if name == "token_type_ids" else ids.clone() for name in self.names
        }

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self._said(dict(zip(self.names, tensors, strict=True))).values())

    def _said(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        said: dict[str, torch.Tensor] = self._task.graph(self.model, tensors, self.settings)
        return said


def export_model(model_dir: Path, output: Path, config: Mapping[str, Any]) -> None:
    """Write the served folder of a fine-tuned model.

    Needs onnx and onnxscript. Raises TrainingError when the directory holds no fine-tuned model, its task
    has no served form, or torch can't export it.
    """
    graph = TracedModel(model_dir, config["pairs"])
    output.mkdir(parents=True, exist_ok=True)
    tokenizer, vocabulary = load_tokenizer(model_dir), vocabulary_of(model_dir)
    shutil.copyfile(model_dir / "tokenizer.json", output / "tokenizer.json")
    two_texts = graph.settings.task == "question_answering"
    settings = {
        **_settings(graph.settings),
        "pad_id": vocabulary.filler,
        "frame": asdict(frame_of(tokenizer, vocabulary, pair=two_texts)),
        "pairs": config["pairs"],
        "words": config["words"],
    }
    with torch.inference_mode():
        example = [tensor.shape[-1] for tensor in graph(*graph.example().values())]
    if graph.outputs == ["text_vector"]:
        settings["dimensions"] = example[0]
    write_json(output / "settings.json", settings)
    proto = _traced(graph, model_dir)
    _name_axes(proto, graph)
    _strip_traces(proto)
    for name, text in sorted({"task": graph.settings.task, **config["metadata"]}.items()):
        proto.metadata_props.add(key=name, value=text)
    (output / "model.onnx").write_bytes(proto.SerializeToString(deterministic=True))
    for path in code_files():
        (output / "served").mkdir(exist_ok=True)
        shutil.copyfile(path, output / "served" / path.name)
    form = form_of(graph.settings.task)(output)
    write_json(output / "signature.json", {"inputs": form.inputs, "outputs": form.outputs})


def _settings(settings: Settings) -> dict[str, Any]:
    """What serving reads of them."""
    every = asdict(settings)
    return {name: every[name] for name in ("task", "labels", "max_length", "options")}


def _traced(graph: TracedModel, model_dir: Path) -> Any:
    sizes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    try:
        with _quiet():
            program = torch.onnx.export(
                graph,
                tuple(graph.example().values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=graph.names,
                output_names=graph.outputs,
                dynamic_shapes=((sizes,) * len(graph.names),),
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise TrainingError(f"{model_dir}: torch {torch.__version__} can't export it ({error})") from error
    assert program is not None  # None is for the old exporter
    return program.model_proto


def _name_axes(proto: Any, graph: TracedModel) -> None:
    for value in proto.graph.input:
        for dim, name in zip(value.type.tensor_type.shape.dim, ("batch", "sequence"), strict=True):
            dim.dim_param = name
    for value in proto.graph.output:
        dims = value.type.tensor_type.shape.dim
        dims[0].dim_param = "batch"
        if value.name in OF_TOKENS:
            dims[1].dim_param = "sequence"


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
    """Write the served folder of the job; returns the opset."""
    export_model(job.paths["model"], job.paths["output"], job.values)
    return {"opset": OPSET}


if __name__ == "__main__":
    main(export, {"model", "output"})
