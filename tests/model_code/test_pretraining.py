import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from model_code import pretraining
from model_code.errors import TrainingError
from model_code.pretraining import held_out_metrics
from tests.model_code.conftest import TINY, pretrain_job, run_pretrain
from tests.token_shards import write_split

ROOT = Path(__file__).parents[2]


def test_the_loss_falls_and_the_model_is_whole(corpus: Path, pretrained: Path) -> None:
    history = [
        json.loads(line) for line in (pretrained / "history.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert [row["step"] for row in history] == list(range(1, 201))
    metrics = json.loads((pretrained / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["loss"] < history[0]["loss"] - 0.8
    assert metrics["targets"] > 100
    assert (pretrained / "model" / "tokenizer.json").is_file()


def test_the_saved_model_has_the_loss_that_training_wrote(corpus: Path, pretrained: Path) -> None:
    metrics = held_out_metrics(pretrained / "model", corpus / "tokens", "validation", TINY)
    written = json.loads((pretrained / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["loss"] == pytest.approx(written["loss"], rel=0.01)  # training may evaluate in bfloat16


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)])
def test_an_interrupted_run_ends_with_the_same_bytes(
    corpus: Path, pretrained: Path, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    raw = pretrain_job(corpus, tmp_path)
    job = tmp_path / "job.json"
    job.write_text(json.dumps(raw), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "model_code.pretraining", job],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not list((tmp_path / "scratch").glob("step-*")):
            time.sleep(0.01)
        process.send_signal(sent)
        lines = process.stdout.read().splitlines() if process.stdout else []
    assert process.returncode == code
    assert {json.loads(line)["event"] for line in lines} == {"progress"}
    assert not (tmp_path / "output").exists()
    run_pretrain(raw)
    for name in ("model/model.safetensors", "model/config.json", "metrics.json", "history.jsonl"):
        assert (tmp_path / "output" / name).read_bytes() == (pretrained / name).read_bytes()


def test_a_loss_that_is_no_number_stops_the_run(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pretraining, "schedule_named", lambda name: lambda *given: 1e40)
    with pytest.raises(TrainingError, match=r"at step \d+ of 200, .*lower the learning rate"):
        run_pretrain(pretrain_job(corpus, tmp_path))
    assert not (tmp_path / "output").exists()


def test_an_error_is_one_event_and_exit_code_1(corpus: Path, tmp_path: Path) -> None:
    write_split(tmp_path / "tokens", "train", [range(20)], 120)
    write_split(tmp_path / "tokens", "validation", [range(20)], 120)
    job = tmp_path / "job.json"
    job.write_text(
        json.dumps(pretrain_job(corpus, tmp_path) | {"tokens": str(tmp_path / "tokens")}), encoding="utf-8"
    )
    done = subprocess.run(
        [sys.executable, "-m", "model_code.pretraining", job],
        cwd=ROOT,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 1
    event = json.loads(done.stdout)
    assert event["event"] == "error"
    assert "train.bin" in event["message"]
    assert "Traceback" not in done.stderr
