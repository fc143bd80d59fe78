"""A whole textmill for the end-to-end tests: a home with servers of its own, a small recipe, its corpus."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from xdist.scheduler import LoadFileScheduling

from tests.free_ports import free_ports
from tests.topics import STAGES

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
ROOT = Path(__file__).parents[1]
COMMAND = Path(sys.executable).with_name("textmill")
PORTS = ("PREFECT", "MLFLOW", "TRITON_HTTP", "TRITON_GRPC", "TRITON_METRICS", "DOOR")
SUBJECTS = ("My neighbour", "A careful student", "The whole family", "Our old friend", "Nobody in town")
TOPICS = {
    "garden": (
        ("planted", "watered", "pruned", "harvested", "weeded"),
        ("roses", "tomatoes", "an apple tree", "the tulips", "a hedge", "young carrots", "the lawn", "herbs"),
        ("behind the greenhouse", "in fresh soil", "under the sun", "with a spade", "before the frost"),
    ),
    "harbour": (
        ("anchored", "repaired", "sailed", "painted", "unloaded"),
        (
            "a ferry",
            "the trawler",
            "two tugboats",
            "the lighthouse",
            "a yacht",
            "cargo",
            "the nets",
            "a mast",
        ),
        ("beside the pier", "at high tide", "against the wind", "near the docks", "before the storm"),
    ),
    "kitchen": (
        ("baked", "boiled", "tasted", "seasoned", "fried"),
        ("a loaf", "the soup", "noodles", "an omelette", "the pastry", "dumplings", "a stew", "pancakes"),
        ("in the oven", "with garlic", "over a low flame", "in a copper pan", "before dinner"),
    ),
}


# Files that share a home, by the fixture that opens it.
SHARED_HOMES = {
    "mill": {
        "tests/test_lifecycle.py",
        "tests/test_refusals.py",
        "tests/test_scheduled_run.py",
        "tests/test_server_auth.py",
        "tests/tasks/contract/test_stage_in_prefect.py",
        "tests/tasks/tracking/test_version_files.py",
    },
    "cold_mill": {"tests/test_start_from.py", "tests/test_smoke.py"},
}
# One of them that began last would go on alone.
LONGEST = (
    "tests/tasks/tracking/test_version_files.py",  # before the lifecycle makes a second version
    "tests/test_scheduled_run.py",
    "tests/test_lifecycle.py",
    "tests/test_start_from.py",  # before there are other endpoints
    "tests/test_smoke.py",
    "tests/test_kills.py",
    "tests/test_isolated.py",
    "tests/model_code/",
    "tests/flows/test_servers.py",
    "tests/flows/test_cli.py",
    "tests/tasks/",
)


# Files and folders with servers, trainings, other processes or compiled kernels.
SLOW = (
    *(
        "tests/test_start_from.py",
        "tests/test_kills.py",
        "tests/test_lifecycle.py",
        "tests/test_refusals.py",
        "tests/test_scheduled_run.py",
        "tests/test_smoke.py",
        "tests/test_isolated.py",
    ),
    *("tests/test_server_auth.py", "tests/model_code/", "tests/benchmarks/", "tests/deploy/", "tests/tasks/"),
    *("tests/corpus/cleaning/", "tests/corpus/tokenizing/", "tests/corpus/sources/", "tests/corpus/web/"),
    *(
        "tests/flows/test_servers.py",
        "tests/flows/test_door_server.py",
        "tests/flows/test_login.py",
        "tests/flows/test_cli.py",
    ),
    *("tests/flows/test_crash_watch.py", "tests/flows/test_home.py", "tests/flows/test_environment.py"),
    *("tests/test_advice.py", "tests/flows/test_last_corpus.py::test_the_command_works_when_piped"),
)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Bytes don't belong in a test's name: compressed ones hold the time, which differs by worker."""
    return argname if isinstance(val, bytes) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """For `-n 3`: the longest files first. For `make quick`: a mark on those that take long."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker("slow")
    items.sort(key=lambda item: [not item.nodeid.startswith(path) for path in LONGEST])
    for home, files in SHARED_HOMES.items():
        using = [item for item in items if home in getattr(item, "fixturenames", ())]
        users = {item.nodeid.partition("::")[0] for item in using}
        assert users <= files, f"add to SHARED_HOMES[{home!r}]: {users - files}"


class ByHome(LoadFileScheduling):  # type: ignore[misc]
    """A file's tests run in one worker, and so do all that share a home: it takes a minute to make."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return next((home for home, files in SHARED_HOMES.items() if file in files), file)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByHome:
    """Takes the place of `--dist loadfile`."""
    return ByHome(config, log)


