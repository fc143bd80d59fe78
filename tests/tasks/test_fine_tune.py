"""What goes together in a fine-tuning, said before anything starts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.artifact import folder_digest
from tasks.fine_tune import FineTuneConfig, _same_teacher


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seeds": 3, "search": {"seeds": [1, 2]}}, "search.seeds chooses one seed, seeds compares several"),
        ({"r_drop": 5, "distill": {"teacher": "large"}}, "r_drop and distill each replace the loss"),
        ({"privacy": {"epsilon": 8}, "class_weights": True}, "privacy does not hold with class_weights"),
        ({"privacy": {"epsilon": 8}, "seeds": 3}, "privacy does not hold with seeds"),
        ({"privacy": {"epsilon": 8}, "optimizer": "muon"}, "privacy does not hold with optimizer muon"),
        (
            {"search": {"muon_learning_rate": [0.001, 0.01]}},
            "search.muon_learning_rate changes nothing with optimizer adamw",
        ),
    ],
)
def test_what_does_not_go_together_is_said(values: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        FineTuneConfig.model_validate(values)


def test_another_teacher_in_the_same_folder_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    config: Any = FineTuneConfig(distill={"teacher": str(tmp_path)})  # type: ignore[arg-type]
    made: Any = SimpleNamespace(external={"teacher": folder_digest(str(tmp_path))})
    run: Any = None
    assert _same_teacher(made, config, run)
    (tmp_path / "model.safetensors").write_bytes(b"others")
    assert not _same_teacher(made, config, run)
