"""The application that uvicorn serves: the paths of the door, and what each of them does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from deploy.door import page_files
from deploy.door.asking import ask, parameters_of
from deploy.door.bodies import read_object
from deploy.door.bounds import Bounds
from deploy.door.embeddings import embeddings
from deploy.door.endpoints import ServedEndpoint, created, endpoint, endpoints
from deploy.door.guard import DoorGuard
from deploy.door.refusals import Refusal
from deploy.door.settings import DoorSettings
from deploy.door.triton import AsyncTriton
from deploy.door.writing_requests import chat_request, completion_request
from deploy.door.written_answers import NOT_KEPT, ChatShape, CompletionShape, written


def door() -> ASGIApp:
    """The door as the environment says: what uvicorn is told to serve."""
    settings = DoorSettings.from_environment()
    return DoorGuard(Bounds(application(settings)), settings)


def application(settings: DoorSettings) -> Starlette:
    """What stands behind the guard and the bounds."""
    paths = Paths(settings)
    return Starlette(
        routes=[
            *page_files.ROUTES,
            Route("/health", paths.health),
            Route("/endpoints", paths.endpoints),
            Route("/ask/{name}", paths.ask, methods=["POST"]),
            Route("/v1/models", paths.models),
            Route("/v1/models/{name}", paths.model),
            Route("/v1/chat/completions", paths.chat, methods=["POST"]),
            Route("/v1/completions", paths.complete, methods=["POST"]),
            Route("/v1/embeddings", paths.embed, methods=["POST"]),
        ],
        exception_handlers={Refusal: _refused, HTTPException: _no_such_path, Exception: _failed},
        lifespan=paths.lifespan,
    )


class Paths:
    """What is done at each path."""

    def __init__(self, settings: DoorSettings) -> None:
        self._home = settings.triton_home

    @contextlib.asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        """From the start of the server to its end."""
        self._triton = AsyncTriton(self._home)
        yield
        await self._triton.close()

    async def health(self, request: Request) -> Response:
        """The door lives; it says nothing of Triton, which is asked by itself."""
        return JSONResponse({"version": _version()}, headers=NOT_KEPT)

    async def endpoints(self, request: Request) -> Response:
        """What the page has to know of each endpoint."""
        return JSONResponse(
            {"endpoints": [_described(one) for one in endpoints(self._home)]}, headers=NOT_KEPT
        )

    async def ask(self, request: Request) -> Response:
        """A question to an endpoint that does not write."""
        one = endpoint(self._home, request.path_params["name"])
        return JSONResponse(await ask(self._triton, one, await _said(request)), headers=NOT_KEPT)

    async def models(self, request: Request) -> Response:
        """The endpoints, as OpenAI lists models."""
        listed = {"object": "list", "data": [_model(one) for one in endpoints(self._home)]}
        return JSONResponse(listed, headers=NOT_KEPT)

    async def model(self, request: Request) -> Response:
        """One of them."""
        return JSONResponse(_model(endpoint(self._home, request.path_params["name"])), headers=NOT_KEPT)

    async def chat(self, request: Request) -> Response:
        """A reply to a conversation."""
        said = await _said(request)
        one = endpoint(self._home, said.get("model"))
        return await written(self._triton, one, chat_request(said, one), ChatShape())

    async def complete(self, request: Request) -> Response:
        """How a text goes on, or what is written for it."""
        said = await _said(request)
        one = endpoint(self._home, said.get("model"))
        return await written(self._triton, one, completion_request(said, one), CompletionShape())

    async def embed(self, request: Request) -> Response:
        """Vectors of texts."""
        said = await _said(request)
        one = endpoint(self._home, said.get("model"))
        return JSONResponse(await embeddings(self._triton, self._home, one, said), headers=NOT_KEPT)


async def _said(request: Request) -> dict[str, Any]:
    return read_object(await request.body())


def _model(one: ServedEndpoint) -> dict[str, Any]:
    return {"id": one.name, "object": "model", "created": created(one), "owned_by": "textmill"}


def _described(one: ServedEndpoint) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "task": one.task,
        "inputs": one.inputs,
        "parameters": parameters_of(one),
        "writes": one.writes,
        "replies": one.replies,
        "embeds": one.embeds,
        "searches": one.searches,
    }


def _version() -> str:
    try:
        return version("textmill")
    except PackageNotFoundError:
        return "unknown"


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _no_such_path(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return Refusal(405, f"{request.url.path} is not asked by {request.method}").response()
    there = "/v1/models, /v1/chat/completions, /v1/completions, /v1/embeddings, /endpoints and /ask/NAME"
    return Refusal(error.status_code, f"there is no {request.url.path} here; there are {there}").response()


async def _failed(request: Request, error: Exception) -> Response:
    return Refusal(500, "the door failed; its log (servers/door.log) says why").response()
