"""A real Triton on free ports, and real small models: ONNX graphs and a trained tokenizer."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import psutil
import pytest
from onnx import TensorProto, helper, numpy_helper, save
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

from deploy import triton_server
from deploy.triton_server import TritonServer
from model_code.job import write_json
from model_code.served import code_files
from tests.free_ports import free_ports

LABELS = ("体育", "finance", "weather")
MAX_LENGTH = 48  # not a whole number of 32-token buckets, so the cap is seen
SENTENCES = [
    "the bank raised its rates",
    "rain and wind tomorrow",
    "今天的比赛很精彩",
    "股票市场上涨",
    "a" * 9,
]


@dataclass(frozen=True)
class Bundle:
    """One version as it is exported, and the answer it must give, computed without Triton."""

    folder: Path
    labels: Sequence[str] = LABELS

    def expected(self, text: str) -> list[tuple[str, float]]:
        """Labels and probabilities by ONNX Runtime alone, likeliest first."""
        tokenizer = Tokenizer.from_file(str(self.folder / "tokenizer.json"))
        tokenizer.enable_truncation(MAX_LENGTH)
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        session = ort.InferenceSession(str(self.folder / "model.onnx"), providers=["CPUExecutionProvider"])
        (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        weights = np.exp(logits[0].astype(np.float64))
        pairs = zip(self.labels, (weights / weights.sum()).tolist(), strict=True)
        return sorted(pairs, key=lambda pair: -pair[1])


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Bundle]:
    """Make version N: a masked bag of embeddings with weights drawn from seed N."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=400, special_tokens=special, initial_alphabet=alphabet)
    tokenizer.train_from_iterator(SENTENCES, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    place = tmp_path_factory.mktemp("bundles")

    def make(version: int, labels: Sequence[str] = LABELS) -> Bundle:
        folder = place / f"{version}-{len(labels)}"
        if not folder.exists():
            (folder / "served").mkdir(parents=True)
            for file in code_files():
                shutil.copyfile(file, folder / "served" / file.name)
            tokenizer.save(str(folder / "tokenizer.json"))
            save(_encoder(tokenizer.get_vocab_size(), version, len(labels)), folder / "model.onnx")
            settings = {"task": "classification", "labels": labels, "max_length": MAX_LENGTH, "pad_id": 0}
            write_json(folder / "settings.json", {**settings, "pairs": False, "alone": False, "options": {}})
            outputs = {"labels": ["STRING", len(labels)], "probabilities": ["FP32", len(labels)]}
            write_json(
                folder / "signature.json", {"inputs": ["text"], "outputs": outputs, "reads_whole": False}
            )
        return Bundle(folder, labels)

    return make


def _encoder(vocabulary: int, seed: int, labels: int) -> Any:
    table = np.random.default_rng(seed).normal(0, 0.5, (vocabulary, labels)).astype(np.float32)
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["embedded"]),
        helper.make_node("Cast", ["attention_mask"], ["mask"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["mask", "last"], ["column"]),
        helper.make_node("Mul", ["embedded", "column"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "tokens"], ["logits"], keepdims=0),
    ]
    constants = {"table": table, "last": np.array([2]), "tokens": np.array([1])}
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "sequence"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", labels])
    weights = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(nodes, "bag", inputs, [output], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@pytest.fixture(scope="session", name="free_ports")
def free_ports_fixture() -> Callable[[], dict[str, int]]:
    """Find three ports that nobody listens on."""
    return _free_ports


def _free_ports() -> dict[str, int]:
    names = ("http_port", "grpc_port", "metrics_port")
    return dict(zip(names, free_ports(len(names)), strict=True))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """One server for all tests that do not end it; each test uses model names of its own."""
    # The name has what a shell would read, and letters that ASCII has not.
    home = tmp_path_factory.mktemp("it's a 中文 é home & $HOME; `x`") / "triton"
    yield triton_server.start(home, **_free_ports())
    triton_server.stop(home)


@pytest.fixture
def kill_process(server: TritonServer) -> Callable[[str], None]:
    """Kill the process behind a model, as the kernel would when memory is short."""

    def kill(model: str) -> None:
        processes = psutil.Process(server.pid).children()
        found = [process.as_dict(["pid", "cmdline"], ad_value=None) for process in processes]
        (pid,) = (each["pid"] for each in found if f"/{model}/" in " ".join(each["cmdline"] or ()))
        psutil.Process(pid).kill()

    return kill
