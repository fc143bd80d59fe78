"""The pipeline as its user meets it: the command, real servers, and whatever may go wrong on the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.client import ask
from deploy.errors import TritonError
from tasks.tracking.auth_middleware import basic
from tests.topics import STAGES, kill_stub, logged_runs, registry, served_version, versions


def test_a_second_run_finds_everything(mill: Any, recipe: Path, first: dict[str, str]) -> None:
    output = mill("run", recipe)
    assert mill.outcomes("digest") == first
    assert set(mill.outcomes("state").values()) == {"cached"}
    query = {"sort": "EXPECTED_START_TIME_DESC", "limit": 50}
    tasks = mill.client("PREFECT").post("/api/task_runs/filter", json=query).json()
    latest = {task["name"]: task["state_name"] for task in reversed(tasks)}
    assert [latest[stage] for stage in STAGES] == ["Cached"] * len(STAGES)
    assert "who watered the roses  →  garden  (version 1)" in output


def test_pretraining_was_seen_in_mlflow_while_it_ran(mill: Any, first: dict[str, str]) -> None:
    (run,) = logged_runs(mill, "pretrain")
    assert run["status"] == "FINISHED"
    for metric in ("loss", "gradient_norm", "tokens_per_second", "memory_bytes", "validation_loss"):
        points = registry(mill, "metrics/get-history", run_id=run["id"], metric_key=f"pretrain/{metric}")
        assert points["metrics"][-1]["step"] == 30, metric


def test_no_other_user_reads_anything(mill: Any, first: dict[str, str]) -> None:
    packaged = mill.home / "prefect" / "ui"  # pages that Prefect unpacks with the modes of its package
    found = [mill.home, *(path for path in mill.home.rglob("*") if packaged not in (path, *path.parents))]
    assert len(found) > 100
    modes = {str(path): path.stat().st_mode for path in found if not path.is_symlink()}
    assert not {path: f"{mode & 0o777:o}" for path, mode in modes.items() if mode & 0o077}


def test_the_key_is_in_no_file_but_its_own_and_on_no_command_line(mill: Any, first: dict[str, str]) -> None:
    secrets = [mill.credentials[1].encode(), basic(mill.credentials[1]).removeprefix("Basic ").encode()]
    files = [path for path in mill.home.rglob("*") if path.is_file() and path.name != "key"]
    lines = [path for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    for path in [*files, *lines]:
        with suppress(FileNotFoundError, ProcessLookupError):
            assert not any(secret in path.read_bytes() for secret in secrets), path


def test_a_label_that_occurs_once_is_left_out_and_named(mill: Any, first: dict[str, str]) -> None:
    place = next((mill.home / "artifacts" / "examples").glob("*/report.json"))
    report = json.loads(place.read_text(encoding="utf-8"))
    assert report["labels"] == ["garden", "harbour", "kitchen"]
    assert report["left_out"] == {"museum": "1 documents, fewer than 20"}


def test_only_the_stage_with_a_damaged_artifact_is_made_anew(
    mill: Any, recipe: Path, first: dict[str, str]
) -> None:
    (stored,) = (mill.home / "artifacts" / "clean").glob("*/documents/*.parquet")
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    assert "clean: the stored artifact is damaged (documents/part-00000.parquet)" in mill("run", recipe)
    states = mill.outcomes("state")
    assert [stage for stage in STAGES if states[stage] == "made"] == ["clean"]
    assert mill.outcomes("digest") == first


def test_a_refused_model_is_logged_and_changes_nothing(
    mill: Any, recipe: Path, first: dict[str, str]
) -> None:
    before, logged = versions(mill), len(logged_runs(mill))
    output = mill("run", recipe, "--set", "evaluate.max_perplexity=1.5", code=1)
    assert "error: register: the gate refused the model: held-out perplexity is" in output
    assert "demanded at most 1.5" in output
    runs = logged_runs(mill)
    assert (len(runs), runs[0]["textmill.gate"], runs[0]["status"]) == (logged + 1, "refused", "FINISHED")
    assert versions(mill) == before
    assert "champion" in before[served_version(mill)]
    run = mill.last_run()
    assert run["state"] == "refused"
    assert "the gate refused the model" in (run["folder"] / "report.html").read_text(encoding="utf-8")
    for end in ("--until", "--only"):
        output = mill("run", recipe, end, "evaluate", "--set", "evaluate.max_perplexity=1.5", code=1)
        assert "error: evaluate: the gate refused the model: held-out perplexity is" in output
        assert mill.last_run()["state"] == "refused"


@dataclass(frozen=True)
class Second:
    """What was seen while two runs at once made the second version, and questions never stopped."""

    outputs: list[str]
    answers: Counter[str]
    errors: list[str]


@pytest.fixture(scope="module")
def second(mill: Any, recipe: Path, first: dict[str, str]) -> Second:
    """Another seed, trained by two runs that start at once, while a client keeps asking."""
    port, over = int(mill.environment["TEXTMILL_TRITON_HTTP_PORT"]), threading.Event()
    answers: Counter[str] = Counter()
    errors: list[str] = []

    def keep_asking() -> None:
        while not over.wait(0.05):
            try:
                answers[ask(["who watered the roses"], "topics", http_port=port)[0].model_version] += 1
            except TritonError as error:
                errors.append(str(error))

    client = threading.Thread(target=keep_asking)
    client.start()
    try:
        runs = [mill.start("run", recipe, "--set", "pretrain.seed=1") for _ in range(2)]
        outputs = [run.communicate(timeout=600)[0] for run in runs]
    finally:
        over.set()
        client.join()
    assert [run.returncode for run in runs] == [0, 0], "\n".join(outputs)
    return Second(outputs, answers, errors)


def test_two_runs_at_once_end_with_one_artifact_and_one_version(mill: Any, second: Second) -> None:
    for output in second.outputs:
        assert "completed" in output
        assert "error" not in output, output
    records = sorted((mill.home / "runs").glob("*/run.json"))[-2:]
    made = [json.loads(record.read_text(encoding="utf-8"))["outcomes"] for record in records]
    assert [o["digest"] for o in made[0]] == [o["digest"] for o in made[1]]
    for outcome in made[0]:
        assert (mill.home / "artifacts" / outcome["stage"] / outcome["key"][:32]).is_dir()
    assert not list((mill.home / "artifacts").glob("*/.*"))
    assert versions(mill) == {1: [], 2: ["challenger", "champion"]}


def test_the_second_version_is_compared_with_the_first_and_goes_live_without_an_error(
    mill: Any, second: Second
) -> None:
    evaluation = next(o for o in mill.last_run()["outcomes"] if o["stage"] == "evaluate")
    place = mill.home / "artifacts" / "evaluate" / evaluation["key"][:32] / "evaluation.json"
    found = json.loads(place.read_text(encoding="utf-8"))
    assert (found["champion"]["version"], found["champion"]["source"]) == (1, "its kept predictions")
    assert found["gate"]["verdict"] == "promote"
    (gate,) = [d for d in found["gate"]["demands"] if d["name"] == "f1_macro against champion 1"]
    assert gate["low"] <= gate["actual"] <= gate["high"]
    assert second.errors == []
    assert set(second.answers) == {"1", "2"}
    assert served_version(mill) == 2


def test_the_gate_says_the_same_again_from_what_was_kept(mill: Any, second: Second) -> None:
    before = versions(mill)
    said = mill("gate", "topics", "2", "--against", "1").splitlines()
    assert re.fullmatch(
        r"topics: version 2 against version 1 by its kept predictions, on \d+ test examples", said[0]
    )
    assert said[1] == "promote"
    assert said[2].split()[:2] == ["met", "what"]
    assert any(line.startswith("yes  f1 macro against champion 1") for line in said)
    assert mill("gate", "topics", "challenger").splitlines() == said
    registered = registry(mill, "model-versions/get", name="topics", version="2")["model_version"]["tags"]
    assert {"key": "textmill.verdict", "value": "promote"} in registered
    assert "MLflow has no version 9 of topics; there are 1, 2" in mill("gate", "topics", "9", code=1)
    assert "'a b' is no name of a model" in mill("gate", "a b", "1", code=2)
    pages = {"artifacts": {"key": {"any_": ["evaluate"]}}, "sort": "CREATED_DESC", "limit": 1}
    (page,) = mill.client("PREFECT").post("/api/artifacts/filter", json=pages).json()
    assert "### Gate: promote" in page["data"]
    assert "| 95 % interval | could show | met |" in page["data"]
    assert versions(mill) == before


def test_record_report_list_and_prefect_name_the_version_of_the_registry(mill: Any, second: Second) -> None:
    assert versions(mill)[2] == ["challenger", "champion"]
    run = mill.last_run()
    assert run["version"] == 2
    assert "Version 2 is deployed" in (run["folder"] / "report.html").read_text(encoding="utf-8")
    assert re.search(r"completed +2 ", mill("runs", "--last", "1"))
    pages = {"artifacts": {"key": {"any_": ["deploy"]}}, "sort": "CREATED_DESC", "limit": 1}
    (page,) = mill.client("PREFECT").post("/api/artifacts/filter", json=pages).json()
    assert "| version | 2 |" in page["data"]


def test_a_run_killed_between_endpoint_and_alias_is_finished_by_the_next(
    mill: Any, recipe: Path, second: Second
) -> None:
    alias = {"name": "topics", "alias": "champion", "version": "1"}
    moved = mill.client("MLFLOW").post("/api/2.0/mlflow/registered-models/alias", json=alias)
    moved.raise_for_status()
    assert (versions(mill)[1], served_version(mill)) == (["champion"], 2)
    mill("run", recipe, "--set", "pretrain.seed=1")
    assert versions(mill) == {1: [], 2: ["challenger", "champion"]}
    assert mill.outcomes("state") == dict.fromkeys(STAGES, "cached") | {"deploy": "made"}


def test_the_champion_answers_from_any_folder_without_torch_and_without_a_password(
    mill: Any, second: Second, tmp_path: Path
) -> None:
    program = f"""
