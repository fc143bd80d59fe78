"""The contract inside a flow: what a real Prefect server shows of stages that are made and found."""

from pathlib import Path
from typing import Any

from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.settings import (
    PREFECT_API_AUTH_STRING,
    PREFECT_API_URL,
    PREFECT_LOCAL_STORAGE_PATH,
    PREFECT_LOGGING_TO_API_ENABLED,
    temporary_settings,
)

from tasks.contract import console
from tests.tasks.contract.counting import walk


def test_prefect_shows_the_second_call_as_cached(tmp_path: Path, mill: Any) -> None:
    @flow(name="small", flow_run_name=tmp_path.name)
    def small() -> list[str]:
        assert console.in_prefect_run()
        return walk(tmp_path / "home")

    here = {
        PREFECT_API_URL: f"{mill.url('PREFECT')}/api",
        PREFECT_API_AUTH_STRING: ":".join(mill.credentials),
        PREFECT_LOCAL_STORAGE_PATH: tmp_path / "results",
        PREFECT_LOGGING_TO_API_ENABLED: False,  # it would still send when the server has ended
    }
    with temporary_settings(here):
        assert small() == ["count made", "double made"]
        (tmp_path / "home" / "artifacts" / "double").rename(tmp_path / "gone")
        assert small() == ["count cached", "double made"]
        assert small() == ["count cached", "double cached"]
        with get_client(sync_client=True) as client:
            ours = FlowRunFilter(name=FlowRunFilterName(any_=[tmp_path.name]))
            runs = client.read_task_runs(flow_run_filter=ours)
            pages = client.read_artifacts(flow_run_filter=ours)
    shown = sorted(f"{run.name} {run.state_name}" for run in runs)
    cached = ["count Cached"] * 2 + ["count Completed", "double Cached"] + ["double Completed"] * 2
    assert shown == cached
    assert {page.key for page in pages} == {"count", "double"}
