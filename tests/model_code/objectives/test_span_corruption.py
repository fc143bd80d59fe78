from dataclasses import replace

import numpy as np
import pytest
import torch

from model_code.data.batches import Rows
from model_code.data.noise import Noise
from model_code.objectives.span_corruption import SpanCorruption
from tests.model_code.objectives.packed import VOCABULARY, noise, packed_rows, small_model

OBJECTIVE = SpanCorruption(VOCABULARY)


def row_of(*ids: int) -> Rows:
    row = torch.tensor([ids])
    return Rows(row, torch.zeros_like(row), torch.arange(len(ids))[None], np.arange(1))


def test_the_lengths_are_the_published_ones() -> None:
    """T5 at 512: 568 tokens of text make 512 of input and 114 of targets, each with its </s>."""
    tokens, spans = OBJECTIVE.counts(568)
    assert (tokens, spans) == (85, 28)
    assert 568 - tokens + spans + 1 == 512
    assert tokens + spans + 1 == 114


def test_both_sides_together_are_the_text() -> None:
    rows = replace(packed_rows([(48,)]), source=None)
    tensors = OBJECTIVE.batch(rows, noise(rows)).tensors
    encoder = [token for token in tensors["ids"][0].tolist() if token != VOCABULARY.pad]
    target = tensors["targets"].tolist()
    assert encoder[-1] == target[-1] == VOCABULARY.eos
    spans: dict[int, list[int]] = {}
    for token in target[:-1]:
        spans.setdefault(token, []) if token in VOCABULARY.sentinels else spans[[*spans][-1]].append(token)
    assert tuple(spans) == VOCABULARY.sentinels[: len(spans)]
    restored = [part for token in encoder[:-1] for part in spans.get(token, [token])]
    assert restored == rows.ids[0].tolist()
    assert [token for token in encoder if token in spans] == list(spans)
    assert encoder[0] not in spans  # the first span is kept
    assert tensors["decoder_ids"][0, : len(target)].tolist() == [VOCABULARY.pad, *target[:-1]]


def test_documents_are_corrupted_by_themselves_and_agree_on_both_sides() -> None:
    rows = packed_rows([(5, 16, 27), (1, 2, 45), (48,)])
    tensors = OBJECTIVE.batch(rows, noise(rows)).tensors
    for side in ("ids", "decoder_ids"):
        assert tensors[side].shape[1] % 8 == 0
    # A document of a single token and its </s> have nothing to be cut.
    assert [tensors["documents"][row].unique().tolist()[-1] for row in range(3)] == [2, 0, 0]
    for row in range(3):
        numbers = set(tensors["documents"][row].tolist()) - {-1}
        assert numbers == set(tensors["decoder_documents"][row].tolist()) - {-1}
        for number in numbers:
            ids = tensors["ids"][row][tensors["documents"][row] == number]
            assert ids[-1] == VOCABULARY.eos
            assert VOCABULARY.sentinels[0] in ids
    real = tensors["decoder_documents"] >= 0
    assert len(tensors["targets"]) == int(real.sum())
    first = real & (tensors["decoder_documents"] != tensors["decoder_documents"].roll(1, 1))
    assert (tensors["decoder_ids"][first] == VOCABULARY.pad).all()


def test_the_decoder_reads_each_document_from_its_own_begin() -> None:
    """The padding token and the document's targets but the last, wherever in the row it lies."""
    rows = packed_rows([(10, 16, 22)])
    tensors = OBJECTIVE.batch(rows, noise(rows)).tensors
    documents = tensors["decoder_documents"][0]
    of_targets = documents[documents >= 0]
    assert of_targets.unique().tolist() == [0, 1, 2]
    for number in range(3):
        targets = tensors["targets"][of_targets == number].tolist()
        read = tensors["decoder_ids"][0][documents == number].tolist()
        assert read == [VOCABULARY.pad, *targets[:-1]]


def test_the_share_and_the_length_of_spans() -> None:
    count, length = 400, 100
    numbers = Noise(0, 0, np.arange(count))
    cut, kept = numbers.uniform("cut", length), numbers.uniform("kept", length)
    hidden = np.stack([OBJECTIVE.spans(length, *pair) for pair in zip(cut, kept, strict=True)])
    assert (hidden.sum(1) == 15).all()
    begins = hidden & ~np.roll(hidden, 1, axis=1)
    assert (begins.sum(1) == 5).all()
    assert not hidden[:, 0].any()
    assert hidden[:, -1].all()
    # Far from the ends, of which the last is always cut out, no token is preferred.
    assert hidden[:, 10:70].mean(0) == pytest.approx(0.13, abs=0.06)


@pytest.mark.parametrize("length", [2, 3, 4, 7])
def test_the_shortest_texts_lose_a_token_and_keep_one(length: int) -> None:
    tensors = OBJECTIVE.batch(row_of(*range(10, 10 + length)), Noise(0, 0, np.arange(1))).tensors
    assert tensors["targets"][0] == VOCABULARY.sentinels[0]
    assert len(tensors["targets"]) == 3
    assert tensors["ids"][0, length] == VOCABULARY.eos


def test_however_much_is_cut_out_a_token_stays_before_each_span() -> None:
    almost_all = replace(OBJECTIVE, noise_density=0.9)
    assert almost_all.counts(3) == (2, 1)
    assert replace(almost_all, mean_span=1.0).counts(10) == (9, 1)


def test_rows_without_text_cost_nothing() -> None:
    batch = OBJECTIVE.batch(row_of(10), Noise(0, 0, np.arange(1)))
    assert batch.targets == {"span_corruption": 0}


def test_the_loss_is_that_of_transformers() -> None:
    rows, model = packed_rows([(48,)]), small_model("t5")
    batch = OBJECTIVE.batch(rows, noise(rows))
    text = batch.tensors["ids"][batch.tensors["documents"] == 0]
    theirs = model(input_ids=text[None], labels=batch.tensors["targets"][None]).loss
    ours = OBJECTIVE.scores(model, batch.tensors)["span_corruption"]
    count = batch.targets["span_corruption"]
    assert (ours.loss / count).item() == pytest.approx(theirs.item(), rel=1e-5)
    assert float(ours.penalty) == 0
