"""Adapters in place of full fine-tuning: what rests, what is saved, and that merging changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file
from torch import nn
from transformers import (
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.pytorch_utils import Conv1D

from model_code.adapters import Adapter, heads_of, trained_whole
from model_code.config.fine_tuning import LoraConfig
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.models.checkpoints import load_model
from model_code.training.checkpoint import trained
from tests.model_code.checkpoints import ARCHITECTURES, published
from tests.model_code.conftest import fine_tune_job, quiet_reporter

LORA = {"lora": {"rank": 4}, "learning_rate": 2e-2}
IDS = torch.arange(5, 41).view(4, 9)


def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=50,
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            tie_word_embeddings=True,
        )
    )


def gpt2() -> GPT2LMHeadModel:
    torch.manual_seed(0)
    return GPT2LMHeadModel(
        GPT2Config(vocab_size=50, n_embd=32, n_layer=2, n_head=2, bos_token_id=1, eos_token_id=1)
    )


def t5() -> T5ForConditionalGeneration:
    torch.manual_seed(0)
    return T5ForConditionalGeneration(
        T5Config(vocab_size=50, d_model=32, d_kv=16, d_ff=48, num_layers=2, num_heads=2)
    )


def logits(model: PreTrainedModel) -> torch.Tensor:
    model.train(False)
    inputs = {"decoder_input_ids": IDS} if model.config.is_encoder_decoder else {}
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=IDS, **inputs).logits
    return found


def learn(model: PreTrainedModel) -> None:
    """A few steps of whatever can be learnt."""
    optimizer = torch.optim.AdamW(trained(model).values(), lr=1e-2)
    inputs = {"decoder_input_ids": IDS} if model.config.is_encoder_decoder else {}
    for _ in range(3):
        model(input_ids=IDS, labels=IDS, **inputs).loss.backward()
        optimizer.step()
        optimizer.zero_grad()


@pytest.mark.parametrize("make", [llama, gpt2, t5])
def test_merged_and_loaded_by_peft_the_model_says_the_same(make: type, tmp_path: Path) -> None:
    model = make()
    adapter = Adapter(model, LoraConfig(rank=4))
    assert all("lora_" in name for name in trained(model))
    learn(model)
    learnt = logits(model)
    assert not torch.allclose(learnt, logits(make()), atol=1e-3)
    adapter.save(tmp_path / "adapter")
    adapter.merge()
    assert torch.allclose(logits(model), learnt, atol=1e-5)
    assert [*model.state_dict()] == [*make().state_dict()]
    loaded = PeftModel.from_pretrained(make(), tmp_path / "adapter")
    assert torch.allclose(logits(loaded), learnt, atol=1e-5)


def test_weights_of_four_bits_rest_and_merge_as_they_were_rounded() -> None:
    model = llama()
    before = logits(model)
    adapter = Adapter(model, LoraConfig(rank=4, quantize="nf4"))
    rounded = model.model.layers[0].mlp.up_proj.get_base_layer().weight
    assert (rounded.dtype, rounded.numel()) == (torch.uint8, 32 * 48 // 2)
    assert not torch.equal(logits(model), before)
    assert torch.allclose(logits(model), before, atol=0.2)
    learn(model)
    learnt = logits(model)
    adapter.merge()
    assert torch.allclose(logits(model), learnt, atol=1e-5)
    assert [*model.state_dict()] == [*llama().state_dict()]


def architectures() -> Iterator[Any]:
    """Each as a classifier and as what it was published as, where one of these is a task here."""
    for name, (_, kind, _) in ARCHITECTURES.items():
        kinds = [] if kind is AutoModelForMaskedLM else [kind]
        if kind is not AutoModelForSeq2SeqLM:
            kinds.append(AutoModelForSequenceClassification)
        for one in kinds:
            yield pytest.param(name, one, id=f"{name}-{one.__name__}")


@pytest.mark.parametrize(("name", "kind"), [*architectures()])
def test_every_linear_layer_of_any_architecture_has_an_adapter(name: str, kind: Any, tmp_path: Path) -> None:
    """In four bits too, where it is no Conv1D; merged, plain transformers reads the same model."""
    model = load_model(published(name, tmp_path / "published"), kind)
    if model.config.pad_token_id is None:  # a classifier that decodes looks for the last token that is none
        model.config.pad_token_id = 0
    layers = {n: layer for n, layer in model.named_modules() if isinstance(layer, nn.Linear | Conv1D)}
    whole = trained_whole(model)
    resting = {n for n in layers if not any(n == head or n.startswith(f"{head}.") for head in whole)}
    resting -= {n for n, layer in layers.items() if layer is model.get_output_embeddings()}
    has_head = kind is AutoModelForSequenceClassification
    assert bool(whole) is has_head
    is_fused = any(isinstance(layer, Conv1D) for layer in layers.values())
    adapter = Adapter(model, LoraConfig(rank=4, quantize="none" if is_fused else "nf4"))
    adapted = {n for n, layer in model.named_modules() if isinstance(layer, LoraLayer)}
    assert adapted == resting
    rounded = {n for n in adapted if model.get_submodule(n).get_base_layer().weight.dtype is torch.uint8}
    assert rounded == {n for n in adapted if not is_fused and not n.endswith(".wo")}
    labels = torch.tensor([0, 1, 0, 1]) if has_head else IDS
    learnt = trained(model)
    model(input_ids=IDS, labels=labels).loss.backward()
    assert all(weight.grad is not None for weight in learnt.values())
    torch.optim.AdamW(learnt.values(), lr=1e-2).step()
    said = logits(model)
    adapter.merge()
    assert torch.allclose(logits(model), said, atol=1e-4)
    model.save_pretrained(tmp_path / "merged")
    assert torch.allclose(logits(kind.from_pretrained(tmp_path / "merged")), said, atol=1e-4)


def test_what_can_not_be_quantized_is_said() -> None:
    with pytest.raises(TrainingError, match=r"nf4 is for linear layers, and transformer\.h\.0\.attn\.c_attn"):
        Adapter(gpt2(), LoraConfig(quantize="nf4"))


def test_a_classifier_is_learnt_by_its_adapter_and_its_head(pretrained: Path, tmp_path: Path) -> None:
    metrics = fine_tune(fine_tune_job(pretrained, tmp_path, train=240, **LORA), quiet_reporter())
    assert metrics["f1_macro"] > 0.9
    output = tmp_path / "output"
    alone, base = (
        load_file(path)
        for path in (
            output / "adapter" / "adapter_model.safetensors",
            pretrained / "model" / "model.safetensors",
        )
    )
    assert metrics["trained_parameters"] == sum(tensor.numel() for tensor in alone.values())
    whole = load_file(output / "model" / "model.safetensors")
    embeddings = "model.embeddings.tok_embeddings.weight"
    assert torch.equal(whole[embeddings], base[embeddings])
    described = json.loads((output / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    assert described["base_model_name_or_path"] is None
    assert described["modules_to_save"] == ["head", "classifier"]

    merged = AutoModelForSequenceClassification.from_pretrained(output / "model").train(False)
    start = AutoModelForSequenceClassification.from_pretrained(pretrained / "model", config=merged.config)
    assert heads_of(start) == ["head", "classifier"]
    loaded = PeftModel.from_pretrained(start, output / "adapter")
    assert torch.allclose(logits(loaded), logits(merged), atol=1e-5)


@pytest.mark.parametrize("quantize", ["none", "nf4"])
def test_a_run_stopped_after_every_step_ends_with_the_same_bytes(
    pretrained: Path, tmp_path: Path, quantize: str
) -> None:
    options = {
        "train": 32,
        "epochs": 2,
        "checkpoint_every": 1,
        "lora": {"dropout": 0.1, "quantize": quantize},
    }
    fine_tune(fine_tune_job(pretrained, tmp_path / "whole", **options), quiet_reporter())
    job, stops = fine_tune_job(pretrained, tmp_path / "torn", **options), 0
    while not (tmp_path / "torn" / "output" / "model").exists():
        reporter = quiet_reporter()
        reporter.stop_requested = True
        with pytest.raises(SystemExit, match="143") if stops < 4 else nullcontext():
            fine_tune(job, reporter)
        stops += 1
    kept = load_file(next((tmp_path / "torn" / "scratch").glob("step-*/*.safetensors")))
    moved = {name.split("/")[1] for name in kept}
    assert not any("embeddings" in name or "base_layer" in name for name in moved)
    for name in ("model/model.safetensors", "adapter/adapter_model.safetensors", "metrics.json"):
        outputs = [tmp_path / run / "output" / name for run in ("whole", "torn")]
        assert outputs[0].read_bytes() == outputs[1].read_bytes()
