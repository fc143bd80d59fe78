"""Registrations in processes of their own, which meet another one at a step or are killed right after it."""

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

from tests.release_artifacts import Release

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.tasks.registering", "mlflow.pyfunc"])
SECONDS_TO_MEET = 300.0


def start(
    home: Path, model: str, step: str = "", *, meet: bool = False, kill: bool = False
) -> ForkServerProcess:
    """Begin to register the model of a home, which is made if there is none; output goes to `HOME/said`.

    Args:
        step: a method of MLflow's client.
        meet: before the step, wait until another home beside this one has come to it.
        kill: the process is killed right after the step.
    """
    address = os.environ["MLFLOW_TRACKING_URI"]
    process = SERVER.Process(target=_register, args=(address, home, model, step, meet, kill))
    process.start()
    return process


def _register(address: str, home: Path, model: str, step: str, meet: bool, kill: bool) -> None:
    os.environ["MLFLOW_TRACKING_URI"] = address
    if step:
        setattr(MlflowClient, step, _at_step(getattr(MlflowClient, step), home, meet, kill))
    home.mkdir(exist_ok=True)
    with (home / "said").open("a", encoding="utf-8") as said, redirect_stdout(said):
        Release(home, model).register()


def _at_step(own: Callable[..., Any], home: Path, meet: bool, kill: bool) -> Callable[..., Any]:
    def replaced(*arguments: Any, **named: Any) -> Any:
        if meet:
            (home / "here").touch()
            until = time.monotonic() + SECONDS_TO_MEET
            while len(list(home.parent.glob("*/here"))) < 2 and time.monotonic() < until:
                time.sleep(0.01)
        found = own(*arguments, **named)
        if kill:
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return replaced
