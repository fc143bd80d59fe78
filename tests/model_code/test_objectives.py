import pytest
import torch

from model_code.architecture import Shape, masked_lm
from model_code.objectives import mask_tokens, masked_lm_loss, step_seed
from model_code.vocabulary import Vocabulary

VOCABULARY = Vocabulary(size=5000, pad=0, cls=2, sep=3, mask=4, unk=1)


def generator(step: int) -> torch.Generator:
    return torch.Generator().manual_seed(step_seed(0, step))


def test_eighty_ten_ten_of_the_chosen_share() -> None:
    ids = torch.randint(5, 5000, (64, 512), generator=generator(99))
    ids[:, 0], ids[:, -1] = 2, 3
    batch = mask_tokens(ids, 0.3, VOCABULARY, generator(0))
    inputs = batch.inputs.flatten()[batch.positions]
    assert len(batch.positions) / ids.numel() == pytest.approx(0.3, abs=0.01)
    assert (inputs == 4).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (inputs == batch.targets).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert batch.targets.equal(ids.flatten()[batch.positions])
    assert not torch.isin(batch.targets, torch.tensor([0, 2, 3, 4])).any()
    untouched = torch.ones(ids.numel(), dtype=torch.bool)
    untouched[batch.positions] = False
    assert batch.inputs.flatten()[untouched].equal(ids.flatten()[untouched])


def test_the_mask_is_a_function_of_the_step() -> None:
    ids = torch.randint(5, 5000, (4, 64), generator=generator(99))
    first, again, other = (mask_tokens(ids, 0.3, VOCABULARY, generator(step)) for step in (1, 1, 2))
    assert first.inputs.equal(again.inputs)
    assert not first.inputs.equal(other.inputs)


def test_the_loss_is_that_of_transformers() -> None:
    model = masked_lm(Shape(3, 32, 2, 48, 128, 16), VOCABULARY, seed=0)
    ids = torch.randint(5, 5000, (16, 128), generator=generator(7))
    batch = mask_tokens(ids, 0.4, VOCABULARY, generator(0))  # more rows than one block of logits
    labels = torch.full_like(ids, -100).flatten()
    labels[batch.positions] = batch.targets
    theirs = model(input_ids=batch.inputs, labels=labels.view_as(ids)).loss
    assert masked_lm_loss(model, batch).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_nothing_to_hide_costs_nothing() -> None:
    model = masked_lm(Shape(1, 32, 2, 48, 128, 16), VOCABULARY, seed=0)
    batch = mask_tokens(torch.full((2, 8), 3), 0.3, VOCABULARY, generator(0))
    assert masked_lm_loss(model, batch).item() == 0
