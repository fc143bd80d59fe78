"""Pretraining: token shards and a tokenizer in, a language model out.

    python -m model_code.pretraining JOB.json

JOB: tokens (directory with train and validation shards), tokenizer, output, scratch, config.
"""

from __future__ import annotations

import hashlib
import math
import shutil
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from model_code.config.pretraining import PretrainConfig
from model_code.config.strict import settings_from
from model_code.cost import peak_flops, require_memory, step_cost
from model_code.data.ahead import Ahead
from model_code.data.batches import PackedBatches
from model_code.data.noise import Noise
from model_code.data.shards import TokenSplit, open_split
from model_code.data.vocabulary import (
    Vocabulary,
    load_tokenizer,
    require_vocabulary,
    save_described,
    vocabulary_of,
)
from model_code.held_out import evaluate
from model_code.job import Job, Reporter, fingerprint, main, write_json, write_json_lines
from model_code.models.architectures import layer_weights
from model_code.models.checkpoints import digest_of, load_model
from model_code.models.further import (
    initial_model,
    model_type_of,
    objective_name,
    require_own_tokenizer,
    require_positions,
    with_rates,
)
from model_code.models.kernels import fast_attention, recompute_activations
from model_code.objectives.choice import filler_of, objective_of
from model_code.objectives.objective import Batch
from model_code.probe import compiled_by
from model_code.runtime import prepare
from model_code.samples import samples
from model_code.task_types.texts import names_of_inputs
from model_code.training.average import Average
from model_code.training.checkpoint import Checkpoints
from model_code.training.faults import machine_faults_told
from model_code.training.loop import Loop, Plan
from model_code.training.meter import Meter
from model_code.training.module import TrainingModule
from model_code.training.optimizer import MixedOptimizer
from model_code.training.parallel import parallel, whole_weights
from model_code.training.ranks import join_ranks
from model_code.training.schedule import schedule_named
from model_code.training.step import Step


