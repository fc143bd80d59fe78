import numpy as np
import pytest
import torch

from model_code.models import bert
from model_code.objectives.masked import Masked
from model_code.objectives.next_sentence import SHORTEST_PAIR, MaskedNextSentence
from tests.model_code.objectives.packed import VOCABULARY, noise, packed_rows

OBJECTIVE = MaskedNextSentence(Masked(bert, VOCABULARY, 0.15))
CLS, SEP = VOCABULARY.cls, VOCABULARY.sep


def test_pairs_are_made_in_place() -> None:
    rows = packed_rows()
    pairs = OBJECTIVE.pairs(rows, noise(rows))
    parts = rows.parts(SHORTEST_PAIR)
    assert len(pairs.labels) == len(parts) == 9
    touched = np.zeros(rows.ids.shape, np.bool_)
    for place, label, (row, begin, end) in zip(pairs.places, pairs.labels, parts, strict=True):
        ids, types = pairs.ids[row, begin:end], pairs.token_types[row, begin:end]
        original = rows.ids[row, begin:end].numpy()
        (cut, last) = np.flatnonzero(ids == SEP)
        assert place == row * rows.ids.shape[1] + begin
        assert ids[0] == CLS
        assert last == len(ids) - 1
        assert 2 <= cut <= len(ids) - 3
        assert types.tolist() == [0] * (cut + 1) + [1] * (last - cut)
        assert (ids[1:cut] == original[1:cut]).all()
        assert (ids[cut + 1 : last] == original[cut + 1 : last]).all() == (label == 0)
        touched[row, begin:end] = True
    assert (pairs.ids == rows.ids.numpy())[~touched].all()
    assert (pairs.token_types[~touched] == 0).all()


def test_half_of_the_pairs_are_from_elsewhere_and_hold_no_marks() -> None:
    rows = packed_rows([(24, 24)] * 500)
    assert rows.source is not None
    rows.source[::10] = VOCABULARY.eos  # the ends of other documents
    pairs = OBJECTIVE.pairs(rows, noise(rows))
    assert pairs.labels.mean() == pytest.approx(0.5, abs=0.05)
    special = np.isin(pairs.ids, VOCABULARY.special())
    assert special.sum() == 3 * len(pairs.labels)


def test_marks_are_no_targets_and_both_terms_are_counted() -> None:
    rows = packed_rows()
    batch = OBJECTIVE.batch(rows, noise(rows))
    assert batch.targets == {"masked": len(batch.tensors["targets"]), "next_sentence": 9}
    assert next(iter(batch.targets)) == "masked"
    assert not torch.isin(batch.tensors["targets"], torch.tensor([CLS, SEP])).any()


def test_rows_without_a_pair_have_masks_only() -> None:
    rows = packed_rows([(6,) * 8])
    batch = OBJECTIVE.batch(rows, noise(rows))
    assert batch.targets["next_sentence"] == 0
    model = bert.build(bert.PRESETS["tiny"], VOCABULARY)
    assert OBJECTIVE.scores(model, batch.tensors)["next_sentence"].loss.item() == 0
