import pytest
import torch
from transformers.masking_utils import create_bidirectional_sliding_window_mask, create_causal_mask

from model_code.data.vocabulary import Vocabulary
from model_code.models import llama, modernbert
from model_code.models.attention import document_mask
from model_code.models.shape import Shape

DOCUMENTS = torch.tensor([[0] * 30 + [1] * 20 + [2] * 14])


@pytest.mark.parametrize("window", [2, 15, 16, 64])
def test_the_window_is_that_of_transformers(window: int, vocabulary: Vocabulary) -> None:
    model = modernbert.build(Shape(3, 32, 2, 48, 64, window), vocabulary)
    theirs = create_bidirectional_sliding_window_mask(
        config=model.config, inputs_embeds=torch.zeros(1, 64, 32), attention_mask=None
    )
    theirs = torch.ones(1, 1, 64, 64, dtype=torch.bool) if theirs is None else theirs
    assert torch.equal(document_mask(model, DOCUMENTS * 0, window=window), theirs)
    same = DOCUMENTS[:, None, :, None] == DOCUMENTS[:, None, None]
    assert torch.equal(document_mask(model, DOCUMENTS, window=window), theirs & same)


def test_packed_causal_rows_are_those_of_transformers(vocabulary: Vocabulary, shape: Shape) -> None:
    model = llama.build(shape, vocabulary)
    positions = torch.cat([torch.arange(30), torch.arange(20), torch.arange(14)])[None]
    theirs = create_causal_mask(
        config=model.config,
        inputs_embeds=torch.zeros(1, 64, 32),
        attention_mask=None,
        past_key_values=None,
        position_ids=positions,
    )
    assert torch.equal(document_mask(model, DOCUMENTS, causal=True), theirs)


def test_eager_attention_gets_numbers_to_add(vocabulary: Vocabulary, shape: Shape) -> None:
    model = llama.build(shape, vocabulary)
    seen = document_mask(model, DOCUMENTS, causal=True)
    model.set_attn_implementation("eager")
    added = document_mask(model, DOCUMENTS, causal=True)
    assert added.dtype == torch.float32
    assert torch.equal(added == 0, seen)
    assert added.min() == torch.finfo(torch.float32).min
