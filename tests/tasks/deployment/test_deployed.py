"""What Triton serves is what was deployed: damage is found before it answers, and repaired."""

import json
import shutil
from pathlib import Path

import psutil
import pytest

from deploy import client, live, triton_server
from deploy import repository as models
from tasks.contract.artifact import Manifest, content_digest, describe_files
from tasks.contract.store import Store
from tasks.deployment import deployed
from tasks.deployment.deployed import Canaries
from tests.deploy.conftest import LABELS, MAX_LENGTH, SENTENCES, bundle  # noqa: F401
from tests.free_ports import free_ports

NAMES = ("router", "tickets")


def publish(store, stage, files, **described):
    """An artifact with these files (a path or JSON content) and what its manifest says besides."""
    key = (described.get("external", {}).get("model", "") + stage).encode().hex().ljust(64, "0")
    directory = store.begin(stage, key)
    for name, content in files.items():
        (directory / name).parent.mkdir(exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, directory / name)
        else:
            (directory / name).write_text(json.dumps(content), encoding="utf-8")
    found = describe_files(directory, frozenset())
    rest = {"inputs": {}, "config": {}, "external": {}} | described
    manifest = Manifest(
        stage=stage,
        key=key,
        digest=content_digest(stage, found),
        code="",
        files=found,
        counts={},
        metrics={},
        seconds=0,
        made_at="2026-01-01T00:00:00+00:00",
        **rest,
    )
    store.publish(directory, manifest)
    return manifest


def deploy(store, server, name, made):
    """What the stages `export` and `deploy` leave of version 1."""
    onnx = {f"onnx/{path.relative_to(made.folder).as_posix()}": path for path in made.folder.rglob("*.*")}
    exported = publish(store, "export", onnx, external={"model": name})
    live.stage_version(server, name, 1, made.folder)
    live.go_live(server, name, 1)
    written = store.home / f"{name}-written"
    written.mkdir()
    questions = canaries(made)
    deployed.write_down(written, server, name, 1, questions)
    return publish(
        store,
        "deploy",
        {file: written / file for file in (deployed.SERVED, deployed.CANARIES)},
        inputs={"exported": {"stage": "export", "digest": exported.digest}},
        config={"tolerance": 1e-3},
        external={"model": name, "version": "1"},
    )


def canaries(made):
    """What a version is asked, and has to answer."""
    expected = [made.expected(text) for text in SENTENCES]
    answers = [{"label": of[0][0], "probability": of[0][1], "probabilities": dict(of)} for of in expected]
    return Canaries([{"text": text} for text in SENTENCES], answers)


def start(home):
    names = ("http_port", "grpc_port", "metrics_port")
    return triton_server.start(home / "triton", **dict(zip(names, free_ports(3), strict=True)))


class Place:
    """A home with two deployed endpoints, and its Triton, which may be started anew."""

    def __init__(self, home, make):
        self.store, self.server, self.bundle = Store(home), start(home), make
        self.manifests = {
            name: deploy(self.store, self.server, name, make(seed)) for seed, name in enumerate(NAMES, 1)
        }
        self.models = Path(self.server.repository)

    def restart(self):
        triton_server.stop(Path(self.server.home))
        self.server = start(self.store.home)

    def restore(self):
        return deployed.restore(self.server, self.store)

    def fault(self, name="router"):
        return deployed.difference_from_deployed(self.manifests[name], self.server, self.store)

    def answers(self, name="router"):
        (answer,) = client.ask(["rain"], name, http_port=self.server.http_port)
        expected = self.bundle(NAMES.index(name) + 1).expected("rain")
        return answer.content["probabilities"] == pytest.approx(dict(expected), abs=1e-6)


@pytest.fixture(scope="module")
def place(tmp_path_factory, bundle):  # noqa: F811
    place = Place(tmp_path_factory.mktemp("home"), bundle)
    yield place
    triton_server.stop(Path(place.server.home))


@pytest.fixture
def whole(place):
    """The same with everything whole, before the test and after it."""
    assert place.fault() is None
    assert place.restore() == []
    yield place
    place.restore()
    assert place.fault() is None
    assert place.answers()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


FILES = (
    "router-v1-model/1/model.onnx",
    "router-v1-model/1/tokenizer.json",
    "router-v1-model/1/model.py",
    "router-v1-model/1/served/classification.py",
    "router-v1-model/config.pbtxt",
    "router/config.pbtxt",
)


@pytest.mark.parametrize("file", FILES)
def test_flipped_bits_are_found_and_built_again_from_the_export(whole, file):
    flip(whole.models / file)
    assert whole.fault() == f"{whole.models / file} is not the file that was deployed"
    (line,) = whole.restore()
    assert line.startswith("router version 1 was built again from its verified export: ")
    assert file in line
    assert whole.fault() is None
    assert whole.answers()


def test_damage_does_not_keep_triton_from_serving_the_rest(whole):
    for file in FILES:
        cut(whole.models / file)
    shutil.rmtree(whole.models / "router-v1-model")
    whole.restart()
    (line,) = whole.restore()
    assert line.startswith("router version 1 was built again")
    assert all(whole.answers(name) for name in NAMES)


def test_without_a_verified_export_the_rest_is_served_and_the_way_out_is_said(whole):
    exports = [m for m in whole.store.manifests() if m.stage == "export" and m.external["model"] == "router"]
    onnx = whole.store.place("export", exports[0].key) / "onnx" / "model.onnx"
    flip(onnx)
    cut(whole.models / FILES[0])
    try:
        whole.restart()
        (line,) = whole.restore()
        assert line.startswith(f"router is not whole: {whole.models / FILES[0]} is not the file")
        assert "run the recipe that deploys router" in line
        assert whole.answers("tickets")
        assert client.ready_version("router", http_port=whole.server.http_port) is None
    finally:
        flip(onnx)


def test_wrong_answers_of_a_sound_file_are_found(whole):
    manifest = whole.manifests["router"]
    other = canaries(whole.bundle(7))
    file = whole.store.place("deploy", manifest.key) / deployed.CANARIES
    before = file.read_bytes()
    file.write_text(json.dumps(vars(other)), encoding="utf-8")
    try:
        assert "5 questions" in str(whole.fault())
    finally:
        file.write_bytes(before)


def test_dead_processes_are_started_again(whole):
    for process in psutil.Process(whole.server.pid).children():
        process.kill()
    assert whole.fault() == "version 1 does not answer"
    assert whole.restore() == []
    assert all(whole.answers(name) for name in NAMES)


def test_an_endpoint_that_nothing_is_known_of_is_served_as_it_is(whole, bundle):  # noqa: F811
    live.stage_version(whole.server, "older", 1, bundle(3).folder)
    live.go_live(whole.server, "older", 1)
    assert whole.restore() == []
    cut(whole.models / "older-v1-model" / "1" / "model.onnx")
    whole.restart()
    (line,) = whole.restore()
    assert line.startswith("older is not whole: ")
    assert "run the recipe that deploys older" in line
    assert whole.answers()
    for model in ("older", models.model_of("older", 1)):
        shutil.rmtree(whole.models / model)