@dataclass(frozen=True)
class Mill:
    """A home, and the command `textmill` as a user of that home runs it."""

    home: Path
    environment: dict[str, str]
    folder: Path = ROOT

    def start(self, *arguments: str | Path, **environment: str) -> subprocess.Popen[str]:
        """The command in a process group of its own."""
        return subprocess.Popen(
            [COMMAND, *map(str, arguments)],
            cwd=self.folder,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            encoding="utf-8",
        )

    def __call__(self, *arguments: str | Path, code: int = 0, **environment: str) -> str:
        """What the command printed; fails unless it ended with `code` and without a traceback."""
        process = self.start(*arguments, **environment)
        output, _ = process.communicate(timeout=600)
        assert process.returncode == code, output
        assert "Traceback" not in output
        return output

    def kill_when(self, seen: str, *arguments: str | Path) -> None:
        """Run the command and kill its whole group as soon as a path below the home matches `seen`."""
        process = self.start(*arguments)
        while not any(self.home.glob(seen)):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.01)
        children = psutil.Process(process.pid).children(recursive=True)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        # One of them tells Prefect first, and loads its client for it.
        _, left = psutil.wait_procs(children, timeout=60)
        assert not left, f"still running after their parent was killed: {left}"

    def last_run(self) -> dict[str, Any]:
        """The record of the newest run."""
        newest = max((self.home / "runs").glob("*/run.json"), key=lambda path: path.stat().st_mtime_ns)
        return {**json.loads(newest.read_text(encoding="utf-8")), "folder": newest.parent}

    def outcomes(self, field: str) -> dict[str, str]:
        """One field of what became of each stage in the newest run: `state`, `digest` or `key`."""
        return {outcome["stage"]: outcome[field] for outcome in self.last_run()["outcomes"]}

    def url(self, server: str) -> str:
        """The address of one of the servers: `PREFECT`, `MLFLOW`, `TRITON_HTTP`, `DOOR`."""
        return f"http://127.0.0.1:{self.environment[f'TEXTMILL_{server}_PORT']}"

    @property
    def credentials(self) -> tuple[str, str]:
        """User and password of the Prefect and the MLflow server."""
        return "textmill", (self.home / "servers" / "key").read_text(encoding="utf-8")

    def client(self, server: str) -> httpx.Client:
        """An HTTP client that is logged in, at Prefect with a CSRF token too."""
        client = httpx.Client(base_url=self.url(server), auth=self.credentials)
        if server == "PREFECT":
            token = client.get("/api/csrf-token", params={"client": "tests"}).json()["token"]
            client.headers.update({"Prefect-Csrf-Client": "tests", "Prefect-Csrf-Token": token})
        return client


# Tests kill servers to see what is said of it; who wants them to be started anew says so.
UNWATCHED = {"TEXTMILL_SUPERVISOR": "off"}


@contextmanager
def _open_mill(home: Path, folder: Path = ROOT, **environment: str) -> Iterator[Mill]:
    """A home on free ports, whose command is given in `folder`; its servers are ended when it is left."""
    numbers = free_ports(len(PORTS))
    ports = {f"TEXTMILL_{name}_PORT": str(port) for name, port in zip(PORTS, numbers, strict=True)}
    foreign = ("TEXTMILL_", "PREFECT_", "MLFLOW_")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
    kept = {k: v for k, v in os.environ.items() if k == "TEXTMILL_TRITON_ENV"}
    ours = {"TEXTMILL_HOME": str(home), "COLUMNS": "200", **UNWATCHED}
    mill = Mill(home, inherited | kept | ours | ports | environment, folder)
    try:
        yield mill
    finally:
        mill("down")


