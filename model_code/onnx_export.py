"""The served folder of a fine-tuned model: what answers without torch or transformers.

    PYTHONHASHSEED=0 python -m model_code.onnx_export JOB.json

JOB: model (directory of a fine-tuned model), output (directory that gets the files), config: `metadata`
(texts by name, written into the graphs), `pairs` and `words` as in `settings.json`.

    model.onnx       one graph for every batch size and every length up to the model's positions
    next.onnx        of a model that writes for a source: goes on by a token, once `model.onnx` has begun
    *.onnx.data      weights of a graph that has more than 2 GB of them
    tokenizer.json   as it was trained with
    settings.json    the task's settings, what stands around a text, and whether questions are pairs
    signature.json   the strings of a question and the tensors of an answer
    served/          the code that makes the one out of the other (`model_code/served`)

The files are the same for the same weights: names of source files and stack traces are taken out of the
graphs. The hash seed matters because transformers' ModernBERT walks over a set of strings in `forward`.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model_code.data.frames import frame_of
from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.job import Job, Reporter, main, write_json
from model_code.models import steps
from model_code.onnx_tracing import OPSET, Axes, traced_graph
from model_code.served import code_files, form_of
from model_code.served.graph import OF_TOKENS
from model_code.task_types.task import read_settings, task_named
from model_code.task_types.texts import names_of_inputs

# Torch traces with a concrete example; sizes of 0 and 1 would be taken for constants.
EXAMPLE_BATCH, EXAMPLE_LENGTH, EXAMPLE_WRITTEN = 3, 24, 5
MOST_BYTES = 2_000_000_000  # of a protobuf


class TracedModel(nn.Module):
    """A fine-tuned model from tensors of token ids to what is served of it.

    `names` are those of its inputs and `outputs` those of what it returns, both in order; each input is int64
    [batch, sequence], unless its task says otherwise (`graph_example`).
    """

    def __init__(self, directory: Path, pairs: bool) -> None:
        """Raises TrainingError when the directory holds no fine-tuned model whose task has a graph."""
        super().__init__()
        self.settings = read_settings(directory)
        self.task: Any = task_named(self.settings.task)
        if not hasattr(self.task, "graph"):
            raise TrainingError(f"{directory}: the task {self.settings.task} can't be exported yet")
        self.model = self.task.load(directory, vocabulary_of(directory), self.settings)
        several = pairs or self.settings.task == "question_answering"
        self.train(False)
        if self.model._supports_sdpa:
            self.model.set_attn_implementation("eager")  # T5's other kernel can't be traced
        self._of_ids = [
            name for name in names_of_inputs(self.model.config) if several or name != "token_type_ids"
        ]
        self.names = list(self.example())
        with torch.inference_mode():
            self.outputs = list(self._said(self.example()))

    def example(self) -> dict[str, torch.Tensor]:
        """Inputs of the size with which the graph is traced."""
        if hasattr(self.task, "graph_example"):
            of_task: dict[str, torch.Tensor] = self.task.graph_example(
                self.model, EXAMPLE_BATCH, EXAMPLE_LENGTH, EXAMPLE_WRITTEN
            )
            return of_task
        ids = torch.ones((EXAMPLE_BATCH, EXAMPLE_LENGTH), dtype=torch.int64)
        return {
            name: torch.zeros_like(ids) if name == "token_type_ids" else ids.clone() for name in self._of_ids
        }

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(self._said(dict(zip(self.names, tensors, strict=True))).values())

    def _said(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        said: dict[str, torch.Tensor] = self.task.graph(self.model, tensors, self.settings)
        return said


class NextToken(nn.Module):
    """A model that writes, from the token that it wrote last to the next one."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(steps.next_step(self.model, *tensors).values())


