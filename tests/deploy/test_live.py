"""Versions come and go on a real server while it is being asked."""

import json
import shutil
import threading
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import access, client, live
from deploy import repository as models
from deploy.errors import TritonError


@pytest.fixture
def deployed(server, bundle, request):
    """A name of the test's own with versions 1 (before) and 2 (live)."""
    name = request.node.name.replace("test_", "")[:40]
    for version in (1, 2):
        live.stage_version(server, name, version, bundle(version).folder)
        live.go_live(server, name, version)
    return name


class Traffic:
    """Clients that ask one endpoint without pause and remember every answer and error."""

    def __init__(self, name, port, clients=4):
        self.name, self.port = name, port
        self.answers, self.errors = [], []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self):
        while not self.ended.is_set():
            try:
                self.answers += client.ask(["rain and wind"], self.name, http_port=self.port)
            except TritonError as error:
                self.errors.append(str(error))

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()


def answers_like(server, name, bundle):
    """Whether the endpoint gives this bundle's probability."""
    (answer,) = client.ask(["rain"], name, http_port=server.http_port)
    return answer.content["probability"] == pytest.approx(bundle.expected("rain")[0][1], abs=1e-6)


def loaded(server, name):
    """The models of this endpoint's versions that the server has ready."""
    url, headers = f"{server.url}/v2/repository/index", {access.HEADER: server.key}
    request = urllib.request.Request(url, b'{"ready": true}', headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        ready = {model["name"] for model in json.load(response)}
    return {model for model in ready if model.startswith(f"{name}-v")}


def composing(name, *versions):
    return {models.model_of(name, version) for version in versions}


def broken(bundle, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(bundle.folder, folder)
    (folder / "model.onnx").write_bytes((bundle.folder / "model.onnx").read_bytes()[:200])
    return replace(bundle, folder=folder)


def test_first_version_goes_live(server, bundle):
    candidate = live.stage_version(server, "first", 7, bundle(7).folder)
    assert answers_like(server, candidate, bundle(7))
    assert client.ready_version("first", http_port=server.http_port) is None
    assert live.go_live(server, "first", 7) is None
    assert client.ready_version("first", http_port=server.http_port) == 7
    assert client.ready_version(candidate, http_port=server.http_port) is None


def test_candidate_answers_beside_the_live_version(server, bundle, deployed):
    candidate = live.stage_version(server, deployed, 3, bundle(3).folder)
    assert answers_like(server, candidate, bundle(3))
    assert answers_like(server, deployed, bundle(2))


def test_every_switch_under_load_is_seamless(server, bundle, deployed, tmp_path):
    with Traffic(deployed, server.http_port) as traffic:
        live.stage_version(server, deployed, 3, bundle(3).folder)
        live.go_live(server, deployed, 3)
        with pytest.raises(TritonError):
            live.stage_version(server, deployed, 4, broken(bundle(4), tmp_path).folder)
        live.roll_back(server, deployed)
        live.go_live(server, deployed, 3)
    assert traffic.errors == []
    assert {answer.model_version for answer in traffic.answers} == {"2", "3"}
    log = (Path(server.home) / "triton.log").read_text(encoding="utf-8")
    for model in composing(deployed, 2, 3):
        assert log.count(f"successfully loaded '{model}'") == 1
    expected = {str(version): bundle(version).expected("rain and wind")[0][1] for version in (2, 3)}
    for answer in traffic.answers:
        assert answer.content["probability"] == pytest.approx(expected[answer.model_version], abs=1e-6)


def test_new_version_may_have_more_labels(server, bundle, deployed):
    wider = bundle(3, labels=("体育", "finance", "weather", "music", "art"))
    with Traffic(deployed, server.http_port) as traffic:
        candidate = live.stage_version(server, deployed, 3, wider.folder)
        assert answers_like(server, candidate, wider)
        live.go_live(server, deployed, 3)
        live.roll_back(server, deployed)
        live.go_live(server, deployed, 3)
    assert traffic.errors == []
    counts = {(answer.model_version, len(answer.content["probabilities"])) for answer in traffic.answers}
    assert counts == {("2", 3), ("3", 5)}
    (answer,) = client.ask(["rain"], deployed, http_port=server.http_port)
    assert answer.content["label"] == wider.expected("rain")[0][0]


def test_dead_process_of_the_live_version_is_revived(server, bundle, kill_process):
    name = "revived"
    live.stage_version(server, name, 1, bundle(1).folder)
    live.go_live(server, name, 1)
    kill_process(f"{name}-v1-model")
    assert client.ready_version(name, http_port=server.http_port) is None
    live.revive(server, name)
    assert answers_like(server, name, bundle(1))


def test_going_back_revives_what_died_meanwhile(server, bundle, deployed, kill_process):
    kill_process(f"{deployed}-v1-model")
    assert live.roll_back(server, deployed) == 1
    assert answers_like(server, deployed, bundle(1))


def test_nothing_live_can_not_be_revived(server):
    with pytest.raises(TritonError, match="no version of nobody is live"):
        live.revive(server, "nobody")


def test_names_that_look_like_versions_are_not_confused(server, bundle):
    for name in ("a", "a-v2"):
        for version in (1, 2, 3):
            live.stage_version(server, name, version, bundle(version).folder)
            live.go_live(server, name, version)
    assert loaded(server, "a") == {"a-v2"} | composing("a", 2, 3) | composing("a-v2", 2, 3)
    live.roll_back(server, "a")
    assert answers_like(server, "a", bundle(2))
    assert answers_like(server, "a-v2", bundle(3))


def test_broken_model_is_refused_and_leaves_nothing(server, bundle, deployed, tmp_path):
    with pytest.raises(TritonError, match=r"version 3 .*InvalidProtobuf") as refusal:
        live.stage_version(server, deployed, 3, broken(bundle(3), tmp_path).folder)
    assert "At:" not in str(refusal.value)
    repository = Path(server.repository)
    assert models.versions(repository, deployed) == [1, 2]
    assert not list(repository.glob(f"{deployed}*/3"))
    assert loaded(server, deployed) == composing(deployed, 1, 2)
    assert not (repository / f"{deployed}-candidate").exists()
    assert answers_like(server, deployed, bundle(2))
    live.stage_version(server, deployed, 3, bundle(3).folder)
    live.go_live(server, deployed, 3)
    assert answers_like(server, deployed, bundle(3))


def test_the_newest_versions_are_kept_and_two_of_them_loaded(server, bundle, deployed):
    repository = Path(server.repository)
    for version, there in ((3, [1, 2, 3]), (4, [2, 3, 4])):
        live.stage_version(server, deployed, version, bundle(version).folder)
        assert live.go_live(server, deployed, version) == version - 1
        assert models.versions(repository, deployed) == there
        assert loaded(server, deployed) == composing(deployed, version - 1, version)
    # One that only lies on the disk is loaded when it is gone back to.
    assert live.roll_back(server, deployed) == 3
    assert live.roll_back(server, deployed) == 2
    assert answers_like(server, deployed, bundle(2))
    live.stage_version(server, deployed, 5, bundle(5).folder)
    live.go_live(server, deployed, 5, keep=2)
    assert models.versions(repository, deployed) == [2, 5]


def test_a_version_that_was_gone_back_from_is_not_gone_back_to(server, bundle, deployed):
    assert live.roll_back(server, deployed) == 1
    live.stage_version(server, deployed, 3, bundle(3).folder)
    live.go_live(server, deployed, 3)
    assert models.versions(Path(server.repository), deployed) == [1, 3]
    assert live.roll_back(server, deployed) == 1


def test_roll_back_and_forth(server, bundle, deployed):
    assert live.roll_back(server, deployed) == 1
    assert answers_like(server, deployed, bundle(1))
    with pytest.raises(TritonError, match="no version before 1"):
        live.roll_back(server, deployed)
    assert live.go_live(server, deployed, 2) == 1
    assert answers_like(server, deployed, bundle(2))
    assert live.go_live(server, deployed, 2) == 2


def test_discard_removes_a_staged_version_only(server, bundle, deployed):
    candidate = live.stage_version(server, deployed, 3, bundle(3).folder)
    live.discard(server, deployed, 3)
    assert client.ready_version(candidate, http_port=server.http_port) is None
    assert models.versions(Path(server.repository), deployed) == [1, 2]
    assert loaded(server, deployed) == composing(deployed, 1, 2)
    with pytest.raises(TritonError, match=r"version 2 .* is live"):
        live.discard(server, deployed, 2)


def test_live_version_is_never_replaced(server, bundle, deployed):
    with pytest.raises(TritonError, match=r"version 2 .* is live"):
        live.stage_version(server, deployed, 2, bundle(9).folder)
    assert answers_like(server, deployed, bundle(2))


def test_unknown_version_can_not_go_live(server, deployed):
    with pytest.raises(TritonError, match="no version 99"):
        live.go_live(server, deployed, 99)
    assert client.ready_version(deployed, http_port=server.http_port) == 2
