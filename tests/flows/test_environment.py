"""Settings: what the user says wins where it may, and nothing phones home."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from flows.environment import Ports, external_url, home, port_variable, process_variables
from tasks.contract.errors import ServerError

HOME = Path("/srv/textmill")


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PREFECT_API_URL", "MLFLOW_TRACKING_URI", "TEXTMILL_PREFECT_PORT", "TEXTMILL_MLFLOW_PORT"):
        monkeypatch.delenv(name, raising=False)


def test_ports_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in fields(Ports):
        monkeypatch.delenv(port_variable(field.name), raising=False)
    assert Ports.from_environment() == Ports()
    monkeypatch.setenv("TEXTMILL_MLFLOW_PORT", "5050")
    assert Ports.from_environment() == Ports(mlflow=5050)


@pytest.mark.parametrize("value", ["http", "80", "65536", "-1", "4200.0", "٤٢٠٠"])
def test_a_wrong_port_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TEXTMILL_PREFECT_PORT", value)
    with pytest.raises(ServerError, match="TEXTMILL_PREFECT_PORT=") as error:
        Ports.from_environment()
    assert repr(value) in str(error.value)


def test_home_is_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TEXTMILL_HOME", raising=False)
    assert home() == tmp_path.resolve() / ".textmill"
    monkeypatch.setenv("TEXTMILL_HOME", "elsewhere")
    assert home() == tmp_path.resolve() / "elsewhere"


def test_clients_are_led_to_our_servers() -> None:
    variables = process_variables(HOME, Ports(prefect=4300, mlflow=5300))
    assert variables["PREFECT_API_URL"] == "http://127.0.0.1:4300/api"
    assert variables["MLFLOW_TRACKING_URI"] == "http://127.0.0.1:5300"


def test_a_server_of_the_users_own_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.com")
    variables = process_variables(HOME, Ports())
    assert variables["MLFLOW_TRACKING_URI"] == external_url("mlflow") == "https://mlflow.example.com"
    assert variables["PREFECT_API_URL"] == "http://127.0.0.1:4200/api"


@pytest.mark.parametrize("theirs", ["http://127.0.0.1:4200/api", "https://prefect.example.com/api"])
def test_a_child_tells_our_server_from_the_users(monkeypatch: pytest.MonkeyPatch, theirs: str) -> None:
    for name, value in process_variables(HOME, Ports()).items():
        monkeypatch.setenv(name, value)
    assert external_url("prefect") is None

    monkeypatch.delenv("TEXTMILL_PREFECT_PORT")
    monkeypatch.setenv("PREFECT_API_URL", theirs)
    for name, value in process_variables(HOME, Ports()).items():
        monkeypatch.setenv(name, value)
    assert external_url("prefect") == theirs


def test_privacy_is_no_preference_and_the_log_level_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "true")
    monkeypatch.setenv("PREFECT_LOGGING_LEVEL", "DEBUG")
    variables = process_variables(HOME, Ports())
    assert variables["DO_NOT_TRACK"] == variables["ORT_DISABLE_TELEMETRY"] == "1"
    assert variables["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] == "false"
    assert variables["PREFECT_LOGGING_LEVEL"] == "DEBUG"


def test_loopback_is_added_to_what_bypasses_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet,localhost")
    assert process_variables(HOME, Ports())["no_proxy"] == "intranet,localhost,127.0.0.1,::1"


def test_prefect_and_mlflow_understand_the_variables(tmp_path: Path) -> None:
    """A setting that a new release renamed would be ignored in silence; they are asked for its effect."""
    program = """
import prefect.settings, mlflow.environment_variables as mlflow
settings = prefect.settings.get_current_settings()
print(settings.home, settings.results.default_serializer, settings.results.local_storage_path)
print(settings.server.analytics_enabled, settings.server.ui.v2_enabled, settings.api.url)
print(settings.server.ui.show_promotional_content, settings.server.ui.static_directory)
print(settings.logging.to_api.when_missing_flow)
print(mlflow.MLFLOW_DISABLE_TELEMETRY.get(), mlflow.MLFLOW_ALLOW_PICKLE_DESERIALIZATION.get())
print(mlflow.MLFLOW_SERVER_ENABLE_JOB_EXECUTION.get(), mlflow.MLFLOW_TRACKING_URI.get())
"""
    answer = subprocess.run(
        [sys.executable, "-c", program],
        env=process_variables(tmp_path, Ports()),
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    assert answer.stdout.split() == [
        *[f"{tmp_path}/prefect", "json", f"{tmp_path}/prefect/results"],
        *["False", "False", "http://127.0.0.1:4200/api"],
        *["False", f"{tmp_path}/prefect/ui", "ignore"],
        *["True", "False", "False", "http://127.0.0.1:5000"],
    ]
