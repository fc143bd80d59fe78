"""The processes of one run, as torchrun starts them: which one this is, and what they tell each other.

Tensors of a step travel inside DDP or FSDP (gloo on CPU, NCCL on CUDA); here are only the few numbers on
which all ranks must agree. A run of one process needs no torch.distributed at all.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist

from model_code.errors import TrainingError
from model_code.parent_death_signal import die_with_parent

# How long a rank waits for the others. One that died is noticed at once, by the launcher.
PATIENCE = timedelta(minutes=10)


@dataclass(frozen=True)
class Ranks:
    """This process is number `rank` of `count`; `background` is a group for a second thread's exchanges."""

    rank: int = 0
    count: int = 1
    background: dist.ProcessGroup | None = None

    @property
    def is_main(self) -> bool:
        """True for the one that reports and writes what exists once."""
        return self.rank == 0

    def sum_of(self, values: Sequence[float]) -> list[float]:
        """The sums over all ranks, added in the order of the ranks: the same bits on each of them."""
        mine = torch.tensor(values, dtype=torch.float64)
        total: list[float] = torch.stack(self._gathered(mine, None)).sum(0).tolist()
        return total

    def exchange(self, data: bytes) -> list[bytes]:
        """What all ranks hand in, in their order, equally many bytes each; for a second thread."""
        mine = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        return [bytes(part.tolist()) for part in self._gathered(mine, self.background)]

    def barrier(self) -> None:
        """Wait until every rank is here."""
        self.sum_of([0.0])

    def _gathered(self, mine: torch.Tensor, group: dist.ProcessGroup | None) -> list[torch.Tensor]:
        if self.count == 1:
            return [mine]
        parts = [torch.empty_like(mine) for _ in range(self.count)]
        dist.all_gather(parts, mine, group=group)
        return parts


def join_ranks() -> Ranks:
    """Meet the other processes that torchrun started, if it did; call it once, before the device is used.

    They meet in the file RENDEZVOUS_FILE where it is set (one machine, no port is opened for it), otherwise
    at MASTER_ADDR and MASTER_PORT. Raises TrainingError when they don't come, or lack a GPU each.
    """
    rank, count = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        return Ranks()
    # A killed torchrun would leave its ranks behind, in sessions of their own, with their GPUs.
    die_with_parent()
    backend = "gloo"
    if torch.cuda.is_available():
        backend = "cpu:gloo,cuda:nccl"
        _take_device(int(os.environ["LOCAL_RANK"]))
    file = os.environ.get("RENDEZVOUS_FILE")
    method = f"file://{file}" if file else "env://"
    try:
        dist.init_process_group(backend, method, timeout=PATIENCE, world_size=count, rank=rank)
        background = dist.new_group(backend="gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise TrainingError(
            f"rank {rank} of {count} did not reach the others ({error}); see whether all were started "
            "and can reach each other, then start again"
        ) from error
    atexit.register(dist.destroy_process_group)
    return Ranks(rank, count, background)


def _take_device(local_rank: int) -> None:
    if local_rank >= torch.cuda.device_count():
        raise TrainingError(
            f"process {local_rank + 1} on this machine has no GPU, there are {torch.cuda.device_count()}; "
            "start as many processes as there are GPUs (devices: 0)"
        )
    torch.cuda.set_device(local_rank)
