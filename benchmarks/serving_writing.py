"""What writing costs: an endpoint that replies or translates, against ONNX Runtime and `generate` in process.

    python -m benchmarks.serving_writing [--quick] [--model NAME] [--tokens N]

All write the same likeliest texts for the same held-out questions, one text at a time, of at most N tokens:
Triton over HTTP, the served code in this process, and transformers with the weights that were exported. Then
eight clients ask at once; what they get together is set against what one gets. Texts that differ end the
benchmark.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.bench import BenchmarkError, Result, around, machine, run
from deploy import client, live, repository, triton_server
from flows import environment
from tasks.contract.artifact import Manifest
from tasks.contract.store import Store
from tasks.deployment.deployed import deployment

BAR, BAR_TO_GENERATE, BAR_TOGETHER = 0.7, 1.5, 4.0
CLIENTS = 8
Ask = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Written:
    """One round: the tokens that were written, and the seconds that it took."""

    tokens: int
    seconds: float

    @property
    def per_second(self) -> float:
        """Tokens, of all clients together."""
        return self.tokens / self.seconds


def measure(arguments: argparse.Namespace) -> Result:
    """Time all ways in turn; the ratio is tokens/s through Triton by those of the served code in process.

    Raises:
        BenchmarkError: no server or endpoint that writes here, or the ways write different texts.
    """
    home = environment.home()
    server = triton_server.find(home / "triton")
    if server is None:
        raise BenchmarkError(f"no Triton is running in {home}; start it with `textmill up`")
    name, port, store = _endpoint(server, arguments.model), server.http_port, Store(home)
    manifest = deployment(store, name, repository.pinned_version(Path(server.repository), name) or 0)
    if manifest is None:
        raise BenchmarkError(f"{name} was deployed by another home; run its recipe here first")
    exported = _exported(manifest, store)
    form = _form(exported.directory)
    questions = _questions(form, exported, store, 4 if arguments.quick else 8, arguments.tokens)

    def served(question: dict[str, Any]) -> dict[str, Any]:
        return dict(client.ask([question], name, http_port=port, timeout=120)[0].content)

    def direct(question: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = form.answers([question])[0]
        return answer

    generate = _generate(form, exported.model)
    ways: dict[str, Callable[[], Written]] = {
        "Triton, one client": lambda: _round(served, questions, 1),
        f"Triton, {CLIENTS} clients": lambda: _round(served, questions * CLIENTS, CLIENTS),
        "served code in process": lambda: _round(direct, questions, 1),
        "transformers.generate": lambda: _round(generate, questions, 1),
    }
    for question in questions:
        texts = {way: ask(question)["text_output"] for way, ask in _named(served, direct, generate)}
        if len(set(texts.values())) > 1:
            raise BenchmarkError(f"the ways write different texts: {json.dumps(texts, ensure_ascii=False)}")
    rounds = [[way() for way in ways.values()] for _ in range(6)][1:]
    columns = list(zip(*rounds, strict=True))
    of_one, of_all, of_direct, of_generate = ([each.per_second for each in column] for column in columns)
    first = [_seconds_to_first(questions[0], name, port) for _ in range(10)][1:]
    ratios = {
        "to the served code": _ratios(of_one, of_direct),
        "to generate": _ratios(of_one, of_generate),
        "of eight clients to one": _ratios(of_all, of_one),
    }
    return Result(
        name="serving_writing",
        title="Writing: Triton against ONNX Runtime and transformers.generate in process",
        columns=["way", "tokens/s", "ms a token"],
        rows=[
            [way, around(speeds, 0), around([1000 / speed for speed in speeds])]
            for way, speeds in zip(ways, (of_one, of_all, of_direct, of_generate), strict=True)
        ],
        ratios=ratios["to the served code"],
        bar=BAR,
        lower_is_better=False,
        note=f"Ratio: tokens/s of one client {' and '.join(f'{n} {around(r)}' for n, r in ratios.items())} "
        f"(bars {BAR}, {BAR_TO_GENERATE}, {BAR_TOGETHER}); "
        f"{around([1000 * of for of in first])} ms to the first piece. {len(questions)} held-out questions, "
        f"at most {arguments.tokens} tokens each. {machine(['onnxruntime', 'transformers'])}.",
    )


def _named(*ways: Ask) -> list[tuple[str, Ask]]:
    return list(zip(("served", "direct", "generate"), ways, strict=True))


def _ratios(ours: Sequence[float], peer: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(ours, peer, strict=True)]


def _endpoint(server: triton_server.TritonServer, wanted: str | None) -> str:
    names = [wanted] if wanted else live.endpoints(Path(server.repository))
    writing = [name for name in names if client.writes(name, http_port=server.http_port)]
    if len(writing) != 1:
        raise BenchmarkError(f"endpoints that write: {', '.join(writing) or 'none'}; name one with --model")
    return writing[0]


@dataclass(frozen=True)
class Exported:
    """The served folder of a deployed version, the checkpoint it was made from, and the held-out examples."""

    directory: Path
    model: Path
    examples: Path


def _exported(manifest: Manifest, store: Store) -> Exported:
    def place(stage: str, digest: str) -> tuple[Path, Manifest]:
        found = [one for one in store.manifests(stage) if one.digest == digest]
        if not found:
            raise BenchmarkError(f"the artifact of {stage} is gone; run the recipe again")
        return store.place(found[0].stage, found[0].key), found[0]

    onnx, export = place("export", manifest.inputs["exported"]["digest"])
    model, _ = place("fine_tune", export.inputs["model"]["digest"])
    examples, _ = place("examples", manifest.inputs["examples"]["digest"])
    return Exported(onnx / "onnx", model / "model", examples)


def _form(folder: Path) -> Any:
    from model_code.served import code_in

    task = json.loads((folder / "settings.json").read_text(encoding="utf-8"))["task"]
    return code_in(folder).form_of(task)(folder)


def _questions(form: Any, exported: Exported, store: Store, count: int, tokens: int) -> list[dict[str, Any]]:
    from corpus.examples.written_examples import read_split
    from tasks.deployment.task_settings import as_served

    examples = as_served(read_split(exported.examples, "test")[:count])
    most = min(tokens, form.longest)
    return [{**form.questions(example)[0], "max_tokens": most} for example in examples]


def _generate(form: Any, folder: Path) -> Ask:
    """transformers on the rows of tokens that the served code makes, by greedy search, with its cache."""
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForSeq2SeqLM

    replies = "past" in form.graph.settings
    kind: Any = AutoModelForCausalLM if replies else AutoModelForSeq2SeqLM
    model = kind.from_pretrained(folder).float().eval()

    def ask(question: dict[str, Any]) -> dict[str, Any]:
        ids = torch.tensor([form.row(question).ids])
        with torch.inference_mode():
            found = model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=question["max_tokens"],
                do_sample=False,
                num_beams=form.beams,
                repetition_penalty=1.0,
                eos_token_id=form.graph.settings["ends"],
                pad_token_id=form.graph.settings["pad_id"],
            )[0].tolist()
        written = found[ids.shape[1] :] if replies else found[1:]
        text = form.graph.tokenizer.decode(written, skip_special_tokens=True).strip()
        return {"text_output": text, "num_output_tokens": len(written)}

    return ask


def _round(ask: Ask, questions: Sequence[dict[str, Any]], clients: int) -> Written:
    started = time.perf_counter()
    with ThreadPoolExecutor(clients) as threads:
        answers = list(threads.map(ask, questions))
    seconds = time.perf_counter() - started
    return Written(sum(answer["num_output_tokens"] for answer in answers), seconds)


def _seconds_to_first(question: dict[str, Any], name: str, port: int) -> float:
    started = time.perf_counter()
    for answer in client.stream(question, name, http_port=port):
        if answer.content["text_output"]:
            break
    return time.perf_counter() - started


def arguments() -> argparse.ArgumentParser:
    """The options of this benchmark, besides those of all."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving_writing")
    parser.add_argument("--model", help="the endpoint, when several write")
    parser.add_argument("--tokens", type=int, default=64, help="that a text may have")
    return parser


if __name__ == "__main__":
    sys.exit(run(measure, arguments()))
