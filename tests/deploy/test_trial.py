"""A version is tried beside the live one, through a real Triton, while clients ask."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import client, live
from deploy.errors import TritonError
from deploy.trial import on_trial
from deploy.triton_server import TritonServer
from tests.deploy.conftest import SENTENCES, Bundle
from tests.deploy.writing_bundle import written_bundle
from tests.model_code.served.test_every_task import assert_alike

EVERY = 4  # requests, of which one goes to the version on trial


@pytest.fixture
def staged(server: TritonServer, bundle: Callable[..., Bundle], request: Any) -> Iterator[str]:
    """An endpoint that answers from version 1, with version 2 beside it."""
    name = f"tried-{abs(hash(request.node.name))}"
    live.stage_version(server, name, 1, bundle(1).folder)
    live.go_live(server, name, 1)
    live.stage_version(server, name, 2, bundle(2).folder)
    yield name
    assert [answer.model_version for answer in ask(server, name)] == ["1"] * len(SENTENCES)


def ask(server: TritonServer, name: str) -> list[client.EndpointAnswer]:
    return [client.ask([text], name, http_port=server.http_port)[0] for text in SENTENCES]


def direct(server: TritonServer, name: str, version: int) -> list[Any]:
    """What a version answers by itself."""
    found = client.ask(SENTENCES, f"{name}-v{version}-model", http_port=server.http_port)
    return [answer.content for answer in found]


@pytest.mark.parametrize("answers", ["new", "live"])
def test_a_share_is_answered_by_both_and_compared(server: TritonServer, staged: str, answers: Any) -> None:
    expected = {str(version): direct(server, staged, version) for version in (1, 2)}
    with on_trial(server, staged, 2, 1 / EVERY, answers, tolerance=1e-3) as trial:
        came = [list(zip(SENTENCES, ask(server, staged), strict=True)) for _ in range(EVERY)]
        figures = trial.wait(len(SENTENCES), seconds=20)
    for run in came:
        for place, (_, answer) in enumerate(run):
            assert_alike(answer.content, expected[answer.model_version][place])
    versions = [answer.model_version for run in came for _, answer in run]
    assert versions.count("2") == (len(SENTENCES) if answers == "new" else 0)
    assert figures.compared == figures.requests == len(SENTENCES)
    assert figures.different > 0
    assert figures.failed == 0
    assert figures.live_ms
    assert figures.new_ms


def test_the_same_weights_answer_alike(
    server: TritonServer, staged: str, bundle: Callable[..., Bundle]
) -> None:
    live.stage_version(server, staged, 3, bundle(1).folder)
    with on_trial(server, staged, 3, 1.0, "new", tolerance=1e-3) as trial:
        ask(server, staged)
        figures = trial.wait(len(SENTENCES), seconds=20)
    assert (figures.compared, figures.different) == (len(SENTENCES), 0)


def test_what_the_new_version_fails_the_live_one_answers(
    server: TritonServer, staged: str, kill_process: Callable[[str], None]
) -> None:
    with on_trial(server, staged, 2, 1.0, "new", tolerance=1e-3) as trial:
        kill_process(f"{staged}-v2-model")
        answers = ask(server, staged)
        figures = trial.figures()
    assert [answer.model_version for answer in answers] == ["1"] * len(SENTENCES)
    assert figures.failed == len(SENTENCES)


def test_no_request_fails_when_a_trial_begins_and_ends(server: TritonServer, staged: str) -> None:
    failed: list[Exception] = []
    goes_on = threading.Event()
    goes_on.set()

    def load() -> None:
        while goes_on.is_set() and not failed:
            try:
                ask(server, staged)
            except TritonError as error:
                failed.append(error)

    clients = [threading.Thread(target=load) for _ in range(4)]
    for thread in clients:
        thread.start()
    for _ in range(3):
        with on_trial(server, staged, 2, 0.5, "new", tolerance=1e-3) as trial:
            assert trial.wait(10, seconds=30).requests >= 10
    goes_on.clear()
    for thread in clients:
        thread.join()
    assert not failed


def test_a_question_that_nobody_can_answer_is_no_fault_of_the_new_version(
    server: TritonServer, staged: str
) -> None:
    with on_trial(server, staged, 2, 1.0, "new", tolerance=1e-3) as trial:
        with pytest.raises(TritonError, match="has 70000 bytes"):
            client.ask(["a" * 70_000], staged, http_port=server.http_port)
        assert trial.figures().failed == 0


def test_what_can_not_be_tried_is_refused(
    server: TritonServer, staged: str, bundle: Callable[..., Bundle], tmp_path: Path
) -> None:
    live.stage_version(server, staged, 3, bundle(3, labels=("a", "b")).folder)
    with pytest.raises(TritonError, match="have other tensors"), on_trial(server, staged, 3, 1, "new", 0):
        pass
    with (
        pytest.raises(TritonError, match="no version of nothing is live"),
        on_trial(server, "nothing", 1, 1, "new", 0),
    ):
        pass
    for version in (1, 2):
        live.stage_version(server, "scribe", version, written_bundle(tmp_path / str(version), version))
        if version == 1:
            live.go_live(server, "scribe", 1)
    with pytest.raises(TritonError, match="writes its answers"), on_trial(server, "scribe", 2, 1, "new", 0):
        pass
    assert client.ready_version("scribe", http_port=server.http_port) == 1
