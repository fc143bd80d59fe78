"""What is concluded from an MLflow that can't do its work, and which versions count."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from mlflow.exceptions import MlflowException

from tasks.contract.artifact import Artifact
from tasks.contract.errors import ServerError
from tasks.tracking.registered_name import check_name
from tasks.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    COMPARED_TAG,
    FILES_TAG,
    MODEL_TAG,
    ModelVersion,
    by_alias,
    by_digest,
    by_version,
    champion_before,
    client,
    keep_oldest,
    point_challenger_at_newest,
    reachable,
    refusal,
)
from tasks.tracking.runs import find_or_create_run


class Broken(BaseHTTPRequestHandler):
    """Healthy, and every other answer is 500: a server whose disk is full."""

    def do_GET(self) -> None:
        body = b"OK" if self.path == "/health" else b"Internal Server Error"
        self.send_response(200 if body == b"OK" else 500)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET

    def log_message(self, *arguments: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Broken) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield client()
        server.shutdown()


@pytest.mark.parametrize(
    "ask",
    [
        lambda mlflow: by_version(mlflow, "m", 1),  # None would mean that somebody deleted it
        lambda mlflow: by_alias(mlflow, "m", "champion"),
    ],
)
def test_a_version_that_can_not_be_read_is_not_a_deleted_one(broken: Any, ask: Callable[[Any], Any]) -> None:
    with pytest.raises(ServerError, match=r"MLflow can't tell .* of m: .*500"):
        ask(broken)


def test_any_other_request_ends_with_the_place_of_the_log(broken: Any) -> None:
    for ask in (lambda: find_or_create_run(broken, "m", "k" * 8), lambda: check_name("m", "matching", [])):
        with pytest.raises(MlflowException) as raised:
            ask()
        assert "can't do its work" in str(refusal(raised.value))
        assert "servers/mlflow.log" in str(refusal(raised.value))


def test_a_client_that_gave_up_because_the_server_has_gone_says_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:9")
    said = refusal(MlflowException("whatever"))
    assert said == (
        "the MLflow server at http://127.0.0.1:9 does not answer (connection refused); try `textmill up` and "
        "run again, it goes on where it was"
    )
    assert refusal(ValueError("500")) is None
    assert not reachable()


def test_a_refusal_that_is_no_fault_of_the_server_is_nobody_elses(mlflow: Any) -> None:
    with pytest.raises(MlflowException) as raised:
        mlflow.get_run("no such run")
    assert refusal(raised.value) is None
    assert reachable()


@pytest.fixture
def add(mlflow: Any, model: str) -> Callable[..., ModelVersion]:
    """Register another version, of a logged model of its own, as a run makes it."""
    mlflow.create_registered_model(model)
    experiment = mlflow.create_experiment(model)

    def add(digest: str, **tags: str) -> ModelVersion:
        logged = mlflow.create_logged_model(experiment).model_id
        said = {MODEL_TAG: digest, FILES_TAG: "f"} | {f"textmill.{name}": tag for name, tag in tags.items()}
        made = mlflow.create_model_version(model, f"models:/{logged}", tags=said, model_id=logged)
        return ModelVersion(model=model, version=int(made.version), digest=digest)

    return add


def numbers(mlflow: Any, model: str) -> list[int]:
    return sorted(int(version.version) for version in mlflow.search_model_versions(f"name='{model}'"))


def test_what_is_not_there_is_none(mlflow: Any, model: str) -> None:
    found = (by_alias(mlflow, model, CHAMPION), by_version(mlflow, model, 1), by_digest(mlflow, model, "d"))
    assert found == (None, None, None)
    assert keep_oldest(mlflow, model, "d") is None
    point_challenger_at_newest(mlflow, model)
    assert mlflow.search_registered_models(f"name='{model}'") == []


def test_the_oldest_version_of_a_digest_counts_and_younger_ones_are_removed(
    mlflow: Any, model: str, add: Callable[..., ModelVersion]
) -> None:
    other, oldest, _, named, _ = add("other"), add("d"), add("d"), add("d"), add("d")
    mlflow.set_registered_model_alias(model, "mine", str(named.version))
    assert by_digest(mlflow, model, "d") == oldest
    assert numbers(mlflow, model) == [1, 2, 3, 4, 5]
    logged = mlflow.get_model_version(model, "5").source.removeprefix("models:/")
    assert keep_oldest(mlflow, model, "d") == oldest
    # Somebody gave the fourth an alias, so it is theirs.
    assert numbers(mlflow, model) == [other.version, oldest.version, named.version]
    with pytest.raises(MlflowException):
        mlflow.get_logged_model(logged)
    assert mlflow.get_logged_model(mlflow.get_model_version(model, "4").source.removeprefix("models:/"))


def test_files_that_a_copied_version_shares_with_the_oldest_stay(
    mlflow: Any, model: str, add: Callable[..., ModelVersion]
) -> None:
    oldest = add("d")
    source = mlflow.get_model_version(model, "1").source
    copied = {MODEL_TAG: "d", FILES_TAG: "f"}
    mlflow.create_model_version(model, source, tags=copied, model_id=source.removeprefix("models:/"))
    assert keep_oldest(mlflow, model, "d") == oldest
    assert numbers(mlflow, model) == [1]
    assert mlflow.get_logged_model(source.removeprefix("models:/"))


def test_a_version_without_digests_of_its_files_does_not_count(
    mlflow: Any, model: str, add: Callable[..., ModelVersion]
) -> None:
    add("d")
    mlflow.delete_model_version_tag(model, "1", FILES_TAG)
    assert by_digest(mlflow, model, "d") is None
    second = add("d")
    assert keep_oldest(mlflow, model, "d") == second
    assert numbers(mlflow, model) == [1, 2]


def test_challenger_is_the_newest_that_counts(
    mlflow: Any, model: str, add: Callable[..., ModelVersion]
) -> None:
    for digest in ("a", "b", "a"):  # the third is a copy that another home has just made
        add(digest)
    point_challenger_at_newest(mlflow, model)
    assert by_alias(mlflow, model, CHALLENGER) == ModelVersion(model=model, version=2, digest="b")


def test_a_model_is_compared_with_the_champion_before_it_however_often(
    mlflow: Any, model: str, add: Callable[..., ModelVersion]
) -> None:
    first, second = add("first", compared_with=""), add("second", compared_with="1")

    def before(digest: str) -> ModelVersion | None:
        return champion_before(model, Artifact(stage="fine_tune", key="k", digest=digest))

    assert before("first") is None
    mlflow.set_registered_model_alias(model, CHAMPION, "1")
    assert before("first") is None
    assert before("second") == first
    mlflow.set_registered_model_alias(model, CHAMPION, "2")
    assert before("second") == first
    assert before("third") == second
    mlflow.delete_model_version(model, "1")
    assert before("second") is None
    assert COMPARED_TAG == "textmill.compared_with"
