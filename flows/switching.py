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
from tasks.deployment.trial_rules import TrialConfig
from tasks.tracking.registry import CHAMPION


def deploy(reference: str, canary: str | None = None, shadow: str | None = None) -> None:
    """Make an endpoint answer from a registered version: NAME (its champion), NAME@ALIAS or NAME@VERSION.

    Args:
        canary: a share of requests, such as 10%, that the new version answers first, as `deploy.trial` does.
        shadow: a share that it is given without the client seeing its answer.

    Raises:
        RecipeError: it is no such reference, or no share.
        TextmillError, TritonError: as `by_hand.serve`.
    """
    name, at, which = reference.partition("@")
    if at and not which:
        raise RecipeError(f"{reference}: give NAME, NAME@ALIAS or NAME@VERSION")
    _check(name)
    if canary and shadow:
        raise RecipeError("give --canary or --shadow, not both")
    trial = None
    if share := canary or shadow:
        trial = TrialConfig(share=_share(share), answers="new" if canary else "live")
    done = by_hand.serve(name, which or CHAMPION, _server(), _store(), trial)
    _say(_deployed(name, done))


def _share(text: str) -> float:
    number, percent = text.removesuffix("%"), text.endswith("%")
    try:
        share = float(number) / (100 if percent else 1)
    except ValueError:
        share = 0
    if not 0 < share <= 1:
        raise RecipeError(f"{text!r} is no share of requests; give one such as 10% or 0.1")
    return share


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
    _say(f"{name} answers from version {now} again, no longer from {before}; {_is_champion(now)}")


def _deployed(name: str, done: Switched) -> str:
    before = f", no longer from {done.before}" if done.before else ""
    if done.before == done.version:
        before = ", as it did"
    champion = _is_champion(done.version, done.champion_before)
    return (
        f"{name} answers from version {done.version}{before}; {champion}\n  as the registered model does to "
        f"{done.compared} questions, largest difference {done.max_abs_difference:.1e}"
    )


def _is_champion(version: int, before: int | None = None) -> str:
    return f"MLflow's {CHAMPION} is {'still' if before == version else 'now'} {version}"


def _say(text: str) -> None:
    """Lines that a terminal breaks between words."""
    console.print(text, markup=False, soft_wrap=not console.is_terminal)


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
