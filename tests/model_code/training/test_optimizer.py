import pytest
import torch

from model_code.data.vocabulary import Vocabulary
from model_code.models import gpt2, modernbert
from model_code.models.shape import Shape
from model_code.training.optimizer import MixedOptimizer

VOCABULARY = Vocabulary(size=100, pad=0, cls=2, sep=3, mask=4, unk=1, eos=5)


def seeded_model() -> torch.nn.Module:
    torch.manual_seed(0)
    return modernbert.build(Shape(2, 32, 2, 48, 64, 16), VOCABULARY)


def step(model: torch.nn.Module, optimizer: MixedOptimizer) -> None:
    ids = torch.arange(5, 37).view(2, 16)
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step(0.5)


def test_muon_takes_the_hidden_matrices_and_nothing_else() -> None:
    model = seeded_model()
    optimizer = MixedOptimizer(model, 1e-3, 0.01, 1e-2)
    step(model, optimizer)
    muon = {name.removesuffix("/momentum_buffer") for name in optimizer.state() if "momentum" in name}
    expected = {name for name, p in model.named_parameters() if p.ndim == 2} - {
        "model.embeddings.tok_embeddings.weight"
    }
    assert muon == expected


@pytest.mark.parametrize(("classes", "taken"), [(4, ["1.weight"]), (5, ["1.weight", "2.weight"])])
def test_muon_leaves_embeddings_and_read_outs_of_a_few_classes(classes: int, taken: list[str]) -> None:
    model = torch.nn.Sequential(
        torch.nn.Embedding(10, 8), torch.nn.Linear(8, 8), torch.nn.Linear(8, classes, bias=False)
    )
    optimizer = MixedOptimizer(model, 1e-3, 0.01, 1e-2)
    model(torch.arange(10)).sum().backward()
    optimizer.step(0.5)
    assert [name.partition("/")[0] for name in optimizer.state() if "momentum" in name] == taken


def test_norms_and_biases_do_not_decay() -> None:
    model = seeded_model()
    optimizer = MixedOptimizer(model, learning_rate=0.1, weight_decay=1.0)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step(1.0)
    changed = {name for name, p in model.named_parameters() if not p.equal(before[name])}
    assert changed == {name for name, p in model.named_parameters() if p.ndim == 2}


def rates(optimizer: MixedOptimizer, model: torch.nn.Module) -> dict[str, float]:
    names = {p: name for name, p in model.named_parameters()}
    return {
        names[p]: group["peak"]
        for part in optimizer._optimizers
        for group in part.param_groups
        for p in group["params"]
    }


@pytest.mark.parametrize("muon", [None, 0.2])
def test_rates_fall_layer_by_layer_from_the_head_to_the_embeddings(muon: float | None) -> None:
    model = seeded_model()
    found = rates(MixedOptimizer(model, 0.4, 0.01, muon, layer_decay=0.5), model)
    assert found.keys() == {name for name, _ in model.named_parameters()}
    assert found["head.norm.weight"] == found["model.final_norm.weight"] == 0.4
    assert [found[f"model.layers.{i}.mlp_norm.weight"] for i in (1, 0)] == [0.2, 0.1]
    assert [found[f"model.layers.{i}.mlp.Wi.weight"] for i in (1, 0)] == ([0.1, 0.05] if muon else [0.2, 0.1])
    assert found["model.embeddings.tok_embeddings.weight"] == found["model.embeddings.norm.weight"] == 0.05


def test_a_restored_state_continues_identically() -> None:
    models = [seeded_model() for _ in range(2)]
    first, second = (MixedOptimizer(model, 1e-3, 0.01, 1e-2) for model in models)
    step(models[0], first)
    models[1].load_state_dict(models[0].state_dict())
    second.load_state({name: tensor.clone() for name, tensor in first.state().items()})
    step(models[0], first)
    step(models[1], second)
    assert all(a.equal(b) for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True))


def updates(model: torch.nn.Module, weight_decay: float) -> dict[str, torch.Tensor]:
    """What one step of Muon at rate 1, with random gradients, takes from matrices of the first layer."""
    weights = {n: p for n, p in model.named_parameters() if ".0." in n and p.ndim == 2}
    torch.manual_seed(0)
    for weight in weights.values():
        weight.grad = torch.randn_like(weight)
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    MixedOptimizer(model, 1e-3, weight_decay, 1.0).step(1.0)
    return {name.rpartition(".0.")[2]: before[name] - weight.detach() for name, weight in weights.items()}


@pytest.mark.parametrize(
    ("model", "factors"),
    [
        (
            gpt2.build(Shape(1, 64, 2, 256, 64), VOCABULARY),
            {"attn.c_attn": 3**0.5, "attn.c_proj": 1, "mlp.c_fc": 2, "mlp.c_proj": 1},
        ),
        (
            modernbert.build(Shape(1, 64, 2, 128, 64, 16), VOCABULARY),
            {"attn.Wqkv": 3**0.5, "attn.Wo": 1, "mlp.Wi": 2, "mlp.Wo": 1},
        ),
    ],
    ids=["gpt2", "modernbert"],
)
def test_muon_takes_the_rate_of_outputs_by_inputs(model: torch.nn.Module, factors: dict[str, float]) -> None:
    found = updates(model, weight_decay=0.0)
    # All singular values of what is orthogonalised are near 1, between 0.5 and 1.5.
    sizes = {name.removesuffix(".weight"): torch.linalg.svdvals(u).mean().item() for name, u in found.items()}
    assert sizes == pytest.approx(factors, rel=0.2)


def test_a_turned_matrix_decays_as_any_other() -> None:
    decays = {}
    for decay in (0.0, 0.5):
        torch.manual_seed(1)
        model = gpt2.build(Shape(1, 64, 2, 256, 64), VOCABULARY)
        begun = {
            n.rpartition(".0.")[2]: p.detach().clone() for n, p in model.named_parameters() if ".0." in n
        }
        decays[decay] = updates(model, decay)
    for name, update in decays[0.5].items():
        torch.testing.assert_close(update - decays[0.0][name], 0.5 * begun[name], rtol=1e-4, atol=1e-5)
