"""What NVIDIA's image is told to do, done by the bundled Triton: which endpoints, which key, which probe."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy import access, installation, live, repository
from deploy.container import probe, serve

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def models(server, bundle, tmp_path_factory):
    """A model repository as a home has it: a live version, the one before, and one that is not live yet."""
    live.stage_version(server, "in-container", 1, bundle(1).folder)
    live.go_live(server, "in-container", 1)
    live.stage_version(server, "in-container", 2, bundle(2).folder)
    live.go_live(server, "in-container", 2)
    folder = tmp_path_factory.mktemp("mounted") / "models"
    for part in Path(server.repository).glob("in-container*"):
        shutil.copytree(part, folder / part.name, symlinks=True)
    repository.write_endpoint(folder, "in-container-candidate", "in-container", 1)
    return folder


@pytest.fixture(scope="module")
def served(models, tmp_path_factory, free_ports):
    """The bundled Triton, started as the container starts NVIDIA's; (ports, key)."""
    home, ports, key = tmp_path_factory.mktemp("container"), free_ports(), "a" * 64
    installed = installation.find()
    installation.lay_out_backends(home / "backends", installed)
    (home / "environment").symlink_to(installed.root)
    here = [f"--{name.replace('_', '-')}={port}" for name, port in ports.items()]
    here += [f"--{name}-address=127.0.0.1" for name in ("http", "grpc", "metrics")]
    here += [f"--backend-directory={home / 'backends'}", "--allow-gpu-metrics=false"]
    here += ["--backend-config=python,shm-region-prefix-name=textmill_container_test_"]
    log = (home / "log").open("wb")
    process = subprocess.Popen(
        [installed.server / "bin" / "tritonserver", *serve.arguments(models, key), *here],
        env={
            "PATH": f"{home / 'environment' / 'bin'}:/usr/bin:/bin",
            "LD_LIBRARY_PATH": f"{installed.libraries}:{installed.libpython}",
            "LANG": "C.UTF-8",
        },
        stdout=log,
        stderr=log,
    )
    deadline = time.monotonic() + 120
    while probe.faults(["in-container"], ports["http_port"]):
        assert process.poll() is None, (home / "log").read_text(encoding="utf-8", errors="replace")[-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    yield ports, key
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0


def asked(ports, method, path, body=None, headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", ports["http_port"], timeout=20)
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return response.status, json.loads(response.read() or b"null")


def test_endpoints_are_served_and_nothing_else(models, served):
    ports, key = served
    assert serve.endpoints(models) == ["in-container"]
    names = {name for name in repository.endpoints(models) if not name.endswith(repository.CANDIDATE)}
    assert names == {"in-container"}
    status, index = asked(ports, "POST", "/v2/repository/index", "{}", {access.HEADER: key})
    assert status == 200
    ready = {model["name"] for model in index if model.get("state") == "READY"}
    assert ready == {"in-container", "in-container-v2-model"}


def test_the_control_api_demands_the_key(served):
    ports, _ = served
    for path in ("/v2/repository/index", "/v2/repository/models/in-container/unload"):
        assert asked(ports, "POST", path, "{}")[0] == 403


def test_the_probe_asks_and_names_what_does_not_answer(served, free_ports):
    ports, _ = served
    assert probe.faults(["in-container"], ports["http_port"]) == []
    (fault,) = probe.faults(["in-container", "missing"], ports["http_port"])
    assert fault.startswith("missing: 4")
    (fault,) = probe.faults(["in-container"], free_ports()["http_port"])
    assert "refused" in fault


def test_a_key_that_was_not_given_is_a_new_one(tmp_path):
    assert serve.control_key(tmp_path / "none") != serve.control_key(tmp_path / "none")
    (tmp_path / "key").write_text("word\n", encoding="utf-8")
    assert serve.control_key(tmp_path / "key") == "word"
    (tmp_path / "empty").touch()
    assert len(serve.control_key(tmp_path / "empty")) == 64


def test_nothing_to_serve_is_said(tmp_path):
    with pytest.raises(SystemExit, match="has no endpoint"):
        serve.arguments(tmp_path, "key")


def test_the_files_of_the_image_need_nothing_besides(tmp_path):
    """As the Dockerfile copies them, with the standard library alone."""
    dockerfile = (ROOT / "deploy/container/triton.Dockerfile").read_text(encoding="utf-8")
    copied = [line.split()[1:-1] for line in dockerfile.splitlines() if line.startswith("COPY deploy/")]
    for file in (ROOT / name for names in copied for name in names if name.endswith(".py")):
        place = tmp_path / file.relative_to(ROOT)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for module in ("serve", "probe"):
        check = f"import deploy.container.{module} as m; print(m.__file__)"
        done = subprocess.run(
            [sys.executable, "-S", "-c", check],
            cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
        assert done.stdout.strip() == str(tmp_path / f"deploy/container/{module}.py"), done.stderr


def test_the_probe_knows_endpoints_that_write(monkeypatch):
    sent = []

    def answer(method, path, body, port, timeout):
        sent.append((method, path, body))
        return {"inputs": [{"name": "prompt"}, {"name": "stream"}, {"name": "max_tokens"}]}

    monkeypatch.setattr(probe, "_sent", answer)
    assert probe.faults(["writer"], 1) == []
    assert sent[1] == ("POST", "/v2/models/writer/generate", {"prompt": probe.TEXT, "max_tokens": 1})
