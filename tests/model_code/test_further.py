"""Any checkpoint learns more from a corpus, at rates that suit it, and stays one that everyone can load."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer
from transformers import (
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedTokenizerFast,
)

from corpus.tokenizing.pretrained import around_own, load_own, save_own
from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.pretraining import held_out_metrics
from tests.model_code.checkpoints import ARCHITECTURES, GPT, published
from tests.model_code.conftest import run_pretrain, sentences, written_history
from tests.token_shards import write_split

ROOT = Path(__file__).parents[2]
KINDS: dict[str, Any] = {
    "bert": AutoModelForMaskedLM,
    "roberta": AutoModelForMaskedLM,
    "gpt2": AutoModelForCausalLM,
    "llama": AutoModelForCausalLM,
    "qwen2": AutoModelForCausalLM,
    "t5": AutoModelForSeq2SeqLM,
    "mt5": AutoModelForSeq2SeqLM,
    "distilbert": AutoModelForMaskedLM,
    "deberta-v2": AutoModelForMaskedLM,
    "electra": AutoModelForMaskedLM,
    "albert": AutoModelForMaskedLM,
    "mpnet": AutoModelForMaskedLM,
    "xlm-roberta": AutoModelForMaskedLM,
    "modernbert": AutoModelForMaskedLM,
    "gpt_neox": AutoModelForCausalLM,
    "opt": AutoModelForCausalLM,
    "mistral": AutoModelForCausalLM,
    "qwen3": AutoModelForCausalLM,
    "gemma": AutoModelForCausalLM,
    "phi": AutoModelForCausalLM,
}
QUICK = {"bert", "roberta", "qwen2", "t5", "mt5"}


def checkpoint(name: str, folder: Path) -> Path:
    """A tiny random checkpoint; T5's tokenizer has sentinels, which its embeddings have rows for."""
    published(name, folder)
    if KINDS[name] is AutoModelForSeq2SeqLM:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.add_special_tokens([f"<extra_id_{number}>" for number in range(20)])
        tokenizer.save(str(folder / "tokenizer.json"))
        model = AutoModelForSeq2SeqLM.from_pretrained(folder)
        model.resize_token_embeddings(tokenizer.get_vocab_size())
        model.save_pretrained(folder)
    return folder


def job_of(folder: Path, home: Path, **config: Any) -> dict[str, Any]:
    """A job whose tokens are those of the checkpoint's tokenizer, with a rate for random weights."""
    tokenizer, vocabulary = load_own(str(folder))
    before, after = around_own(tokenizer, vocabulary, str(folder))
    home.mkdir(exist_ok=True)
    save_own(tokenizer, vocabulary, str(folder), home / "tokenizer")
    texts = sentences(200, seed=1)
    for split, part in (("train", texts[20:]), ("validation", texts[:20])):
        ids = [
            [*before, *encoding.ids, *after]
            for encoding in tokenizer.encode_batch(part, add_special_tokens=False)
        ]
        write_split(home / "tokens", split, ids, vocabulary.size)
    values = {"start_from": str(folder), "sequence_length": 16, "batch_size": 8, "steps": 40}
    values |= {"learning_rate": 5e-3, "checkpoint_every": 10, "precision": "float32"}
    paths = {"tokens": home / "tokens", "tokenizer": home / "tokenizer", "output": home / "output"}
    paths["scratch"] = home / "scratch"
    return {name: str(path) for name, path in paths.items()} | {"config": values | config}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in KINDS]
)
def test_it_learns_and_plain_transformers_gives_the_same_loss(name: str, tmp_path: Path) -> None:
    job = job_of(checkpoint(name, tmp_path / "published"), tmp_path)
    metrics = run_pretrain(job)
    losses = [row["loss"] for row in written_history(tmp_path / "output")]
    assert sum(losses[-5:]) < sum(losses[:5]) - 0.5
    assert metrics["learning_rate"] == 5e-3
    saved = tmp_path / "output" / "model"
    plain, info = KINDS[name].from_pretrained(saved, output_loading_info=True)
    assert not info["unexpected_keys"] or name == "bert"  # its other head
    assert not info["missing_keys"]
    again = held_out_metrics(saved, tmp_path / "tokens", "validation", job["config"])
    assert again["loss"] == pytest.approx(metrics["loss"], rel=1e-4)
    read = PreTrainedTokenizerFast.from_pretrained(saved)  # Qwen2 would take the words for pieces of BPE
    assert read("bara kera").input_ids == load_tokenizer(saved).encode("bara kera").ids
    text = read("bara kera litera", return_tensors="pt")
    extra = {"decoder_input_ids": text["input_ids"]} if KINDS[name] is AutoModelForSeq2SeqLM else {}
    assert torch.isfinite(plain(**text, **extra).logits).all()