def export_model(model_dir: Path, output: Path, config: Mapping[str, Any]) -> None:
    """Write the served folder of a fine-tuned model.

    Raises TrainingError when the directory holds no fine-tuned model, its task has no served form, or torch
    can't export it.
    """
    graph = TracedModel(model_dir, config["pairs"])
    output.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(model_dir / "tokenizer.json", output / "tokenizer.json")
    with torch.inference_mode():
        said = dict(zip(graph.outputs, graph(*graph.example().values()), strict=True))
    settings = _settings(graph, model_dir)  # refuses what is not served, before minutes are spent
    told = {"task": graph.settings.task, **config["metadata"]}
    first = traced_graph(graph, graph.example(), graph.outputs, _axes(graph), model_dir)
    _write(first, told, output / "model.onnx")
    if "past" in said:
        _write(_next_graph(graph, said, model_dir), told, output / "next.onnx")
    settings |= {"pairs": config["pairs"], "words": config["words"], "alone": False}
    if "text_vector" in said:
        settings["dimensions"] = said["text_vector"].shape[-1]
    write_json(output / "settings.json", settings)
    (output / "served").mkdir(exist_ok=True)
    for path in code_files():
        shutil.copyfile(path, output / "served" / path.name)
    form = form_of(_served_task(graph))(output)
    signature = {
        "inputs": form.inputs,
        "outputs": form.outputs,
        "reads_whole": form.reads_whole,
        "writes": getattr(form, "writes", False),
    }
    write_json(output / "signature.json", signature)


def _settings(graph: TracedModel, model_dir: Path) -> dict[str, Any]:
    """What serving reads of a model and its task."""
    tokenizer, vocabulary = load_tokenizer(model_dir), vocabulary_of(model_dir)
    if hasattr(graph.task, "frame_around"):
        frame = graph.task.frame_around(tokenizer, vocabulary)
    else:
        frame = frame_of(tokenizer, vocabulary, pair=graph.settings.task == "question_answering")
    every = asdict(graph.settings)
    known = {name: every[name] for name in ("task", "labels", "max_length", "options")}
    known["task"] = _served_task(graph)
    of_task = {option.name for option in fields(task_named(known["task"]).Options)}
    known["options"] = {name: value for name, value in known["options"].items() if name in of_task}
    is_writer = {"past", "new_past"}.intersection(graph.outputs)
    writes = steps.how_it_writes(graph.model, model_dir) if is_writer else {}
    if hasattr(graph.task, "how_it_is_asked"):
        writes |= graph.task.how_it_is_asked(graph.model, tokenizer, vocabulary)
    return {**known, **writes, "pad_id": vocabulary.filler, "frame": asdict(frame)}


def _served_task(graph: TracedModel) -> str:
    """The task by which the model is asked, which may be another than the one it was trained for."""
    return str(getattr(graph.task, "SERVED_AS", graph.settings.task))


def _axes(graph: TracedModel) -> Axes:
    batch, sequence = {0: "batch"}, {1: "sequence"}
    of_tokens = dict.fromkeys((*graph.names, *OF_TOKENS), batch | sequence)
    axes = {**dict.fromkeys(graph.outputs, batch), **of_tokens, "cross": batch | {3: "sequence"}}
    if "past" in graph.names:
        axes |= {"attention_mask": batch | {1: "all"}}
        axes |= {"past": batch | {3: "read"}, "new_past": batch | {3: "all"}}
    return axes


def _next_graph(graph: TracedModel, said: Mapping[str, torch.Tensor], model_dir: Path) -> Any:
    """The graph of all tokens but the first, from what the first step said."""
    first = graph.example()
    example = {
        "token_ids": first["input_ids"][:, :1],
        "attention_mask": first["attention_mask"],
        "past": said["past"].repeat(1, 1, 1, EXAMPLE_WRITTEN, 1),
        "cross": said["cross"],
    }
    batch = {0: "batch"}
    axes = {
        "token_ids": batch,
        "attention_mask": batch | {1: "sequence"},
        "past": batch | {3: "written"},
        "cross": batch | {3: "sequence"},
        "logits": batch,
        "new_past": batch | {3: "written and one"},
    }
    return traced_graph(NextToken(graph.model), example, ["logits", "new_past"], axes, model_dir)


def _write(proto: Any, told: Mapping[str, str], path: Path) -> None:
    """Write a graph, and beside it its weights where they are more than one file of ONNX holds."""
    import onnx

    for name, text in sorted(told.items()):
        proto.metadata_props.add(key=name, value=text)
    if sum(len(weights.raw_data) for weights in proto.graph.initializer) > MOST_BYTES:
        onnx.save_model(proto, path, save_as_external_data=True, location=f"{path.name}.data")
    else:
        path.write_bytes(proto.SerializeToString(deterministic=True))


def export(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Write the served folder of the job; returns the opset."""
    export_model(job.paths["model"], job.paths["output"], job.values)
    return {"opset": OPSET}


if __name__ == "__main__":
    main(export, {"model", "output"})
