"""What goes wrong with the machine under a training run, told as one clear error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from model_code.errors import TrainingError


@contextmanager
def machine_faults_told(checkpoints: Path) -> Iterator[None]:
    """Turn memory that runs out and a GPU that fails or disappears into a TrainingError that says what to do.

    `checkpoints` is the directory from which the run would go on.
    """
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrainingError(_memory(error)) from error
    except RuntimeError as error:
        if "can't allocate memory" in str(error):  # torch on a CPU has no class of its own for it
            raise TrainingError(_memory(error)) from error
        if isinstance(error, torch.AcceleratorError) or "CUDA error" in str(error):
            raise TrainingError(_device(error, checkpoints)) from error
        raise


def _memory(error: BaseException) -> str:
    return (
        f"memory ran out ({_first_line(error)}); set micro_batch to fewer sequences at a time (the result "
        "stays the same), or activation_checkpointing, or take a smaller model; the run then goes on from "
        "its last checkpoint"
    )


def _device(error: BaseException, checkpoints: Path) -> str:
    newest = max((path.name for path in checkpoints.glob("step-*")), default=None)
    way_out = f"goes on from {checkpoints / newest}" if newest else "starts from the beginning"
    return (
        f"the GPU failed or is gone ({_first_line(error)}); see whether nvidia-smi lists it, then run again: "
        f"the run {way_out}"
    )


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).strip().splitlines()[0]
