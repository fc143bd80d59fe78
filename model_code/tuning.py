"""What `textmill tune` tries: how many sequences at once, and which learning rate, before a long run.

    python -m model_code.tuning JOB.json

JOB: tokens, tokenizer, config. The figures are those of the `done` event.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from model_code.config.pretraining import PretrainConfig
from model_code.config.strict import settings_from
from model_code.cost import free_memory, step_cost
from model_code.data.batches import PackedBatches
from model_code.data.noise import Noise
from model_code.data.shards import open_split
from model_code.data.vocabulary import Vocabulary, require_vocabulary, vocabulary_of
from model_code.errors import TrainingError
from model_code.job import Job, Reporter, main
from model_code.models.further import with_rates
from model_code.objectives.choice import filler_of, objective_of
from model_code.objectives.objective import Objective
from model_code.probe import pass_seconds, probe
from model_code.runtime import Runtime, prepare

# Smith 2015 (arXiv 1506.01186): one short run in which the rate grows exponentially.
SWEEP_STEPS = 100
LOWEST, HIGHEST = 1e-4, 1.0
SMOOTHING = 0.9
# A loss this much above the lowest one, as part of what was gained until then, has diverged.
DIVERGED = 0.25
NEAR_BEST = 0.97
SLOPE_REACH = 4  # steps on either side that a slope is taken over


def find(job: Job, reporter: Reporter) -> dict[str, Any]:
    """The speed at several sizes of micro-batch, the loss at growing rates, and what follows from them.

    Raises TrainingError when the config is impossible or the tokens can't be read.
    """
    config = settings_from(PretrainConfig, job.values)
    runtime = prepare(config.precision, config.deterministic)
    vocabulary = vocabulary_of(job.paths["tokenizer"])
    train = open_split(job.paths["tokens"], "train")
    require_vocabulary(train, vocabulary)
    config = with_rates(config, vocabulary)
    objective = objective_of(config, vocabulary, job.paths["tokenizer"])
    batches = PackedBatches(
        train,
        config.sequence_length,
        config.batch_size,
        config.seed,
        filler=filler_of(config, vocabulary),
    )
    sizes = _try_sizes(config, vocabulary, objective, runtime, reporter)
    per_pass = _quickest(sizes)
    curve = _try_rates(config, vocabulary, objective, runtime, batches, per_pass, reporter)
    if not curve:
        raise TrainingError(
            f"the loss is not a number at step 1 with a learning rate of {LOWEST}; check precision and tokens"
        )
    rate = suggested_rate(curve)
    suggestions = {
        "sizes": sizes,
        "micro_batch": 0 if per_pass >= config.batch_size else per_pass,
        "curve": curve,
        "learning_rate": rate,
    }
    if config.optimizer == "muon":  # both rates were moved together
        assert config.learning_rate is not None
        assert config.muon_learning_rate is not None
        suggestions["muon_learning_rate"] = min(1.0, rate * config.muon_learning_rate / config.learning_rate)
    return suggestions


def _try_sizes(
    config: PretrainConfig, vocabulary: Vocabulary, objective: Objective, runtime: Runtime, reporter: Reporter
) -> list[dict[str, float]]:
    """Sequences at once, tokens per second (0: too much memory), bytes; doubled until the whole batch."""
    doubled = [2**power for power in range(config.batch_size.bit_length()) if 2**power < config.batch_size]
    tried: list[dict[str, float]] = []
    with probe(config, vocabulary, objective, runtime) as step:
        for sequences in [*doubled, config.batch_size]:
            memory = step_cost(
                config.model_copy(update={"micro_batch": sequences}), vocabulary, objective, runtime
            ).memory
            speed = 0.0
            # What a GPU lacks it says; a process that takes too much of a machine's memory is killed.
            if runtime.device.type == "cuda" or memory.total < free_memory(runtime):
                try:
                    seconds = pass_seconds(step, vocabulary, objective, config.sequence_length, sequences)
                    speed = sequences * config.sequence_length / seconds
                except torch.OutOfMemoryError:
                    step.discard()
                    torch.cuda.empty_cache()
            tried.append({"sequences": sequences, "tokens_per_second": speed, "memory": memory.total})
            reporter.event(
                "progress",
                step=len(tried),
                total=len(doubled) + 1,
                phase=f"{sequences} sequences at once",
                tokens_per_second=speed,
            )
            if not speed:
                break
    return tried


def _quickest(sizes: Sequence[dict[str, float]]) -> int:
    """The smallest size within 3 % of the best speed."""
    best = max(size["tokens_per_second"] for size in sizes)
    return int(next(s["sequences"] for s in sizes if s["tokens_per_second"] >= NEAR_BEST * best))


def _try_rates(
    config: PretrainConfig,
    vocabulary: Vocabulary,
    objective: Objective,
    runtime: Runtime,
    batches: PackedBatches,
    per_pass: int,
    reporter: Reporter,
) -> list[dict[str, float]]:
    """Rate (of AdamW) and smoothed loss of each step; ends early where the loss diverges."""
    usual = config.learning_rate
    assert usual is not None  # by `with_rates`
    curve: list[dict[str, float]] = []
    average = 0.0
    with probe(config, vocabulary, objective, runtime) as step:
        for number in range(SWEEP_STEPS):
            rate = LOWEST * (HIGHEST / LOWEST) ** (number / (SWEEP_STEPS - 1))
            parts = batches.batch(number).split(per_pass)
            noise = [Noise(config.seed, number, rows.places) for rows in parts]
            measured = step.gradients([objective.batch(*pair) for pair in zip(parts, noise, strict=True)])
            if not math.isfinite(measured.loss) or not math.isfinite(measured.gradient_norm):
                break
            step.apply(rate / usual)
            average = SMOOTHING * average + (1 - SMOOTHING) * measured.loss
            loss = average / (1 - SMOOTHING ** (number + 1))
            curve.append({"rate": rate, "loss": loss})
            reporter.event(
                "progress", step=number + 1, total=SWEEP_STEPS, phase=f"rate {rate:.2g}", loss=loss
            )
            if has_diverged([point["loss"] for point in curve]):
                break
    return curve


def has_diverged(losses: Sequence[float]) -> bool:
    """Whether the loss has risen again by a quarter of what it had fallen, or above where it began."""
    lowest = min(losses)
    return losses[-1] > lowest + max(0.1, DIVERGED * (losses[0] - lowest))


def suggested_rate(curve: Sequence[dict[str, float]]) -> float:
    """The rate at which the smoothed loss falls fastest: beyond it there is less and less to gain."""
    reach = min(SLOPE_REACH, (len(curve) - 1) // 2)
    inner = range(reach, len(curve) - reach)
    steepest = min(inner, key=lambda place: curve[place + reach]["loss"] - curve[place - reach]["loss"])
    return curve[steepest]["rate"]


if __name__ == "__main__":
    main(find, {"tokens", "tokenizer"})
