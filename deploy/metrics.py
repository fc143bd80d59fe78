"""What Triton counted of an endpoint since it loaded it, out of its Prometheus page."""

from __future__ import annotations

import http.client
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from deploy import repository, triton_server
from deploy.errors import TritonError
from deploy.triton_server import HOST, TritonServer

ANSWER_SECONDS = 5.0
REQUESTS, FAILURES = "nv_inference_request_success", "nv_inference_request_failure"
LATENCY, QUEUE = "nv_inference_request_duration_us", "nv_inference_queue_duration_us"
ROWS, EXECUTIONS = "nv_inference_count", "nv_inference_exec_count"


def endpoint_figures(triton_home: Path, name: str, version: int) -> dict[str, float]:
    """Requests, failures, mean time and waiting of a request (ms) and rows per execution of a live version.

    All but the failures are those of the model behind the endpoint, where requests wait and are put together;
    it also answered what was compared before the version went live. Empty where no Triton runs, it does not
    answer, or the version answered nothing yet. Triton 24.10 counts a refused question of an ensemble twice.
    """
    server = triton_server.find(triton_home)
    try:
        return _figures(_counted(server), server, name, version) if server else {}
    except (TritonError, OSError, ValueError, http.client.HTTPException):
        return {}


def _figures(
    counted: Mapping[tuple[str, str, int], float], server: TritonServer, name: str, version: int
) -> dict[str, float]:
    writes = repository.writes(Path(server.repository), name, version)
    model = name if writes else repository.model_of(name, version)

    def at(metric: str, place: str = model) -> float:
        return counted.get((metric, place, version), 0.0)

    if not at(REQUESTS) or not at(EXECUTIONS):
        return {}
    return {
        "requests": at(REQUESTS),
        "failures": sum(at(FAILURES, place) for place in {name, model}),
        "latency_ms": at(LATENCY) / at(REQUESTS) / 1000,
        "queue_ms": at(QUEUE) / at(REQUESTS) / 1000,
        "rows_per_execution": at(ROWS) / at(EXECUTIONS),
    }


def _counted(server: TritonServer) -> Mapping[tuple[str, str, int], float]:
    """The counters of all models by metric, model and version; those of several reasons are added up."""
    from prometheus_client.parser import text_string_to_metric_families

    counted: defaultdict[tuple[str, str, int], float] = defaultdict(float)
    for family in text_string_to_metric_families(page(server)):
        for sample in family.samples:
            if {"model", "version"} <= sample.labels.keys():
                # The parser's samples of a counter have another name than Triton gave: `…_total`.
                key = (family.name, sample.labels["model"], int(sample.labels["version"]))
                counted[key] += sample.value
    return counted


def page(server: TritonServer) -> str:
    """Its Prometheus page. Raises OSError or HTTPException when it does not answer."""
    connection = http.client.HTTPConnection(HOST, server.metrics_port, timeout=ANSWER_SECONDS)
    try:
        connection.request("GET", "/metrics")
        return connection.getresponse().read().decode("utf-8")
    finally:
        connection.close()