import json, sys
sys.modules["torch"] = sys.modules["transformers"] = None
import mlflow
mlflow.set_tracking_uri("{mill.url("MLFLOW")}")
found = mlflow.pyfunc.load_model("models:/topics@champion").predict(["who watered the roses"])
print(json.dumps(found.to_dict("records")))
"""
    ours = ("TEXTMILL_", "MLFLOW_", "PREFECT_")
    environment = {name: value for name, value in mill.environment.items() if not name.startswith(ours)}
    command = [sys.executable, "-c", program]
    output = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, check=True, encoding="utf-8"
    ).stdout
    (answer,) = json.loads(output.splitlines()[-1])
    served = json.loads(mill("ask", "who watered the roses"))
    assert (answer["label"], served["version"]) == ("garden", 2)
    assert answer["probabilities"] == pytest.approx(served["probabilities"], abs=1e-5)
    assert sum(answer["probabilities"].values()) == pytest.approx(1)


def test_what_is_damaged_where_triton_serves_from_is_deployed_again(
    mill: Any, recipe: Path, second: Second
) -> None:
    served = mill.home / "triton" / "models" / "topics-v2-model" / "2" / "model.onnx"
    content = bytearray(served.read_bytes())
    content[-100] ^= 1
    served.write_bytes(content)
    seed = ("--set", "pretrain.seed=1")
    output = mill("run", recipe, *seed, "--from", "register")
    assert f"{served} is not the file that was deployed; built again from the verified export" in output
    assert mill.outcomes("state")["deploy"] == "made"
    assert served.read_bytes() != content
    output = mill("run", recipe, *seed, "--only", "deploy", "--refresh", "deploy")
    assert "did not go live" not in output
    assert "answers at" in output


def test_what_is_live_is_switched_by_hand_and_the_registry_follows(mill: Any, second: Second) -> None:
    assert mill("rollback", "topics") == (
        "topics answers from version 1 again, no longer from 2; MLflow's champion is now 1\n"
    )
    assert served_version(mill) == 1
    assert versions(mill) == {1: ["champion"], 2: ["challenger"]}
    assert "error: topics has no version before 1 to go back to; `textmill deploy topics@VERSION`" in mill(
        "rollback", "topics", code=1
    )
    said = mill("status")
    assert re.search(r"\n  live since 20\d\d-.*, parity \d\.\de-\d+, champion in MLflow\n", said)
    alias = {"name": "topics", "alias": "champion", "version": "2"}
    mill.client("MLFLOW").post("/api/2.0/mlflow/registered-models/alias", json=alias).raise_for_status()
    said = mill("status")
    assert "MLflow is ahead, its champion is version 2: `textmill deploy topics` serves it" in said
    said = mill("deploy", "topics")
    assert said.startswith("topics answers from version 2, no longer from 1; MLflow's champion is still 2\n")
    assert "as the registered model does to 5 questions" in said
    assert served_version(mill) == 2
    assert versions(mill) == {1: [], 2: ["challenger", "champion"]}


def test_the_other_verbs(mill: Any, recipe: Path, second: Second) -> None:
    seed = ("--set", "pretrain.seed=1")
    planned = mill("plan", recipe, *seed, "--refresh", "evaluate").splitlines()
    assert [line.split()[0] for line in planned if "would run" in line] == list(
        STAGES[STAGES.index("evaluate") :]
    )
    assert f"{'export':<15} cached" in mill("run", recipe, "--only", "export", *seed)
    missing = mill("run", recipe, "--from", "register", "--set", "pretrain.seed=9", code=1)
    assert "error: pretrain: its artifact is not in" in missing
    assert "completed" in mill("run", recipe, "--from", "register", *seed)
    said = mill("status")
    assert (said.count("running"), said.count("topics  version 2  answers")) == (4, 1)
    kill_stub(mill, "topics-v2-model")
    assert "topics  version 2  does not answer" in mill("status", code=1)
    assert "topics  version 2  answers" in mill("up")
    listed = mill("runs", "--last", "2")
    assert (listed.count("completed"), listed.count("failed")) == (1, 1)
    questions = ["who watered the roses", "did they boil the soup with garlic"]
    answers = [json.loads(line) for line in mill("ask", *questions).splitlines()]
    assert [(answer["text"], answer["version"]) for answer in answers] == [(q, 2) for q in questions]
    assert answers[0]["label"] == "garden"
    nobody = mill("ask", "--model", "nobody", "who watered the roses", code=1)
    assert "there is no endpoint 'nobody'; the endpoints are topics" in nobody
    other = ("--set", "examples.task=multi_label", "--set", "examples.columns={labels: topic}")
    taken = mill("plan", recipe, *other, code=2)
    assert "its champion, version 2, was made for the task classification, this recipe is for multi" in taken
    alike = mill("plan", recipe, "--set", "register.model=Topics", code=2)
    assert "register.model Topics differs from the registered model topics by case alone" in alike


def test_garbage_is_what_no_late_run_needs(mill: Any, second: Second, tmp_path: Path) -> None:
    shutil.copytree(mill.home / "artifacts", tmp_path / "artifacts")
    shutil.copytree(mill.home / "runs", tmp_path / "runs")
    made = {path.relative_to(tmp_path) for path in (tmp_path / "artifacts").glob("*/*")}
    assert "artifacts removed" in mill("gc", "--keep", "1", TEXTMILL_HOME=str(tmp_path))
    kept = {path.relative_to(tmp_path) for path in (tmp_path / "artifacts").glob("*/*")}
    assert kept < made
    assert kept == {Path("artifacts", stage, key[:32]) for stage, key in mill.outcomes("key").items()}
