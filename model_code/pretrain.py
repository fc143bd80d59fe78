"""Pretraining: token shards and a tokenizer in, a masked language model out.

    python -m model_code.pretrain JOB.json

JOB: tokens (directory with train and validation shards), tokenizer, output, scratch, config.
"""

import shutil
from dataclasses import dataclass
from typing import Any

import torch

from model_code.architecture import Shape, fast_attention, masked_lm
from model_code.batches import PackedBatches
from model_code.job import Job, Reporter, config_from, fingerprint, main, write_json, write_json_lines
from model_code.loop import Loop, Plan
from model_code.objectives import mask_tokens, masked_lm_loss, step_seed
from model_code.optimizer import MixedOptimizer
from model_code.predict import masked_lm_metrics
from model_code.runtime import prepare
from model_code.schedule import warmup_stable_decay
from model_code.shards import open_split
from model_code.vocabulary import load_tokenizer, require_vocabulary, vocabulary_of


@dataclass(frozen=True)
class PretrainConfig:
    """Defaults: 4.1 M tokens, about two minutes on two idle cores with bfloat16."""

    steps: int = 1000
    layers: int = 2
    width: int = 128
    heads: int = 2
    intermediate: int = 192
    max_positions: int = 512
    local_attention: int = 128
    sequence_length: int = 128
    batch_size: int = 32
    mask_rate: float = 0.3
    learning_rate: float = 2e-3
    muon_learning_rate: float = 6e-3
    warmup_fraction: float = 0.05
    decay_fraction: float = 0.5
    weight_decay: float = 0.01
    clip: float = 1.0
    seed: int = 0
    checkpoint_every: int = 200
    precision: str = "auto"

    @property
    def shape(self) -> Shape:
        """The part of the config that says what the encoder looks like."""
        return Shape(
            self.layers, self.width, self.heads, self.intermediate, self.max_positions, self.local_attention
        )


def pretrain(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Train, evaluate on the held-out split, write `model/`, `metrics.json` and `history.jsonl`.

    Returns the metrics with timings. Raises TrainingError when the data can't be read, does not
    fill one batch, or the loss stops being a number.
    """
    config = config_from(PretrainConfig, job.values)
    runtime = prepare(config.precision)
    vocabulary = vocabulary_of(load_tokenizer(job.paths["tokenizer"]))
    train, validation = (open_split(job.paths["tokens"], split) for split in ("train", "validation"))
    for split in (train, validation):
        require_vocabulary(split, vocabulary)
    batches = PackedBatches(train, config.sequence_length, config.batch_size, config.seed)

    model = masked_lm(config.shape, vocabulary, config.seed)
    model.to(runtime.device)  # type: ignore[arg-type]
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

    def loss_of(step: int) -> tuple[torch.Tensor, int]:
        generator = torch.Generator().manual_seed(step_seed(config.seed, step))
        ids = batches.batch(step)
        masked = mask_tokens(ids, config.mask_rate, vocabulary, generator).to(runtime.device)
        with runtime.autocast():
            return masked_lm_loss(model, masked), ids.numel()

    loop = Loop(plan, model, optimizer, factor, job.paths["scratch"], reporter)
    with fast_attention(model, runtime):
        loop.run_to(config.steps, loss_of)
    timings = loop.timings()

    metrics = masked_lm_metrics(
        model, validation, vocabulary, config.sequence_length, config.batch_size, config.mask_rate, runtime
    )
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


if __name__ == "__main__":
    main(pretrain, {"tokens", "tokenizer", "output", "scratch"})
