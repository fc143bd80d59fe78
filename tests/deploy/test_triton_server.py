"""The server process: started once, found again, ended without traces."""

import json
import os
import socket
import venv
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from deploy import access, client, live, repository, triton_server
from deploy.errors import TritonError


@pytest.fixture
def home(tmp_path):
    yield tmp_path / "triton"
    triton_server.stop(tmp_path / "triton")


def regions(home):
    return list(Path("/dev/shm").glob(f"{triton_server._shared_memory_prefix(home.resolve())}*"))


def test_restart_serves_the_live_version_again(home, bundle, free_ports, monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", "secret")
    server = triton_server.start(home, **free_ports())
    live.stage_version(server, "router", 4, bundle(4).folder)
    live.go_live(server, "router", 4)
    process = psutil.Process(server.pid)
    addresses = {connection.laddr.ip for connection in process.net_connections()}
    assert addresses <= {"127.0.0.1", "::ffff:127.0.0.1"}
    assert "SOME_TOKEN" not in process.environ()
    assert regions(home)

    # A deployment that was killed before Triton saw its file.
    repository.add_version(home / "models", "router", 5, bundle(5).folder)
    (home / "models" / "router-v5-model" / "5" / "model.onnx").write_bytes(b"unproven")
    process.kill()  # as the kernel would when memory is short: stubs and shared memory stay behind
    process.wait()
    assert triton_server.find(home) is None
    again = triton_server.start(home, **free_ports())
    live.revive(again, "router")
    assert client.ready_version("router", http_port=again.http_port) == 4
    (answer,) = client.ask(["x"], "router", http_port=again.http_port)
    assert answer.content["label"] == bundle(4).expected("x")[0][0]

    live.stage_version(again, "router", 6, bundle(6).folder)
    assert live.go_live(again, "router", 6) == 4
    assert repository.versions(home / "models", "router") == [4, 6]
    assert live.roll_back(again, "router") == 4

    assert triton_server.stop(home)
    assert not psutil.pid_exists(again.pid)
    assert regions(home) == []
    assert not triton_server.stop(home)


def test_two_starts_at_once_give_one_server(home, free_ports):
    ports = free_ports()
    with ThreadPoolExecutor(2) as pool:
        starts = [pool.submit(triton_server.start, home, **ports) for _ in range(2)]
    first, second = (start.result() for start in starts)
    assert first == second == triton_server.find(home)


def test_taken_port_is_named_with_its_owner(home, free_ports):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(TritonError, match=rf"port {port} .*pid {os.getpid()}\)"):
            triton_server.start(home, **(free_ports() | {"grpc_port": port}))
    assert triton_server.find(home) is None


def test_failed_start_shows_the_log_and_leaves_no_process(home, free_ports, monkeypatch):
    monkeypatch.setattr(access, "flags", lambda key: ["--http-restricted-api=nothing-there:a=b"])
    with pytest.raises(TritonError, match=r"did not start: [\s\S]*nothing-there[\s\S]*triton\.log"):
        triton_server.start(home, **free_ports())
    assert not (home / "server.json").exists()
    assert regions(home) == []


def test_recycled_pid_is_never_ended(home, free_ports):
    server = triton_server.start(home, **free_ports())
    triton_server.stop(home)
    stranger = {**vars(server), "pid": os.getpid(), "started": "once/1"}
    (home / "server.json").write_text(json.dumps(stranger), encoding="utf-8")
    assert not triton_server.stop(home)
    assert not (home / "server.json").exists()


def test_environment_with_numpy_2_is_refused(home, tmp_path, monkeypatch):
    environment = tmp_path / "environment"
    venv.create(environment, symlinks=True)
    (packages,) = environment.glob("lib/python*/site-packages")
    monkeypatch.setenv("TEXTMILL_TRITON_ENV", str(environment))
    with pytest.raises(TritonError, match="has no nvidia-pytriton; run `make install`"):
        triton_server.start(home)
    (packages / "pytriton").mkdir()
    (packages / "pytriton" / "__init__.py").touch()
    (packages / "numpy-2.1.0.dist-info").mkdir()
    (packages / "numpy-2.1.0.dist-info" / "METADATA").write_text(
        "Name: numpy\nVersion: 2.1.0\n", encoding="utf-8"
    )
    with pytest.raises(TritonError, match=r"has NumPy 2\.1\.0, Triton needs 1\.x"):
        triton_server.start(home)


def test_missing_installation_names_the_way_out(home, tmp_path, monkeypatch):
    monkeypatch.setenv("TEXTMILL_TRITON_ENV", str(tmp_path / "nowhere"))
    with pytest.raises(TritonError, match=r"not installed: no .*nowhere; run `make install`"):
        triton_server.start(home)
