"""A few steps of a model that nobody keeps, to see how fast it is or how it takes a learning rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from transformers import PreTrainedModel

from model_code.cost import sample_batch
from model_code.data.vocabulary import Vocabulary
from model_code.models.families import FAMILIES
from model_code.models.further import initial_model
from model_code.models.kernels import fast_attention, recompute_activations
from model_code.objectives.objective import Objective
from model_code.runtime import Runtime
from model_code.training.module import TrainingModule
from model_code.training.optimizer import MixedOptimizer
from model_code.training.ranks import Ranks
from model_code.training.step import Step

if TYPE_CHECKING:
    from model_code.config.pretraining import PretrainConfig

TIMED, SECONDS = 5, 2.0


@contextmanager
def probe(
    config: PretrainConfig, vocabulary: Vocabulary, objective: Objective, runtime: Runtime
) -> Iterator[Step]:
    """Steps on one device, as training would take them, from the weights with which it would begin."""
    torch.manual_seed(config.seed)
    model = initial_model(config, vocabulary)
    model.to(runtime.device)  # type: ignore[arg-type]
    if config.activation_checkpointing:
        recompute_activations(model)
    muon = config.muon_learning_rate if config.optimizer == "muon" else None
    assert config.learning_rate is not None  # by `with_rates`
    optimizer = MixedOptimizer(model, config.learning_rate, config.weight_decay, muon, config.beta2)
    module = TrainingModule(model, objective).train()
    with fast_attention(model, runtime, compiled_by(config, model), packed=True):
        yield Step(module, optimizer, runtime, Ranks(), config.clip)


def compiled_by(config: PretrainConfig, model: PreTrainedModel) -> str:
    """What is said of compiling; not every architecture can be, so those that are no family ask for it."""
    known = model.config.model_type in FAMILIES
    return config.compile if known or config.compile == "on" else "off"


def pass_seconds(
    step: Step, vocabulary: Vocabulary, objective: Objective, length: int, sequences: int
) -> float:
    """Seconds of a forward and backward pass over so many random sequences of `length` tokens."""
    batch = sample_batch(objective, vocabulary, length, sequences)

    def both() -> None:
        step.gradients([batch])
        step.discard()

    return _least_seconds(both)


def step_seconds(
    step: Step, vocabulary: Vocabulary, objective: Objective, length: int, sequences: int
) -> float:
    """Seconds of a pass and the update of the weights, at a rate of zero."""
    batch = sample_batch(objective, vocabulary, length, sequences)

    def whole() -> None:
        step.gradients([batch])
        step.apply(0.0)

    return _least_seconds(whole)


def _least_seconds(work: Callable[[], None]) -> float:
    """Of a few calls after a first one that warms up; others on the machine make single ones slower.

    Reading the gradient's norm in each step waits for the device.
    """
    work()
    seconds: list[float] = []
    while len(seconds) < TIMED and sum(seconds) < SECONDS:
        started = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
