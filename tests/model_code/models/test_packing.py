"""Documents that share a row give the states that each of them gives alone, however attention is computed."""

from collections.abc import Sequence
from typing import Any

import pytest
import torch

from model_code.data.vocabulary import Vocabulary
from model_code.models import bert
from model_code.models.attention import FLEX
from model_code.models.families import DECODERS, ENCODER_DECODERS, ENCODERS, FAMILIES
from model_code.models.shape import Shape

LENGTHS = ([19, 1, 30, 14], [7, 50, 1, 6])


def states(family: str, model: Any, ids: torch.Tensor, lengths: Sequence[list[int]]) -> torch.Tensor:
    """Hidden states of packed rows; a second stack reads everything, rows and documents, from the end."""
    documents = torch.stack([torch.arange(len(row)).repeat_interleave(torch.tensor(row)) for row in lengths])
    positions = torch.stack([torch.cat([torch.arange(length) for length in row]) for row in lengths])
    module: Any = FAMILIES[family]
    if family in ENCODER_DECODERS:
        hidden = module.hidden_states(model, ids, documents, ids.flip(1), documents.flip(1))
    else:
        hidden = module.hidden_states(model, ids, documents, positions)
    assert isinstance(hidden, torch.Tensor)
    return hidden


@pytest.mark.filterwarnings("ignore:flex_attention called without", "ignore:_compile flag")
@pytest.mark.parametrize(
    ("family", "attention"),
    [(family, attention) for family in FAMILIES for attention in ("eager", "sdpa")]
    + [(family, FLEX) for family in (*ENCODERS, *DECODERS)],
)
def test_no_token_sees_another_document(
    family: str, attention: str, vocabulary: Vocabulary, shape: Shape
) -> None:
    model = FAMILIES[family].build(shape, vocabulary).train(False)
    model.set_attn_implementation(attention)
    ids = torch.randint(7, 110, (2, 64))
    # flex_attention computes the same uncompiled, and needs no compiler for it.
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        packed = states(family, model, ids, LENGTHS)
        for row, lengths in enumerate(LENGTHS):
            order = -1 if family in ENCODER_DECODERS else 1
            together = packed[row].split(lengths[::order])[::order]
            for alone, shared in zip(ids[row].split(lengths), together, strict=True):
                expected = states(family, model, alone[None], [[len(alone)]])[0]
                assert torch.allclose(shared, expected, atol=1e-5)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_one_document_a_row_gives_the_logits_of_transformers(
    family: str, attention: str, vocabulary: Vocabulary, shape: Shape
) -> None:
    model: Any = FAMILIES[family].build(shape, vocabulary).train(False)
    model.set_attn_implementation(attention)
    ids = torch.randint(7, 110, (2, 64))
    extra = {"decoder_input_ids": ids.flip(1)} if family in ENCODER_DECODERS else {}
    with torch.no_grad():
        output = model(input_ids=ids, attention_mask=torch.ones_like(ids), **extra)
        theirs = output.prediction_logits if family == "bert" else output.logits
        ours = FAMILIES[family].logits(model, states(family, model, ids, [[64], [64]]).flatten(0, 1))
    assert torch.allclose(ours, theirs.flatten(0, 1), atol=1e-5)


def test_bert_judges_sentences_like_transformers(vocabulary: Vocabulary, shape: Shape) -> None:
    model = bert.build(shape, vocabulary).train(False)
    ids, types = torch.randint(7, 110, (2, 64)), torch.arange(64).ge(20).long().expand(2, 64)
    zeros, positions = torch.zeros_like(ids), torch.arange(64).expand(2, 64)
    with torch.no_grad():
        theirs = model(input_ids=ids, token_type_ids=types).seq_relationship_logits
        hidden = bert.hidden_states(model, ids, zeros, positions, types)
        assert torch.allclose(bert.sentence_logits(model, hidden[:, 0]), theirs, atol=1e-6)


@pytest.mark.parametrize("family", ENCODER_DECODERS)
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_decoder_padding_without_a_document_is_finite(
    family: str, attention: str, vocabulary: Vocabulary, shape: Shape
) -> None:
    module: Any = FAMILIES[family]
    model = module.build(shape, vocabulary)
    model.set_attn_implementation(attention)
    ids = torch.randint(7, 110, (1, 8))
    documents, decoded = torch.zeros_like(ids), torch.tensor([[0, 0, 0, 0, -1, -1, -1, -1]])
    hidden = module.hidden_states(model, ids, documents, ids, decoded)
    hidden[:, :4].sum().backward()
    assert hidden.isfinite().all()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


@pytest.mark.parametrize("family", [*ENCODERS, *DECODERS])
def test_encoders_see_both_sides_and_decoders_one(family: str, vocabulary: Vocabulary, shape: Shape) -> None:
    model = FAMILIES[family].build(shape, vocabulary).train(False)
    ids = torch.randint(7, 110, (1, 20))
    changed = ids.clone()
    changed[0, -1] = 110
    before, after = (states(family, model, each, [[20]])[0, :-1] for each in (ids, changed))
    assert torch.equal(before, after) == (family not in ENCODERS)
