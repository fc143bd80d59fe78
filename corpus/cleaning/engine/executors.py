"""Where shards are worked on: in processes of this machine, or on a Ray cluster.

Both give results in the order of the jobs and have a bounded number under way, so that neither memory
nor the answer depends on the executor. Jobs and results are small; documents go through files, which a
cluster's machines find under the same paths (a shared file system).
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from corpus.cleaning.config import CleanConfig
from corpus.errors import CorpusError
from model_code.parent_death_signal import die_with_parent

CONNECT_SECONDS = 5.0
ROOT = Path(__file__).resolve().parents[3]

JobT = TypeVar("JobT")
ResultT = TypeVar("ResultT")


class MapShards(Protocol):
    """`map_shards(function, jobs)`: the results of `function(job)`, in the order of `jobs`, lazily."""

    def __call__(self, function: Callable[[JobT], ResultT], jobs: Iterable[JobT]) -> Iterator[ResultT]: ...


def open_executor(config: CleanConfig) -> AbstractContextManager[MapShards]:
    """The executor that the recipe names.

    Raises:
        CorpusError: Ray is not installed, or no cluster answers at the recipe's address.
    """
    if config.engine == "ray":
        return _ray(config.ray_address)
    return _local(config.workers or len(os.sched_getaffinity(0)))


@contextmanager
def _local(workers: int) -> Iterator[MapShards]:
    """Processes forked from one that has imported everything; with one worker this process itself."""
    if workers == 1:
        yield _in_this_process
        return
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["corpus.cleaning.engine.shard_passes"])
    with ProcessPoolExecutor(workers, context, initializer=_begin_worker) as pool:

        def map_shards(function: Callable[[JobT], ResultT], jobs: Iterable[JobT]) -> Iterator[ResultT]:
            try:
                yield from _in_order(
                    lambda job: pool.submit(function, job), lambda future: future.result(), jobs, 2 * workers
                )
            except BrokenProcessPool as error:
                raise CorpusError(
                    "clean: a worker process was killed, probably for want of memory; set clean.workers in "
                    "the recipe to a smaller number and run again, finished shards are kept"
                ) from error

        try:
            yield map_shards
        finally:
            pool.shutdown(cancel_futures=True)


@contextmanager
def _ray(address: str) -> Iterator[MapShards]:
    """Tasks of a Ray cluster that runs already; our packages travel with them, libraries do not."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        import ray
    except ImportError as error:
        raise CorpusError(
            "clean: `engine: ray` needs Ray; install it (`pip install 'textmill[ray]'`) or set clean.engine "
            "to local in the recipe"
        ) from error
    _check_reachable(address)
    environment = {
        "py_modules": [str(ROOT / package) for package in ("corpus", "model_code")],
        "env_vars": {name: os.environ[name] for name in ("NUMBA_CACHE_DIR",) if name in os.environ},
    }
    try:
        ray.init(address=address, runtime_env=environment, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:
        raise _no_cluster(address, str(error).partition("\n")[0]) from error
    resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    window = 2 * max(1, int(resources.get("CPU", 1)))
    task: Any = ray.remote(num_cpus=1, scheduling_strategy="SPREAD")(_call)

    def map_shards(function: Callable[[JobT], ResultT], jobs: Iterable[JobT]) -> Iterator[ResultT]:
        try:
            yield from _in_order(
                lambda job: task.remote(function, job), lambda reference: ray.get(reference), jobs, window
            )
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, CorpusError):
                raise CorpusError(str(error.cause)) from error
            raise
        except ray.exceptions.RayError as error:
            first_line = str(error).strip().partition("\n")[0]
            raise CorpusError(
                f"clean: the Ray cluster at {address} lost a task ({type(error).__name__}: {first_line}); "
                "run again, finished shards are kept"
            ) from error

    try:
        yield map_shards
    finally:
        ray.shutdown()


def _in_this_process(function: Callable[[JobT], ResultT], jobs: Iterable[JobT]) -> Iterator[ResultT]:
    return map(function, jobs)


def _call(function: Callable[[JobT], ResultT], job: JobT) -> ResultT:
    return function(job)


def _in_order(
    submit: Callable[[JobT], Any], result: Callable[[Any], ResultT], jobs: Iterable[JobT], window: int
) -> Iterator[ResultT]:
    """Results in the order of the jobs, with at most `window` of them under way or waiting."""
    under_way: deque[Any] = deque()
    for job in jobs:
        under_way.append(submit(job))
        if len(under_way) >= window:
            yield result(under_way.popleft())
    while under_way:
        yield result(under_way.popleft())


def _check_reachable(address: str) -> None:
    """Whether something listens at `address`; Ray itself would try for minutes before it says no."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise _no_cluster(address, error.strerror or str(error)) from error


def _no_cluster(address: str, reason: str) -> CorpusError:
    return CorpusError(
        f"clean: no Ray cluster answers at {address} ({reason}); start one (`ray start --head`), correct "
        "clean.ray_address, or set clean.engine to local in the recipe"
    )


def _begin_worker() -> None:
    # Ctrl-C is the parent's business; a parent that is killed takes its workers along.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
