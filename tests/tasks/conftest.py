"""A real MLflow for the stages that talk to one, without the rest of the pipeline."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tasks.contract.artifact import sha256_text
from tasks.tracking import own_servers
from tasks.tracking.registry import client
from tests.free_ports import free_ports
from tests.release_artifacts import write_classifier

SECONDS_TO_START = 300.0  # on a machine with much else to do; two to five are usual


@pytest.fixture(scope="session")
def mlflow_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """MLflow's own server over SQLite: one process, where `mlflow server` has one more that starts it.

    The variables are those by which it tells that process what to serve.
    """
    home, (port,) = tmp_path_factory.mktemp("mlflow"), free_ports(1)
    served = {
        "FILE_STORE": f"sqlite:///{home / 'mlflow.db'}",
        "SERVE_ARTIFACTS": "true",
        "ARTIFACT_DESTINATION": str(home / "artifacts"),
        "ARTIFACT_ROOT": "mlflow-artifacts:/",
    }
    environment = os.environ | {f"_MLFLOW_SERVER_{name}": value for name, value in served.items()}
    command = [sys.executable, "-m", "uvicorn", "mlflow.server.fastapi_app:app", "--port", str(port)]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        address, until = f"http://127.0.0.1:{port}", time.monotonic() + SECONDS_TO_START
        while own_servers.server_fault("mlflow", address):
            assert server.poll() is None, (home / "log").read_text(encoding="utf-8")
            assert time.monotonic() < until
            time.sleep(0.1)
        yield address
    finally:
        server.terminate()
        server.wait()


@pytest.fixture
def mlflow(mlflow_address: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A client for it, as the stages get theirs."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mlflow_address)
    return client()


@pytest.fixture
def model(request: pytest.FixtureRequest) -> str:
    """The name of an experiment and a registered model of the test's own."""
    return f"model-{sha256_text(request.node.nodeid)[:12]}"


@pytest.fixture(scope="session")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with random weights."""
    return write_classifier(tmp_path_factory.mktemp("classifier"))
