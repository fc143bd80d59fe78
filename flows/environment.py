"""Where textmill keeps its things, which ports it uses, and what our processes find in their environment.

Prefect, MLflow and the libraries below them are steered by environment variables, and some of
those are read at import. So they are set in one place, before any of them is imported, and the
same for the command, the servers and whatever those start.
"""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from corpus import proxies
from deploy.processes import LOOPBACK
from tasks.contract.errors import ServerError
from tasks.tracking import slow_server_messages


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports of our servers; all of them listen on loopback only."""

    prefect: int = 4200
    mlflow: int = 5000
    triton_http: int = 8000
    triton_grpc: int = 8001
    triton_metrics: int = 8002
    door: int = 8080

    @classmethod
    def from_environment(cls) -> Self:
        """Ports as TEXTMILL_<NAME>_PORT say, else the defaults.

        Raises ServerError for a value that is not a port number.
        """
        return cls(**{name: _port(name, port) for name, port in asdict(cls()).items()})


def port_variable(name: str) -> str:
    """The environment variable that moves a port, for a field name of `Ports`."""
    return f"TEXTMILL_{name.upper()}_PORT"


def home() -> Path:
    """The absolute folder of everything that textmill keeps: TEXTMILL_HOME, else `.textmill` here."""
    return Path(os.environ.get("TEXTMILL_HOME") or ".textmill").expanduser().resolve()


def external_url(server: str) -> str | None:
    """The address of a server of the user's own (`prefect` or `mlflow`), None if textmill runs one.

    `process_variables` tells child processes our address and our port together; an address without that
    port is the user's.
    """
    port = os.environ.get(port_variable(server))
    variable, ours = _client_address(server, port)
    url = os.environ.get(variable) or None
    return None if url == ours else url


def process_variables(home: Path, ports: Ports) -> dict[str, str]:
    """Environment variables for our processes and for what they start.

    What the user has set wins where it is a matter of taste or of which server to use; privacy,
    pickle and the place of files are not.
    """
    taste = {
        "PREFECT_LOGGING_LEVEL": "INFO",
        # A stage called without a flow logs to the console; Prefect would warn about each of its lines.
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        # The V2 pages call an analytics host; V1 works without a network.
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_CLIENT_MAX_RETRIES": "3",  # with growing pauses, a quarter of a minute
        **slow_server_messages.BOUNDS,
    }
    addresses: dict[str, str] = {}
    port_variables = {port_variable(name): str(port) for name, port in asdict(ports).items()}
    for server in ("prefect", "mlflow"):
        variable, ours = _client_address(server, port_variables[port_variable(server)])
        theirs = external_url(server)
        addresses[variable] = theirs or ours
        if theirs:
            del port_variables[port_variable(server)]
    rules = {
        "TEXTMILL_HOME": str(home),
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_RESULTS_LOCAL_STORAGE_PATH": str(home / "prefect" / "results"),
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        # Prefect unpacks its pages before serving them; by default into its own installation.
        "PREFECT_SERVER_UI_STATIC_DIRECTORY": str(home / "prefect" / "ui"),
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        # MLflow's own bars and links would tear ours.
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "GX_ANALYTICS_ENABLED": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "ORT_DISABLE_TELEMETRY": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "DO_NOT_TRACK": "1",
        # What libraries keep for the next time, by default in the user's own folders or the temporary one.
        "MPLCONFIGDIR": str(home / "cache" / "matplotlib"),
        "TORCHINDUCTOR_CACHE_DIR": str(home / "cache" / "torchinductor"),
        "TRITON_CACHE_DIR": str(home / "cache" / "triton"),
        "CUDA_CACHE_PATH": str(home / "cache" / "cuda"),
        **proxies.variables(),
    }
    preferences = {name: os.environ.get(name, value) for name, value in taste.items()}
    return preferences | rules | addresses | port_variables


def _client_address(server: str, port: str | None) -> tuple[str, str]:
    """The variable in which a server's clients look for it, and the address of ours."""
    if server == "prefect":
        return "PREFECT_API_URL", f"http://{LOOPBACK}:{port}/api"
    return "MLFLOW_TRACKING_URI", f"http://{LOOPBACK}:{port}"


def _port(name: str, default: int) -> int:
    variable = port_variable(name)
    value = os.environ.get(variable) or str(default)
    if not (value.isascii() and value.isdecimal() and 1024 <= int(value) <= 65535):
        raise ServerError(f"{variable}={value!r} is not a port: give a number from 1024 to 65535")
    return int(value)
