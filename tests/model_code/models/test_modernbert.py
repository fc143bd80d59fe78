import pytest
import torch

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models import modernbert
from model_code.models.kernels import fast_attention
from model_code.models.shape import Shape
from model_code.runtime import prepare

VOCABULARY = Vocabulary(size=100, pad=0, cls=2, sep=3, mask=4, unk=1)
SHAPE = Shape(3, 32, 2, 48, 64, 16)


def test_a_width_that_does_not_divide_is_refused() -> None:
    with pytest.raises(TrainingError, match="width 30 does not divide into 4 heads"):
        modernbert.build(Shape(1, 30, 4, 48, 64, 16), VOCABULARY)


def test_a_vocabulary_without_a_mask_is_refused() -> None:
    with pytest.raises(TrainingError, match="no token for mask, which ModernBERT needs"):
        modernbert.build(SHAPE, Vocabulary(size=100, pad=0, cls=2, sep=3))


@pytest.mark.parametrize("fast", [False, True])
def test_packed_documents_do_not_see_each_other(fast: bool) -> None:
    torch.manual_seed(0)
    model = modernbert.build(SHAPE, VOCABULARY)
    ids = torch.arange(5, 69).view(1, 64)
    alone = model.model(input_ids=ids[:, :40]).last_hidden_state
    documents = (torch.arange(64) >= 40).long().view(1, 64)
    positions = torch.cat([torch.arange(40), torch.arange(24)]).view(1, 64)
    if fast:
        with fast_attention(model, prepare("float32")):
            packed = modernbert.hidden_states(model, ids, documents, positions)
    else:
        packed = modernbert.hidden_states(model, ids, documents, positions)
    assert torch.allclose(packed[:, :40], alone, atol=1e-5)
    assert model.config._attn_implementation == "sdpa"
