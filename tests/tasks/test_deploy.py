"""The stage alone, with a real MLflow and a real Triton: what does not go live, and what does."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from deploy import client as triton
from deploy import model_config, triton_server
from deploy import repository as models
from deploy.triton_server import TritonServer
from tasks.contract.errors import ParityError, ServerError, StageError
from tasks.contract.run import Run
from tasks.contract.workspace import Workspace
from tasks.deploy import DeployConfig, still_live
from tasks.deployment.asked_examples import AskedExamples
from tasks.deployment.deployed import CANARIES, CANARY_TEXTS, SERVED
from tasks.tracking.registry import CHALLENGER, CHAMPION, by_alias, logged_model
from tests.deploy.conftest import LABELS, MAX_LENGTH, SENTENCES, Bundle, bundle  # noqa: F401
from tests.free_ports import free_ports
from tests.release_artifacts import Release
from tests.tasks.candidate import Candidate

Bundles = Callable[..., Bundle]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TritonServer]:
    """A Triton in a home of its own, which the tests of this file share."""
    home = tmp_path_factory.mktemp("home") / "triton"
    names = ("http_port", "grpc_port", "metrics_port")
    yield triton_server.start(home, **dict(zip(names, free_ports(len(names)), strict=True)))
    triton_server.stop(home)


@pytest.fixture(scope="module")
def deployed(
    server: TritonServer,
    mlflow_address: str,
    bundle: Bundles,  # noqa: F811
) -> Candidate:
    """The first version, as the stage has deployed it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_address)
        first = Candidate(Path(server.home).parent, "deployed", bundle(1))
        first.deploy()
    return first


@pytest.fixture
def live(deployed: Candidate, server: TritonServer, mlflow: Any) -> Iterator[Candidate]:
    """The same, which is live before the test and after it."""
    assert (served(server, "deployed"), champion(mlflow, "deployed")) == (1, 1)
    yield deployed
    assert (served(server, "deployed"), champion(mlflow, "deployed")) == (1, 1)


def served(server: TritonServer, model: str) -> int | None:
    return triton.ready_version(model, http_port=server.http_port)


def champion(mlflow: Any, model: str) -> int | None:
    found = by_alias(mlflow, model, CHAMPION)
    return found.version if found else None


@pytest.mark.parametrize("config", [{"compare": 0}, {"tolerance": 0}, {"tolerance": 0.5}])
def test_a_comparison_that_compares_nothing_is_refused(config: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match=next(iter(config))):
        DeployConfig.model_validate(config)


def test_without_a_triton_nothing_is_deployed(
    mlflow: Any,
    model: str,
    tmp_path: Path,
    bundle: Bundles,  # noqa: F811
) -> None:
    candidate = Candidate(tmp_path, model, bundle(1))
    with pytest.raises(ServerError, match="deploy: no Triton is running here; start it with `textmill up`"):
        candidate.deploy()
    assert candidate.release.made_by("deploy") == []
    assert champion(mlflow, model) is None


