"""The dry run: what a pretraining would need, told in seconds and without doing it.

    python -m model_code.dry_run JOB.json

JOB: config, vocabulary (entries, for when there is no tokenizer yet), and, where they are there, tokenizer
and tokens (the directory with the shards). The figures are those of the `done` event.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from model_code.config.pretraining import PretrainConfig
from model_code.config.strict import settings_from
from model_code.cost import (
    CHINCHILLA_TOKENS_PER_PARAMETER,
    StepCost,
    free_memory,
    peak_flops,
    step_cost,
)
from model_code.data.shards import open_split
from model_code.data.vocabulary import Vocabulary, vocabulary_of
from model_code.job import Job, Reporter, main
from model_code.models.families import FAMILIES
from model_code.models.further import model_type_of, with_rates
from model_code.objectives.choice import objective_of
from model_code.objectives.objective import Objective
from model_code.probe import pass_seconds, probe, step_seconds
from model_code.runtime import Runtime, prepare

# What a timed pass may cost at the device's peak; small models reach a quarter of it.
SECONDS_AT_PEAK = 0.5
PROBED_LENGTH = 128


def plan(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Sizes, memory, operations and hours of the run that the job describes.

    Raises TrainingError when the config is impossible or the tokens that are there can't be read.
    """
    values = dict(job.values)
    entries = values.pop("vocabulary", 0)
    config = settings_from(PretrainConfig, values)
    runtime = prepare(config.precision, config.deterministic)
    vocabulary = _vocabulary(config, job.paths.get("tokenizer"), int(entries))
    config = with_rates(config, vocabulary)
    objective = objective_of(config, vocabulary, job.paths.get("tokenizer"))
    ranks = config.devices or torch.cuda.device_count() or 1
    cost = step_cost(config, vocabulary, objective, runtime, ranks)
    seconds, timed = _seconds_per_step(config, cost, vocabulary, objective, runtime)
    side_by_side = ranks if runtime.device.type == "cuda" else 1  # processes on a CPU share its cores
    tokens = config.steps * cost.tokens
    return {
        "device": _name(runtime),
        "precision": str(runtime.compute).removeprefix("torch."),
        "ranks": ranks,
        "parameters": cost.parameters,
        "non_embedding": cost.parameters - cost.embedding,
        "memory": asdict(cost.memory),
        "memory_free": free_memory(runtime, ranks // side_by_side),
        "flops_per_step": cost.flops,
        "flops": cost.flops * config.steps,
        "steps": config.steps,
        "tokens_per_step": cost.tokens,
        "tokens": tokens,
        "corpus_tokens": open_split(job.paths["tokens"], "train").info.tokens if "tokens" in job.paths else 0,
        "chinchilla_tokens": CHINCHILLA_TOKENS_PER_PARAMETER * cost.parameters,
        "timed": timed,
        "tokens_per_second": cost.tokens / seconds * side_by_side,
        "mfu": cost.mfu(cost.tokens / seconds, peak_flops(runtime)),
        "seconds": config.steps * seconds / side_by_side,
    }


def _vocabulary(config: PretrainConfig, tokenizer: Path | None, entries: int) -> Vocabulary:
    """That of the corpus; where it is not there yet, that of the checkpoint, which it will have."""
    if tokenizer is None and config.start_from:
        model_type_of(config)  # before anything in its folder is read
        tokenizer = Path(config.start_from)
    return placeholder(entries) if tokenizer is None else vocabulary_of(tokenizer)


def placeholder(size: int) -> Vocabulary:
    """A vocabulary of this size with a token for every role, for when there is no tokenizer yet."""
    sentinels = tuple(range(7, min(107, size // 2)))
    return Vocabulary(size, pad=0, unk=1, cls=2, sep=3, mask=4, bos=5, eos=6, sentinels=sentinels)


def _seconds_per_step(
    config: PretrainConfig, cost: StepCost, vocabulary: Vocabulary, objective: Objective, runtime: Runtime
) -> tuple[float, str]:
    """Seconds of a whole step on one device, and what was timed to know them.

    A small model is timed as it is; of a large one a single layer at a short length, whose operations per
    second hold for the rest.
    """
    affordable = SECONDS_AT_PEAK * peak_flops(runtime)
    per_sequence = cost.flops / config.batch_size
    per_pass = min(config.micro_batch or config.batch_size, config.batch_size)
    sequences = max(1, min(per_pass, int(affordable / per_sequence)))
    part = config.model_copy(update={"batch_size": sequences, "micro_batch": 0, "parallel": "none"})
    kind = model_type_of(config)
    if kind in FAMILIES and (per_sequence > affordable or cost.memory.total > free_memory(runtime)):
        length = min(PROBED_LENGTH, config.sequence_length)
        one = {"family": kind, "start_from": "", "layers": 1, "sequence_length": length, "batch_size": 1}
        part = part.model_copy(update=one)
        operations = step_cost(part, vocabulary, objective, runtime).flops
        with probe(part, vocabulary, objective, runtime) as step:
            seconds = pass_seconds(step, vocabulary, objective, length, 1)
        return seconds * cost.flops / operations, f"one layer, {length} tokens"
    with probe(part, vocabulary, objective, runtime) as step:
        pass_ = pass_seconds(step, vocabulary, objective, config.sequence_length, sequences)
        both = step_seconds(step, vocabulary, objective, config.sequence_length, sequences)
    update = max(0.0, both - pass_)
    return pass_ * config.batch_size / sequences + update, f"the whole model, {sequences} sequences"


def _name(runtime: Runtime) -> str:
    if runtime.device.type == "cuda":
        return torch.cuda.get_device_name(runtime.device)
    return f"{torch.get_num_threads()} CPU cores"


if __name__ == "__main__":
    main(plan, set())
