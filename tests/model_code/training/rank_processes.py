"""Processes with the environment that torchrun gives, forked from one that has imported torch already."""

import multiprocessing
import os
import tempfile
from collections.abc import Callable
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.model_code.conftest", "torch._dynamo"])


def start_ranks(count: int, work: Callable[..., None], *arguments: Any) -> list[ForkServerProcess]:
    """Have `count` processes call `work`, a function at the top of a module, with the arguments."""
    meeting = Path(tempfile.mkdtemp()) / "meeting"
    ranks = [
        SERVER.Process(target=_be_rank, args=(rank, count, meeting, work, arguments)) for rank in range(count)
    ]
    for rank in ranks:
        rank.start()
    return ranks


def _be_rank(
    rank: int, count: int, meeting: Path, work: Callable[..., None], arguments: tuple[Any, ...]
) -> None:
    numbers = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count}
    os.environ |= {name: str(number) for name, number in numbers.items()}
    os.environ |= {"RENDEZVOUS_FILE": str(meeting), "GLOO_SOCKET_IFNAME": "lo"}
    work(*arguments)


def exit_codes(ranks: list[ForkServerProcess]) -> list[int | None]:
    """How they ended, once they have."""
    for rank in ranks:
        rank.join(60)
    return [rank.exitcode for rank in ranks]
