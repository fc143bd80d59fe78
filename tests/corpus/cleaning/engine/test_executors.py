"""Executors: results in order, few jobs under way, clear errors; and a real Ray cluster of two workers."""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest

from corpus.cleaning.config import CleanConfig
from corpus.cleaning.engine.executors import open_executor
from corpus.errors import CorpusError
from tests.corpus.cleaning.engine.test_process import clean, collect, corpus, files, start

TWO = CleanConfig(workers=2)


def slow_square(number: int) -> int:
    time.sleep(0.02 * (number % 3))
    return number * number


def process(number: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def fail(number: int) -> int:
    raise CorpusError(f"clean: shard {number} is odd")


def die(number: int) -> int:
    os._exit(9)


def test_results_come_in_the_order_of_the_jobs_and_few_are_under_way() -> None:
    taken = []

    def jobs() -> Iterator[int]:
        for number in range(20):
            taken.append(number)
            yield number

    with open_executor(TWO) as map_shards:
        results = map_shards(slow_square, jobs())
        assert next(results) == 0
        assert len(taken) <= 4
        assert list(results) == [number * number for number in range(1, 20)]
        processes = set(map_shards(process, range(6)))
        assert len(processes) == 2
        assert os.getpid() not in processes
    assert not any(psutil.pid_exists(number) for number in processes)


def test_one_worker_is_this_process() -> None:
    with open_executor(CleanConfig(workers=1)) as map_shards:
        assert list(map_shards(process, [1])) == [os.getpid()]


def test_errors_of_a_worker_are_told() -> None:
    with open_executor(TWO) as map_shards, pytest.raises(CorpusError, match="shard 1 is odd"):
        list(map_shards(fail, [1, 2, 3]))
    with open_executor(TWO) as map_shards, pytest.raises(CorpusError, match=r"killed.*clean\.workers"):
        list(map_shards(die, [1, 2, 3]))


def test_no_cluster_at_the_address_is_said_soon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    config = CleanConfig(engine="ray", ray_address=f"127.0.0.1:{port}")
    with (
        pytest.raises(CorpusError, match=rf"no Ray cluster answers at 127\.0\.0\.1:{port}"),
        open_executor(config),
    ):
        pass


def test_ray_that_is_not_installed_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(CorpusError, match=r"textmill\[ray\]"), open_executor(CleanConfig(engine="ray")):
        pass


CLUSTER = """
import os, sys, ray
ray.init(num_cpus=2, include_dashboard=False, object_store_memory=100 * 2**20, log_to_driver=False,
         _node_ip_address="127.0.0.2", _temp_dir=sys.argv[1])  # .1 would be taken for the machine's own
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
ray.shutdown()
"""


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    """The address of a Ray cluster with two workers, on loopback, which lives as long as these tests."""
    pytest.importorskip("ray")
    if " " in sys.executable:
        pytest.skip("Ray can't start its workers from a path with blanks, which a recipe is told")
    # The paths of Ray's sockets are long: below pytest's own folder they would be too long.
    with pytest.MonkeyPatch.context() as environment, tempfile.TemporaryDirectory(prefix="ray") as folder:
        environment.setenv("RAY_USAGE_STATS_ENABLED", "0")
        environment.setenv("RAY_AUTH_MODE", "disabled")
        with _cluster(folder) as address:
            yield address


@contextmanager
def _cluster(folder: str) -> Iterator[str]:
    cluster = subprocess.Popen(
        [sys.executable, "-c", CLUSTER, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        encoding="utf-8",
    )
    assert cluster.stdout is not None
    children = []
    try:
        address = cluster.stdout.readline().strip()
        children = psutil.Process(cluster.pid).children(recursive=True)
        assert address.startswith("127.0.0.2:"), address
        yield address
    finally:
        cluster.communicate("")
        for child in psutil.wait_procs(children, timeout=5)[1]:
            child.kill()


def test_ray_leaves_the_same_bytes(tmp_path: Path, ray_address: str) -> None:
    collected = collect(tmp_path / "in", corpus())
    clean(tmp_path / "local", collected, workers=1)
    process = start(tmp_path / "ray", collected, engine="ray", ray_address=ray_address)
    output, _ = process.communicate(timeout=100)
    assert json.loads(output.splitlines()[-1])["event"] == "done"
    assert files(tmp_path / "ray" / "out") == files(tmp_path / "local" / "out")


def test_a_task_that_fails_on_ray_is_told(ray_address: str) -> None:
    config = CleanConfig(engine="ray", ray_address=ray_address)
    with open_executor(config) as map_shards, pytest.raises(CorpusError, match="no shard"):
        list(map_shards(partial(_raise, "no shard"), [1]))


def _raise(message: str, number: int) -> None:
    raise CorpusError(message)
