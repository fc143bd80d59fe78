"""A version on trial: a share of an endpoint's requests goes to it, too, and what it does is counted.

The endpoint is then a model of ours (`deploy/models/trial`) that asks the live version and the new one. The
client gets the new one's answer (a canary) or the live one's (a shadow).
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deploy import access, client
from deploy import repository as models
from deploy.connection import connection, sent
from deploy.errors import TritonError
from deploy.triton_server import HOST, TritonServer

LOOK_SECONDS = 0.5
AnswersOf = Literal["new", "live"]
_COUNT = re.compile(r'^textmill_trial_(\w+)\{model="([^"]+)"[^}]*\} ([0-9.e+]+)$', re.M)


@dataclass(frozen=True)
class TrialFigures:
    """What a trial saw: requests that both answered, those answered otherwise, and those the new one failed.

    Milliseconds are the mean of a request, its waiting included; None before the first.
    """

    compared: int = 0
    different: int = 0
    failed: int = 0
    live_ms: float | None = None
    new_ms: float | None = None

    @property
    def requests(self) -> int:
        """Those that the new version was given."""
        return self.compared + self.failed


class Trial:
    """A trial that goes on."""

    def __init__(self, server: TritonServer, name: str, live: int, new: int) -> None:
        self._server, self._name = server, name
        self._models = [models.model_of(name, version) for version in (live, new)]
        self._before = self._counts(), [self._spent(model) for model in self._models]

    def figures(self) -> TrialFigures:
        """What was seen since it began. Raises TritonError when the server does not answer."""
        (counts, spent), now = self._before, self._counts()
        seen = {
            name: int(now.get(name, 0) - counts.get(name, 0)) for name in ("compared", "different", "failed")
        }
        times = []
        for model, (requests, seconds) in zip(self._models, spent, strict=True):
            more, longer = self._spent(model)
            times.append(1000 * (longer - seconds) / (more - requests) if more > requests else None)
        return TrialFigures(**seen, live_ms=times[0], new_ms=times[1])

    def wait(self, requests: int, seconds: float) -> TrialFigures:
        """Wait until the new version was given so many requests, or so many seconds; what was seen."""
        until = time.monotonic() + seconds
        while (figures := self.figures()).requests < requests and time.monotonic() < until:
            time.sleep(LOOK_SECONDS)
        return figures

    def _counts(self) -> dict[str, float]:
        import http.client

        to_metrics = http.client.HTTPConnection(HOST, self._server.metrics_port, timeout=10)
        try:
            to_metrics.request("GET", "/metrics")
            page = to_metrics.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise TritonError(f"Triton does not tell its metrics ({error})") from None
        finally:
            to_metrics.close()
        return {what: float(count) for what, model, count in _COUNT.findall(page) if model == self._name}

    def _spent(self, model: str) -> tuple[int, float]:
        """Requests that a model answered, and the seconds that they took together."""
        with connection(self._server.http_port, 10) as to_triton:
            said: Any = sent(
                to_triton, "GET", f"/v2/models/{model}/stats", None, {access.HEADER: self._server.key}
            )
        done = said["model_stats"][0]["inference_stats"]["success"]
        return int(done["count"]), int(done["ns"]) / 1e9


@contextmanager
def on_trial(
    server: TritonServer, name: str, version: int, share: float, answers: AnswersOf, tolerance: float
) -> Iterator[Trial]:
    """Let a staged version be tried beside the live one; at the end the live one answers alone.

    Raises:
        TritonError: nothing is live, both have other tensors, or it is a model that writes.
    """
    repository = Path(server.repository)
    live = models.pinned_version(repository, name)
    if live is None:
        raise TritonError(
            f"no version of {name} is live, so there is nothing to try version {version} beside"
        )
    models.write_trial(repository, name, live, version, share, answers, tolerance)
    try:
        client.load(name, server)
        yield Trial(server, name, live, version)
    finally:
        models.write_endpoint(repository, name, name, live)
        client.load(name, server)
