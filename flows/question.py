"""Ask the served model, and show its answer to a person or to a program."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from deploy import client, live, triton_server
from deploy.client import EndpointAnswer
from flows import servers
from flows.recipe_file import SMOKE_SUFFIX
from tasks.contract.console import console
from tasks.contract.errors import RecipeError, ServerError

BAR_WIDTH = 30


def ask(texts: Sequence[str], model: str | None = None) -> list[EndpointAnswer]:
    """The endpoint's answers, one per text.

    Args:
        model: the endpoint; None when there is only one.

    Raises:
        RecipeError: a question is empty.
        ServerError: there is no such endpoint, or several are live and none was named.
        TritonError: Triton does not answer.
    """
    if blank := [number for number, text in enumerate(texts, 1) if not text.strip()]:
        raise RecipeError(f"question {blank[0]} of {len(texts)} is empty; ask something")
    endpoint = _endpoint(model)
    if servers.find("triton") is None:  # at our port there may be the server of another home
        raise ServerError("Triton is not running here; start it with `textmill up`")
    return client.ask(texts, endpoint, http_port=servers.current_ports().triton_http)


def draw(text: str, answer: EndpointAnswer, top: int | None = None) -> None:
    """Print a bar per label, the likeliest first; `top` of them, or all."""
    console.print(
        f"\n[bold]{_plain(text)}[/]  →  [bold green]{answer.label}[/]  (version {answer.model_version})"
    )
    for label, probability in list(zip(answer.labels, answer.probabilities, strict=True))[:top]:
        bar = "█" * round(BAR_WIDTH * probability)
        console.print(f"  {label:<22} {bar:<{BAR_WIDTH}} {probability:.3f}")


def as_json(text: str, answer: EndpointAnswer) -> dict[str, Any]:
    """The answer as plain values."""
    return {
        "text": text,
        "label": answer.label,
        "probability": answer.probability,
        "probabilities": dict(zip(answer.labels, answer.probabilities, strict=True)),
        "version": int(answer.model_version),
    }


def _endpoint(model: str | None) -> str:
    """The endpoint of this name, or the only one."""
    every = live.endpoints(servers.triton_home() / triton_server.REPOSITORY)
    # A smoke run of a recipe must not make a question to the real one ambiguous.
    endpoints = [name for name in every if not name.endswith(SMOKE_SUFFIX)] or every
    if model in every:
        return str(model)
    if model is None and len(endpoints) == 1:
        return endpoints[0]
    if model is None and endpoints:
        raise ServerError(f"several endpoints are live; choose with --model: {', '.join(endpoints)}")
    registered = _registered()
    if model is None and not registered:
        raise ServerError("nothing is deployed here yet; run a recipe first: `textmill run python-docs`")
    name = model or next(iter(registered))
    if name in registered:
        raise ServerError(_way_to_load(name, registered[name]))
    there = f"the endpoints are {', '.join(every)}" if every else "nothing is deployed here yet"
    also = f"; registered, but not served: {', '.join(registered)}" if registered else ""
    raise ServerError(f"there is no endpoint {name!r}; {there}{also}")


def _registered() -> dict[str, str]:
    """The models in MLflow by name, each with its best alias; none where that is not running."""
    os.environ.update(servers.process_variables())
    from tasks.tracking.registry import CHALLENGER, CHAMPION, client, reachable

    # At our port there may be the server of another home.
    if servers.find("mlflow") is None or not reachable():
        return {}
    return {
        model.name: alias
        for model in client().search_registered_models()
        for alias in [next((alias for alias in (CHAMPION, CHALLENGER) if alias in model.aliases), "")]
        if alias
    }


def _way_to_load(name: str, alias: str) -> str:
    """What to do with a model that is registered and has no endpoint."""
    return (
        f"{name} is registered in MLflow and not served: its task has no endpoint yet, or its run ended "
        "before deploy. In Python:\n\n"
        "import mlflow\n"
        f'mlflow.set_tracking_uri("{os.environ["MLFLOW_TRACKING_URI"]}")\n'
        f'mlflow.pyfunc.load_model("models:/{name}@{alias}").predict([{{…}}])  # without targets'
    )


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text if len(text) <= 100 else text[:99] + "…")
