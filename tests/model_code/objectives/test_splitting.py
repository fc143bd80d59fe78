"""A batch is the union of the batches of its rows, so micro-batches and ranks add up to it."""

import pytest
import torch

from tests.model_code.objectives.packed import OBJECTIVES, noise, packed_rows, small_model


@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize(("family", "name"), OBJECTIVES)
def test_parts_of_the_rows_add_up_to_the_whole(family: str, name: str, size: int) -> None:
    rows = packed_rows()
    objective, model = OBJECTIVES[family, name], small_model(family)
    whole = objective.batch(rows, noise(rows))
    parts = [objective.batch(part, noise(part)) for part in rows.split(size)]
    for term, count in whole.targets.items():
        assert sum(part.targets[term] for part in parts) == count > 0
    assert sum(part.tokens for part in parts) == whole.tokens == rows.ids.numel()
    assert torch.cat([part.tensors["targets"] for part in parts]).equal(whole.tensors["targets"])
    if name != "span_corruption":  # where the rows of a part may be filled up less
        for tensor in whole.tensors.keys() - {"places", "sentence_places"}:
            assert torch.cat([part.tensors[tensor] for part in parts]).equal(whole.tensors[tensor])
    with torch.no_grad():
        expected = objective.scores(model, whole.tensors)
        found = [objective.scores(model, part.tensors) for part in parts]
    for term, score in expected.items():
        assert sum(part[term].loss.item() for part in found) == pytest.approx(score.loss.item(), rel=1e-5)
        assert sum(int(part[term].hits) for part in found) == int(score.hits)


@pytest.mark.parametrize(("family", "name"), OBJECTIVES)
def test_a_batch_is_a_function_of_the_step(family: str, name: str) -> None:
    rows, objective = packed_rows(), OBJECTIVES[family, name]
    first, again, other = (objective.batch(rows, noise(rows, step)).tensors for step in (1, 1, 2))
    assert all(tensor.equal(again[key]) for key, tensor in first.items())
    assert name == "causal" or not first["targets"].equal(other["targets"])


@pytest.mark.parametrize(("family", "name"), OBJECTIVES)
def test_gradients_are_finite_and_reach_the_embeddings(family: str, name: str) -> None:
    rows, objective, model = packed_rows(), OBJECTIVES[family, name], small_model(family)
    scores = objective.scores(model, objective.batch(rows, noise(rows)).tensors)
    torch.stack([score.loss + score.penalty for score in scores.values()]).sum().backward()
    gradient = model.get_input_embeddings().weight.grad
    assert gradient is not None
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
