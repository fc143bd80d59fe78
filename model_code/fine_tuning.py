"""Fine-tuning: a pretrained model and labelled examples in, a model of a task out.

    python -m model_code.fine_tuning JOB.json

JOB: model, data (directory with train.jsonl and validation.jsonl), task, output, scratch, config.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from model_code.adapters import Adapter
from model_code.config.fine_tuning import FineTuningRun
from model_code.config.strict import settings_from
from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.distillation import Distillation, RDrop, require_logits, teacher_of
from model_code.errors import TrainingError
from model_code.job import Job, Reporter, fingerprint, main, write_json, write_json_lines
from model_code.models.architectures import layer_weights
from model_code.models.families import FAMILIES
from model_code.models.folder import check_folder
from model_code.models.kernels import fast_attention
from model_code.objectives.objective import Score
from model_code.privacy import Mechanism, key_of, mechanism_of
from model_code.runtime import prepare
from model_code.task_model import chosen_values, save_task_model, starting_model
from model_code.task_types.task import (
    Example,
    Settings,
    TaskType,
    options_of,
    task_named,
)
from model_code.task_types.texts import BucketedBatches, told_cut
from model_code.training.checkpoint import Checkpoints, copy_weights, trained
from model_code.training.faults import machine_faults_told
from model_code.training.loop import Loop, Plan
from model_code.training.meter import Meter
from model_code.training.optimizer import MixedOptimizer
from model_code.training.private_step import (
    PrivateStep,
    drawn_batches,
    freeze_embeddings,
    one_item_a_row,
    require_separable,
)
from model_code.training.ranks import Ranks
from model_code.training.schedule import linear
from model_code.training.step import Step
from model_code.validation import Validation

UNCUT = 2**31 - 1  # a length that no text has


def fine_tune(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Train, keep the epoch that does best on the validation split, write the model and its figures.

    Returns the metrics with timings. Raises TrainingError when the model can't be started from, data and
    model don't fit together, or the loss stops being a number.
    """
    config = settings_from(FineTuningRun, job.values)
    check_folder(job.paths["model"])
    run = fingerprint(config, *_digests(job))
    runtime = prepare(config.precision)
    task = task_named(config.task)
    tokenizer, vocabulary = load_tokenizer(job.paths["model"]), vocabulary_of(job.paths["model"])
    examples, held_out_examples = (
        read_examples(job.paths["data"] / f"{split}.jsonl") for split in ("train", "validation")
    )
    settings = _settings(task, examples, config, job.paths["model"])
    plain = replace(settings, label_smoothing=0.0, label_weights=())  # what the figures are measured with

    with machine_faults_told(job.paths["scratch"]):
        model = starting_model(job.paths["model"], task, vocabulary, settings, config)
        config = config.settled(layer_weights(model))
        rate = config.learning_rate
        assert rate is not None
        whole = task.encode(examples, tokenizer, vocabulary, replace(settings, max_length=UNCUT)).lengths
        train = task.encode(examples, tokenizer, vocabulary, settings)
        cut = told_cut(whole, train.lengths, config.max_length)
        held_out = task.encode(held_out_examples, tokenizer, vocabulary, plain)
        known = model.config.model_type in FAMILIES
        if not known:  # only these keep texts apart that share a row
            train, held_out = one_item_a_row(train), one_item_a_row(held_out)
        random, left = (getattr(model, f"{which}_weights", []) for which in ("random", "left"))
        adapter = None if config.lora is None else Adapter(model, config.lora)
        model.to(runtime.device)  # type: ignore[arg-type]
        if begun := getattr(task, "begun", None):
            train, held_out = (begun(model, data, runtime, config.batch_size) for data in (train, held_out))
        module = _module(model, task, settings, tokenizer, config).to(runtime.device)
        validation = Validation(task, plain, model, held_out_examples, held_out, config.batch_size)
        batches = BucketedBatches(train, config.batch_size, config.seed)
        total_steps = batches.steps_per_epoch * config.epochs
        mechanism: Mechanism | None = None
        if config.privacy is not None:
            train = one_item_a_row(train)
            require_separable(module, train, len(examples), runtime)
            mechanism = _mechanism(task, config, len(examples), total_steps, job.paths["scratch"], run)
            freeze_embeddings(model)
        optimizer = MixedOptimizer(
            model,
            rate,
            config.weight_decay,
            config.muon_learning_rate if config.optimizer == "muon" else None,
            layer_decay=config.layer_decay,
        )
        loop = Loop(
            Plan(
                total_steps=total_steps,
                steps_per_epoch=batches.steps_per_epoch,
                learning_rate=rate,
                factor=lambda step: linear(step, total_steps, config.warmup_fraction),
                evaluate_every=batches.steps_per_epoch,
                checkpoint_every=config.checkpoint_every,
                seed=config.seed,
                spikes=False,  # the loss of one small batch of labels may well leap
                goes_back=mechanism is None,  # to draw examples again would spend more than was promised
            ),
            model,
            PrivateStep(module, optimizer, runtime, mechanism)
            if mechanism
            else Step(module, optimizer, runtime, Ranks(), config.clip),
            Checkpoints(job.paths["scratch"], run),
            Meter(runtime),
            reporter,
            Ranks(),
        )
        validation.tell_again(loop)
        # Opacus' hooks and compiled layers don't go together, and not every architecture can be compiled.
        with fast_attention(model, runtime, compiled="auto" if known and not mechanism else "off"):
            loop.run(
                partial(drawn_batches, train, mechanism) if mechanism else batches,
                # To choose by validation examples would tell about them.
                lambda: validation.keep_if_best(loop, runtime, config.patience, always=mechanism is not None),
            )

    copy_weights(loop.kept, model)
    output, trained_parameters = job.paths["output"], sum(p.numel() for p in trained(model).values())
    if adapter:
        adapter.save(output / "adapter")
        adapter.merge()
    # The figures that are written are those of the model as it is served.
    metrics: dict[str, Any] = validation.figures(prepare("float32")) | {
        "best_epoch": loop.notes["best_epoch"],
        "epochs": loop.notes["epochs"],
        "trained_parameters": trained_parameters,
        "train_examples": len(examples),
        "validation_examples": len(held_out_examples),
        "random_weights": random,
        "left_weights": left,
        **cut,
        **(chosen_values(model, config) if config.start_from else {}),
    }
    metrics |= {"score": validation.score(metrics), "selection": task.SELECTION}
    if mechanism:
        metrics |= mechanism.figures(loop.step + loop.guard.passed_over)
    save_task_model(model, task, tokenizer, vocabulary, plain, config, job.paths["model"], output / "model")
    write_json(output / "metrics.json", metrics)
    write_json_lines(output / "history.jsonl", loop.history)
    return metrics | loop.timings()


