"""`textmill deploy` and `textmill rollback`: a person changes what answers, and the registry follows."""

from __future__ import annotations

from deploy import live, repository, triton_server
from deploy.triton_server import TritonServer
from flows import environment, servers
from flows.session import prepare
from tasks.contract.console import console
from tasks.contract.errors import RecipeError, ServerError
from tasks.contract.store import Store
from tasks.deployment import by_hand
from tasks.deployment.by_hand import Switched
from tasks.tracking.registry import CHAMPION


def deploy(reference: str) -> None:
    """Make an endpoint answer from a registered version: NAME (its champion), NAME@ALIAS or NAME@VERSION.

    Raises:
        RecipeError: it is no such reference.
        TextmillError, TritonError: as `by_hand.serve`.
    """
    name, at, which = reference.partition("@")
    if at and not which:
        raise RecipeError(f"{reference}: give NAME, NAME@ALIAS or NAME@VERSION")
    _check(name)
    done = by_hand.serve(name, which or CHAMPION, _server(), _store())
    console.print(_deployed(name, done), markup=False)


def rollback(name: str) -> None:
    """Make an endpoint answer from the version before.

    Raises:
        RecipeError: it is no name.
        TextmillError, TritonError: as `by_hand.roll_back`.
    """
    _check(name)
    # From the disk, so that no server is started in vain.
    live.version_before(servers.triton_home() / triton_server.REPOSITORY, name)
    now, before = by_hand.roll_back(name, _server(), _store())
    console.print(
        f"{name} answers from version {now} again, and no longer from {before}; {_is_champion(now)}",
        markup=False,
    )


def _deployed(name: str, done: Switched) -> str:
    if done.before is None:
        said = f"{name} answers from version {done.version}"
    elif done.before == done.version:
        said = f"{name} answers from version {done.version}, as it did"
    else:
        said = f"{name} answers from version {done.version}, and no longer from {done.before}"
    return (
        f"{said}; {done.compared} questions are answered as the registered model does (largest difference "
        f"{done.max_abs_difference:.1e}); {_is_champion(done.version, done.champion_before)}"
    )


def _is_champion(version: int, before: int | None = None) -> str:
    moved = "still" if before == version else "now"
    return f"MLflow's {CHAMPION} is {moved} version {version}"


def _check(name: str) -> None:
    if fault := repository.fault_of_name(name):
        raise RecipeError(f"{name!r} is no name of an endpoint: {fault}; `textmill status` lists them")


def _server() -> TritonServer:
    """Triton, and MLflow beside it; what does not run is started."""
    prepare(["mlflow", "triton"])
    server = triton_server.find(servers.triton_home())
    if server is None:
        raise ServerError("Triton is not running here; start it with `textmill up`")
    return server


def _store() -> Store:
    return Store(environment.home())
