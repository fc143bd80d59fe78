"""Pretraining: token shards and a tokenizer in, a language model out.

    python -m model_code.pretrain JOB.json

JOB: tokens (directory with train and validation shards), tokenizer, output, scratch, config.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from model_code.data.batches import PackedBatches
from model_code.data.noise import Noise
from model_code.data.shards import open_split
from model_code.data.vocabulary import require_vocabulary, vocabulary_of
from model_code.evaluate import evaluate
from model_code.job import Job, Reporter, config_from, fingerprint, main, write_json, write_json_lines
from model_code.models.checkpoints import load_model
from model_code.models.families import family_named
from model_code.models.kernels import fast_attention
from model_code.models.presets import preset_shape
from model_code.models.shape import Shape
from model_code.objectives.choice import objective_of
from model_code.objectives.objective import Batch
from model_code.runtime import prepare
from model_code.training.loop import Loop, Plan
from model_code.training.optimizer import MixedOptimizer
from model_code.training.schedule import warmup_stable_decay

# How a run is carried out and not what comes of it: it may be resumed with others of these.
HOW = frozenset(
    {
        "micro_batch",
        "activation_checkpointing",
        "parallel",
        "devices",
        "checkpoint_every",
        "keep_every",
    }
)


@dataclass(frozen=True)
class PretrainConfig:
    """What is trained, on what, and how. Defaults: 4.1 M tokens, two minutes on two idle cores with bfloat16.

    Sizes that are None are those of the preset. Rates, weights and fractions that are 0 switch their
    thing off; counts of steps (`keep_every`, `evaluate_every`) that are 0 do so too.
    """

    family: str = "modernbert"
    preset: str = "tiny"
    layers: int | None = None
    width: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    intermediate: int | None = None
    max_positions: int | None = None
    local_attention: int | None = None
    dropout: float = 0.0
    start_from: str = ""

    objective: str = ""
    mask_rate: float = 0.3
    whole_words: bool = False
    noise_density: float = 0.15
    mean_span: float = 3.0
    z_loss: float = 0.0

    steps: int = 1000
    sequence_length: int = 128
    batch_size: int = 32
    optimizer: str = "muon"
    learning_rate: float = 2e-3
    muon_learning_rate: float = 6e-3
    beta2: float = 0.98
    weight_decay: float = 0.01
    clip: float = 1.0
    schedule: str = "warmup_stable_decay"
    warmup_fraction: float = 0.05
    decay_fraction: float = 0.5
    final_fraction: float = 0.0
    ema: float = 0.0
    evaluate_every: int = 0
    seed: int = 0

    precision: str = "auto"
    compile: str = "auto"
    activation_checkpointing: bool = False
    micro_batch: int = 0
    parallel: str = "auto"
    devices: int = 0
    checkpoint_every: int = 200
    keep_every: int = 0

    @property
    def shape(self) -> Shape:
        """The preset, with the sizes that the config sets itself. Raises TrainingError for an unknown one."""
        own = {field.name: getattr(self, field.name) for field in fields(Shape)}
        return preset_shape(self.family, self.preset, own)


def pretrain(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Train, evaluate on the held-out split, write `model/`, `metrics.json` and `history.jsonl`.

    Returns the metrics with timings. Raises TrainingError when the data can't be read, does not
    fill one batch, or the loss stops being a number.
    """
    config = config_from(PretrainConfig, job.values)
    runtime = prepare(config.precision)
    vocabulary = vocabulary_of(job.paths["tokenizer"])
    train, validation = (open_split(job.paths["tokens"], split) for split in ("train", "validation"))
    for split in (train, validation):
        require_vocabulary(split, vocabulary)
    batches = PackedBatches(train, config.sequence_length, config.batch_size, config.seed)

    torch.manual_seed(config.seed)
    model = family_named(config.family).build(config.shape, vocabulary)
    model.to(runtime.device)  # type: ignore[arg-type]
    objective = objective_of(config, vocabulary, job.paths["tokenizer"])
    optimizer = MixedOptimizer(model, config.learning_rate, config.weight_decay, config.muon_learning_rate)
    plan = Plan(
        total_steps=config.steps,
        steps_per_epoch=batches.steps_per_epoch,
        learning_rate=config.learning_rate,
        clip=config.clip,
        checkpoint_every=config.checkpoint_every,
        seed=config.seed,
        fingerprint=fingerprint(config, train.info.sha256, str(vocabulary)),
    )

    def factor(step: int) -> float:
        return warmup_stable_decay(step, config.steps, config.warmup_fraction, config.decay_fraction)

    def batches_of(step: int) -> list[Batch]:
        rows = batches.batch(step)
        return [objective.batch(rows, Noise(config.seed, step, rows.places))]

    loop = Loop(
        plan,
        model,
        lambda tensors: objective.scores(model, tensors),
        optimizer,
        factor,
        runtime,
        job.paths["scratch"],
        reporter,
    )
    with fast_attention(model, runtime):
        loop.run_to(config.steps, batches_of)
    timings = loop.timings()

    metrics = evaluate(model, objective, validation, config.sequence_length, config.batch_size, runtime)
    reporter.event("evaluation", step=loop.step, loss=metrics["loss"], accuracy=metrics["accuracy"])
    output = job.paths["output"]
    model.save_pretrained(output / "model")
    shutil.copytree(job.paths["tokenizer"], output / "model", dirs_exist_ok=True)
    metrics |= {
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_tokens": config.steps * config.batch_size * config.sequence_length,
        "train_loss": loop.history[-1]["loss"],
    }
    write_json(output / "metrics.json", metrics)
    write_json_lines(output / "history.jsonl", loop.history)
    return metrics | timings


def held_out_metrics(model_dir: Path, tokens_dir: Path, split: str, values: dict[str, Any]) -> dict[str, Any]:
    """What `evaluate` finds for a saved model on a split, in float32; `values` is the config it had."""
    config = config_from(PretrainConfig, values)
    runtime = prepare("float32")
    vocabulary = vocabulary_of(model_dir)
    held_out = open_split(tokens_dir, split)
    require_vocabulary(held_out, vocabulary)
    model = load_model(model_dir).to(runtime.device)
    objective = objective_of(config, vocabulary, model_dir)
    return evaluate(model, objective, held_out, config.sequence_length, config.batch_size, runtime)


if __name__ == "__main__":
    main(pretrain, {"tokens", "tokenizer", "output", "scratch"})
