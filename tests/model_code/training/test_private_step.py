"""DP-SGD on whole models: what an example can do at most, and that without noise nothing else changes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForSequenceClassification,
    ModernBertConfig,
    ModernBertForSequenceClassification,
)

from model_code.adapters import Adapter
from model_code.config.fine_tuning import LoraConfig
from model_code.errors import TrainingError
from model_code.objectives.objective import Batch, Score
from model_code.privacy import Mechanism
from model_code.runtime import Runtime
from model_code.training.optimizer import MixedOptimizer
from model_code.training.private_step import (
    MICRO_BATCH,
    PrivateStep,
    drawn_batches,
    freeze_embeddings,
    require_separable,
)
from model_code.training.ranks import Ranks
from model_code.training.step import Step

CPU = Runtime(torch.device("cpu"), torch.float32)
SIZES: dict[str, Any] = {
    "vocab_size": 50,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "hidden_size": 32,
    "pad_token_id": 0,
}
END = {"bos_token_id": 1, "eos_token_id": 1}
MODELS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "modernbert": (ModernBertForSequenceClassification, ModernBertConfig, {"classifier_pooling": "mean"}),
    "bert": (
        BertForSequenceClassification,
        BertConfig,
        {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    ),
    "gpt2": (
        GPT2ForSequenceClassification,
        GPT2Config,
        END | {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0},
    ),
    "llama": (LlamaForSequenceClassification, LlamaConfig, END),
}


class Classifier(nn.Module):
    """Token ids in, the score of one label each out; `together` compares examples with each other."""

    def __init__(self, family: str = "modernbert", together: bool = False) -> None:
        super().__init__()
        model, config, more = MODELS[family]
        widths = {"n_inner": 48} if family == "gpt2" else {"intermediate_size": 48}
        torch.manual_seed(0)
        self.model: Any = model(config(**SIZES, **widths, **more))
        self.together = together

    def forward(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        found = self.model(input_ids=tensors["ids"]).logits
        if self.together:
            found = found @ found.T
            loss = cross_entropy(found, torch.arange(len(found)), reduction="sum")
        else:
            loss = cross_entropy(found, tensors["targets"], reduction="sum")
        return {"label": Score(loss, torch.zeros_like(loss), torch.zeros_like(loss))}


class Rows:
    """As many examples as asked for, of different lengths."""

    def __init__(self, count: int) -> None:
        random = torch.Generator().manual_seed(1)
        self.ids = torch.randint(1, 50, (count, 12), generator=random)
        self.targets = torch.randint(0, 2, (count,), generator=random)
        self.lengths = np.arange(count)[::-1] % 7

    def batch(self, items: np.ndarray) -> Batch:
        tensors = {"ids": self.ids[items], "targets": self.targets[items]}
        return Batch(tensors, {"label": float(len(items))}, self.ids[items].numel())


def mechanism(clip: float, noise: float = 0.0, batch_size: int = 8) -> Mechanism:
    return Mechanism(100, batch_size, 1e-3, clip, noise, b"secret")


def private_step(module: nn.Module, mechanism: Mechanism) -> PrivateStep:
    return PrivateStep(module, MixedOptimizer(module, 1e-2, 0.0), CPU, mechanism)


def gradients(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def apart(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> float:
    return float(torch.cat([(one[name] - other[name]).flatten() for name in one]).norm())


@pytest.mark.parametrize("family", [*MODELS, "lora"])
def test_without_noise_and_clipping_it_is_ordinary_training(family: str) -> None:
    private = Classifier("modernbert" if family == "lora" else family)
    if family == "lora":
        Adapter(private.model, LoraConfig(rank=2))
        for name, parameter in private.named_parameters():
            if "lora_B" in name:
                nn.init.normal_(parameter)
    freeze_embeddings(private)
    ordinary = copy.deepcopy(private)
    step = Step(ordinary, MixedOptimizer(ordinary, 1e-2, 0.0), CPU, Ranks(), clip=1e9)
    whole = Rows(8).batch(np.arange(8))
    parts = [Rows(8).batch(items) for items in (np.arange(3), np.arange(3, 8))]
    measured = private_step(private, mechanism(clip=1e9)).gradients(parts)
    expected = step.gradients([whole])
    assert measured.loss == pytest.approx(expected.loss, rel=1e-5)
    assert measured.gradient_norm == pytest.approx(expected.gradient_norm, rel=1e-4)
    found, wanted = gradients(private), gradients(ordinary)
    assert found.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert torch.allclose(found[name], gradient, rtol=1e-3, atol=1e-5), name


def test_one_example_moves_the_sum_by_the_clip_at_most() -> None:
    module = Classifier()
    rows, step = Rows(9), private_step(module, mechanism(clip=0.01, batch_size=1))
    step.gradients([rows.batch(np.arange(8))])
    without = gradients(module)
    step.discard()
    step.gradients([rows.batch(np.arange(9))])
    assert 0.0099 < apart(gradients(module), without) <= 0.01 * (1 + 1e-5)
    step.discard()
    assert step.gradients([rows.batch(np.arange(9))]).gradient_norm <= 9 * 0.01


def test_the_noise_is_that_of_the_mechanism_and_the_weights_move() -> None:
    module, chance = Classifier(), mechanism(clip=0.5, noise=2.0)
    freeze_embeddings(module)
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    step = private_step(module, chance)
    torch.manual_seed(7)
    assert step.gradients([]).tokens == 0  # nobody was drawn: noise alone
    found = torch.cat([gradient.flatten() for gradient in gradients(module).values()])
    assert torch.equal(found * 8, torch.from_numpy(chance.noise(7, len(found))))
    step.apply(1.0)
    moved = {name for name, p in module.named_parameters() if not p.equal(before[name])}
    assert moved == {name for name, p in module.named_parameters() if p.requires_grad}
    assert "model.model.embeddings.tok_embeddings.weight" not in moved


def test_batches_hold_what_was_drawn_in_parts_that_fit() -> None:
    chance, rows = Mechanism(300, 100, 1e-3, 1.0, 1.0, b"secret"), Rows(300)
    batches = drawn_batches(rows, chance, 5)
    assert [len(b.tensors["ids"]) <= MICRO_BATCH for b in batches] == [True] * len(batches)
    ids = torch.cat([batch.tensors["ids"] for batch in batches])
    assert sorted(ids.tolist()) == sorted(rows.ids[chance.sample(5)].tolist())


def test_examples_in_several_rows_or_compared_with_each_other_are_refused() -> None:
    require_separable(Classifier(), Rows(8), 8, CPU)
    with pytest.raises(TrainingError, match="the 3 examples are cut or packed into 8 rows"):
        require_separable(Classifier(), Rows(8), 3, CPU)
    with pytest.raises(TrainingError, match="this task compares examples with each other"):
        require_separable(Classifier(together=True), Rows(8), 8, CPU)


def test_a_weight_that_is_not_used_example_by_example_is_refused() -> None:
    module = Classifier("gpt2")  # its table of positions is looked up once for all
    with pytest.raises(TrainingError, match=r"wpe\.weight can't be told apart by examples"):
        private_step(module, mechanism(clip=1.0)).gradients([Rows(4).batch(np.arange(4))])
