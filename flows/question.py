"""Ask the served model, and show its answer to a person or to a program."""

from __future__ import annotations

import json
import os
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import Any

from rich.text import Text

from deploy import client, live, triton_server
from deploy.client import EndpointAnswer
from flows import servers
from flows.recipe_file import SMOKE_SUFFIX
from tasks.contract.console import console
from tasks.contract.errors import RecipeError, ServerError

BAR_WIDTH = 30
SHOWN_NUMBERS = 6  # of a vector
HITS = 5  # of an endpoint that searches, where nobody says how many
SHOWN_CHARACTERS = 240  # of a hit
ENTITY_STYLES = ("cyan", "magenta", "yellow", "green", "blue", "red")

AskedText = str | Mapping[str, Any]


def ask(
    questions: Sequence[AskedText], model: str | None = None, other: str | None = None, hits: int = HITS
) -> list[tuple[Mapping[str, Any], EndpointAnswer]]:
    """Each question as the endpoint was asked it, and its answer.

    Args:
        questions: a text each, or the strings of each by the endpoint's input.
        model: the endpoint; None when there is only one.
        other: what an endpoint of two texts asks for besides, the same for all: the context of questions, the
            second text of pairs.
        hits: how many an endpoint that searches is to list.

    Raises:
        RecipeError: a question is empty, or it has not what the endpoint asks for.
        ServerError: there is no such endpoint, or several are live and none was named.
        TritonError: Triton does not answer.
    """
    asked, endpoint, port = _prepared(questions, model, other, hits)
    return list(zip(asked, client.ask(asked, endpoint, http_port=port), strict=True))


def show(questions: Sequence[AskedText], model: str | None, other: str | None, top: int | None) -> None:
    """Ask, and show the answers to a person; texts that are written as they come. The rest is as in `ask`."""
    asked, endpoint, port = _prepared(questions, model, other, top or HITS)
    if not client.writes(endpoint, http_port=port):
        for question, answer in zip(asked, client.ask(asked, endpoint, http_port=port), strict=True):
            draw(question, answer, top)
        return
    for question in asked:
        first = _visible(next(iter(question.values())))
        console.print(f"\n[bold]{_plain(first)}[/]  →  ", end="")
        for answer in client.stream(question, endpoint, http_port=port):
            console.print(f"[bold green]{_written(answer)}[/]", end="")
        stopped = "" if answer.content.get("finish_reason") == "stop" else "…"
        console.print(f"{stopped}  (version {answer.model_version})")


def _prepared(
    questions: Sequence[AskedText], model: str | None, other: str | None, hits: int
) -> tuple[Sequence[Mapping[str, Any]], str, int]:
    """The questions as an endpoint is asked them, the endpoint, and the port of its server."""
    for number, question in enumerate(questions, 1):
        if not all(text.strip() for text in ([question] if isinstance(question, str) else question.values())):
            raise RecipeError(f"question {number} of {len(questions)} is empty; ask something")
    endpoint = _endpoint(model)
    if servers.find("triton") is None:  # at our port there may be the server of another home
        raise ServerError("Triton is not running here; start it with `textmill up`")
    port = servers.current_ports().triton_http
    first, *further = client.inputs(endpoint, http_port=port)
    if other is not None and not further:
        raise RecipeError(f"{endpoint} asks for a {first} alone; leave out --with")
    if further and other is None and any(isinstance(question, str) for question in questions):
        raise RecipeError(
            f"{endpoint} asks for a {first} and a {further[0]}; give the {further[0]} by --with"
        )
    besides = {further[0]: other} if further and other is not None else {}
    wanted = {"k": hits} if client.searches(endpoint, http_port=port) else {}
    asked = [
        {**({first: one} | besides if isinstance(one, str) else one), **wanted}  # what is asked comes first
        for one in questions
    ]
    return asked, endpoint, port


