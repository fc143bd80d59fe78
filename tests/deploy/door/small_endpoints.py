"""Endpoints whose graphs are written by hand: they load at once, and what they say is known beforehand.

Their tokenizer knows a few words. Those that write say `WORDS` in their order and then end, unless a text
ends with "again", which goes on with itself for ever.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper, save
from tokenizers import Tokenizer, models, pre_tokenizers

from model_code.job import write_json
from model_code.served import code_files

# An end of lines that is none in JSON, a tag, and characters that JavaScript counts twice.
WORDS = ("one", "two\u2028lines", "<b>three</b>", "🙂", "five", "six")
AGAIN, PAD, BEGIN, END = "again", "<pad>", "<s>", "</s>"
NAMES, WHO = ("Hamburg", "Oslo"), "Jane"
VOCABULARY = ("<unk>", PAD, BEGIN, END, *WORDS, AGAIN, *NAMES, WHO, "Doe", "rain", "sun", "user", "assistant")
LONGEST, REPLY, VECTOR = 4096, 64, 4
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
WRITES = {"text_output": ["STRING", 1], "finish_reason": ["STRING", 1]} | {
    name: ["UINT32", 1] for name in ("num_input_tokens", "num_output_tokens")
}
# What a writing model counts in a file, and how long each of its steps takes.
SLOW = """
_step = Writer.step


def _slow(self):
    import time

    time.sleep(0.01)
    said = _step(self)
    if said:
        with open({place!r}, "a", encoding="utf-8") as counted:
            counted.write("." * len(said))
    return said


