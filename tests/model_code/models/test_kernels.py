import copy
from typing import Any

import pytest
import torch

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models import gpt2, llama
from model_code.models.attention import FLEX
from model_code.models.families import ENCODER_DECODERS, FAMILIES
from model_code.models.kernels import (
    _quickest_attention,
    fast_attention,
    recompute_activations,
    repeated_layers,
)
from model_code.models.shape import Shape
from model_code.runtime import prepare

BLOCKS = {
    "modernbert": ["ModernBertEncoderLayer"] * 3,
    "bert": ["BertLayer"] * 3,
    "gpt2": ["GPT2Block"] * 3,
    "llama": ["LlamaDecoderLayer"] * 3,
    "t5": ["T5Block"] * 6,
    "marian": ["MarianEncoderLayer"] * 3 + ["MarianDecoderLayer"] * 3,
}


def gradients(family: str, model: Any) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)  # for the dropout
    ids = torch.randint(7, 110, (2, 32), generator=torch.Generator().manual_seed(2))
    documents = (torch.arange(32) >= 20).long().expand(2, 32)
    positions = torch.cat([torch.arange(20), torch.arange(12)]).expand(2, 32)
    module: Any = FAMILIES[family]
    rest = (ids, documents) if family in ENCODER_DECODERS else (positions,)
    hidden = module.hidden_states(model, ids, documents, *rest)
    module.logits(model, hidden).square().sum().backward()
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_the_repeated_layers_are_the_blocks(family: str, vocabulary: Vocabulary, shape: Shape) -> None:
    layers = repeated_layers(FAMILIES[family].build(shape, vocabulary))
    assert [type(layer).__name__ for layer in layers] == BLOCKS[family]


def test_recomputed_activations_give_the_same_gradients(family: str, vocabulary: Vocabulary) -> None:
    model = FAMILIES[family].build(Shape(3, 32, 2, 48, 64, 16, dropout=0.1), vocabulary)
    other = copy.deepcopy(model)
    recompute_activations(other)
    ran: list[int] = []
    first = next(module for module in repeated_layers(other)[0].modules() if not [*module.children()])
    first.register_forward_pre_hook(lambda *_: ran.append(1))
    expected, found = gradients(family, model.train()), gradients(family, other.train())
    assert len(ran) == 2
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_the_model_comes_back_as_it_was(family: str, vocabulary: Vocabulary, shape: Shape) -> None:
    model = FAMILIES[family].build(shape, vocabulary)
    expected = gradients(family, model)
    model.zero_grad()
    eagerly = torch.compiler.set_stance("force_eager")  # to compile takes half a minute
    with eagerly, fast_attention(model, prepare("float32"), "on", packed=True):
        assert model.config._attn_implementation == "eager"
        assert all(layer._compiled_call_impl for layer in repeated_layers(model))
        found = gradients(family, model)
    assert all(torch.allclose(expected[name], found[name], rtol=1e-4, atol=1e-4) for name in expected)
    assert model.config._attn_implementation == "sdpa"
    assert not any(layer._compiled_call_impl for layer in repeated_layers(model))


def test_nothing_is_compiled_on_a_cpu_unless_asked_for(vocabulary: Vocabulary, shape: Shape) -> None:
    model = gpt2.build(shape, vocabulary)
    with fast_attention(model, prepare("float32")):
        assert not any(layer._compiled_call_impl for layer in repeated_layers(model))
    said = "compile 'maybe' is not known; choose one of auto, on, off"
    with pytest.raises(TrainingError, match=said), fast_attention(model, prepare("float32"), "maybe"):
        pass


def test_attention_on_a_gpu(family: str, vocabulary: Vocabulary, shape: Shape) -> None:
    model = FAMILIES[family].build(shape, vocabulary)
    cuda = torch.device("cuda")
    assert _quickest_attention(model, cuda, packed=True) == ("sdpa" if family in ENCODER_DECODERS else FLEX)
    assert _quickest_attention(model, cuda, packed=False) == "sdpa"
    dropping = llama.build(Shape(1, 32, 2, 48, 64, dropout=0.1), vocabulary)
    assert _quickest_attention(dropping, cuda, packed=True) == "sdpa"
