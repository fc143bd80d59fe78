"""Prefect's and MLflow's servers behind the log-in: what uvicorn and `mlflow server` are told to serve."""

from __future__ import annotations

from tasks.tracking.auth_middleware import AuthMiddleware


def prefect() -> AuthMiddleware:
    """Prefect's API, pages and services."""
    from prefect.server.api.server import create_app

    return AuthMiddleware.from_environment(create_app(final=True), open_page="/api/health")


def mlflow() -> AuthMiddleware:
    """MLflow's API and pages; the entry point `textmill` in the group `mlflow.app`."""
    from mlflow.server.fastapi_app import app

    return AuthMiddleware.from_environment(app, open_page="/health")
