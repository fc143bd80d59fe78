import pytest
import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from model_code.data.vocabulary import Vocabulary
from model_code.models import gpt2, modernbert
from model_code.models.families import FAMILIES
from model_code.models.shape import Shape
from model_code.training.muon import Layout, Muon, layouts

RATE = 0.1
VOCABULARY = Vocabulary(size=100, pad=0, cls=2, sep=3, mask=4, unk=1, eos=5, sentinels=(90, 91))


def updates(layout: Layout, *gradients: torch.Tensor) -> torch.Tensor:
    """What a weight of ones is after these gradients."""
    weight = nn.Parameter(torch.ones_like(gradients[0]))
    optimizer = Muon([{"params": [weight]}], RATE, {weight: layout}, weight_decay=0.5)
    for gradient in gradients:
        weight.grad = gradient.clone()
        optimizer.step()
    return weight.detach()


def drawn(*shape: int) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [torch.randn(shape) for _ in range(3)]


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (8, 8)])
def test_a_whole_matrix_is_updated_as_torch_does(shape: tuple[int, int]) -> None:
    gradients = drawn(*shape)
    weight = nn.Parameter(torch.ones(shape))
    peer = torch.optim.Muon([weight], lr=RATE, weight_decay=0.5)
    for gradient in gradients:
        weight.grad = gradient.clone()
        peer.step()
    assert updates(Layout(), *gradients).equal(weight.detach())


@pytest.mark.parametrize("shape", [(8, 32), (32, 8), (8, 8)])
def test_the_transposed_matrix_gets_the_transposed_update(shape: tuple[int, int]) -> None:
    gradients = drawn(*shape)
    stored = updates(Layout(transposed=True), *(gradient.T.contiguous() for gradient in gradients))
    torch.testing.assert_close(stored.T, updates(Layout(), *gradients), rtol=0.02, atol=0.002)


def test_fused_matrices_are_updated_as_if_they_were_apart() -> None:
    gradients = drawn(24, 8)
    apart = [updates(Layout(), *parts) for parts in zip(*(g.chunk(3) for g in gradients), strict=True)]
    assert updates(Layout(parts=3), *gradients).equal(torch.cat(apart))
    assert updates(Layout(3, transposed=True), *(g.T for g in gradients)).T.equal(torch.cat(apart))


def factors(model: PreTrainedModel) -> dict[str, float]:
    """How much larger than at rate 1 each matrix of the first layer is updated, by its spectral norm."""
    shapes = layouts(model)
    found = {}
    for name, parameter in model.named_parameters():
        if parameter not in shapes or parameter.ndim != 2 or ".0." not in name:
            continue
        torch.manual_seed(0)
        parameter.grad = torch.randn_like(parameter)
        before = parameter.detach().clone()
        Muon([{"params": [parameter]}], 1.0, shapes).step()
        matrices = shapes[parameter].matrices(before - parameter.detach())
        norms = [torch.linalg.svdvals(matrix).median().item() for matrix in matrices]
        assert max(norms) < 1.3 * min(norms)
        found[name.removesuffix(".weight").rpartition(".0.")[2]] = sum(norms) / len(norms)
    return found


def test_the_matrices_of_gpt2_take_the_rate_of_their_shapes() -> None:
    found = factors(gpt2.build(Shape(1, 64, 2, 256, 64), VOCABULARY))
    expected = {"attn.c_attn": 1, "attn.c_proj": 1, "mlp.c_fc": 2, "mlp.c_proj": 1}
    assert found == pytest.approx(expected, rel=0.3)


def test_the_matrices_of_modernbert_take_the_rate_of_their_shapes() -> None:
    found = factors(modernbert.build(Shape(1, 64, 2, 256, 64, 16), VOCABULARY))
    expected = {"attn.Wqkv": 1, "attn.Wo": 1, "mlp.Wi": 2, "mlp.Wo": 1}
    assert found == pytest.approx(expected, rel=0.3)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_fused_matrix_of_a_family_is_known(name: str) -> None:
    family = FAMILIES[name]
    model = family.build(Shape(1, 64, 2, 160, 64, 16), VOCABULARY)
    read_out = {id(model.get_output_embeddings())}
    fused = set()
    for path, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D) and id(module) not in read_out:
            outputs = module.nf if isinstance(module, Conv1D) else module.out_features
            # Only the inner layer of the MLP, and what is fused, has more outputs than the width.
            if outputs > 64 and outputs != 160:
                fused.add(path.rpartition(".")[2])
    assert fused == set(family.FUSED)
