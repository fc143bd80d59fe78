import numpy as np
import pytest
import torch

from model_code.data.batches import Rows
from model_code.data.noise import Noise
from model_code.data.vocabulary import Vocabulary
from model_code.data.words import Words
from model_code.models import modernbert
from model_code.models.shape import Shape
from model_code.objectives.masked import Masked

VOCABULARY = Vocabulary(size=5000, pad=0, cls=2, sep=3, mask=4, unk=1)


def rows_of(ids: torch.Tensor) -> Rows:
    positions = torch.arange(ids.shape[1]).expand_as(ids)
    return Rows(ids, torch.zeros_like(ids), positions, np.arange(len(ids)))


def noise(rows: Rows, step: int = 0) -> Noise:
    return Noise(0, step, rows.places)


def random_ids(*shape: int) -> torch.Tensor:
    return torch.randint(5, 5000, shape, generator=torch.Generator().manual_seed(99))


def test_eighty_ten_ten_of_the_chosen_share() -> None:
    ids = random_ids(64, 512)
    ids[:, 0], ids[:, -1] = 2, 3
    rows = rows_of(ids)
    batch = Masked(modernbert, VOCABULARY, 0.3).batch(rows, noise(rows))
    places, targets = batch.tensors["places"], batch.tensors["targets"]
    inputs = batch.tensors["ids"].flatten()[places]
    assert batch.targets == {"masked": len(places)}
    assert len(places) / ids.numel() == pytest.approx(0.3, abs=0.01)
    assert (inputs == 4).float().mean().item() == pytest.approx(0.8, abs=0.02)
    assert (inputs == targets).float().mean().item() == pytest.approx(0.1, abs=0.02)
    assert targets.equal(ids.flatten()[places])
    assert not torch.isin(targets, torch.tensor([0, 2, 3, 4])).any()
    untouched = torch.ones(ids.numel(), dtype=torch.bool)
    untouched[places] = False
    assert batch.tensors["ids"].flatten()[untouched].equal(ids.flatten()[untouched])


def test_whole_words_share_a_fate_and_keep_the_rate() -> None:
    begins = np.arange(5000) % 3 == 0
    words = Words(begins, np.zeros(5000, np.bool_))
    ids = random_ids(128, 512)
    ids[:, 300] = 3
    rows = rows_of(ids)
    rows.documents[:, 200:] = 1
    batch = Masked(modernbert, VOCABULARY, 0.15, words).batch(rows, noise(rows))
    places, inputs = batch.tensors["places"], batch.tensors["ids"]
    assert len(places) / ids.numel() == pytest.approx(0.15, abs=0.01)
    chosen = torch.zeros(ids.numel(), dtype=torch.bool)
    chosen[places] = True
    chosen = chosen.view_as(ids)
    same_word = torch.from_numpy(~begins)[ids[:, 1:]]
    same_word[:, 199] = False  # the next document
    same_word &= (ids[:, 1:] != 3) & (ids[:, :-1] != 3)
    assert same_word.float().mean() > 0.6
    assert (chosen[:, 1:] == chosen[:, :-1])[same_word].all()
    assert not (chosen[:, 1:] == chosen[:, :-1])[:, 199].all()
    hidden = inputs == 4
    both = same_word & chosen[:, 1:]
    assert (hidden[:, 1:] == hidden[:, :-1])[both].all()
    assert hidden[chosen].float().mean().item() == pytest.approx(0.8, abs=0.02)


def test_the_mask_is_a_function_of_the_step() -> None:
    rows = rows_of(random_ids(4, 64))
    objective = Masked(modernbert, VOCABULARY, 0.3)
    first, again, other = (objective.batch(rows, noise(rows, step)).tensors["ids"] for step in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)


def test_the_loss_is_that_of_transformers() -> None:
    torch.manual_seed(0)
    model = modernbert.build(Shape(3, 32, 2, 48, 128, 16), VOCABULARY)
    rows = rows_of(random_ids(16, 128))
    objective = Masked(modernbert, VOCABULARY, 0.4)  # more rows than one block of logits
    batch = objective.batch(rows, noise(rows))
    labels = torch.full_like(rows.ids, -100).flatten()
    labels[batch.tensors["places"]] = batch.tensors["targets"]
    theirs = model(input_ids=batch.tensors["ids"], labels=labels.view_as(rows.ids)).loss
    ours = objective.scores(model, batch.tensors)["masked"].loss / batch.targets["masked"]
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-5)


def test_nothing_to_hide_costs_nothing() -> None:
    model = modernbert.build(Shape(1, 32, 2, 48, 128, 16), VOCABULARY)
    rows = rows_of(torch.full((2, 8), 3))
    objective = Masked(modernbert, VOCABULARY, 0.3)
    batch = objective.batch(rows, noise(rows))
    assert objective.scores(model, batch.tensors)["masked"].loss.item() == 0
