"""Ask the served model, and show its answer to a person or to a program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deploy import client, live
from deploy.client import Answer
from flows import servers
from flows.recipe import SMOKE_SUFFIX
from tasks.errors import ServerError
from tasks.visible import console

BAR_WIDTH = 30


def ask(texts: Sequence[str], model: str | None = None) -> list[Answer]:
    """The endpoint's answers, one per text.

    Args:
        model: the endpoint; None when there is only one.

    Raises:
        ServerError: nothing is deployed, or several endpoints are and none was named.
        TritonError: Triton does not answer.
    """
    endpoint = model or _only_endpoint()
    if servers.find("triton") is None:  # at our port there may be the server of another home
        raise ServerError("Triton is not running here; start it with `textmill up`")
    return client.ask(texts, endpoint, http_port=servers.current_ports().triton_http)


def draw(text: str, answer: Answer, top: int | None = None) -> None:
    """Print a bar per label, the likeliest first; `top` of them, or all."""
    console.print(
        f"\n[bold]{_plain(text)}[/]  →  [bold green]{answer.label}[/]  (version {answer.model_version})"
    )
    for label, probability in list(zip(answer.labels, answer.probabilities, strict=True))[:top]:
        bar = "█" * round(BAR_WIDTH * probability)
        console.print(f"  {label:<22} {bar:<{BAR_WIDTH}} {probability:.3f}")


def as_json(text: str, answer: Answer) -> dict[str, Any]:
    """The answer as plain values."""
    return {
        "text": text,
        "label": answer.label,
        "probability": answer.probability,
        "probabilities": dict(zip(answer.labels, answer.probabilities, strict=True)),
        "version": int(answer.model_version),
    }


def _only_endpoint() -> str:
    repository = servers.triton_home() / "models"
    every = live.endpoints(repository) if repository.exists() else []
    # A smoke run of a recipe must not make a question to the real one ambiguous.
    endpoints = [name for name in every if not name.endswith(SMOKE_SUFFIX)] or every
    if not endpoints:
        raise ServerError("nothing is deployed here yet; run a recipe first: `textmill run python-docs`")
    if len(endpoints) > 1:
        raise ServerError(f"several endpoints are live; choose with --model: {', '.join(endpoints)}")
    return endpoints[0]


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text if len(text) <= 100 else text[:99] + "…")
