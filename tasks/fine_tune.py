"""Stage 6: build the labelled set and train a classification head on the pretrained encoder."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field

from tasks.artifact import Artifact
from tasks.child import run_child
from tasks.labels import SPLITS, LabelledSet, LabelsConfig, label_documents
from tasks.stage import Config, Workspace, stage

TRAINER = "model_code.finetune"
SHOWN = 8


class FineTuneConfig(Config):
    """The labelled set and the training of the head."""

    labels: LabelsConfig
    max_length: int = Field(128, ge=8, le=8192, description="Longer texts are cut to this many tokens.")
    batch_size: int = Field(32, ge=1, description="Texts per step.")
    epochs: int = Field(3, ge=1, description="The epoch with the best validation F1 is kept.")
    patience: int = Field(2, ge=1, description="Stop after this many epochs without a better one.")
    learning_rate: float = Field(0.001, gt=0, le=1, description="Highest rate, after the warm-up.")
    warmup_fraction: float = Field(
        0.1, ge=0, lt=1, description="The first part of the steps, with rising rate."
    )
    weight_decay: float = Field(0.01, ge=0, lt=1, description="On matrices; never on norms and biases.")
    label_smoothing: float = Field(
        0.0, ge=0, lt=1, description="Share of each target spread over all labels."
    )
    class_weights: bool = Field(False, description="Weigh labels by the inverse of their frequency.")
    head_dropout: float = Field(0.1, ge=0, lt=1, description="Before the classification layer.")
    seed: int = Field(0, ge=0, description="Of the head's weights and the order of the data.")


@stage(runs=(TRAINER,))
def fine_tune(
    cleaned: Artifact, tokens: Artifact, pretrained: Artifact, config: FineTuneConfig, workspace: Workspace
) -> None:
    """Write `labelled/` (examples by split), `model/` (a Hugging Face classifier) and its history.

    Raises:
        StageError: the labels can't be learnt from (too few, missing from a split), or training failed.
    """
    labelled = label_documents(
        workspace.path(cleaned) / "documents", workspace.path(tokens) / "splits.parquet", config.labels
    )
    data = workspace.directory / "labelled"
    _write(labelled, data)
    _show(labelled, workspace)
    job = {
        "model": workspace.path(pretrained) / "model",
        "data": data,
        "labels": labelled.labels,
        "output": workspace.directory,
        "scratch": workspace.scratch,
        "config": config.model_dump(mode="json", exclude={"labels"}),
    }
    metrics = run_child(TRAINER, job, "fine-tuning", workspace)["metrics"]
    workspace.metrics |= {
        name: float(value) for name, value in metrics.items() if isinstance(value, int | float)
    }
    workspace.say(f"best validation F1 {metrics['macro_f1']:.3f} in epoch {metrics['best_epoch']:.0f}")


def read_examples(directory: Path, split: str) -> tuple[list[str], list[str]]:
    """Texts and labels of one split of a `labelled/` directory."""
    with (directory / f"{split}.jsonl").open() as lines:
        examples = [json.loads(line) for line in lines]
    return [example["text"] for example in examples], [example["label"] for example in examples]


def _write(labelled: LabelledSet, directory: Path) -> None:
    directory.mkdir()
    for split, examples in labelled.examples.items():
        lines = "".join(json.dumps(example, ensure_ascii=False) + "\n" for example in examples)
        (directory / f"{split}.jsonl").write_text(lines)
    report = {"labels": labelled.labels, "counts": labelled.counts(), "left_out": labelled.left_out}
    (directory / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n")


def _show(labelled: LabelledSet, workspace: Workspace) -> None:
    counts = labelled.counts()
    rows = [(label, *(counts[label][split] for split in SPLITS)) for label in labelled.labels]
    workspace.table("Examples", ["label", *SPLITS], rows)
    workspace.counts |= {f"{split} examples": len(labelled.examples[split]) for split in SPLITS}
    workspace.counts |= {"labels": len(labelled.labels), "labels left out": len(labelled.left_out)}
    sizes = ", ".join(f"{label} ({sum(counts[label].values()):,})" for label in labelled.labels)
    workspace.say(f"{len(labelled.labels)} labels: {sizes}")
    if left_out := labelled.left_out:
        workspace.table("Labels left out", ["label", "reason"], list(left_out.items()))
        for label, reason in list(left_out.items())[:SHOWN]:
            workspace.say(f"label left out: {label} ({reason})")
        if len(left_out) > SHOWN:
            workspace.say(f"and {len(left_out) - SHOWN} more, in labelled/report.json")
