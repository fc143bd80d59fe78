import pytest
import torch
from torch import nn

from model_code.training.average import Average


def moved(model: nn.Linear, average: Average, values: list[float]) -> None:
    for step, value in enumerate(values, 1):
        nn.init.constant_(model.weight, value)
        average.update(step)


def test_it_follows_the_weights_quickly_at_first_and_slowly_later() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.constant_(model.weight, 0.0)
    average = Average(model, 0.5)
    moved(model, average, [1.0])
    assert average.state()["weight"].item() == pytest.approx(9 / 11)
    moved(model, average, [1.0] * 20)
    nn.init.constant_(model.weight, 2.0)
    average.update(100)
    assert average.state()["weight"].item() == pytest.approx(1.5, abs=1e-4)


def test_it_stands_in_the_model_for_a_while() -> None:
    model = nn.Linear(3, 2)
    average = Average(model, 0.9)
    own = model.weight.detach().clone()
    with torch.no_grad():
        model.weight += 1
    with average.in_place():
        assert model.weight.equal(own)
    assert model.weight.equal(own + 1)


def test_a_restored_one_goes_on_alike() -> None:
    model = nn.Linear(3, 2)
    first, second = Average(model, 0.9), Average(model, 0.9)
    moved(model, first, [1.0, 2.0])
    second.load_state({name: tensor.clone() for name, tensor in first.state().items()})
    for average in (first, second):
        average.update(3)
    assert first.state()["weight"].equal(second.state()["weight"])
