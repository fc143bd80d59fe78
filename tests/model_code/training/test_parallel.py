"""Several ranks train the model that one would have trained, and go on where others stopped."""

import json
import os
import signal
import time
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from model_code.errors import TrainingError
from model_code.job import Job
from model_code.pretraining import pretrain
from model_code.runtime import Runtime
from model_code.training.parallel import parallel
from model_code.training.ranks import Ranks
from tests.model_code.conftest import pretrain_job, quiet_reporter, run_pretrain
from tests.model_code.training.rank_processes import exit_codes, start_ranks

TWELVE_STEPS: dict[str, Any] = {
    "steps": 12,
    "precision": "float32",
    "optimizer": "adamw",
    "learning_rate": 0.01,
    "micro_batch": 2,
    "ema": 0.9,
    "evaluate_every": 4,
}
MANY_STEPS = TWELVE_STEPS | {"steps": 40, "checkpoint_every": 5, "evaluate_every": 0}


def pretrain_as_rank(raw: dict[str, Any]) -> None:
    values = dict(raw)
    config = values.pop("config")
    reporter = quiet_reporter()
    signal.signal(signal.SIGTERM, reporter.request_stop)
    pretrain(Job({name: Path(value) for name, value in values.items()}, config), reporter)


def train(corpus: Path, home: Path, count: int, **config: Any) -> list[float]:
    """The losses of a training by `count` ranks."""
    home.mkdir(exist_ok=True)
    raw = pretrain_job(corpus, home, **TWELVE_STEPS | config)
    if count == 1:
        run_pretrain(raw)
    else:
        assert exit_codes(start_ranks(count, pretrain_as_rank, raw)) == [0] * count
    history = (home / "output" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(row)["loss"] for row in history]


def stop_at_first_checkpoint(ranks: list[ForkServerProcess], scratch: Path, sent: signal.Signals) -> None:
    """Send every rank the signal as soon as there is one checkpoint more than now, and wait for their end."""
    before = {path.name for path in scratch.glob("step-*")}
    while not {path.name for path in scratch.glob("step-*")} - before:
        assert any(rank.is_alive() for rank in ranks)
        time.sleep(0.001)
    for rank in ranks:
        os.kill(rank.pid or 0, sent)
    assert exit_codes(ranks) == [143 if sent == signal.SIGTERM else -sent] * len(ranks)


def test_any_number_of_ranks_has_the_losses_of_one(corpus: Path, tmp_path: Path) -> None:
    bert = {"family": "bert", "objective": "masked"}  # one of its heads is idle
    alone = train(corpus, tmp_path / "alone", 1, **bert)
    assert alone[-1] < alone[0] - 0.05
    for kind, count in (("ddp", 2), ("ddp", 4), ("fsdp", 2)):
        together = train(corpus, tmp_path / f"{kind}-{count}", count, parallel=kind, **bert)
        assert together == pytest.approx(alone, rel=1e-5)


def test_muon_takes_sharded_matrices(corpus: Path, tmp_path: Path) -> None:
    alone = train(corpus, tmp_path / "alone", 1, optimizer="muon")
    together = train(corpus, tmp_path / "together", 2, optimizer="muon", parallel="fsdp")
    # It orthogonalises in bfloat16, whatever the precision of the run: rounding grows.
    assert together == pytest.approx(alone, rel=1e-4)


def test_killed_ranks_go_on_to_the_same_bytes(corpus: Path, tmp_path: Path) -> None:
    losses = train(corpus, tmp_path / "undisturbed", 2, **MANY_STEPS)
    raw = pretrain_job(corpus, tmp_path, **MANY_STEPS)
    stop_at_first_checkpoint(start_ranks(2, pretrain_as_rank, raw), tmp_path / "scratch", signal.SIGKILL)
    assert train(corpus, tmp_path, 2, **MANY_STEPS) == losses
    name = "output/model/model.safetensors"
    assert (tmp_path / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


def test_a_run_goes_on_with_other_ranks(corpus: Path, tmp_path: Path) -> None:
    undisturbed = train(corpus, tmp_path / "undisturbed", 1, **MANY_STEPS)
    for kind, count in (("fsdp", 2), ("ddp", 4)):
        raw = pretrain_job(corpus, tmp_path, **MANY_STEPS, parallel=kind)
        stop_at_first_checkpoint(
            start_ranks(count, pretrain_as_rank, raw), tmp_path / "scratch", signal.SIGTERM
        )
    assert train(corpus, tmp_path, 1, **MANY_STEPS) == pytest.approx(undisturbed, rel=1e-5)


def test_what_ranks_cannot_share_is_refused(tmp_path: Path) -> None:
    runtime, two = Runtime(torch.device("cpu"), torch.float32), Ranks(0, 2)
    for kind, said in (("zero3", "parallel 'zero3' is not known"), ("none", "2 processes were started")):
        with pytest.raises(TrainingError, match=said):
            parallel(nn.Linear(2, 2), kind, two, runtime)  # type: ignore[arg-type]
