"""The machine a run computes on: device, precision, threads, and the promise of equal results."""

import ctypes
import os
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
import transformers

from model_code.errors import TrainingError

PRECISIONS = ("auto", "float32", "bfloat16")


@dataclass(frozen=True)
class Runtime:
    """Where tensors live and which type matrices are multiplied in; weights are always float32."""

    device: torch.device
    compute: torch.dtype

    def autocast(self) -> AbstractContextManager[None]:
        """Mixed precision for the code inside, or nothing when computing in float32."""
        if self.compute is torch.float32:
            return nullcontext()
        return torch.autocast(self.device.type, dtype=self.compute)


def prepare(precision: str, deterministic: bool = True) -> Runtime:
    """Choose the device, set threads and, if wanted, deterministic algorithms for the whole process.

    `auto` is bfloat16 where the processor multiplies it in hardware and float32 elsewhere,
    where it would be emulated and slow. Raises TrainingError for an unknown precision.
    """
    if precision not in PRECISIONS:
        raise TrainingError(f"precision {precision!r} is not known; choose one of {', '.join(PRECISIONS)}")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with it
    torch.use_deterministic_algorithms(deterministic)
    # A debugging aid that comes with the line above and costs a tenth of the time.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))  # torchrun's: how many share this machine
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // processes))
    _keep_freed_memory()
    # That a new task has a new head is no news, and a progress bar has no reader here.
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    half = precision == "bfloat16" or (precision == "auto" and _multiplies_bfloat16(device))
    return Runtime(device, torch.bfloat16 if half else torch.float32)


def _keep_freed_memory() -> None:
    """Tell glibc to keep freed memory instead of giving it back to the kernel after every tensor.

    Clearing the pages anew took a fifth of a training step (mallopt(3); elsewhere than glibc, no effect).
    """
    largest_trim, no_mmap = (-1, 2**31 - 1), (-4, 0)
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt:
        mallopt(*largest_trim)
        mallopt(*no_mmap)


def _multiplies_bfloat16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