class FineTuning(nn.Module):
    """A model and its task as one module: a batch's tensors in, one Score per term of the loss out."""

    def __init__(self, model: nn.Module, task: TaskType, settings: Settings) -> None:
        """`model` is trained for `task`."""
        super().__init__()
        self.model, self.task, self.settings = model, task, settings

    def forward(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        """The scores of one batch."""
        return self.task.scores(self.model, tensors, self.settings)


def read_examples(path: Path) -> list[Example]:
    """The examples of one split, as the `examples` stage wrote them.

    Raises TrainingError when there are none, or a line is not an object.
    """
    if not path.is_file():
        raise TrainingError(f"{path}: no such file; it holds one example per line, as a JSON object")
    examples = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                example = json.loads(line)
            except ValueError as error:
                raise TrainingError(f"{path}, line {number}: not a JSON object ({error})") from error
            examples.append(example)
    if not examples:
        raise TrainingError(f"{path}: no examples; the task needs at least one")
    return examples


def _settings(task: TaskType, examples: Sequence[Example], config: FineTuningRun, start: Path) -> Settings:
    labels = task.labels_of(examples)
    usual = {} if config.start_from else getattr(task, "OUR_OWN", {})
    if hasattr(task, "options_in"):
        usual = usual | task.options_in(start)
    return Settings(
        task=config.task,
        labels=tuple(labels),
        max_length=config.max_length,
        head_dropout=config.head_dropout,
        label_smoothing=config.label_smoothing,
        label_weights=label_weights(task, examples, labels) if config.class_weights else (),
        options=options_of(task, usual | config.options),
    )


def label_weights(task: TaskType, examples: Sequence[Example], labels: Sequence[str]) -> tuple[float, ...]:
    """Inverse frequency, 1 on average over all targets; a label that never occurs has 1.

    Where a text may have several labels, each is a question of its own: the weight of its presence is the
    number of texts without it by that of texts with it.
    """
    if not labels:
        raise TrainingError("class_weights is for tasks with labels; leave it out")
    counts = Counter[str]()
    targets = {name: asked.kind for name, asked in task.FIELDS.items() if asked.target}
    for name in targets:
        for example in examples:
            counts.update([example[name]] if isinstance(example[name], str) else example[name])
    if "labels" in targets.values():
        return tuple((len(examples) - counts[label]) / counts[label] or 1.0 for label in labels)
    return tuple(counts.total() / (len(counts) * counts[label]) if counts[label] else 1.0 for label in labels)


def _module(
    model: PreTrainedModel, task: TaskType, settings: Settings, tokenizer: Tokenizer, config: FineTuningRun
) -> nn.Module:
    if config.r_drop:
        require_logits(task, config.task, "r_drop")
        return RDrop(model, task, settings, config.r_drop)
    if config.distill:
        require_logits(task, config.task, "distill")
        teacher = teacher_of(config.distill, task, settings, tokenizer, config.max_length)
        return Distillation(model, task, settings, teacher, config.distill)
    return FineTuning(model, task, settings)


def _mechanism(
    task: TaskType, config: FineTuningRun, examples: int, total_steps: int, scratch: Path, run: str
) -> Mechanism:
    if compared := getattr(task, "UNBOUNDED", ""):
        raise TrainingError(
            f"the task {config.task} {compared}, so that what one example adds can't be bounded; leave "
            "privacy out"
        )
    assert config.privacy is not None
    key = key_of(config.privacy, config.seed, scratch, run)
    return mechanism_of(config.privacy, examples, config.batch_size, total_steps, key)


def _digests(job: Job) -> list[str]:
    files = sorted(job.paths["model"].glob("*.safetensors"))
    if distill := job.values.get("distill"):
        files += sorted(Path(distill.get("teacher", "")).glob("*.safetensors"))
    files += [job.paths["data"] / f"{split}.jsonl" for split in ("train", "validation")]
    return [_digest(file) for file in files]


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    main(fine_tune, {"model", "data", "output", "scratch"})
