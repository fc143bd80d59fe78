"""Requests through switches: ten new versions, a broken one and a rollback, while sixteen clients ask on.

    python -m benchmarks.serving_switches [--quick] [--model NAME] [--requests N]

The versions are made from the export of an endpoint of labels in this home, each with its labels moved on by
one place, so that an answer tells which version gave it. They are deployed to a Triton of their own in a
temporary folder, in the way that `deploy` does it. A request that fails counts, and so does an answer that is
not the one of the version that it names; both have to be 0.
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.bench import BenchmarkError, machine
from deploy import client, live, triton_server
from deploy.errors import TritonError
from deploy.triton_server import TritonServer
from flows import environment
from model_code.served import code_in
from tasks.contract.store import Store

NAME, CLIENTS, SWITCHES = "switched", 16, 10


@dataclass
class Seen:
    """What all clients saw."""

    answers: Counter[int] = field(default_factory=Counter)  # by version
    failed: list[str] = field(default_factory=list)
    wrong: int = 0
    slowest: float = 0.0

    @property
    def requests(self) -> int:
        """All that were sent."""
        return self.answers.total() + len(self.failed)


def measure(arguments: argparse.Namespace) -> tuple[Seen, float]:
    """Ask and switch; what was seen, and the seconds that it took.

    Raises:
        BenchmarkError: this home has no export of an endpoint of labels.
    """
    exported, texts = _exported(Store(environment.home()), arguments.model)
    count = 5000 if arguments.quick else arguments.requests
    with TemporaryDirectory() as temporary, _server(Path(temporary) / "triton") as server:
        versions = [_version(exported, Path(temporary), number) for number in range(1, SWITCHES + 2)]
        labels = _labels(exported, texts)
        broken = Path(temporary) / "broken"
        shutil.copytree(exported, broken)
        (broken / "model.onnx").write_bytes((broken / "model.onnx").read_bytes()[:1000])
        _deploy(server, 1, versions[0])
        seen, lock = Seen(), threading.Lock()
        expected = [_moved(labels, number) for number in range(len(versions) + 1)]
        clients = [
            threading.Thread(target=_ask, args=(server, texts[n:] + texts[:n], expected, seen, lock, count))
            for n in range(CLIENTS)
        ]
        started = time.perf_counter()
        for thread in clients:
            thread.start()
        _switch(server, versions, broken, seen, count)
        for thread in clients:
            thread.join()
        return seen, time.perf_counter() - started


def _switch(server: TritonServer, versions: Sequence[Path], broken: Path, seen: Seen, count: int) -> None:
    """Ten switches, spread over the requests; in the middle a version that is broken, and a rollback."""
    for number, version in enumerate(versions[1:], 2):
        while seen.requests < count * (number - 1) / (SWITCHES + 1):
            time.sleep(0.01)
        if number == SWITCHES // 2:
            try:
                live.stage_version(server, NAME, 99, broken)
            except TritonError:
                live.roll_back(server, NAME)
            else:
                raise BenchmarkError("the broken version was loaded")
        _deploy(server, number, version)


def _deploy(server: TritonServer, number: int, version: Path) -> None:
    live.stage_version(server, NAME, number, version)
    live.go_live(server, NAME, number)


def _ask(
    server: TritonServer,
    texts: Sequence[str],
    expected: Sequence[dict[str, str]],
    seen: Seen,
    lock: threading.Lock,
    count: int,
) -> None:
    while True:
        for text in texts:
            if seen.requests >= count:
                return
            began = time.perf_counter()
            try:
                [answer] = client.ask([text], NAME, http_port=server.http_port, timeout=30)
            except TritonError as error:
                with lock:
                    seen.failed.append(str(error))
                continue
            version = int(answer.model_version)
            with lock:
                seen.slowest = max(seen.slowest, time.perf_counter() - began)
                seen.answers[version] += 1
                seen.wrong += answer.content["label"] != expected[version][text]


def _exported(store: Store, wanted: str | None) -> tuple[Path, list[str]]:
    made = [
        manifest
        for manifest in store.manifests("export")
        if wanted in (None, manifest.external.get("model")) and not store.damage(manifest)
    ]
    for manifest in sorted(made, key=lambda one: one.made_at, reverse=True):
        folder = store.place(manifest.stage, manifest.key) / "onnx"
        settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
        if settings["task"] != "classification" or settings["pairs"]:
            continue
        for examples in store.manifests("examples"):
            if examples.digest == manifest.inputs["examples"]["digest"]:
                place = store.place(examples.stage, examples.key) / "test.jsonl"
                with place.open(encoding="utf-8") as lines:
                    return folder, [json.loads(line)["text"] for line in lines][:200]
    raise BenchmarkError(
        f"{store.home} has no export of an endpoint of labels; run `textmill run python-docs`"
    )


def _version(exported: Path, folder: Path, number: int) -> Path:
    """The exported folder with its labels moved on by so many places."""
    place = folder / str(number)
    shutil.copytree(exported, place)
    settings = json.loads((place / "settings.json").read_text(encoding="utf-8"))
    labels = settings["labels"]
    settings["labels"] = labels[number % len(labels) :] + labels[: number % len(labels)]
    (place / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    return place


def _labels(exported: Path, texts: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """All labels, and the place of each text's among them."""
    form: Any = code_in(exported).form_of("classification")(exported)
    answers = form.answers([{"text": text} for text in texts])
    places = [form.labels.index(answer["label"]) for answer in answers]
    return form.labels, dict(zip(texts, places, strict=True))


def _moved(known: tuple[list[str], dict[str, int]], number: int) -> dict[str, str]:
    labels, places = known
    return {text: labels[(place + number) % len(labels)] for text, place in places.items()}


@contextmanager
def _server(home: Path) -> Iterator[TritonServer]:
    with socket.socket() as one, socket.socket() as two, socket.socket() as three:
        for free in (one, two, three):
            free.bind(("127.0.0.1", 0))
        ports = [free.getsockname()[1] for free in (one, two, three)]
    yield triton_server.start(home, http_port=ports[0], grpc_port=ports[1], metrics_port=ports[2])
    triton_server.stop(home)


def main() -> int:
    """Print what was seen; 1 when a request failed or an answer was wrong, 2 when it can't run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving_switches")
    parser.add_argument("--quick", action="store_true", help="end within 60 s")
    parser.add_argument("--model", help="the endpoint whose export is taken; by default the newest of labels")
    parser.add_argument("--requests", type=int, default=100_000)
    try:
        seen, seconds = measure(parser.parse_args())
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    by_version = ", ".join(
        f"{count:,} of version {version}" for version, count in sorted(seen.answers.items())
    )
    print(f"{seen.requests:,} requests of {CLIENTS} clients in {seconds:.0f} s: {by_version}")
    print(f"slowest {1000 * seen.slowest:.0f} ms. {machine(['onnxruntime'])}")
    for reason, count in Counter(seen.failed).most_common(5):
        print(f"{count} failed: {reason}")
    is_well = not seen.failed and not seen.wrong
    print(
        f"{'ok' if is_well else 'short'} serving_switches failed={len(seen.failed)} wrong={seen.wrong} "
        f"switches={SWITCHES} rollbacks=1 broken=1"
    )
    return 0 if is_well else 1


if __name__ == "__main__":
    sys.exit(main())