def test_texts_that_no_endpoint_takes_are_counted_and_never_all_of_them(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    bundle: Bundles,  # noqa: F811
) -> None:
    workspace = Workspace("deploy", "k", Release(tmp_path, "any").store, tmp_path)
    most = model_config.max_text_bytes(MAX_LENGTH)
    texts = ["a" * most, "看" * (most // 3 + 1), "a" * (most + 1)]
    examples = [{"text": text, "label": LABELS[0]} for text in texts]
    registered = SimpleNamespace(answers=list, predictions=lambda asked: [LABELS[0]] * len(asked))
    asked = AskedExamples(examples, bundle(1).folder, registered)
    asked.tell(workspace)
    assert asked.expected == [{"text": texts[0]}]
    assert capsys.readouterr().out == (
        f"  2 texts are not compared: longer than the {most} bytes that an endpoint takes, "
        "or with blanks in a word\n"
    )
    with pytest.raises(
        ParityError, match=rf"all 2 test texts are longer than the {most} bytes .*; shorten them"
    ):
        AskedExamples(examples[1:], bundle(1).folder, registered)


def test_what_answers_like_the_model_goes_live(live: Candidate, server: TritonServer, mlflow: Any) -> None:
    name = live.version.model
    artifact = live.deploy()
    manifest, place = live.release.manifest(artifact), live.release.store.path(artifact)
    assert still_live(manifest, live.config, Run(live.home))
    assert live.release.made_by("deploy").count(manifest) == 1
    endpoint = json.loads((place / "endpoint.json").read_text(encoding="utf-8"))
    assert endpoint == {"model": name, "version": 1, "onnx": live.exported.digest}
    compared = json.loads((place / "deployment.json").read_text(encoding="utf-8"))
    assert (compared["compared"], compared["different"]) == (6, 0)
    assert (compared["metric"], compared["served"]) == ("f1_macro", compared["registered"])
    assert compared["max_abs_difference"] < 1e-5
    files = json.loads((place / SERVED).read_text(encoding="utf-8"))
    assert sorted(files) == models.served_files(Path(server.repository), name, 1)
    assert len(json.loads((place / CANARIES).read_text(encoding="utf-8"))["questions"]) == CANARY_TEXTS
    assert [file for file, stored in manifest.files.items() if not stored.volatile] == ["endpoint.json"]
    assert manifest.external == {"model": name, "version": "1", "url": f"{server.url}/v2/models/{name}"}


def test_it_runs_anew_when_alias_files_or_server_are_not_what_they_were(
    live: Candidate, server: TritonServer, mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, run = live.version.model, Run(live.home)
    manifest = live.release.manifest(live.deploy())
    file = Path(server.repository) / f"{name}-v1-model" / "config.pbtxt"
    content = file.read_bytes()
    file.write_bytes(content + b"\n")
    assert not still_live(manifest, live.config, run)
    file.write_bytes(content)
    assert still_live(manifest, live.config, run)
    mlflow.delete_registered_model_alias(name, CHAMPION)
    assert not still_live(manifest, live.config, run)
    assert live.deploy().digest == manifest.digest  # a run that was killed before the alias is finished
    assert champion(mlflow, name) == 1
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert not still_live(manifest, live.config, run)
    assert not still_live(manifest, live.config, Run(live.home / "another"))


def test_what_answers_differently_does_not_go_live(
    live: Candidate,
    server: TritonServer,
    mlflow: Any,
    bundle: Bundles,  # noqa: F811
) -> None:
    name = live.version.model
    second = Candidate(live.home, name, bundle(2), exported=bundle(3))
    said = rf"endpoint of {name} version 2 gives another answer than the registered model to \d of 6"
    with pytest.raises(ParityError, match=said):
        second.deploy()
    assert models.versions(Path(server.repository), name) == [1]
    assert served(server, f"{name}-candidate") is None
    assert by_alias(mlflow, name, CHALLENGER) == second.version


def test_what_triton_refuses_does_not_go_live(
    live: Candidate,
    server: TritonServer,
    mlflow: Any,
    bundle: Bundles,  # noqa: F811
) -> None:
    name = live.version.model
    second = Candidate(live.home, name, bundle(4))
    onnx = second.release.store.path(second.exported) / "onnx" / "model.onnx"
    onnx.write_bytes(onnx.read_bytes()[:100])
    with pytest.raises(StageError, match=rf"deploy: Triton can't load {name}-v\d-model"):
        second.deploy()
    assert models.versions(Path(server.repository), name) == [1]


def test_a_changed_version_is_not_even_asked(
    mlflow: Any,
    model: str,
    server: TritonServer,
    tmp_path: Path,
    bundle: Bundles,  # noqa: F811
) -> None:
    candidate = Candidate(Path(server.home).parent, model, bundle(1))
    (tmp_path / "pyfunc_model.py").write_text("raise SystemExit('executed')", encoding="utf-8")
    mlflow.log_model_artifacts(logged_model(mlflow, candidate.version), str(tmp_path))
    with pytest.raises(StageError, match=r"pyfunc_model\.py was changed since; nothing of it was run"):
        candidate.deploy()
    assert champion(mlflow, model) is None


def test_a_live_version_that_is_damaged_is_built_again(
    live: Candidate, server: TritonServer, capsys: pytest.CaptureFixture[str]
) -> None:
    name = live.version.model
    file = Path(server.repository) / f"{name}-v1-model" / "1" / "model.onnx"
    content = file.read_bytes()
    file.write_bytes(content[:-100])
    live.deploy()
    said = f"{name} version 1: {file} is not the file that was deployed; built again from the verified export"
    assert said in capsys.readouterr().out
    assert file.read_bytes() == content
    assert served(server, name) == 1


def test_a_live_version_whose_build_is_another_says_what_to_make_anew(
    live: Candidate,
    server: TritonServer,
    bundle: Bundles,  # noqa: F811
) -> None:
    onnx = live.release.store.path(live.exported) / "onnx" / "model.onnx"
    file = Path(server.repository) / f"{live.version.model}-v1-model" / "1" / "model.onnx"
    content = onnx.read_bytes()
    try:
        for place in (onnx, file):
            shutil.copyfile(bundle(3).folder / "model.onnx", place)
        with pytest.raises(ParityError, match=r"after it was built again .*: --refresh export"):
            live.deploy(refresh=True)
    finally:
        onnx.write_bytes(content)
        live.deploy(refresh=True)
