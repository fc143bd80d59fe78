import pytest
import torch

from model_code.data.vocabulary import Vocabulary
from model_code.models.families import FAMILIES
from model_code.models.shape import Shape


@pytest.fixture(scope="session")
def vocabulary() -> Vocabulary:
    """A token for every role that any family needs."""
    return Vocabulary(
        size=120, pad=0, unk=1, cls=2, sep=3, mask=4, bos=5, eos=6, sentinels=tuple(range(119, 109, -1))
    )


@pytest.fixture(scope="session")
def shape() -> Shape:
    """Three layers, so that ModernBERT has a local one; queries in groups, so that Llama has some."""
    return Shape(3, 32, 2, 48, 64, local_attention=16, kv_heads=1)


@pytest.fixture(params=FAMILIES)
def family(request: pytest.FixtureRequest) -> str:
    torch.manual_seed(0)
    return str(request.param)