def test_a_stock_model_scores_texts_as_transformers_does(tmp_path: Path) -> None:
    """A row of one document each: padding neither is read nor counts."""
    job = job_of(checkpoint("qwen2", tmp_path / "published"), tmp_path, steps=1, sequence_length=64)
    metrics = run_pretrain(job)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "output" / "model")
    tokenizer = load_tokenizer(tmp_path / "published")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    total = count = 0.0
    for text in sentences(200, seed=1)[:20]:
        ids = torch.tensor([[*tokenizer.encode(text).ids, vocabulary_of(tmp_path / "published").eos]])
        loss = plain(input_ids=ids, labels=ids).loss.item()
        total, count = total + loss * (ids.shape[1] - 1), count + ids.shape[1] - 1
    assert metrics["targets"] == count
    assert metrics["loss"] == pytest.approx(total / count, rel=1e-5)


def test_a_killed_run_of_a_stock_model_ends_with_the_same_bytes(tmp_path: Path) -> None:
    folder = checkpoint("roberta", tmp_path / "published")
    run_pretrain(job_of(folder, tmp_path / "whole"))
    raw = job_of(folder, tmp_path / "killed")
    (tmp_path / "job.json").write_text(json.dumps(raw), encoding="utf-8")
    with subprocess.Popen(
        [sys.executable, "-m", "model_code.pretraining", tmp_path / "job.json"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        while process.poll() is None and not list((tmp_path / "killed" / "scratch").glob("step-*")):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    run_pretrain(raw)
    for name in ("model/model.safetensors", "model/config.json", "metrics.json", "history.jsonl"):
        whole, killed = (tmp_path / home / "output" / name for home in ("whole", "killed"))
        assert whole.read_bytes() == killed.read_bytes()


def test_rates_that_are_left_open_are_those_of_its_size(tmp_path: Path) -> None:
    job = job_of(checkpoint("bert", tmp_path / "published"), tmp_path, steps=2, learning_rate=None)
    metrics = run_pretrain(job)
    assert (metrics["learning_rate"], "muon_learning_rate" in metrics) == (5e-4, False)
    muon = job_of(tmp_path / "published", tmp_path / "muon", steps=2, learning_rate=1e-4, optimizer="muon")
    assert run_pretrain(muon)["muon_learning_rate"] == 5e-4


@pytest.mark.parametrize(
    ("name", "config", "said"),
    [
        ("roberta", {"family": "bert"}, "is a model of the family roberta, family is bert; leave family out"),
        ("roberta", {"sequence_length": 65}, "sequence_length 65 is more than the 64 positions"),
        ("qwen2", {"objective": "masked"}, "is a qwen2, which can't be trained for objective masked"),
        ("qwen2", {"whole_words": True}, "whole_words changes nothing for objective causal, which the che"),
        ("roberta", {"noise_density": 0.3}, "noise_density changes nothing for objective masked"),
    ],
)
def test_what_can_not_be_is_one_error(name: str, config: dict[str, Any], said: str, tmp_path: Path) -> None:
    job = job_of(checkpoint(name, tmp_path / "published"), tmp_path, **config)
    with pytest.raises(TrainingError, match=said):
        run_pretrain(job)


def test_dropout_that_an_architecture_has_not_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "state_size": 4} | GPT
    monkeypatch.setitem(ARCHITECTURES, "mamba", ("gpt2", AutoModelForCausalLM, sizes))
    job = job_of(published("mamba", tmp_path / "published"), tmp_path, dropout=0.1)
    with pytest.raises(TrainingError, match=r"dropout 0\.1 changes nothing: a mamba .* has none; leave"):
        run_pretrain(job)


def test_an_encoder_decoder_without_sentinels_is_refused(tmp_path: Path) -> None:
    job = job_of(published("bart", tmp_path / "published"), tmp_path)
    with pytest.raises(TrainingError, match="no token for sentinels, which span corruption needs"):
        run_pretrain(job)


def test_tokens_of_another_tokenizer_are_refused(tmp_path: Path) -> None:
    job = job_of(checkpoint("bert", tmp_path / "published"), tmp_path)
    published("roberta", tmp_path / "other")
    with pytest.raises(TrainingError, match=r"has '<s>' for the id 0, and the tokenizer of the checkpoint"):
        run_pretrain(job | {"tokenizer": str(tmp_path / "other")} | {"tokens": job["tokens"]})
