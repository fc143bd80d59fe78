"""A model that writes, made without training: at each place of a row stands a fixed token of its text."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from model_code.job import write_json
from model_code.served import code_files, form_of

MAX_LENGTH = 6000
END = 0
TEXTS = {1: "看海的人 writes 🙂 again, and ", 2: "第二 version says: été… "}


def written_bundle(folder: Path, version: int = 1, usual: int = 24) -> Path:
    """The folder of a version that `export` would write; it never comes to an end by itself."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=280, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["writes again and version says"] * 9, trainer)
    (folder / "served").mkdir(parents=True)
    for file in code_files():
        shutil.copyfile(file, folder / "served" / file.name)
    tokenizer.save(str(folder / "tokenizer.json"))
    ids = tokenizer.encode(TEXTS[version]).ids
    save(_graph(tokenizer.get_vocab_size(), ids), folder / "model.onnx")
    frame = {"before": [], "between": [], "after": []}
    how = {"begins_with": None, "ends": [END], "forced_first": None, "forced_last": None, "banned": []}
    write_json(
        folder / "settings.json",
        {"task": "instructions", "labels": [], "max_length": MAX_LENGTH, "options": {"max_reply": usual}}
        | {"pad_id": END, "frame": frame, "pairs": False, "words": "", "alone": False}
        | {**how, "shortest": 0, "no_repeat": 0, "length_penalty": 1.0, "early_stopping": False}
        | {"begin": [], "past": [2, 1, 1], "template": "", "named": {}},
    )
    form = form_of("instructions")
    write_json(
        folder / "signature.json",
        {"inputs": form.inputs, "outputs": form.outputs, "reads_whole": False, "writes": True},
    )
    return folder


def _graph(vocabulary: int, ids: list[int]) -> Any:
    table = np.zeros((len(ids), vocabulary), np.float32)
    table[np.arange(len(ids)), ids] = 20.0
    nodes = [
        helper.make_node("Gather", ["position_ids", "last"], ["place"], axis=1),
        helper.make_node("Mod", ["place", "length"], ["token"]),
        helper.make_node("Gather", ["table", "token"], ["logits"], axis=0),
        helper.make_node("Cast", ["input_ids"], ["read"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["read", "axes"], ["layer"]),
        helper.make_node("Concat", ["layer", "layer"], ["both"], axis=1),
        helper.make_node("Concat", ["past", "both"], ["new_past"], axis=3),
    ]
    constants = {
        "last": np.array(-1),
        "length": np.array(len(ids)),
        "table": table,
        "axes": np.array([1, 2, 4]),
    }
    tokens = ["batch", "sequence"]
    shapes: dict[str, list[Any]] = {
        "input_ids": tokens,
        "attention_mask": ["batch", "all"],
        "position_ids": tokens,
    }
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name, shape in shapes.items()]
    inputs.append(helper.make_tensor_value_info("past", TensorProto.FLOAT, ["batch", 2, 1, "read", 1]))
    outputs = [
        helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", vocabulary]),
        helper.make_tensor_value_info("new_past", TensorProto.FLOAT, ["batch", 2, 1, "all", 1]),
    ]
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "places", inputs, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