def pretrain(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Train, evaluate on the held-out split, write `model/`, `metrics.json` and `history.jsonl`.

    Run by torchrun, its processes train one model together. Returns the metrics with timings. Raises
    TrainingError when the config, the data and the machine don't fit together, or training can't go on.
    """
    config = settings_from(PretrainConfig, job.values)
    ranks = join_ranks()
    runtime = prepare(config.precision, config.deterministic)
    if config.start_from:
        model_type_of(config)  # before anything in its folder is read
    vocabulary = vocabulary_of(job.paths["tokenizer"])
    train, validation = (open_split(job.paths["tokens"], split) for split in ("train", "validation"))
    for split in (train, validation):
        require_vocabulary(split, vocabulary)
    if config.start_from:
        require_own_tokenizer(config.start_from, load_tokenizer(job.paths["tokenizer"]))
    config = with_rates(config, vocabulary)
    objective = objective_of(config, vocabulary, job.paths["tokenizer"])
    filler = filler_of(config, vocabulary)
    batches = PackedBatches(
        train, config.sequence_length, config.batch_size, config.seed, ranks.rank, ranks.count, filler
    )
    per_pass = min(config.micro_batch or config.batch_size, config.batch_size // ranks.count)
    cost = step_cost(config, vocabulary, objective, runtime, ranks.count)
    require_memory(cost, runtime, ranks.count)

    def batches_of(place: int) -> list[Batch]:
        parts = batches.batch(place).split(per_pass)
        return [objective.batch(rows, Noise(config.seed, place, rows.places)) for rows in parts]

    with machine_faults_told(job.paths["scratch"]):
        torch.manual_seed(config.seed)
        model = initial_model(config, vocabulary)
        require_positions(model, config.sequence_length)
        model.to(runtime.device)  # type: ignore[arg-type]
        if config.activation_checkpointing:
            recompute_activations(model)
        module = parallel(TrainingModule(model, objective), config.parallel, ranks, runtime)
        average = Average(model, config.ema) if config.ema else None
        loop = Loop(
            _plan(config, batches.steps_per_epoch),
            model,
            Step(module, _optimizer(config, model), runtime, ranks, config.clip),
            Checkpoints(
                job.paths["scratch"],
                fingerprint(config, *_inputs(job, config, train, validation)),
                ranks,
                config.keep_every,
            ),
            Meter(runtime, cost.flops_per_token, peak_flops(runtime) * ranks.count),
            reporter,
            ranks,
            average,
        )

        def measure() -> None:
            with average.in_place() if average else nullcontext():
                found = evaluate(
                    module, objective, validation, config.sequence_length, per_pass, runtime, filler
                )
            _note(loop, found)

        with fast_attention(model, runtime, compiled_by(config, model), packed=True):
            # On a CPU the second thread would take from the training what it saves.
            loop.run(Ahead(batches_of) if runtime.device.type == "cuda" else batches_of, measure)
        with average.in_place() if average else nullcontext():
            weights = whole_weights(model)
    metrics: dict[str, Any] = loop.notes["metrics"] | {
        "parameters": sum(p.numel() for p in model.parameters()),
        "train_tokens": batches.tokens(config.steps),
        "train_loss": next(row["loss"] for row in reversed(loop.history) if "loss" in row),
    }
    if config.start_from:
        metrics |= {name: value for name, value in _chosen(config, model).items() if value is not None}
    if ranks.is_main:
        _write(job, config, vocabulary, model, weights, metrics, loop.history)
    return metrics | loop.timings()


def _chosen(config: PretrainConfig, model: PreTrainedModel) -> dict[str, float | None]:
    """The rates that a checkpoint learnt with; those that a recipe does not set follow from its size."""
    muon = config.muon_learning_rate if config.optimizer == "muon" else None
    rates = {"learning_rate": config.learning_rate, "muon_learning_rate": muon}
    return rates | {"layer_weights": float(layer_weights(model))}


def _inputs(job: Job, config: PretrainConfig, *splits: TokenSplit) -> list[str]:
    """Digests of everything that a run reads; a checkpoint of other inputs is not gone on from."""
    tokenizer = hashlib.sha256((job.paths["tokenizer"] / "tokenizer.json").read_bytes()).hexdigest()
    return [*(split.info.sha256 for split in splits), tokenizer, digest_of(config.start_from)]


def _plan(config: PretrainConfig, steps_per_epoch: int) -> Plan:
    schedule = schedule_named(config.schedule)

    def factor(step: int) -> float:
        return schedule(
            step, config.steps, config.warmup_fraction, config.decay_fraction, config.final_fraction
        )

    assert config.learning_rate is not None  # by `with_rates`
    return Plan(
        total_steps=config.steps,
        steps_per_epoch=steps_per_epoch,
        learning_rate=config.learning_rate,
        factor=factor,
        checkpoint_every=config.checkpoint_every,
        seed=config.seed,
        evaluate_every=config.evaluate_every or config.steps,
    )


def _optimizer(config: PretrainConfig, model: PreTrainedModel) -> MixedOptimizer:
    assert config.learning_rate is not None  # by `with_rates`
    muon_rate = config.muon_learning_rate if config.optimizer == "muon" else None
    return MixedOptimizer(model, config.learning_rate, config.weight_decay, muon_rate, config.beta2)


def _note(loop: Loop, metrics: dict[str, Any]) -> None:
    """Keep the figures of an evaluation, and the checkpoint of the step if it is the best so far."""
    shown = {name: metrics[name] for name in ("loss", "accuracy")}
    loop.reporter.event("evaluation", step=loop.step, **shown)
    loop.history[-1]["validation"] = shown
    loop.notes["metrics"] = metrics
    # No checkpoint is written in trouble, so such a step can't be the one that is kept.
    if not loop.guard.in_a_row and metrics["loss"] < loop.notes.get("best_loss", math.inf):
        loop.notes |= {"best_loss": metrics["loss"], "best": loop.step}


def _write(
    job: Job,
    config: PretrainConfig,
    vocabulary: Vocabulary,
    model: PreTrainedModel,
    weights: dict[str, torch.Tensor],
    metrics: dict[str, Any],
    history: list[dict[str, Any]],
) -> None:
    output, source = job.paths["output"], job.paths["tokenizer"]
    model.save_pretrained(output / "model", state_dict=weights)
    shutil.copytree(source, output / "model", dirs_exist_ok=True)
    if config.start_from:
        inputs = names_of_inputs(model.config)
        save_described(load_tokenizer(source), source, vocabulary, output / "model", inputs)
    write_json(output / "metrics.json", metrics)
    write_json_lines(output / "history.jsonl", history)
    name = objective_name(config)
    write_json(output / "samples.json", samples(output / "model", job.paths["tokens"], name, model.device))


def held_out_metrics(model_dir: Path, tokens_dir: Path, split: str, values: dict[str, Any]) -> dict[str, Any]:
    """What `evaluate` finds for a saved model on a split, in float32; `values` is the config it had."""
    if values.get("start_from"):
        values = values | {"start_from": str(model_dir)}  # of the same kind
    config = settings_from(PretrainConfig, values)
    runtime = prepare("float32")
    vocabulary = vocabulary_of(model_dir)
    held_out = open_split(tokens_dir, split)
    require_vocabulary(held_out, vocabulary)
    objective = objective_of(config, vocabulary, model_dir)
    module = TrainingModule(load_model(model_dir).to(runtime.device), objective)
    filler = filler_of(config, vocabulary)
    return evaluate(module, objective, held_out, config.sequence_length, config.batch_size, runtime, filler)


if __name__ == "__main__":
    main(pretrain, {"tokens", "tokenizer", "output", "scratch"})