def draw(question: Mapping[str, Any], answer: EndpointAnswer, top: int | None = None) -> None:
    """Show an answer to a person: a bar per label, the likeliest first, `top` of them, or all; entities in
    their text, an answer in its context, hits one below the other."""
    said, first = answer.content, _visible(next(iter(question.values())))
    title = f"\n[bold]{_plain(first)}[/]  →  "
    version = f"  (version {answer.model_version})"
    if "probabilities" in said:
        chosen = said["label"] if "label" in said else ", ".join(said["labels"]) or "none"
        console.print(f"{title}[bold green]{_plain(chosen)}[/]{version}")
        ranked = sorted(said["probabilities"].items(), key=lambda item: -item[1])
        for label, probability in ranked[:top]:
            console.print(f"  {_plain(label):<22} {_bar(probability)} {probability:.3f}")
    elif "entities" in said:
        console.print(f"{title}{len(said['entities'])} entities{version}")
        console.print(_marked(_visible(question["text"]), said["entities"]))
        for entity in said["entities"]:
            console.print(f"  {_plain(entity['type']):<22} {_plain(entity['text'])}  {entity['score']:.3f}")
    elif "answer" in said:
        found = _plain(said["answer"]) or "no answer"
        console.print(f"{title}[bold green]{found}[/]  {said['score']:.3f}{version}")
        place = [{"type": "", "start": said["start"], "end": said["end"]}] if said["answer"] else []
        console.print(_marked(_visible(question["context"]), place))
    elif "text_output" in said:
        console.print(f"{title}[bold green]{_written(answer)}[/]{version}")
    elif "hits" in said:
        console.print(f"{title}{len(said['hits'])} hits{version}")
        for hit in said["hits"]:
            licence = f"  [dim]{_plain(hit['license'])}[/]" if hit["license"] else ""
            console.print(f"  [bold green]{hit['score']:.3f}[/]  [bold]{_plain(hit['uri'])}[/]{licence}")
            console.print(f"         {_beginning(hit['text'])}")
    elif "score" in said:
        other = _plain(_visible([*question.values()][-1]))
        console.print(f"{title}[bold green]{said['score']:.3f}[/]  {other}{version}")
    else:
        vector = said["embedding"]
        numbers = " ".join(f"{number:.3f}" for number in vector[:SHOWN_NUMBERS])
        console.print(f"{title}{len(vector)} numbers{version}\n  {numbers} …")


def _written(answer: EndpointAnswer) -> str:
    """What a model wrote, its lines as they are."""
    return _escaped("\n".join(map(_visible, answer.content["text_output"].split("\n"))))


def _visible(text: str) -> str:
    """A text whose control characters are blanks, so that it is as long on a terminal."""
    return "".join(" " if unicodedata.category(character) == "Cc" else character for character in text)


def _beginning(text: str) -> str:
    """What a text begins with, in one paragraph."""
    short = " ".join(_visible(text).split())
    return _escaped(short if len(short) <= SHOWN_CHARACTERS else f"{short[: SHOWN_CHARACTERS - 1]}…")


def _bar(share: float) -> str:
    return f"{'█' * round(BAR_WIDTH * share):<{BAR_WIDTH}}"


def _marked(text: str, pieces: Sequence[Mapping[str, Any]]) -> Text:
    """The text with pieces of it coloured, a colour for each type."""
    drawn = Text(f"  {text}")
    styles = dict(zip(sorted({piece["type"] for piece in pieces}), cycle(ENTITY_STYLES), strict=False))
    for piece in pieces:
        drawn.stylize(f"bold {styles[piece['type']]}", piece["start"] + 2, piece["end"] + 2)
    return drawn


def as_json(question: Mapping[str, Any], answer: EndpointAnswer) -> dict[str, Any]:
    """The question and its answer as plain values."""
    return {**question, **answer.content, "version": int(answer.model_version)}


def as_curl(question: AskedText, inputs: Sequence[str], url: str, hits: int = 0) -> str:
    """A command that asks the endpoint at `url`, by Triton's generate extension: JSON in, JSON out.

    Of an endpoint that searches it asks for `hits`.
    """
    asked = dict.fromkeys(inputs, question) if isinstance(question, str) else dict(question)
    asked |= {"k": hits} if hits else {}
    data = shlex.quote(json.dumps(asked, ensure_ascii=False))
    return f"curl -s {shlex.quote(url + '/generate')} \\\n  -d {data}"


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
    return _escaped(text if len(text) <= 100 else text[:99] + "…")


def _escaped(text: str) -> str:
    from rich.markup import escape

    return escape(text)
