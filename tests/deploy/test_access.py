"""Strangers on the same machine, and pages in its browser, can ask Triton and can't command it."""

import base64
import html
import http.client
import http.server
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
import tritonclient.grpc as grpc
from tritonclient.utils import InferenceServerException

from deploy import access, client, live, triton_server

CONFIG = {
    "backend": "python",
    "max_batch_size": 1,
    "input": [{"name": "a", "data_type": "TYPE_FP32", "dims": [1]}],
    "output": [{"name": "b", "data_type": "TYPE_FP32", "dims": [1]}],
    "instance_group": [{"count": 1}],
}
BROWSER = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def asked(server, bundle):
    """The server with an endpoint."""
    live.stage_version(server, "open", 1, bundle(1).folder)
    live.go_live(server, "open", 1)
    return server


def program(marker):
    """A Python model that leaves a trace as soon as it is loaded, as the parameters of a load."""
    code = f"open({str(marker)!r}, 'w').close()\nclass TritonPythonModel:\n    pass\n"
    return {"config": json.dumps(CONFIG), "file:1/model.py": base64.b64encode(code.encode()).decode()}


def send(server, path, body=None, **headers):
    """Status and text of one HTTP request; a POST when there is a body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=20)
    method = "GET" if body is None else "POST"
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    response = connection.getresponse()
    return response.status, response.read().decode()


REGION = {"key": "/any", "offset": 0, "byte_size": 8}
RESTRICTED = {
    "unload": ("/v2/repository/models/open/unload", {}),
    "index": ("/v2/repository/index", {}),
    "shared memory": ("/v2/systemsharedmemory/region/any/register", REGION),
    "shared memory status": ("/v2/systemsharedmemory/status", None),
    "CUDA shared memory": ("/v2/cudasharedmemory/status", None),
    "configuration": ("/v2/models/open/config", None),
    "statistics": ("/v2/models/open/stats", None),
    "all statistics": ("/v2/models/stats", None),
    "trace": ("/v2/trace/setting", {"trace_file": "any"}),
    "trace of a model": ("/v2/models/open/trace/setting", None),
    "log": ("/v2/logging", {"log_file": "any"}),
}


@pytest.mark.parametrize(("path", "body"), RESTRICTED.values(), ids=RESTRICTED.keys())
def test_commands_over_http_demand_the_key(asked, path, body):
    for headers in ({}, {access.HEADER: ""}, {access.HEADER: "0" * 64}):
        status, text = send(asked, path, body, **headers)
        assert status == 403, text
    assert client.ready_version("open", http_port=asked.http_port) == 1


def test_statistics_are_there_with_the_key(asked):
    status, text = send(asked, "/v2/models/open/stats", **{access.HEADER: asked.key})
    assert (status, "model_stats" in text) == (200, True)


def test_a_program_in_a_load_is_not_run(asked, tmp_path):
    marker = tmp_path / "run"
    path, body = "/v2/repository/models/evil/load", {"parameters": program(marker)}
    assert send(asked, path, body)[0] == 403
    # What a page's form with enctype=text/plain sends: a body of the page's making, no header of its own.
    page = {"Content-Type": "text/plain", "Origin": "http://evil.example", "Host": "evil.example"}
    assert send(asked, path, body | {"x": "=\r\n"}, **page)[0] == 403
    assert not marker.exists()


GRPC = {
    "load": lambda triton: triton.load_model(
        "evil", config=json.dumps(CONFIG), files={"file:1/model.py": b""}
    ),
    "unload": lambda triton: triton.unload_model("open"),
    "index": lambda triton: triton.get_model_repository_index(),
    "shared memory": lambda triton: triton.register_system_shared_memory("any", "/any", 8),
    "shared memory status": lambda triton: triton.get_system_shared_memory_status(),
    "CUDA shared memory": lambda triton: triton.get_cuda_shared_memory_status(),
    "configuration": lambda triton: triton.get_model_config("open"),
    "statistics": lambda triton: triton.get_inference_statistics("open"),
    "trace": lambda triton: triton.update_trace_settings(settings={"trace_file": "any"}),
    "log": lambda triton: triton.update_log_settings({"log_verbose_level": 1}),
}


@pytest.mark.parametrize("command", GRPC.values(), ids=GRPC.keys())
def test_commands_over_grpc_demand_the_key(asked, command):
    with grpc.InferenceServerClient(f"127.0.0.1:{asked.grpc_port}") as triton:
        with pytest.raises(InferenceServerException, match="restricted"):
            command(triton)
        assert triton.is_model_ready("open")


def test_questions_metadata_and_health_are_open(asked):
    for path in ("/v2", "/v2/health/live", "/v2/health/ready", "/v2/models/open", "/v2/models/open/ready"):
        assert send(asked, path)[0] == 200
    assert client.ask(["rain"], "open", http_port=asked.http_port)
    with grpc.InferenceServerClient(f"127.0.0.1:{asked.grpc_port}") as triton:
        assert triton.is_server_live()
        assert triton.is_server_ready()
        assert triton.get_model_metadata("open").name == "open"
        text = grpc.InferInput("text", [1, 1], "BYTES")
        text.set_data_from_numpy(np.array([[b"rain"]], dtype=object))
        assert triton.infer("open", [text]).as_numpy("labels").shape == (1, 3)


def test_the_key_is_seen_by_nobody_else(asked):
    home, first = Path(asked.home), psutil.Process(asked.pid)
    for process in (first, *first.children(recursive=True)):
        assert asked.key not in " ".join(process.cmdline())
    for child in first.children(recursive=True):
        assert asked.key not in " ".join(child.environ().values())
    assert (home / "server.json").stat().st_mode & 0o777 == 0o600
    assert asked.key not in repr(asked)
    for file in home.rglob("*.log"):
        assert asked.key not in file.read_text(encoding="utf-8", errors="replace")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("setpriv"), reason="only root can be another user")
def test_another_user_can_not_read_the_key(asked):
    def read(path):
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat", path]
        return subprocess.run(other, capture_output=True, check=False)

    assert b"--hidden" in read(f"/proc/{asked.pid}/cmdline").stdout
    assert asked.key.encode() not in read(f"/proc/{asked.pid}/cmdline").stdout
    assert read(f"/proc/{asked.pid}/environ").returncode != 0
    assert read(f"{asked.home}/server.json").returncode != 0


@pytest.mark.skipif(not BROWSER, reason="no Chromium is installed")
@pytest.mark.parametrize("demanded", [True, False], ids=["with our key", "as Triton comes"])
def test_a_page_in_a_browser_commands_only_a_server_without_a_key(
    tmp_path, free_ports, monkeypatch, demanded
):
    """The second case shows that the page does what it is meant to do."""
    if not demanded:
        monkeypatch.setattr(access, "flags", lambda key: [])
    marker = tmp_path / "run"
    server = triton_server.start(tmp_path / "triton", **free_ports())
    try:
        visit(form(f"{server.url}/v2/repository/models/evil/load", program(marker)), tmp_path / "profile")
    finally:
        triton_server.stop(tmp_path / "triton")
    assert marker.exists() is not demanded


def form(url, parameters):
    """A page that sends a JSON body by itself: name and value of the one field, with a '=' between them."""
    name = json.dumps({"parameters": parameters})[:-1] + ', "x": "'
    field = f"<input name='{html.escape(name)}' value='&quot;}}'>"
    return (
        f"<form id=f method=post enctype=text/plain action='{url}'>{field}</form><script>f.submit()</script>"
    )


def visit(page, profile):
    """Open a page of a site of its own in a headless browser."""

    class Site(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        url = f"http://localhost:{site.server_port}/"
        command = [BROWSER, *options, "--virtual-time-budget=8000", "--dump-dom", url]
        subprocess.run(command, capture_output=True, timeout=120, check=True)
        site.shutdown()
