"""The counts of a step against published formulas and against memory that a process really takes."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model_code.config.pretraining import PretrainConfig
from model_code.cost import GPU_PEAKS, free_memory, peak_flops, require_memory, step_cost
from model_code.dry_run import placeholder
from model_code.errors import TrainingError
from model_code.models.families import FAMILIES, family_named
from model_code.objectives.choice import objective_of
from model_code.runtime import Runtime
from tests.model_code.conftest import pretrain_job, run_pretrain

ROOT = Path(__file__).parents[2]
VOCABULARY = placeholder(500)
CPU = Runtime(torch.device("cpu"), torch.float32)
SMALL = {"layers": 2, "width": 64, "heads": 2, "intermediate": 128, "sequence_length": 64, "batch_size": 4}


def cost(**values: object):  # type: ignore[no-untyped-def]
    config = PretrainConfig(**(SMALL | values))  # type: ignore[arg-type]
    return config, step_cost(config, VOCABULARY, objective_of(config, VOCABULARY), CPU)


@pytest.mark.parametrize("family", FAMILIES)
def test_parameters_are_those_of_the_model_that_is_trained(family: str) -> None:
    config, found = cost(family=family)
    model = family_named(family).build(config.shape, VOCABULARY)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert 500 * 64 <= found.embedding < found.parameters


@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_operations_are_those_of_the_palm_paper(family: str) -> None:
    _, found = cost(family=family)
    positions = found.embedding - 500 * 64  # looked up, never multiplied
    published = 6 * (found.parameters - positions) + 12 * 2 * 64 * 64
    # The formula multiplies by norms and biases too, and lets the last token of a row guess.
    assert found.flops_per_token == pytest.approx(published, rel=0.025)
    assert found.tokens == 4 * 64
    assert found.mfu(1000, 1e9) == pytest.approx(published * 1000 / 1e9, rel=0.025)


def test_only_hidden_tokens_are_decoded_and_windows_save_attention() -> None:
    _, few = cost(mask_rate=0.1)
    _, many = cost(mask_rate=0.9)
    assert few.flops < 0.8 * many.flops
    _, near = cost(local_attention=8)
    _, far = cost(local_attention=128)
    assert 0 < far.flops_per_token - near.flops_per_token < 12 * 64 * 64


def test_what_changes_memory_changes_it() -> None:
    _, plain = cost()
    _, recomputed = cost(activation_checkpointing=True, layers=4)
    _, deep = cost(layers=4)
    assert recomputed.memory.activations < 0.8 * deep.memory.activations
    assert cost(micro_batch=1)[1].memory.activations < 0.5 * plain.memory.activations
    assert cost(micro_batch=1)[1].flops == pytest.approx(plain.flops, rel=0.1)
    assert cost(optimizer="adamw")[1].memory.optimizer == 2 * plain.memory.weights
    assert cost(ema=0.99)[1].memory.average == plain.memory.weights
    config = PretrainConfig(**SMALL, optimizer="adamw", parallel="fsdp")  # type: ignore[arg-type]
    divided = step_cost(config, VOCABULARY, objective_of(config, VOCABULARY), CPU, ranks=2).memory
    assert (divided.weights, divided.optimizer) == (plain.memory.weights // 2, plain.memory.weights)


def test_memory_is_what_a_process_takes() -> None:
    wide = {"layers": 2, "width": 256, "heads": 4, "intermediate": 512, "sequence_length": 128}
    long = {"layers": 4, "width": 128, "heads": 4, "intermediate": 256, "sequence_length": 512}
    program = f"""
import os, resource
from model_code.cost import sample_batch, step_cost
from model_code.objectives.choice import objective_of
from model_code.dry_run import placeholder
from model_code.config.pretraining import PretrainConfig
from model_code.probe import probe
from model_code.runtime import prepare
vocabulary, runtime = placeholder(8192), prepare("float32")
for values in {[wide | {"batch_size": 32}, long | {"batch_size": 4}]}:
    if os.fork():  # a peak is that of a whole process
        os.wait()
        continue
    config = PretrainConfig(**values)
    objective = objective_of(config, vocabulary)
    told = step_cost(config, vocabulary, objective, runtime).memory.total
    batch = sample_batch(objective, vocabulary, config.sequence_length, config.batch_size)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with probe(config, vocabulary, objective, runtime) as step:
        for _ in range(3):
            step.gradients([batch])
            step.apply(1.0)
    print(told / 1024 / (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before), flush=True)
    os._exit(0)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, encoding="utf-8"
    )
    ratios = [float(line) for line in done.stdout.split()]
    assert ratios == pytest.approx([1, 1], abs=0.3), done.stderr


def test_too_little_memory_is_one_error_before_the_first_step(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(
        TrainingError, match=r"needs about [\d.]+ GB .*has [\d.]+ GB free; lower pretrain.micro"
    ):
        run_pretrain(pretrain_job(corpus, tmp_path, batch_size=100, width=2**16, intermediate=2**18))
    assert not (tmp_path / "scratch").exists()
    assert not (tmp_path / "output").exists()


def test_ranks_on_a_cpu_share_its_memory() -> None:
    _, found = cost()
    require_memory(found, CPU)
    assert free_memory(CPU, ranks=4) < 0.3 * free_memory(CPU)
    with pytest.raises(TrainingError, match="activations"):
        require_memory(found, CPU, ranks=10**7)


def test_a_gpu_is_found_by_the_longest_of_its_names() -> None:
    for name, peak in (("NVIDIA H100 PCIe", 756e12), ("NVIDIA L40S", 362e12), ("NVIDIA H200", 989e12)):
        assert next(value for known, value in GPU_PEAKS.items() if known in name) == peak
    assert 1e9 < peak_flops(CPU) < 1e14
