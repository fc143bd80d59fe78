"""What lies in MLflow is run only while it is what was registered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tasks.contract.errors import StageError
from tasks.contract.store import Store
from tasks.tracking.registry import FILES_TAG, ModelVersion, by_alias, client, logged_model
from tasks.tracking.version_files import loaded, predict_with, verified_files, write_sums

ONNX = "artifacts/onnx/model.onnx"
EXAMPLES = [{"id": "1", "text": "who watered the roses"}]


class Registered:
    """The champion of the shared home, and what someone who reaches MLflow can do to it."""

    def __init__(self, mill: Any) -> None:
        self.mill, self.store = mill, Store(mill.home)
        found = by_alias(client(), "topics", "champion")
        assert found
        self.version: ModelVersion = found
        self.model_id = logged_model(client(), found)
        (self.folder,) = (mill.home / "mlflow" / "artifacts").glob(f"*/models/{self.model_id}/artifacts")

    def put(self, name: str, content: bytes) -> None:
        """Overwrite or add a file through the server, as who reaches it can."""
        with TemporaryDirectory() as folder:
            (Path(folder) / Path(name).name).write_bytes(content)
            client().log_model_artifacts(self.model_id, folder, str(Path(name).parent).lstrip("."))

    def tag(self, value: str) -> None:
        """Change the tag that says what the files must be."""
        client().set_model_version_tag("topics", str(self.version.version), FILES_TAG, value)


@pytest.fixture
def registered(mill: Any, first: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Registered]:
    """Every file and the tag are as before when the test is over."""
    user, password = mill.credentials
    monkeypatch.setenv("MLFLOW_TRACKING_URI", mill.url("MLFLOW"))
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", user)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", password)
    found = Registered(mill)
    before = {path: path.read_bytes() for path in found.folder.rglob("*") if path.is_file()}
    tag = client().get_model_version("topics", str(found.version.version)).tags[FILES_TAG]
    yield found
    for path in found.folder.rglob("*"):
        if path.is_file() and path not in before:
            path.unlink()
    for path, content in before.items():
        path.write_bytes(content)
        path.chmod(0o600)
    found.tag(tag)


def _spoil_sums(registered: Registered) -> None:
    registered.put("pyfunc_model.py", b"raise SystemExit('executed')\n")
    write_sums(registered.folder)


ATTACKS: dict[str, tuple[Callable[[Registered], None], str]] = {
    "code": (lambda r: r.put("pyfunc_model.py", b"raise SystemExit"), "pyfunc_model.py was changed"),
    "loader": (lambda r: r.put("MLmodel", b"flavors: {}"), "MLmodel was changed"),
    "more code": (lambda r: r.put("code/pandas.py", b""), "code/pandas.py was added"),
    "on the disk": (lambda r: (r.folder / "artifacts/model/model.safetensors").unlink(), "is missing"),
    "the build": (lambda r: r.put(ONNX, b"other"), f"{ONNX} was changed"),
    "code and list": (_spoil_sums, "SHA256SUMS was changed"),
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("home", ["own", "another"])
def test_changed_files_are_named_and_not_run(
    registered: Registered, tmp_path: Path, attack: str, home: str
) -> None:
    """Also for a home that has only the version's tags to go by."""
    spoil, said = ATTACKS[attack]
    spoil(registered)
    store = registered.store if home == "own" else Store(tmp_path)
    with pytest.raises(StageError) as refused:
        predict_with(registered.version, "classification", EXAMPLES, store)
    message = str(refused.value)
    assert f"version {registered.version.version} of topics in MLflow is not what was registered" in message
    assert said in message
    assert "Delete this version in MLflow and run again" in message


def test_a_sound_version_answers_and_leaves_nothing(
    registered: Registered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert predict_with(registered.version, "classification", EXAMPLES, registered.store) == ["garden"]
    with verified_files(registered.version, registered.store) as folder:
        assert folder.parent == tmp_path
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.iterdir())


def test_the_own_artifact_wins_over_the_tag(registered: Registered, tmp_path: Path) -> None:
    registered.put("pyfunc_model.py", b"raise SystemExit('executed')\n")
    registered.tag(write_sums(registered.folder))  # all of MLflow agrees with the attacker now
    with pytest.raises(StageError, match=r"is not what was registered: \S+ was changed since"):
        loaded(registered.version, registered.store).__enter__()


def test_a_version_without_digests_is_not_run(registered: Registered, tmp_path: Path) -> None:
    client().delete_model_version_tag("topics", str(registered.version.version), FILES_TAG)
    with verified_files(registered.version, registered.store):
        pass  # this home knows
    with pytest.raises(StageError, match="registered by an older textmill, without digests"):
        loaded(registered.version, Store(tmp_path)).__enter__()


def test_a_run_says_it_and_does_not_call_it_cached(mill: Any, recipe: Path, registered: Registered) -> None:
    marker = mill.home / "executed"
    registered.put("pyfunc_model.py", f"open({str(marker)!r}, 'w')\n".encode())
    planned = mill("plan", recipe)
    assert "pyfunc_model.py was changed since" in planned
    assert next(line for line in planned.splitlines() if "would run" in line).startswith("register")
    output = mill("run", recipe, code=1)
    assert output.count("error: ") == 1
    assert f"version {registered.version.version} of topics in MLflow is not what was registered" in output
    assert not marker.exists()
