"""Every objective on packed rows, against transformers' own loss on each of the documents alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch.nn.functional import cross_entropy
from transformers import BertForMaskedLM

from model_code.data.batches import Rows
from tests.model_code.objectives.packed import OBJECTIVES, noise, packed_rows, small_model

IGNORED = -100
Tensors = Mapping[str, torch.Tensor]


def labels_of(tensors: Tensors, shape: torch.Size) -> torch.Tensor:
    labels = torch.full(shape, IGNORED).flatten()
    labels[tensors["places"]] = tensors["targets"]
    return labels.view(shape)


def documents_of(tensors: Tensors, side: str = "documents") -> list[tuple[int, torch.Tensor]]:
    """(row, columns) of every document in the rows of a batch."""
    numbers = tensors[side]
    return [
        (row, (numbers[row] == number).nonzero().squeeze(1))
        for row in range(len(numbers))
        for number in numbers[row].unique()
        if number >= 0
    ]


def masked(model: Any, tensors: Tensors) -> dict[str, float]:
    if model.config.model_type == "bert":
        alone = BertForMaskedLM(model.config)
        assert not alone.load_state_dict(model.state_dict(), strict=False).missing_keys
        model = alone.train(False)
    labels, total = labels_of(tensors, tensors["ids"].shape), 0.0
    for row, columns in documents_of(tensors):
        if count := int((labels[row, columns] != IGNORED).sum()):
            loss = model(input_ids=tensors["ids"][row, columns][None], labels=labels[row, columns][None]).loss
            total += loss.item() * count
    return {"masked": total}


def masked_next_sentence(model: Any, tensors: Tensors) -> dict[str, float]:
    labels, totals = labels_of(tensors, tensors["ids"].shape), {"masked": 0.0, "next_sentence": 0.0}
    pairs = zip(documents_of(tensors), tensors["sentence_labels"], strict=True)
    for (row, columns), followed in pairs:
        out = model(
            input_ids=tensors["ids"][row, columns][None],
            token_type_ids=tensors["token_types"][row, columns][None],
            labels=labels[row, columns][None],
            next_sentence_label=followed[None],
        )
        sentence = cross_entropy(out.seq_relationship_logits, followed[None]).item()
        totals["next_sentence"] += sentence  # theirs is the sum of two means
        if count := int((labels[row, columns] != IGNORED).sum()):
            totals["masked"] += (out.loss.item() - sentence) * count
    return totals


def causal(model: Any, tensors: Tensors) -> dict[str, float]:
    total = 0.0
    for row, columns in documents_of(tensors):
        if len(columns) > 1:
            ids = tensors["ids"][row, columns][None]
            total += model(input_ids=ids, labels=ids).loss.item() * (len(columns) - 1)
    return {"causal": total}


def span_corruption(model: Any, tensors: Tensors) -> dict[str, float]:
    labels, total = labels_of(tensors, tensors["decoder_ids"].shape), 0.0
    encoder, decoder = documents_of(tensors), documents_of(tensors, "decoder_documents")
    assert len(encoder) == len(decoder)
    for (row, columns), (same_row, places) in zip(encoder, decoder, strict=True):
        assert row == same_row
        loss = model(input_ids=tensors["ids"][row, columns][None], labels=labels[row, places][None]).loss
        total += loss.item() * len(places)
    return {"span_corruption": total}


STOCK = {
    "masked": masked,
    "masked_next_sentence": masked_next_sentence,
    "causal": causal,
    "span_corruption": span_corruption,
}


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize(("family", "name"), OBJECTIVES)
def test_packed_rows_cost_what_their_documents_cost_alone(family: str, name: str, attention: str) -> None:
    rows = packed_rows([(20, 28), (48,), (18, 30), (16, 32)])
    objective, model = OBJECTIVES[family, name], small_model(family, attention)
    tensors = objective.batch(rows, noise(rows)).tensors
    with torch.no_grad():
        ours = {term: score.loss.item() for term, score in objective.scores(model, tensors).items()}
        theirs = STOCK[name](model, tensors)
    assert ours == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(("family", "name"), OBJECTIVES)
def test_rows_of_one_document_cost_what_transformers_says(family: str, name: str) -> None:
    """A whole batch through the stock path, its mean against ours."""
    rows: Rows = packed_rows([(48,)] * 6)
    objective, model = OBJECTIVES[family, name], small_model(family)
    batch = objective.batch(rows, noise(rows))
    tensors = batch.tensors
    arguments: dict[str, Any] = {"input_ids": tensors["ids"]}
    if name == "span_corruption":
        arguments |= {"attention_mask": (tensors["documents"] >= 0).long()}
        arguments |= {"labels": labels_of(tensors, tensors["decoder_ids"].shape)}
    elif name == "causal":
        arguments |= {"labels": tensors["ids"]}
    else:
        arguments |= {"labels": labels_of(tensors, tensors["ids"].shape)}
    if family == "bert":
        arguments |= {"next_sentence_label": tensors.get("sentence_labels", torch.zeros(6, dtype=torch.long))}
        arguments |= {"token_type_ids": tensors.get("token_types")}
    with torch.no_grad():
        out = model(**arguments)
        scores = objective.scores(model, tensors)
    ours = sum(score.loss.item() / batch.targets[term] for term, score in scores.items())
    theirs = out.loss.item()
    if (family, name) == ("bert", "masked"):  # its stock class adds the other head's loss
        zeros = torch.zeros(6, dtype=torch.long)
        theirs -= cross_entropy(out.seq_relationship_logits, zeros).item()
    assert ours == pytest.approx(theirs, rel=1e-5)
