"""What the real Triton counts, in the figures of a report and in the dashboard."""

import json
import re
import time
from pathlib import Path

import pytest

from deploy import client, live, metrics, triton_server
from deploy.errors import TritonError

DASHBOARD = Path(triton_server.__file__).parent / "grafana" / "textmill.json"
NAME = "counted"


def figures(server, requests, failures=0):
    """The figures once so many requests are counted, which is a moment after they were answered."""
    deadline = time.monotonic() + 30
    while True:
        found = metrics.endpoint_figures(Path(server.home), NAME, 1)
        if found and found["requests"] >= requests and found["failures"] >= failures:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.fixture(scope="module")
def asked(server, bundle):
    """The server, after 70 questions in two requests and one that was refused."""
    live.stage_version(server, NAME, 1, bundle(1).folder)
    live.go_live(server, NAME, 1)
    client.probe(NAME, http_port=server.http_port)
    before = figures(server, 1)
    client.ask(["rain and wind tomorrow"] * 70, NAME, http_port=server.http_port)
    with pytest.raises(TritonError, match="at most"):
        client.ask(["x" * 70_000], NAME, http_port=server.http_port)
    return server, before


def test_the_figures_are_those_of_what_was_asked(asked):
    server, before = asked
    after = figures(server, before["requests"] + 2, failures=1)
    assert after["requests"] - before["requests"] == 3  # 64, 6, and what the model refuses itself
    assert after["failures"] > before["failures"] == 0
    assert 0 < after["queue_ms"] < after["latency_ms"]
    assert before["rows_per_execution"] == 1 < after["rows_per_execution"] <= 64


def test_there_are_none_where_nobody_asked_or_nobody_runs(asked, tmp_path):
    server, _ = asked
    assert metrics.endpoint_figures(Path(server.home), NAME, 2) == {}
    assert metrics.endpoint_figures(tmp_path / "triton", NAME, 1) == {}


def test_a_server_that_does_not_answer_is_no_error(asked, monkeypatch, free_ports):
    server, _ = asked
    silent = type(server)(**{**vars(server), "metrics_port": free_ports()["metrics_port"]})
    monkeypatch.setattr(triton_server, "find", lambda home: silent)
    assert metrics.endpoint_figures(Path(server.home), NAME, 1) == {}
    monkeypatch.setattr(triton_server, "find", lambda home: server)
    monkeypatch.setattr(metrics, "page", lambda server: '# TYPE a counter\na{model="x" 1\n')
    assert metrics.endpoint_figures(Path(server.home), NAME, 1) == {}


def panels():
    return json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]


def test_the_dashboard_asks_for_metrics_that_triton_has(asked):
    server, _ = asked
    exposed = set(re.findall(r"^# TYPE (\w+)", metrics.page(server), re.M))
    shown = set(re.findall(r"\bnv_\w+", DASHBOARD.read_text(encoding="utf-8")))
    assert shown <= exposed
    assert {metrics.REQUESTS, metrics.FAILURES, metrics.LATENCY, metrics.QUEUE} <= shown
    assert {metrics.ROWS, metrics.EXECUTIONS, "nv_inference_pending_request_count"} <= shown
    assert {"nv_cpu_utilization", "nv_cpu_memory_used_bytes"} <= shown


def test_the_labels_that_the_dashboard_names_are_those_of_triton(asked):
    server, _ = asked
    page = metrics.page(server)
    for panel in panels():
        for target in panel["targets"]:
            for name in re.findall(r"\bnv_\w+", target["expr"]):
                (first, *_) = re.findall(rf"^{name}(?:{{(.*)}})? ", page, re.M)
                labels = set(re.findall(r'(\w+)="', first)) | {"instance"}
                named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                grouped = re.findall(r"by \(([\w, ]+)\)", target["expr"])
                assert named | {label for by in grouped for label in by.split(", ")} <= labels, name


def test_every_panel_has_a_unit_a_source_and_a_place_of_its_own():
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    variables = {variable["name"]: variable for variable in dashboard["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    places, numbers = set(), set()
    for panel in panels():
        assert panel["fieldConfig"]["defaults"]["unit"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
        assert all("$model" in t["expr"] or "nv_cpu" in t["expr"] for t in panel["targets"])
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & places
        assert at["x"] + at["w"] <= 24
        places |= cells
        numbers.add(panel["id"])
    assert len(numbers) == len(panels())
