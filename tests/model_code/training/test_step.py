from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from tests.model_code.conftest import pretrain_job, run_pretrain, written_history

SHORT: dict[str, Any] = {"steps": 20, "optimizer": "adamw", "precision": "float32", "dropout": 0.0}


@pytest.fixture(scope="module")
def undivided(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("undivided")
    run_pretrain(pretrain_job(corpus, home, **SHORT))
    return home / "output"


@pytest.mark.parametrize("micro_batch", [1, 3])
def test_micro_batches_change_nothing_but_rounding(
    corpus: Path, undivided: Path, tmp_path: Path, micro_batch: int
) -> None:
    run_pretrain(pretrain_job(corpus, tmp_path, **SHORT, micro_batch=micro_batch))
    losses, expected = (
        [row["loss"] for row in written_history(output)] for output in (tmp_path / "output", undivided)
    )
    assert losses == pytest.approx(expected, rel=1e-6)
    weights, others = (load_file(o / "model/model.safetensors") for o in (tmp_path / "output", undivided))
    for name, weight in weights.items():
        assert (weight - others[name]).norm() <= 1e-5 * others[name].norm()
