"""What is asked of a recipe before its pretraining: what it would need, and how to set it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from flows import environment
from flows.lifecycle import corpus
from flows.recipe import Recipe
from flows.stages import CORPUS, after
from tasks.checkpoints.start import start_of
from tasks.contract.child import run_child
from tasks.contract.console import console
from tasks.contract.errors import StageError
from tasks.contract.run import PENDING, Run
from tasks.contract.store import Store
from tasks.contract.workspace import Workspace
from tasks.tracking.plots import plot_rates

PLANNER, FINDER = "model_code.dry_run", "model_code.tuning"
MEMORY_WORDS = {
    "weights": "weights, float32",
    "gradients": "gradients",
    "optimizer": "optimizer",
    "average": "averaged weights",
    "activations": "activations",
}


def dry_run(recipe: Recipe) -> None:
    """Print what the recipe's pretraining would need, without beginning it.

    Raises:
        StageError: the config is impossible, or the tokens that are there can't be read.
    """
    job = {"config": _config(recipe), "vocabulary": recipe.tokenize.vocabulary} | _tokens(recipe)
    needs = _ask(PLANNER, job, "counting and timing")
    _print_rows(f"{recipe.name}: pretraining", _needs(needs))
    console.print(_verdict(needs))


def tune(recipe: Recipe) -> None:
    """Try out micro-batches and learning rates on the recipe's tokens; print what to put into the recipe.

    Raises:
        StageError: the tokens are not there yet, or a trial failed.
    """
    tokens = _tokens(recipe)
    if not tokens:
        raise StageError(
            f"{recipe.name}: its tokens are not there yet; make them with `textmill run`, the same recipe "
            "and options and `--until validate_tokens`, and try again"
        )
    tuned = _ask(FINDER, {"config": _config(recipe)} | tokens, "trying")
    sizes = Table("sequences at once", "tokens/s", "memory", title="micro-batch", title_justify="left")
    for trial in tuned["sizes"]:
        memory = f"{trial['memory'] / 1e9:,.2f} GB"
        rate = f"{trial['tokens_per_second']:,.0f}" if trial["tokens_per_second"] else "does not fit"
        sizes.add_row(f"{trial['sequences']}", rate, memory)
    console.print(sizes)
    rates = Table("learning rate", "loss", "", title="learning rate", title_justify="left")
    top, bottom = (pick(point["loss"] for point in tuned["curve"]) for pick in (max, min))
    for point in tuned["curve"][:: max(1, len(tuned["curve"]) // 20)]:
        bar = "█" * round(30 * (point["loss"] - bottom) / max(1e-9, top - bottom))
        rates.add_row(f"{point['rate']:.2g}", f"{point['loss']:.3f}", bar)
    console.print(rates)
    picture = environment.home() / "tuning" / f"{recipe.name}-learning-rates.png"
    picture.parent.mkdir(parents=True, exist_ok=True)
    plot_rates(tuned["curve"], tuned["learning_rate"], picture)
    console.print(f"the curve: {picture}\n\nFor the recipe:\n\npretrain:")
    whole = "" if tuned["micro_batch"] else "  # the whole batch"
    console.print(f"  micro_batch: {tuned['micro_batch']}{whole}")
    for name in ("learning_rate", "muon_learning_rate"):
        if name in tuned:
            console.print(f"  {name}: {tuned[name]:.2g}")


def _config(recipe: Recipe) -> dict[str, Any]:
    assert recipe.pretrain is not None  # the command has refused such recipes
    values = recipe.pretrain.model_dump(mode="json")
    store = Store(environment.home())
    if start := start_of(recipe.pretrain.start_from, "pretrain.start_from", store, fetch=True):
        values["start_from"] = str(start.folder)
    return values


def _tokens(recipe: Recipe) -> dict[str, Path]:
    """The directories of tokens and tokenizer, when the recipe's corpus is there."""
    run = Run(environment.home(), planning=True, skipped=after(CORPUS[-1]))
    made = corpus.fn(recipe, run)
    if made.tokens.digest == PENDING:
        return {}
    directory = run.store.path(made.tokens)
    return {"tokens": directory / "tokens", "tokenizer": directory / "tokenizer"}


def _ask(module: str, job: Mapping[str, Any], what: str) -> dict[str, Any]:
    """What the program says about the job; nothing of it stays on disk."""
    with tempfile.TemporaryDirectory() as folder:
        workspace = Workspace("pretrain", module, Store(Path(folder)), Path(folder))
        metrics: dict[str, Any] = run_child(module, dict(job), what, workspace)["metrics"]
        return metrics


def _needs(needs: Mapping[str, Any]) -> list[tuple[str, str]]:
    memory = needs["memory"]
    kinds = [(f"  {label}", _bytes(memory[kind])) for kind, label in MEMORY_WORDS.items() if memory[kind]]
    corpus_tokens = needs["corpus_tokens"]
    epochs = (
        f"{_count(corpus_tokens)}, so {needs['tokens'] / corpus_tokens:,.2f} epochs" if corpus_tokens else ""
    )
    return [
        ("machine", f"{needs['ranks']} x {needs['device']}, {needs['precision']}"),
        ("parameters", f"{_count(needs['parameters'])}, {_count(needs['non_embedding'])} without embeddings"),
        ("memory of a device", f"{_bytes(sum(memory.values()))} of {_bytes(needs['memory_free'])} free"),
        *kinds,
        ("FLOPs of a step", f"{needs['flops_per_step']:.3g}"),
        ("FLOPs of the run", f"{needs['flops']:.3g}"),
        ("tokens of a step", f"{needs['tokens_per_step']:,}"),
        ("tokens of the run", f"{_count(needs['tokens'])} in {needs['steps']:,} steps"),
        ("tokens of the corpus", epochs or "not known before the corpus is made"),
        (
            "tokens by Chinchilla",
            f"{_count(needs['chinchilla_tokens'])} (20 for each parameter), "
            f"{needs['tokens'] / needs['chinchilla_tokens']:.2g} of it are planned",
        ),
        ("speed", f"{needs['tokens_per_second']:,.4g} tokens/s, {needs['mfu']:.0%} of the peak"),
        ("time", f"{_duration(needs['seconds'])} (timed: {needs['timed']})"),
    ]


def _verdict(needs: Mapping[str, Any]) -> str:
    if sum(needs["memory"].values()) > needs["memory_free"]:
        return (
            "[yellow]It does not fit:[/] lower pretrain.micro_batch, set pretrain.activation_checkpointing, "
            "divide the model among several GPUs (pretrain.parallel: fsdp) or take a smaller preset."
        )
    return "It fits."


def _print_rows(title: str, rows: Sequence[tuple[str, str]]) -> None:
    console.print(f"[bold]{title}[/]")
    for name, value in rows:
        console.print(f"  {name:<22} {value}", markup=False)


def _count(number: float) -> str:
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M")):
        if number >= size:
            return f"{number / size:,.1f} {unit}"
    return f"{number:,.0f}"


def _bytes(number: float) -> str:
    return f"{number / 1e9:,.1f} GB" if number >= 1e9 else f"{number / 1e6:,.1f} MB"


def _duration(seconds: float) -> str:
    for size, unit in ((365 * 86400, "years"), (86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:,.0f} seconds"
