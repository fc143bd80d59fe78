import pytest
import torch

from model_code.architecture import Shape, fast_attention, masked_lm
from model_code.errors import TrainingError
from model_code.runtime import prepare
from model_code.vocabulary import Vocabulary

VOCABULARY = Vocabulary(size=100, pad=0, cls=2, sep=3, mask=4, unk=1)


def test_the_seed_decides_the_weights() -> None:
    first, again, other = (masked_lm(Shape(2, 32, 2, 48, 64, 16), VOCABULARY, seed) for seed in (1, 1, 2))
    assert all(a.equal(b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not first.model.embeddings.tok_embeddings.weight.equal(
        other.model.embeddings.tok_embeddings.weight
    )


def test_a_width_that_does_not_divide_is_refused() -> None:
    with pytest.raises(TrainingError, match="width 30 does not divide into 4 heads"):
        masked_lm(Shape(1, 30, 4, 48, 64, 16), VOCABULARY, seed=0)


def test_fast_attention_computes_the_same() -> None:
    model = masked_lm(Shape(3, 32, 2, 48, 64, 16), VOCABULARY, seed=0)
    ids = torch.arange(5, 69).view(1, 64)
    usual = model(input_ids=ids).logits
    with fast_attention(model, prepare("float32")):
        fast = model(input_ids=ids).logits
    assert torch.allclose(usual, fast, atol=1e-5)
    assert model.config._attn_implementation == "sdpa"
