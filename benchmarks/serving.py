"""What serving costs: the ensemble on Triton, strings in, against ONNX Runtime in this process.

    python -m benchmarks.serving [--quick] [--model NAME]

Both sides answer the same held-out texts one at a time, from the same files (Triton's own repository), with
ONNX Runtime's default threads, and return label names with sorted probabilities; answers that differ end
the benchmark. Clients are threads of one process, each with a connection that stays open; the table says
how much of a core they took, so that a client that is the bottleneck can be seen.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import BenchmarkError, Result, around, in_turn, machine, percentile, run
from deploy import live, repository, triton_server
from deploy.triton_server import HOST, TritonServer
from flows import environment
from tasks.contract.store import Store

LabelAndScore = tuple[str, float]
Ask = Callable[[str], LabelAndScore]

BAR = 5.0
BAR_REASON = (
    "The bar: at the 5th percentile Triton took 2.3 ms and the direct way 0.6 (a small model, so HTTP and "
    "three processes outweigh it); about 4 is to be expected on idle cores. On overloaded ones both wait "
    "for the processor, the ratio of the medians nears 1 and says little: compare the p5 column."
)
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Load:
    """One round: each request's latency in seconds, the round's seconds and this process's CPU seconds."""

    latencies: list[float]
    seconds: float
    cpu_seconds: float

    @property
    def requests_per_second(self) -> float:
        """Answers per second over all clients."""
        return len(self.latencies) / self.seconds

    def latency(self, percent: int) -> float:
        """A percentile of the latencies, in milliseconds."""
        return 1000 * percentile(self.latencies, percent)


def measure(arguments: argparse.Namespace) -> Result:
    """Time both sides at concurrency 1 and 8; the ratio is that of the p50 at concurrency 1.

    Raises:
        BenchmarkError: no server, endpoint or held-out texts here, or the two sides answer differently.
    """
    home = environment.home()
    server = triton_server.find(home / "triton")
    if server is None:
        raise BenchmarkError(f"no Triton is running in {home}; start it with `textmill up`")
    name = arguments.model or _only_endpoint(Path(server.repository))
    texts = _held_out_texts(Store(home))[: 200 if arguments.quick else 1000]
    rounds = 5 if arguments.quick else 9
    direct = _direct(Path(server.repository), name)
    _demand_equal_answers(server, name, direct, texts)
    rows, ratios = [], []
    for clients in (1, 8):
        with _served(server, name, clients) as served:
            pairs = in_turn(lambda: _load(served, texts), lambda: _load([direct] * clients, texts), rounds)  # noqa: B023
        for side, loads in zip(("served", "direct"), zip(*pairs, strict=True), strict=True):
            rows.append([str(clients), side, *_figures(loads)])
        ratios.append([ours.latency(50) / peer.latency(50) for ours, peer in pairs])
    return Result(
        name="serving",
        title="Serving: Triton's ensemble against ONNX Runtime in process",
        columns=["clients", "way", "requests/s", "p5 ms", "p50 ms", "p99 ms", "cores used by this process"],
        rows=rows,
        ratios=ratios[0],
        bar=BAR,
        lower_is_better=True,
        note=f"Ratio: p50 served / p50 direct with one client; with eight it is {around(ratios[1])}. "
        f"{rounds} rounds of {len(texts)} held-out texts per side, medians with the spread. {BAR_REASON} "
        f"{machine(['onnxruntime', 'tokenizers'])}.",
    )


def _only_endpoint(models: Path) -> str:
    endpoints = live.endpoints(models)
    if len(endpoints) != 1:
        raise BenchmarkError(f"live endpoints: {', '.join(endpoints) or 'none'}; name one with --model")
    return endpoints[0]


