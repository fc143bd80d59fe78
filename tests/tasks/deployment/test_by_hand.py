"""Versions are switched by hand, on a real Triton and a real MLflow, and both say the same afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import client as triton
from deploy import live, triton_server
from deploy import repository as models
from deploy.errors import TritonError
from deploy.live_since import live_since
from deploy.triton_server import TritonServer
from tasks.contract.errors import ParityError, StageError
from tasks.contract.store import Store
from tasks.deployment import by_hand
from tasks.deployment.by_hand import PROBES
from tasks.deployment.deployed import CANARIES, CANARY_TEXTS, deployment
from tasks.tracking.registry import CHAMPION, by_alias, move_alias
from tests.deploy.conftest import Bundle, bundle  # noqa: F401
from tests.free_ports import free_ports
from tests.release_artifacts import Release
from tests.tasks.candidate import Candidate

Bundles = Callable[..., Bundle]
NAME = "switched"


class Place:
    """A home whose endpoint had version 1 and has 2, by the stage `deploy`; 3 is registered and no more."""

    def __init__(self, server: TritonServer, make: Bundles) -> None:
        self.server, self.models = server, Path(server.repository)
        home = self.models.parents[1]
        self.store = Store(home)
        for number in (1, 2):
            Candidate(home, NAME, make(number)).deploy()
        Candidate(home, NAME, make(3))

    def serve(self, which: str) -> by_hand.Switched:
        return by_hand.serve(NAME, which, self.server, self.store)

    def roll_back(self) -> tuple[int, int]:
        return by_hand.roll_back(NAME, self.server, self.store)

    def served(self) -> int | None:
        return triton.ready_version(NAME, http_port=self.server.http_port)


@pytest.fixture(scope="module")
def place(
    tmp_path_factory: pytest.TempPathFactory,
    mlflow_address: str,
    bundle: Bundles,  # noqa: F811
) -> Iterator[Place]:
    home = tmp_path_factory.mktemp("home") / "triton"
    names = ("http_port", "grpc_port", "metrics_port")
    server = triton_server.start(home, **dict(zip(names, free_ports(len(names)), strict=True)))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("MLFLOW_TRACKING_URI", mlflow_address)
            made = Place(server, bundle)
        yield made
    finally:
        triton_server.stop(home)


@pytest.fixture
def second(place: Place, mlflow: Any) -> Iterator[Place]:
    """The same with version 2 live, 1 behind it, and both sides of one mind; so it is left, too."""
    yield place
    if models.versions(place.models, NAME) != [1, 2]:
        place.serve("1")
    if (place.served(), champion(mlflow)) != (2, 2):
        place.serve("2")
    assert models.versions(place.models, NAME) == [1, 2]
    assert (place.served(), champion(mlflow)) == (2, 2)


def champion(mlflow: Any) -> int | None:
    found = by_alias(mlflow, NAME, CHAMPION)
    return found.version if found else None


def test_back_to_the_version_before_and_registry_with_it(second: Place, mlflow: Any) -> None:
    assert second.roll_back() == (1, 2)
    assert (second.served(), champion(mlflow)) == (1, 1)
    with pytest.raises(TritonError) as refusal:
        second.roll_back()
    assert str(refusal.value) == (
        f"{NAME} has no version before 1 to go back to; `textmill deploy {NAME}@VERSION` serves any "
        "registered one"
    )
    assert (second.served(), champion(mlflow)) == (1, 1)


def test_a_registered_version_that_was_never_deployed_is_asked_built_in_questions(
    second: Place, mlflow: Any
) -> None:
    done = second.serve("challenger")
    assert (done.version, done.before, done.champion_before) == (3, 2, 2)
    assert done.compared == len(PROBES)
    assert done.max_abs_difference < 1e-5
    assert (second.served(), champion(mlflow)) == (3, 3)
    assert second.roll_back() == (2, 3)


def test_a_version_that_was_deployed_has_to_answer_its_canaries(second: Place, mlflow: Any) -> None:
    assert second.serve("1").compared == CANARY_TEXTS
    assert (second.served(), champion(mlflow)) == (1, 1)


def test_what_registry_and_endpoint_disagree_about_is_repaired(second: Place, mlflow: Any) -> None:
    since = live_since(Path(second.server.home), NAME, 2)
    mlflow.delete_registered_model_alias(NAME, CHAMPION)
    done = second.serve("2")
    assert (done.version, done.before, done.champion_before) == (2, 2, None)
    assert (second.served(), champion(mlflow)) == (2, 2)
    assert live_since(Path(second.server.home), NAME, 2) == since  # it was live all along
    move_alias(mlflow, NAME, CHAMPION, 1)  # as a rollback that was killed half-way has left it
    assert second.roll_back() == (1, 2)
    move_alias(mlflow, NAME, CHAMPION, 2)
    done = second.serve(CHAMPION)
    assert (done.version, done.before, done.champion_before) == (2, 1, 2)
    assert (second.served(), champion(mlflow)) == (2, 2)


def test_a_live_version_that_is_damaged_is_built_again(
    second: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    file = second.models / models.model_of(NAME, 2) / "2" / "model.onnx"
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    assert second.serve(CHAMPION).version == 2
    assert f"{file} is not the file that was deployed; built again" in capsys.readouterr().out
    assert file.read_bytes() == content


def test_a_version_before_that_is_damaged_is_not_gone_back_to(second: Place, mlflow: Any) -> None:
    file = second.models / models.model_of(NAME, 1) / "1" / "model.onnx"
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    with pytest.raises(StageError) as refusal:
        second.roll_back()
    assert str(refusal.value) == (
        f"{NAME} can't go back to version 1, so version 2 goes on: {file} is not the file that was deployed; "
        f"`textmill deploy {NAME}@1` builds it again"
    )
    assert (second.served(), champion(mlflow)) == (2, 2)
    second.serve("1")
    assert file.read_bytes() == content


def test_what_answers_otherwise_than_when_it_was_deployed_does_not_go_live(
    second: Place, mlflow: Any
) -> None:
    known = deployment(second.store, NAME, 1)
    assert known
    canaries = second.store.place("deploy", known.key) / CANARIES
    content = canaries.read_text(encoding="utf-8")
    wrong = json.loads(content)
    wrong["expected"].reverse()
    canaries.write_text(json.dumps(wrong), encoding="utf-8")
    # An artifact counts while its files are those of its manifest.
    found = deployment(second.store, NAME, 1)
    assert found is None
    manifest = known.model_copy(update={"files": {k: v for k, v in known.files.items() if k != CANARIES}})
    place = second.store.place("deploy", known.key) / "manifest.json"
    before = place.read_bytes()
    place.write_text(manifest.model_dump_json(), encoding="utf-8")
    try:
        with pytest.raises(
            StageError, match=r"can't go back to version 1, .* to \d of 5 questions; `textmill"
        ):
            second.roll_back()
        assert (second.served(), champion(mlflow)) == (2, 2)
        with pytest.raises(ParityError, match=r"to \d of 5 questions; it did not go live"):
            second.serve("1")
        assert (second.served(), champion(mlflow)) == (2, 2)
    finally:
        canaries.write_text(content, encoding="utf-8")
        place.write_bytes(before)


@pytest.mark.parametrize(
    ("name", "which", "said"),
    [
        (NAME, "9", f"MLflow has no version 9 of {NAME}; there are 1, 2 (champion), 3 (challenger)"),
        (NAME, "prod", f"MLflow has no version with the alias prod of {NAME}; there are 1, 2 (champion), 3"),
        (
            "nobody",
            CHAMPION,
            r"MLflow has no version with the alias champion of nobody; it has the models .*\b",
        ),
    ],
)
def test_what_is_not_registered_is_said_with_what_is(
    place: Place, mlflow: Any, name: str, which: str, said: str
) -> None:
    with pytest.raises(StageError, match=said.replace("(", r"\(").replace(")", r"\)")):
        by_hand.serve(name, which, place.server, place.store)


def test_a_version_without_a_build_is_said_with_the_way_out(
    place: Place, mlflow: Any, model: str, tmp_path: Path
) -> None:
    Release(tmp_path, model).register()
    with pytest.raises(StageError, match=rf"version 1 of {model} has no build .*run its recipe again"):
        by_hand.serve(model, "1", place.server, Store(tmp_path))
    assert by_alias(mlflow, model, CHAMPION) is None


def test_a_version_before_that_the_registry_does_not_know_is_not_gone_back_to(
    place: Place,
    mlflow: Any,
    model: str,
    bundle: Bundles,  # noqa: F811
) -> None:
    for number in (1, 2):
        live.stage_version(place.server, model, number, bundle(number).folder)
        live.go_live(place.server, model, number)
    with pytest.raises(StageError, match=rf"version 1 of {model} is not in MLflow any more, so version 2"):
        by_hand.roll_back(model, place.server, place.store)
    assert triton.ready_version(model, http_port=place.server.http_port) == 2
    with pytest.raises(TritonError, match="there is no endpoint 'nobody'; the endpoints are "):
        live.version_before(place.models, "nobody")
