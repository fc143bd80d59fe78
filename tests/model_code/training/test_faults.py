from pathlib import Path

import pytest
import torch

from model_code.errors import TrainingError
from model_code.training.faults import machine_faults_told


def test_memory_that_runs_out_is_told_with_the_way_out(tmp_path: Path) -> None:
    with (
        pytest.raises(TrainingError, match=r"memory ran out \(.*allocate.*micro_batch"),
        machine_faults_told(tmp_path),
    ):
        torch.empty(2**48)
    with pytest.raises(TrainingError, match=r"memory ran out \(MemoryError\)"), machine_faults_told(tmp_path):
        bytearray(2**62)


def test_a_gpu_that_is_gone_is_told_with_the_last_checkpoint(tmp_path: Path) -> None:
    lost = torch.AcceleratorError("CUDA error: device is lost\nCompile with TORCH_USE_CUDA_DSA")
    with (
        pytest.raises(TrainingError, match=r"is gone \(CUDA error: device is lost\).*from the beginning"),
        machine_faults_told(tmp_path),
    ):
        raise lost
    for step in (90, 100):
        (tmp_path / f"step-{step:08d}").mkdir()
    with pytest.raises(TrainingError, match=r"goes on from .*step-00000100"), machine_faults_told(tmp_path):
        raise lost


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), machine_faults_told(tmp_path):
        torch.ones(2, 3) @ torch.ones(2, 3)
