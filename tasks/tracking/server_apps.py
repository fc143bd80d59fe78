"""Prefect's and MLflow's servers behind the door: what uvicorn and `mlflow server` are told to serve."""

from __future__ import annotations

from tasks.tracking.door import Door


def prefect() -> Door:
    """Prefect's API, pages and services."""
    from prefect.server.api.server import create_app

    return Door.from_environment(create_app(final=True), open_page="/api/health")


def mlflow() -> Door:
    """MLflow's API and pages; the entry point `textmill` in the group `mlflow.app`."""
    from mlflow.server.fastapi_app import app

    return Door.from_environment(app, open_page="/health")
