"""What `textmill status` says of endpoints: when, how close, and who is ahead."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import pytest
from rich.console import Console

from flows import endpoints, status_lines
from flows.endpoints import EndpointStatus
from flows.servers import ServerStatus
from tasks.contract.errors import ServerError

SERVERS = [
    ServerStatus("prefect", "running", "http://127.0.0.1:4200", 1234567, "3"),
    ServerStatus("mlflow", "running", "http://127.0.0.1:5000", 1234568, "3"),
    ServerStatus("triton", "running", "http://127.0.0.1:8000", 1234569, "2"),
]
SINCE = datetime(2026, 1, 5, 8, 30, 59, tzinfo=UTC)
DETAILS = f"  live since {SINCE.astimezone():%Y-%m-%d %H:%M %Z}, parity 3.1e-07"  # in local time
Shown = Callable[[Sequence[EndpointStatus], Mapping[str, int | None]], list[str]]


def endpoint(name: str, version: int | None = 3, fault: str | None = None) -> EndpointStatus:
    url = f"http://127.0.0.1:8000/v2/models/{name}"
    return EndpointStatus(name, version, url, fault, SINCE, 3.14159e-07)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shown:
    """The lines of these endpoints, given the champions; those of the servers are taken off."""

    def show(served: Sequence[EndpointStatus], champions: Mapping[str, int | None]) -> list[str]:
        monkeypatch.setattr(endpoints, "status", lambda *_: served)
        monkeypatch.setattr(status_lines, "_champions", lambda *_: champions)
        status_lines.show(SERVERS)
        return capsys.readouterr().out.splitlines()

    return show


def test_an_endpoint_that_registry_and_triton_agree_about(shown: Shown) -> None:
    assert shown([endpoint("router")], {"router": 3})[-2:] == [
        "router  version 3  answers  http://127.0.0.1:8000/v2/models/router",
        f"{DETAILS}, champion in MLflow",
    ]
    assert shown([endpoint("router")], {})[-1] == DETAILS


@pytest.mark.parametrize(
    ("champion", "said"),
    [
        (4, "MLflow is ahead, its champion is version 4: `textmill deploy router` serves it"),
        (
            2,
            "the endpoint is ahead, MLflow's champion is version 2: `textmill deploy router` goes back to "
            "it, `textmill deploy router@3` makes 3 the champion",
        ),
        (None, "MLflow has no champion of router: `textmill deploy router@3` makes 3 the champion"),
    ],
)
def test_who_is_ahead_and_what_repairs_it(shown: Shown, champion: int | None, said: str) -> None:
    lines = shown([endpoint("router")], {"router": champion})
    assert lines[-2:] == [DETAILS, f"  {said}"]


def test_one_that_does_not_answer_is_not_live(shown: Shown, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ServerError, match="no answer: router; `textmill up` starts what is missing"):
        shown([endpoint("router", fault="answers from version 2")], {"router": 3})
    said = capsys.readouterr().out
    assert "router  version 3  answers from version 2  http" in said
    assert "live since" not in said


def test_all_of_it_fits_a_terminal_of_80_columns(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_lines, "console", Console(force_terminal=True, width=80))
    monkeypatch.setattr(
        status_lines.servers,
        "link",
        lambda name, url: f"{url}/login".replace("//", f"//textmill:{'k' * 32}@"),
    )
    served = [endpoint("router"), endpoint("an-endpoint-with-quite-a-long-name")]
    lines = shown(served, {"router": 2, "an-endpoint-with-quite-a-long-name": 10})
    assert max(map(len, lines)) <= 80
    assert lines[:2] == [
        "prefect  running   pid 1234567",
        f"  http://textmill:{'k' * 32}@127.0.0.1:4200/login",
    ]
    assert "  http://127.0.0.1:8000/v2/models/an-endpoint-with-quite-a-long-name" in lines
