"""Fine-tuning: a pretrained model and labelled examples in, a model of a task out.

    python -m model_code.finetune JOB.json

JOB: model, data (directory with train.jsonl and validation.jsonl), task, output, scratch, config.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import PreTrainedModel

from model_code.adapters import Adapter, Lora
from model_code.comparison import Distill, Distillation, RDrop, require_logits, teacher_of
from model_code.data.vocabulary import Vocabulary, load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.job import Job, Reporter, config_from, fingerprint, main, write_json, write_json_lines
from model_code.models.kernels import fast_attention
from model_code.objectives.objective import Batch, Score
from model_code.privacy import Mechanism, Privacy, key_of, mechanism_of
from model_code.runtime import Runtime, prepare
from model_code.task_types.task import (
    Data,
    Example,
    Settings,
    TaskType,
    options_of,
    task_named,
    write_settings,
)
from model_code.task_types.texts import bucketed_order, outputs
from model_code.training.checkpoint import Checkpoints, copy_weights, trained
from model_code.training.faults import machine_faults_told
from model_code.training.loop import Loop, Plan
from model_code.training.meter import Meter
from model_code.training.optimizer import MixedOptimizer
from model_code.training.private_step import (
    PrivateStep,
    drawn_batches,
    freeze_embeddings,
    require_separable,
)
from model_code.training.ranks import Ranks
from model_code.training.schedule import linear
from model_code.training.step import Step


@dataclass(frozen=True)
class FinetuneConfig:
    """`patience` is the number of epochs without a better figure after which training ends."""

    task: str
    options: dict[str, Any] = field(default_factory=dict)
    max_length: int = 128
    batch_size: int = 32
    epochs: int = 3
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    muon_learning_rate: float = 6e-3
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    label_smoothing: float = 0.0
    class_weights: bool = False
    patience: int = 2
    head_dropout: float = 0.1
    clip: float = 1.0
    layer_decay: float = 1.0
    r_drop: float = 0.0
    privacy: dict[str, Any] | None = None
    distill: dict[str, Any] | None = None
    lora: dict[str, Any] | None = None
    seed: int = 0
    checkpoint_every: int = 200
    precision: str = "auto"


def finetune(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Train, keep the epoch that does best on the validation split, write the model and its figures.

    Returns the metrics with timings. Raises TrainingError when data or model don't fit together
    or the loss stops being a number.
    """
    config = config_from(FinetuneConfig, job.values)
    run = fingerprint(config, *_digests(job))
    runtime = prepare(config.precision)
    task = task_named(config.task)
    tokenizer, vocabulary = load_tokenizer(job.paths["model"]), vocabulary_of(job.paths["model"])
    examples, validation = (read_examples(job.paths["data"] / f"{s}.jsonl") for s in ("train", "validation"))
    settings = _settings(task, examples, config)
    plain = replace(settings, label_smoothing=0.0, label_weights=())  # what the figures are measured with

    with machine_faults_told(job.paths["scratch"]):
        model = _model(job.paths["model"], task, vocabulary, settings, config)
        train = task.encode(examples, tokenizer, vocabulary, settings)
        held_out = task.encode(validation, tokenizer, vocabulary, plain)
        adapter = None if config.lora is None else Adapter(model, config_from(Lora, config.lora))
        model.to(runtime.device)  # type: ignore[arg-type]
        module = _module(model, task, settings, tokenizer, config).to(runtime.device)
        order = _Order(train, config)
        total_steps = order.steps_per_epoch * config.epochs
        mechanism: Mechanism | None = None
        if config.privacy is not None:
            require_separable(module, train, len(examples), runtime)
            mechanism = _mechanism(config, len(examples), total_steps, job.paths["scratch"], run)
            freeze_embeddings(model)
        optimizer = MixedOptimizer(
            model,
            config.learning_rate,
            config.weight_decay,
            config.muon_learning_rate if config.optimizer == "muon" else None,
            layer_decay=config.layer_decay,
        )
        loop = Loop(
            Plan(
                total_steps=total_steps,
                steps_per_epoch=order.steps_per_epoch,
                learning_rate=config.learning_rate,
                factor=lambda step: linear(step, total_steps, config.warmup_fraction),
                evaluate_every=order.steps_per_epoch,
                checkpoint_every=config.checkpoint_every,
                seed=config.seed,
                spikes=False,  # the loss of one small batch of labels may well leap
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

        def measured(runtime: Runtime) -> dict[str, float]:
            loss = _loss(task, model, held_out, runtime, config.batch_size, plain)
            predictions = (
                task.predict(model, held_out, runtime, config.batch_size, plain)
                if task.SELECTION != "loss"
                else []
            )
            return {"loss": loss} | task.figures(validation, predictions, plain)

        batches_of = partial(drawn_batches, train, mechanism) if mechanism else order.batches
        # Opacus' hooks and compiled layers don't go together.
        with fast_attention(model, runtime, compiled="off" if mechanism else "auto"):
            loop.run(batches_of, lambda: _keep_if_best(loop, task, config, measured(runtime)))

    copy_weights(loop.kept, model)
    output, trained_parameters = job.paths["output"], sum(p.numel() for p in trained(model).values())
    if adapter:
        adapter.save(output / "adapter")
        adapter.merge()
    # The figures that are written are those of the model as it is served.
    metrics: dict[str, Any] = measured(prepare("float32")) | {
        "best_epoch": loop.notes["best_epoch"],
        "epochs": loop.notes["epochs"],
        "trained_parameters": trained_parameters,
        "train_examples": len(examples),
        "validation_examples": len(validation),
    }
    metrics |= {"score": _score(task, metrics), "selection": task.SELECTION}
    if mechanism:
        metrics |= mechanism.figures(loop.step + loop.guard.passed_over)
    model.save_pretrained(output / "model")
    _save_tokenizer(tokenizer, job.paths["model"], output / "model")
    for name, text in getattr(task, "FILES", {}).items():
        (output / "model" / name).write_text(text)
    write_settings(plain, output / "model")
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


class _Order:
    """Which examples meet in which step: a pure function of the seed and the place in the data."""

    def __init__(self, data: Data, config: FinetuneConfig) -> None:
        self._data, self._config, self._lengths = data, config, data.lengths
        self.steps_per_epoch = -(-len(self._lengths) // config.batch_size)
        self._epoch, self._batches = -1, list[np.ndarray]()

    def batches(self, place: int) -> list[Batch]:
        epoch, index = divmod(place, self.steps_per_epoch)
        if epoch != self._epoch:
            size, seed = self._config.batch_size, self._config.seed
            self._epoch, self._batches = epoch, bucketed_order(self._lengths, size, seed, epoch)
        return [self._data.batch(self._batches[index])]


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


def _settings(task: TaskType, examples: Sequence[Example], config: FinetuneConfig) -> Settings:
    labels = task.labels_of(examples)
    return Settings(
        task=config.task,
        labels=tuple(labels),
        max_length=config.max_length,
        head_dropout=config.head_dropout,
        label_smoothing=config.label_smoothing,
        label_weights=label_weights(task, examples, labels) if config.class_weights else (),
        options=options_of(task, config.options),
    )


def label_weights(task: TaskType, examples: Sequence[Example], labels: Sequence[str]) -> tuple[float, ...]:
    """Inverse frequency, 1 on average over all labels given."""
    if not labels:
        raise TrainingError("class_weights is for tasks with labels; leave it out")
    counts = Counter[str]()
    for name in (name for name, kind in task.FIELDS.items() if kind.target):
        for example in examples:
            counts.update([example[name]] if isinstance(example[name], str) else example[name])
    return tuple(counts.total() / (len(labels) * max(1, counts[label])) for label in labels)


def _model(
    directory: Path, task: TaskType, vocabulary: Vocabulary, settings: Settings, config: FinetuneConfig
) -> PreTrainedModel:
    torch.manual_seed(config.seed)  # a head that the checkpoint lacks starts at random
    require_family(directory, settings.task, task)
    model = task.load(directory, vocabulary, settings)
    positions = getattr(model.config, "max_position_embeddings", None)
    if positions is not None and config.max_length > positions:
        raise TrainingError(
            f"max_length {config.max_length} is more than the {positions} positions of the model; "
            "lower it or pretrain with more max_positions"
        )
    return model


def require_family(directory: Path, name: str, task: TaskType) -> None:
    """Raise TrainingError when the checkpoint is of an architecture that can't do the task."""
    path = directory / "config.json"
    found = json.loads(path.read_text()).get("model_type") if path.is_file() else None
    if found is not None and found not in task.FAMILIES:
        raise TrainingError(
            f"the task {name} is for the families {', '.join(task.FAMILIES)}, the model in {directory} is of "
            f"the family {found}; pretrain another one (pretrain.family)"
        )


def _module(
    model: PreTrainedModel, task: TaskType, settings: Settings, tokenizer: Tokenizer, config: FinetuneConfig
) -> nn.Module:
    if config.r_drop and config.distill:
        raise TrainingError("r_drop and distill each replace the loss; leave one of them out")
    if config.r_drop:
        require_logits(task, config.task, "r_drop")
        return RDrop(model, task, settings, config.r_drop)
    if config.distill:
        require_logits(task, config.task, "distill")
        distill = config_from(Distill, config.distill)
        teacher = teacher_of(distill, task, settings, tokenizer, config.max_length)
        return Distillation(model, task, settings, teacher, distill)
    return FineTuning(model, task, settings)


def _mechanism(config: FinetuneConfig, examples: int, total_steps: int, scratch: Path, run: str) -> Mechanism:
    for name, value, why in (
        ("class_weights", config.class_weights, "counts labels of the examples without noise"),
        ("distill", config.distill, "has a teacher that has seen examples without noise"),
        ("optimizer muon", config.optimizer == "muon", "makes the noise as large as the gradient"),
    ):
        if value:
            raise TrainingError(f"{name} {why}; leave it out, or leave privacy out")
    privacy = config_from(Privacy, config.privacy or {})
    key = key_of(privacy, config.seed, scratch, run)
    return mechanism_of(privacy, examples, config.batch_size, total_steps, key)


def _loss(
    task: TaskType, model: nn.Module, data: Data, runtime: Runtime, batch_size: int, settings: Settings
) -> float:
    """The mean loss in nats of a split, all terms together."""
    losses, targets = Counter[str](), Counter[str]()

    def scored(batch: Batch) -> tuple[Batch, dict[str, Score]]:
        return batch, task.scores(model, batch.tensors, settings)

    for _, (batch, scores) in outputs(scored, model, data, runtime, batch_size):
        targets.update(batch.targets)
        losses.update({name: score.loss.item() for name, score in scores.items()})
    return float(sum(losses[name] / max(1, targets[name]) for name in targets))


def _score(task: TaskType, figures: Mapping[str, Any]) -> float:
    """The figure by which epochs are compared; higher is better."""
    figure = float(figures[task.SELECTION])
    return -figure if task.SELECTION == "loss" else figure


def _keep_if_best(loop: Loop, task: TaskType, config: FinetuneConfig, figures: Mapping[str, float]) -> None:
    """Note the figures of an epoch; keep the best weights, and end the run when patience is over.

    With privacy the last weights are kept: to choose by validation examples would tell about them.
    """
    epoch = loop.step // loop.plan.steps_per_epoch
    score = _score(task, figures)
    loop.reporter.event("evaluation", step=loop.step, epoch=epoch, score=score, **figures)
    loop.history[-1] |= {"epoch": epoch, "validation": dict(figures)}
    if config.privacy or score > loop.notes.get("best_score", -float("inf")):
        loop.notes |= {"best_score": score, "best_epoch": epoch}
        loop.kept = {name: p.detach().clone() for name, p in trained(loop.model).items()}
    loop.notes |= {"epochs": epoch, "finished": epoch - loop.notes["best_epoch"] >= config.patience}


def _save_tokenizer(tokenizer: Tokenizer, source: Path, directory: Path) -> None:
    """Beside the model, so that whoever serves it cuts texts where training did."""
    tokenizer.save(str(directory / "tokenizer.json"))
    described = source / "tokenizer_config.json"
    if described.is_file() and not (directory / described.name).exists():
        (directory / described.name).write_bytes(described.read_bytes())


def _digests(job: Job) -> list[str]:
    files = [job.paths["model"] / "model.safetensors"]
    if distill := job.values.get("distill"):
        files += sorted(Path(distill.get("teacher", "")).glob("*.safetensors"))
    files += [job.paths["data"] / f"{split}.jsonl" for split in ("train", "validation")]
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]


if __name__ == "__main__":
    main(finetune, {"model", "data", "output", "scratch"})
