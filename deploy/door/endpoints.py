"""The endpoints that the door leads to: what is live in Triton's model repository, read at each request.

The repository says what Triton's metadata does not: the task. Its control API, which lists models, needs a
key that the door has no use for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploy import live, model_config, repository
from deploy.door.refusals import Refusal
from deploy.live_since import live_since
from deploy.triton_server import REPOSITORY

REPLIES = "messages"  # an input of those that reply to conversations


@dataclass(frozen=True)
class ServedEndpoint:
    """An endpoint and the version that it points at.

    `inputs` are the strings of a question, and of one that writes those of which a question has one.
    """

    name: str
    version: int
    task: str
    inputs: tuple[str, ...]
    writes: bool
    searches: bool
    since: datetime | None

    @property
    def replies(self) -> bool:
        """Whether it takes conversations."""
        return self.writes and REPLIES in self.inputs

    @property
    def embeds(self) -> bool:
        """Whether it gives vectors."""
        return self.task == "matching"


def endpoints(triton_home: Path) -> list[ServedEndpoint]:
    """All that are live and whole, by name."""
    found = (_endpoint(triton_home, name) for name in live.endpoints(triton_home / REPOSITORY))
    return [endpoint for endpoint in found if endpoint]


def endpoint(triton_home: Path, name: object) -> ServedEndpoint:
    """The endpoint of this name. Raises Refusal where there is none."""
    names = live.endpoints(triton_home / REPOSITORY)
    if isinstance(name, str) and name in names:
        if found := _endpoint(triton_home, name):
            return found
        raise Refusal(503, f"{name} is not whole on disk; `textmill up` repairs it", "model")
    if not names:
        raise Refusal(404, "no model is served yet; `textmill run` deploys one", "model", "model_not_found")
    known = ", ".join(names)
    asked = f"there is no model {name!r}" if isinstance(name, str) else "model is missing"
    raise Refusal(404, f"{asked}; give one of {known}", "model", "model_not_found")


def files_of(triton_home: Path, name: str, version: int | str) -> Path:
    """The folder from which a version of an endpoint answers."""
    return triton_home / REPOSITORY / repository.model_of(name, int(version)) / str(version)


def settings_of(files: Path) -> Mapping[str, Any]:
    """What `export` noted of a model. Raises OSError or ValueError where it is not there or damaged."""
    settings: Mapping[str, Any] = json.loads((files / "settings.json").read_text(encoding="utf-8"))
    return settings


def _endpoint(triton_home: Path, name: str) -> ServedEndpoint | None:
    version = repository.pinned_version(triton_home / REPOSITORY, name)
    if version is None:
        return None
    files = files_of(triton_home, name, version)
    try:
        said, task = model_config.signature(files), str(settings_of(files)["task"])
        return ServedEndpoint(
            name,
            version,
            task,
            tuple(said["inputs"]),
            bool(said.get("writes")),
            "scores" in said["outputs"] and task == "matching",
            live_since(triton_home, name, version),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None  # `textmill status` says what is broken


def created(one: ServedEndpoint) -> int:
    """When it became live, in seconds since 1970; 0 where nobody knows."""
    return int(one.since.astimezone(UTC).timestamp()) if one.since else 0