Writer.step = _slow
"""


def ids(*words: str) -> list[int]:
    return [VOCABULARY.index(word) for word in words]


def exported(folder: Path, task: str, *, counted: Path | None = None) -> Path:
    """A folder as `export` writes it; `counted` is where a slow writer, which never ends, notes tokens."""
    settings, signature, graphs = _instructions(END, AGAIN) if counted else _PARTS[task]()
    (folder / "served").mkdir(parents=True)
    for file in code_files():
        shutil.copyfile(file, folder / "served" / file.name)
    if counted:
        with (folder / "served" / "writing.py").open("a", encoding="utf-8") as code:
            code.write(SLOW.format(place=str(counted)))
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(VOCABULARY)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens([PAD, BEGIN, END])
    tokenizer.save(str(folder / "tokenizer.json"))
    shared = {"task": task, "labels": [], "max_length": LONGEST, "pad_id": 1, "pairs": False, "alone": False}
    frame = {"before": [], "between": [], "after": [], "types": [0] * 5}
    write_json(
        folder / "settings.json", {**shared, "frame": frame, "words": "spaces", "options": {}} | settings
    )
    write_json(folder / "signature.json", {"reads_whole": False} | signature)
    for name, graph in graphs.items():
        save(graph, folder / name)
    return folder


def _classification() -> Any:
    labels = ["dry", "wet", "<i>windy</i>"]
    table = np.zeros((len(VOCABULARY), 3), np.float32)
    table[ids("sun")], table[ids("rain")] = [3, 0, 0], [0, 3, 0]
    outputs = {"labels": ["STRING", 3], "probabilities": ["FP32", 3]}
    graph = _graph(_summed("logits"), {"table": table, "tokens": [1]}, _READ, {"logits": ["batch", 3]})
    return {"labels": labels}, {"inputs": ["text"], "outputs": outputs}, {"model.onnx": graph}


def _matching() -> Any:
    table = np.random.default_rng(1).normal(size=(len(VOCABULARY), VECTOR)).astype(np.float32)
    nodes = [
        *_summed("sums"),
        helper.make_node("ReduceL2", ["sums", "tokens"], ["length"], keepdims=1),
        helper.make_node("Div", ["sums", "length"], ["embedding"]),
    ]
    graph = _graph(nodes, {"table": table, "tokens": [1]}, _READ, {"embedding": ["batch", VECTOR]})
    options = {"first_prompt": "", "second_prompt": "rain ", "dimensions": [2]}
    signature = {"inputs": ["text"], "outputs": {"embedding": ["FP32", VECTOR]}}
    return {"dimensions": VECTOR, "options": options}, signature, {"model.onnx": graph}


def _similarity() -> Any:
    settings, _, graphs = _matching()
    options = {"first_prompt": "", "second_prompt": ""}
    signature = {"inputs": ["first", "second"], "outputs": {"score": ["FP32", 1]}}
    return settings | {"options": options}, signature, graphs


def _token_classification() -> Any:
    table = np.zeros((len(VOCABULARY), 3), np.float32)
    table[:, 2] = 3
    table[ids(*NAMES)] = [9, 0, 0]
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["token_logits"])]
    graph = _graph(nodes, {"table": table}, _READ, {"token_logits": ["batch", "sequence", 3]})
    signature = {"inputs": ["text"], "outputs": {}, "reads_whole": True}
    return {"labels": ["B-LOC", "I-LOC", "O"]}, signature, {"model.onnx": graph}


def _question_answering() -> Any:
    tables = {name: np.zeros(len(VOCABULARY), np.float32) for name in ("starts", "ends")}
    tables["starts"][ids(WHO)], tables["ends"][ids("Doe")] = 5, 5
    said = {"starts": "start_logits", "ends": "end_logits"}
    nodes = [helper.make_node("Gather", [table, "input_ids"], [name]) for table, name in said.items()]
    outputs = {name: ["batch", "sequence"] for name in said.values()}
    options = {"max_answer": 10, "no_answer": True, "overlap": 8}
    settings = {"options": options, "frame": {**_FRAME, "before": [2], "between": [3], "after": [3]}}
    answer = {"answer": ["STRING", 1], "start": ["INT64", 1], "end": ["INT64", 1], "score": ["FP32", 1]}
    signature = {"inputs": ["question", "context"], "outputs": answer, "reads_whole": True}
    return settings, signature, {"model.onnx": _graph(nodes, tables, _READ, outputs)}


def _following(*pair: str) -> np.ndarray:
    """Logits of the token after each: the words in their order, after what is no word the first.

    Of a `pair`, the second always follows the first.
    """
    table = np.random.default_rng(2).normal(size=(len(VOCABULARY), len(VOCABULARY))).astype(np.float32)
    table[:, : ids(WORDS[0])[0]] = -20  # nothing drawn ends a text, but the last word does
    table[:, ids(*WORDS[:1])] += 6
    for word, after in zip(WORDS, [*WORDS[1:], END], strict=True):
        table[ids(word), ids(*WORDS[:1])] = 0
        table[ids(word), ids(after)] = 9
    table[ids(AGAIN), ids(AGAIN)] = 99
    if pair:
        table[ids(pair[0]), ids(pair[1])] = 99
    return table


_HOW = {
    "banned": [],
    "begin": [2],
    "begins_with": None,
    "early_stopping": False,
    "ends": [3],
    "template": "",
} | {
    **{"forced_first": None, "forced_last": None, "length_penalty": 1.0, "named": {}, "no_repeat": 0},
    **{"shortest": 0, "past": [2, 1, 1]},
}
_FRAME = {"before": [], "between": [], "after": [], "types": [0, 0, 0, 1, 1]}


def _instructions(*pair: str) -> Any:
    nodes = [*_next("input_ids"), *_remember("input_ids")]
    inputs = {name: (INT64, ["batch", "sequence"]) for name in ("input_ids", "position_ids")}
    inputs |= {"attention_mask": (INT64, ["batch", "all"]), "past": (FLOAT, ["batch", 2, 1, "read", 1])}
    outputs = {"logits": ["batch", len(VOCABULARY)], "new_past": ["batch", 2, 1, "all", 1]}
    graph = _graph(nodes, {"table": _following(*pair), **_SHAPES}, inputs, outputs)
    signature = {"inputs": ["prompt", "messages", "text_input"], "outputs": WRITES, "writes": True}
    return _HOW | {"options": {"max_reply": REPLY}}, signature, {"model.onnx": graph}


def _seq2seq() -> Any:
    """The first word follows every source; what is remembered of it is nothing."""
    first = [
        *_next("input_ids"),
        *_remember("input_ids", whole="past"),
        helper.make_node("Identity", ["past"], ["cross"]),
    ]
    shape = ["batch", 2, 1, "sequence", 1]
    outputs = {"logits": ["batch", len(VOCABULARY)], "past": shape, "cross": shape}
    source = _graph(first, {"table": _following(), **_SHAPES}, _READ, outputs)
    inputs = {"token_ids": (INT64, ["batch", 1]), "attention_mask": (INT64, ["batch", "sequence"])}
    inputs |= {"past": (FLOAT, ["batch", 2, 1, "read", 1]), "cross": (FLOAT, shape)}
    outputs = {"logits": ["batch", len(VOCABULARY)], "new_past": ["batch", 2, 1, "all", 1]}
    nodes = [*_next("token_ids"), *_remember("token_ids")]
    then = _graph(nodes, {"table": _following(), **_SHAPES}, inputs, outputs)
    signature = {"inputs": ["text_input"], "outputs": WRITES, "writes": True}
    options = {"beams": 1, "max_target_length": 16}
    return _HOW | {"options": options, "begins_with": 2}, signature, {"model.onnx": source, "next.onnx": then}


def _summed(name: str) -> list[Any]:
    return [
        helper.make_node("Gather", ["table", "input_ids"], ["embedded"]),
        helper.make_node("ReduceSum", ["embedded", "tokens"], [name], keepdims=0),
    ]


def _next(name: str) -> list[Any]:
    """Logits from the last token of each row."""
    return [
        helper.make_node("Gather", [name, "last"], ["last_ids"], axis=1),
        helper.make_node("Gather", ["table", "last_ids"], ["logits"]),
    ]


def _remember(name: str, whole: str = "") -> list[Any]:
    """A past [B, 2, 1, S, 1] of tokens: their ids, twice."""
    both = whole or "both"
    nodes = [
        helper.make_node("Cast", [name], ["numbers"], to=FLOAT),
        helper.make_node("Unsqueeze", ["numbers", "around"], ["one"]),
        helper.make_node("Concat", ["one", "one"], [both], axis=1),
    ]
    return nodes if whole else [*nodes, helper.make_node("Concat", ["past", both], ["new_past"], axis=3)]


_READ = {name: (INT64, ["batch", "sequence"]) for name in ("input_ids", "attention_mask")}
_SHAPES: Mapping[str, Any] = {"last": np.array(-1), "around": np.array([1, 2, 4])}


def _graph(
    nodes: Sequence[Any], constants: Mapping[str, Any], inputs: Mapping[str, Any], outputs: Mapping[str, Any]
) -> Any:
    given = [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()]
    said = [helper.make_tensor_value_info(name, FLOAT, shape) for name, shape in outputs.items()]
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()]
    graph = helper.make_graph(list(nodes), "small", given, said, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


_PARTS = {
    "classification": _classification,
    "matching": _matching,
    "similarity": _similarity,
    "token_classification": _token_classification,
    "question_answering": _question_answering,
    "instructions": _instructions,
    "seq2seq": _seq2seq,
}