@pytest.fixture(scope="session")
def open_mill() -> Callable[..., Any]:
    """Open another home: `with open_mill(folder, VARIABLE=value) as mill`."""
    return _open_mill


@pytest.fixture(scope="session")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mill]:
    """The home that the tests share, with its servers running."""
    with _open_mill(tmp_path_factory.mktemp("mill") / "home") as opened:
        opened("up")
        yield opened


@pytest.fixture(scope="session")
def cold_mill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mill]:
    """Another home, for recipes with endpoints of their own: its first run starts the servers."""
    folder = tmp_path_factory.mktemp("cold")
    with _open_mill(folder / "home", folder=folder) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of pytest-xdist share."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def recipe(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recipe of a few seconds: three topics, 600 generated documents, some copies, a stray label.

    At one place for all workers, since the digest of a corpus counts where its documents are.
    """
    folder, final = tmp_path_factory.mktemp("recipe"), shared / "recipe"
    numbers = random.Random(7)
    rows = [_row(topic, numbers) for topic in sorted(TOPICS) for _ in range(200)]
    rows += numbers.sample(rows, 30)
    rows += [{"text": "The museum shows a collection of ancient coins and medals.", "topic": "museum"}]
    numbers.shuffle(rows)
    (folder / "topics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "topics.yaml").write_text(
        yaml.safe_dump(_recipe(final / "topics.jsonl"), sort_keys=False), encoding="utf-8"
    )
    with suppress(OSError):  # another worker was first
        folder.rename(final)
    return final / "topics.yaml"


@pytest.fixture(scope="session")
def undisturbed(shared: Path, request: pytest.FixtureRequest) -> Callable[[], dict[str, str]]:
    """Ask for `first` where it may have been made by another worker."""
    known = shared / "first.json"
    return lambda: (
        json.loads(known.read_text(encoding="utf-8")) if known.exists() else request.getfixturevalue("first")
    )


@pytest.fixture(scope="session")
def first(mill: Mill, recipe: Path, shared: Path) -> dict[str, str]:
    """The digests of an undisturbed run of the shared home."""
    output = mill("run", recipe)
    assert "completed" in output
    assert set(mill.outcomes("state").values()) == {"made"}
    digests: dict[str, str] = mill.outcomes("digest")
    assert tuple(digests) == STAGES
    (shared / "first.tmp").write_text(json.dumps(digests), encoding="utf-8")
    (shared / "first.tmp").replace(shared / "first.json")
    return digests


def _row(topic: str, numbers: random.Random) -> dict[str, str]:
    verbs, things, places = TOPICS[topic]
    sentences = [
        f"{numbers.choice(SUBJECTS)} {numbers.choice(verbs)} {numbers.choice(things)} "
        f"and {numbers.choice(verbs)} {numbers.choice(things)} {numbers.choice(places)}."
        for _ in range(numbers.randint(2, 4))
    ]
    return {"text": " ".join(sentences), "topic": topic}


def _recipe(corpus: Path) -> dict[str, Any]:
    small = {"layers": 1, "width": 32, "heads": 2, "intermediate": 32, "max_positions": 64}
    steps = {"sequence_length": 32, "batch_size": 8, "steps": 30, "checkpoint_every": 10}
    return {
        "name": "topics",
        "questions": ["who watered the roses", "did they boil the soup with garlic"],
        "collect": {"sources": [{"kind": "files", "path": str(corpus), "meta_fields": ["topic"]}]},
        "tokenize": {"vocabulary": 500},
        "pretrain": {**small, **steps},
        "fine_tune": {
            "max_length": 64,
            "epochs": 2,
            "learning_rate": 0.01,
        },
        "examples": {
            "kind": "documents",
            "task": "classification",
            "columns": {"label": "topic"},
            "min_documents": 20,
        },
        "evaluate": {"over_baseline": 0.1, "below_counted_words": 0.9, "below_champion": 0.5},
        "deploy": {"compare": 10},
    }