def _held_out_texts(store: Store) -> list[str]:
    made = [manifest for manifest in store.manifests() if manifest.stage == "examples"]
    if not made:
        raise BenchmarkError(f"{store.home} holds no held-out texts; run a recipe first: `textmill run`")
    newest = max(made, key=lambda manifest: manifest.made_at)
    with (store.place(newest.stage, newest.key) / "test.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["text"] for line in lines]


def _direct(models: Path, name: str) -> Ask:
    """The shortest way in Python from a text to its label: tokenizer, session, softmax."""
    import numpy as np
    import onnxruntime
    from tokenizers import Tokenizer

    version = repository.pinned_version(models, name)
    if version is None:
        raise BenchmarkError(f"no version of {name} is live; deploy one with `textmill run`")
    files = models / repository.model_of(name, version) / str(version)
    settings = json.loads((files / "settings.json").read_text(encoding="utf-8"))
    if settings["task"] != "classification" or settings["pairs"]:
        raise BenchmarkError(f"{name} is no endpoint of labels for single texts; name one with --model")
    tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(settings["max_length"])
    session = onnxruntime.InferenceSession(files / "model.onnx", providers=["CPUExecutionProvider"])
    labels = settings["labels"]

    def ask(text: str) -> LabelAndScore:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        logits = session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0]
        weights = np.exp(logits.astype(np.float64) - logits.max())
        order = np.argsort(-weights, kind="stable")
        ranked = [(labels[index], float(weights[index] / weights.sum())) for index in order]
        return ranked[0]

    return ask


@contextmanager
def _served(server: TritonServer, name: str, clients: int) -> Iterator[list[Ask]]:
    """One way to ask per client, each over an open connection of its own."""
    connections = [http.client.HTTPConnection(HOST, server.http_port, timeout=30) for _ in range(clients)]
    try:
        yield [_asker(connection, name) for connection in connections]
    finally:
        for connection in connections:
            connection.close()


def _asker(connection: http.client.HTTPConnection, name: str) -> Ask:
    def ask(text: str) -> LabelAndScore:
        tensor = {"name": "text", "shape": [1, 1], "datatype": "BYTES", "data": [text]}
        body = json.dumps({"inputs": [tensor]})
        connection.request("POST", f"/v2/models/{name}/infer", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer: dict[str, Any] = json.loads(response.read())
        if response.status != 200:
            raise BenchmarkError(f"Triton refused a request to {name}: {answer.get('error')}")
        outputs = {output["name"]: output["data"] for output in answer["outputs"]}
        return outputs["labels"][0], outputs["probabilities"][0]

    return ask


def _demand_equal_answers(server: TritonServer, name: str, direct: Ask, texts: list[str]) -> None:
    with _served(server, name, 1) as (ask,):
        for text in texts:
            (label, probability), (expected, wanted) = ask(text), direct(text)
            if label != expected or abs(probability - wanted) > TOLERANCE:
                raise BenchmarkError(
                    f"{name} answers {label} ({probability:.4f}) where ONNX Runtime says {expected} "
                    f"({wanted:.4f}); run the recipe again before comparing speeds"
                )


def _load(ways: list[Ask], texts: list[str]) -> Load:
    """Ask all texts, dealt out to one thread per way; every thread sends its next when it has an answer."""
    started, cpu = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(len(ways)) as threads:
        shares = [texts[first :: len(ways)] for first in range(len(ways))]
        latencies = [latency for share in threads.map(_latencies, ways, shares) for latency in share]
    return Load(latencies, time.perf_counter() - started, time.process_time() - cpu)


def _latencies(ask: Ask, texts: list[str]) -> list[float]:
    seconds = []
    for text in texts:
        started = time.perf_counter()
        ask(text)
        seconds.append(time.perf_counter() - started)
    return seconds


def _figures(loads: tuple[Load, ...]) -> list[str]:
    return [
        around([load.requests_per_second for load in loads], 0),
        *(around([load.latency(percent) for load in loads]) for percent in (5, 50, 99)),
        around([load.cpu_seconds / load.seconds for load in loads]),
    ]


def arguments() -> argparse.ArgumentParser:
    """The options of this benchmark, besides those of all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving")
    parser.add_argument("--model", help="the endpoint, when several are live")
    return parser


if __name__ == "__main__":
    sys.exit(run(measure, arguments()))
