"""Stage: train a language model on the packed tokens, in a process of its own."""

from __future__ import annotations

import json
import os

from model_code.config.pretraining import PretrainConfig
from tasks.checkpoints.start import Start
from tasks.contract.artifact import Artifact
from tasks.contract.child import processes_for, run_child
from tasks.contract.console import escaped
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace
from tasks.tracking.live_figures import LiveRun
from tasks.tracking.plots import plot_loss_curves

TRAINER = "model_code.pretraining"
# MLflow's own variable for the experiment; without it (a stage alone, a test) nothing is sent while it runs.
EXPERIMENT = "MLFLOW_EXPERIMENT_NAME"
POINTS = 10


def processes_of(config: PretrainConfig) -> int:
    """How many processes train together on this machine."""
    return 1 if config.parallel == "none" else min(processes_for(config.devices), config.batch_size)


@stage(runs=(TRAINER,))
def pretrain(tokens: Artifact, start: Start | None, config: PretrainConfig, workspace: Workspace) -> None:
    """Write `model/` (a Hugging Face checkpoint), `metrics.json`, `history.jsonl`, its plot, and samples.

    A killed run goes on from its last checkpoint and ends with the same weights. `start` is the checkpoint
    that the recipe names to go on from.

    Raises:
        StageError: what the trainer refused: too little text, a loss that is not a number, ...
    """
    made, directory = workspace.path(tokens), workspace.directory
    values = config.model_dump(mode="json")
    if start:
        workspace.external["start_from"] = start.name
        values["start_from"] = str(start.folder)
    job = {
        "tokens": made / "tokens",
        "tokenizer": made / "tokenizer",
        "output": directory,
        "scratch": workspace.scratch,
        "config": values,
    }
    with LiveRun(os.environ.get(EXPERIMENT, ""), workspace.stage, workspace.key, values) as live:
        metrics = run_child(TRAINER, job, "pretraining", workspace, live, processes_of(config))["metrics"]
    workspace.metrics |= {name: float(value) for name, value in metrics.items()}
    plot_loss_curves({"pretrain": directory / "history.jsonl"}, directory / "loss_curve.png")
    _show(workspace)
    workspace.say(
        f"held-out loss {metrics['loss']:.3f}, perplexity {metrics['perplexity']:.1f}, "
        f"accuracy {metrics['accuracy']:.3f}, {metrics['tokens_per_second']:,.0f} tokens/s"
    )


def _show(workspace: Workspace) -> None:
    """The loss at some steps, and where samples are: text belongs on no page that a server keeps."""
    history = (workspace.directory / "history.jsonl").read_text(encoding="utf-8").split("\n")
    rows = [row for row in map(json.loads, filter(None, history)) if "loss" in row]
    steps = rows[:: max(1, len(rows) // POINTS)][:POINTS] + rows[-1:]
    workspace.table("Loss", ["step", "nats per token"], [(row["step"], row["loss"]) for row in steps])
    place = workspace.store.place(workspace.stage, workspace.key)
    workspace.say(f"what it makes of text that it has not seen: {escaped(str(place / 'samples.json'))}")
