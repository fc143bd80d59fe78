from pathlib import Path

import pytest
import torch

from model_code.training.checkpoint import Checkpoint, latest_checkpoint, save_checkpoint


def save_three(scratch: Path) -> None:
    for step in (10, 20, 30):
        save_checkpoint(
            scratch, Checkpoint(step, {"w": torch.full((3,), step)}, {"history": [step / 3]}), "run"
        )


def test_the_newest_comes_back_and_two_are_kept(tmp_path: Path) -> None:
    assert latest_checkpoint(tmp_path, "run") is None
    save_three(tmp_path)
    found = latest_checkpoint(tmp_path, "run")
    assert found is not None
    assert (found.step, found.tensors["w"].tolist(), found.state) == (30, [30, 30, 30], {"history": [10.0]})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000020", "step-00000030"]


@pytest.mark.parametrize("file", ["tensors.safetensors", "state.json"])
def test_a_damaged_one_is_passed_over_and_named(
    tmp_path: Path, file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    save_three(tmp_path)
    path = tmp_path / "step-00000030" / file
    path.write_bytes(path.read_bytes()[:-1])
    found = latest_checkpoint(tmp_path, "run")
    assert found is not None
    assert found.step == 20
    assert "step-00000030 is passed over" in capsys.readouterr().err
    (tmp_path / "step-00000020" / file).unlink()
    assert latest_checkpoint(tmp_path, "run") is None


def test_another_run_does_not_resume_from_it(tmp_path: Path) -> None:
    save_three(tmp_path)
    assert latest_checkpoint(tmp_path, "other") is None
