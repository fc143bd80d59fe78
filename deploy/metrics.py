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
    """Requests, failures, their mean time and waiting (ms) and rows per execution of a version's endpoint.

    Empty where no Triton runs, it does not answer, or nobody asked the endpoint yet. A failed request of an
    ensemble counts twice there (Triton 24.10), once for its step.
    """
    server = triton_server.find(triton_home)
    try:
        return _figures(_counted(server), server, name, version) if server else {}
    except (TritonError, OSError, ValueError, http.client.HTTPException):
        return {}


def _figures(
    counted: Mapping[tuple[str, str, int], float], server: TritonServer, name: str, version: int
) -> dict[str, float]:
    # The requests of an ensemble wait, and are put together, at the model behind it.
    writes = repository.writes(Path(server.repository), name, version)
    model = name if writes else repository.model_of(name, version)

    def at(metric: str, place: str) -> float:
        return counted.get((metric, place, version), 0.0)

    requests, at_model = at(REQUESTS, name), at(REQUESTS, model)
    if not requests or not at_model or not at(EXECUTIONS, model):
        return {}
    return {
        "requests": requests,
        "failures": at(FAILURES, name),
        "latency_ms": at(LATENCY, name) / requests / 1000,
        "queue_ms": at(QUEUE, model) / at_model / 1000,
        "rows_per_execution": at(ROWS, model) / at(EXECUTIONS, model),
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
