import pytest
import torch

from model_code.errors import TrainingError
from model_code.runtime import prepare


def test_bfloat16_multiplies_in_bfloat16_and_float32_does_not() -> None:
    matrix = torch.eye(4)
    for precision, dtype in (("bfloat16", torch.bfloat16), ("float32", torch.float32)):
        runtime = prepare(precision)
        with runtime.autocast():
            assert (matrix.to(runtime.device) @ matrix.to(runtime.device)).dtype is dtype
    assert torch.are_deterministic_algorithms_enabled()


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(TrainingError, match="precision 'half' is not known"):
        prepare("half")
