import os
import signal
import time
from pathlib import Path

import pytest
import torch

from model_code.errors import TrainingError
from model_code.training.checkpoint import Checkpoint, Checkpoints
from model_code.training.ranks import join_ranks
from tests.model_code.training.rank_processes import exit_codes, start_ranks


def checkpoint(step: int, size: int = 3) -> Checkpoint:
    return Checkpoint(step, {"w": torch.full((size,), float(step))}, {"history": [step / 3]})


def save_three(scratch: Path) -> None:
    checkpoints = Checkpoints(scratch, "run")
    for step in (10, 20, 30):
        checkpoints.save(checkpoint(step))
    checkpoints.finish()


def test_the_newest_comes_back_and_two_are_kept(tmp_path: Path) -> None:
    assert Checkpoints(tmp_path, "run").latest() is None
    save_three(tmp_path)
    found = Checkpoints(tmp_path, "run").latest()
    assert found is not None
    assert (found.step, found.tensors["w"].tolist(), found.state) == (30, [30, 30, 30], {"history": [10.0]})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000020", "step-00000030"]


def test_the_best_and_every_so_many_are_kept(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, "run", keep_every=40)
    for step in range(10, 110, 10):
        checkpoints.save(checkpoint(step), best=10 if step < 60 else 50)
    checkpoints.finish()
    assert [int(path.name[5:]) for path in sorted(tmp_path.iterdir())] == [40, 50, 80, 90, 100]


def test_what_is_saved_is_what_was_there_at_the_call(tmp_path: Path) -> None:
    checkpoints, given = Checkpoints(tmp_path, "run"), checkpoint(1, size=10**6)
    checkpoints.save(given)
    given.tensors["w"].zero_()
    given.state["history"].append("later")
    found = checkpoints.latest()
    assert found is not None
    assert found.tensors["w"].unique().tolist() == [1.0]
    assert found.state == {"history": [1 / 3]}


@pytest.mark.parametrize("file", ["rank-0-of-1.safetensors", "state.json"])
def test_a_damaged_one_is_passed_over_and_named(
    tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_three(tmp_path)
    path = tmp_path / "step-00000030" / file
    path.write_bytes(path.read_bytes()[:-1])
    found = Checkpoints(tmp_path, "run").latest()
    assert found is not None
    assert found.step == 20
    assert "step-00000030 is passed over" in capsys.readouterr().err
    (tmp_path / "step-00000020" / file).unlink()
    assert Checkpoints(tmp_path, "run").latest() is None


def test_another_run_does_not_resume_from_it(tmp_path: Path) -> None:
    save_three(tmp_path)
    assert Checkpoints(tmp_path, "other").latest() is None


def test_a_write_that_failed_is_told_by_the_next_call(tmp_path: Path) -> None:
    (tmp_path / "full").write_text("no directory can be made here", encoding="utf-8")
    checkpoints = Checkpoints(tmp_path / "full", "run")
    checkpoints.save(checkpoint(10))
    with pytest.raises(TrainingError, match=r"the checkpoint of step 10 could not be written to .*full"):
        checkpoints.save(checkpoint(20))


def save_small_then_large(scratch: Path) -> None:
    checkpoints = Checkpoints(scratch, "run")
    checkpoints.save(checkpoint(1))
    checkpoints.save(checkpoint(2, size=2 * 10**7))
    checkpoints.finish()


def test_a_kill_while_one_is_written_leaves_the_one_before(tmp_path: Path) -> None:
    (writer,) = start_ranks(1, save_small_then_large, tmp_path)
    while not (tmp_path / "unfinished-00000002").exists():
        assert writer.is_alive()
        time.sleep(0.0005)
    os.kill(writer.pid or 0, signal.SIGKILL)
    assert exit_codes([writer]) == [-signal.SIGKILL]
    found = Checkpoints(tmp_path, "run").latest()
    assert found is not None
    assert (found.step, found.tensors["w"].tolist()) == (1, [1.0, 1.0, 1.0])
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]


def save_as_rank(scratch: Path) -> None:
    ranks = join_ranks()
    checkpoints = Checkpoints(scratch, "run", ranks)
    for step in (1, 2):
        tensors = {f"w{i}": torch.full((1000, i), float(step)) for i in range(1, 5)}
        checkpoints.save(Checkpoint(step, tensors, {}))
    found = checkpoints.latest()
    assert found is not None
    assert found.step == 2


def test_every_rank_writes_a_fair_share(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_codes(start_ranks(2, save_as_rank, tmp_path)) == [0, 0]
    parts = sorted((tmp_path / "step-00000002").glob("*.safetensors"))
    assert [path.name for path in parts] == ["rank-0-of-2.safetensors", "rank-1-of-2.safetensors"]
    assert parts[0].stat().st_size == pytest.approx(parts[1].stat().st_size, rel=0.01)
    found = Checkpoints(tmp_path, "run").latest()
    assert found is not None
    assert {name: (tuple(t.shape), t.mean().item()) for name, t in found.tensors.items()} == {
        f"w{i}": ((1000, i), 2.0) for i in range(1, 5)
    }
    parts[1].unlink()
    found = Checkpoints(tmp_path, "run").latest()
    assert found is not None
    assert found.step == 1
    assert "rank-1-of-2.safetensors" in capsys.readouterr().err
