"""Any checkpoint, any task that it can do: it learns, and plain transformers gives the same answers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

from model_code.data.vocabulary import vocabulary_of
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.job import Job
from model_code.models.families import DECODERS, ENCODER_DECODERS
from model_code.predict import Predictor
from model_code.runtime import prepare
from model_code.task_types.task import Settings, read_settings, task_named
from model_code.training.private_step import one_item_a_row
from model_code.validation import Validation
from tests.model_code.checkpoints import ARCHITECTURES, published, tokenizer_of
from tests.model_code.conftest import WORDS, quiet_reporter

KINDS: dict[str, Any] = {
    "classification": AutoModelForSequenceClassification,
    "multi_label": AutoModelForSequenceClassification,
    "relations": AutoModelForSequenceClassification,
    "token_classification": AutoModelForTokenClassification,
    "question_answering": AutoModelForQuestionAnswering,
    "similarity": AutoModel,
    "matching": AutoModel,
    "seq2seq": AutoModelForSeq2SeqLM,
    "instructions": AutoModelForCausalLM,
}
# What is written may not be longer than the tiny models have positions.
LENGTHS: dict[str, dict[str, int]] = {"instructions": {"max_reply": 8}, "seq2seq": {"max_target_length": 32}}
# One for each way in which an architecture or a tokenizer is unlike the others; `make smoke` runs the rest.
QUICK = {
    ("bert", "question_answering"),
    ("roberta", "classification"),
    ("distilbert", "token_classification"),
    ("deberta-v2", "multi_label"),
    ("mpnet", "matching"),
    ("bart", "seq2seq"),
    ("mbart", "seq2seq"),
    ("gpt_neox", "classification"),
    ("qwen2", "instructions"),
    ("t5", "similarity"),
}


def pairs() -> Iterator[Any]:
    for name in ARCHITECTURES:
        for task in KINDS:
            if name in task_named(task).FAMILIES:
                marks = () if (name, task) in QUICK else pytest.mark.smoke
                yield pytest.param(name, task, marks=marks)


def example(task: str, rng: random.Random) -> dict[str, Any]:
    key = rng.choice(WORDS[:2])
    words = [*rng.sample(WORDS[2:], k=rng.randint(2, 4)), key, key, key]  # so plain that a few steps show it
    rng.shuffle(words)
    text = " ".join(words)
    other = " ".join(words[::-1])
    return {
        "classification": {"text": text, "label": key},
        "multi_label": {"text": text, "labels": [key]},
        "relations": {"text": f"<e1>user</e1> {text} <e2>assistant</e2>", "label": key},
        "token_classification": {"words": words, "tags": ["B-KEY" if w in WORDS[:2] else "O" for w in words]},
        "question_answering": {
            "question": "user",
            "context": text,
            "answers": [{"text": key, "start": text.index(key)}],
        },
        "similarity": {"first": text, "second": other, "score": float(WORDS.index(key))},
        "matching": {"first": text, "second": other},
        "seq2seq": {"source": text, "target": key},
        "instructions": {"prompt": text, "response": key},
    }[task]


def job_of(checkpoint: Path, home: Path, task: str, **config: Any) -> Job:
    """A job that trains with a rate for random weights."""
    data = home / "data"
    data.mkdir(parents=True)
    for split, count, seed in (("train", 48, 1), ("validation", 8, 2)):
        rng = random.Random(seed)
        rows = [json.dumps(example(task, rng)) + "\n" for _ in range(count)]
        (data / f"{split}.jsonl").write_text("".join(rows), encoding="utf-8")
    values = {"task": task, "start_from": "tiny", "max_length": 32, "batch_size": 8, "epochs": 8}
    values |= {"learning_rate": 5e-3, "precision": "float32"}
    if task in LENGTHS:
        values["options"] = LENGTHS[task]
    (home / "output").mkdir()
    paths = {"model": checkpoint, "data": data, "output": home / "output", "scratch": home / "scratch"}
    return Job(paths, values | config)


@pytest.mark.parametrize(("name", "task"), [*pairs()])
def test_it_learns_and_answers_alike_in_plain_transformers(name: str, task: str, tmp_path: Path) -> None:
    checkpoint = published(name, tmp_path / "published", torch.bfloat16 if name == "llama" else torch.float32)
    metrics = fine_tune(job_of(checkpoint, tmp_path, task), quiet_reporter())
    rows = (tmp_path / "output" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [json.loads(row)["loss"] for row in rows]
    assert sum(losses[-6:]) < sum(losses[:6])

    directory = tmp_path / "output" / "model"
    plain, info = KINDS[task].from_pretrained(directory, output_loading_info=True)
    assert plain.dtype == torch.float32
    assert not [key for key in info["missing_keys"] if "pooler" not in key]
    assert not info["unexpected_keys"]
    tokenizer = AutoTokenizer.from_pretrained(directory)
    settings, module = read_settings(directory), task_named(task)
    rows = (tmp_path / "data" / "validation.jsonl").read_text(encoding="utf-8").splitlines()
    examples = [json.loads(row) for row in rows]
    data = module.encode(examples, tokenizer.backend_tokenizer, vocabulary_of(directory), settings)
    if hasattr(data, "unpacked"):
        data = data.unpacked()
    figures = Validation(module, settings, plain, examples, data, 8).figures(prepare("float32"))
    assert len(Predictor(directory).predict(examples)) == len(examples)
    assert figures["loss"] == pytest.approx(metrics["loss"], rel=1e-4, abs=1e-5)


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=() if n in {q for q, _ in QUICK} else pytest.mark.smoke) for n in ARCHITECTURES],
)
def test_a_training_stopped_at_each_checkpoint_ends_with_the_same_bytes(name: str, tmp_path: Path) -> None:
    task = next(task for task in KINDS if name in task_named(task).FAMILIES)
    checkpoint, config = published(name, tmp_path / "published"), {"epochs": 1, "checkpoint_every": 2}
    fine_tune(job_of(checkpoint, tmp_path / "whole", task, **config), quiet_reporter())
    torn, stops = job_of(checkpoint, tmp_path / "torn", task, **config), 0
    while not (tmp_path / "torn" / "output" / "model").exists():
        reporter = quiet_reporter()
        reporter.stop_requested = True
        with suppress(SystemExit):
            fine_tune(torn, reporter)
        stops += 1
    assert stops > 2
    whole, parted = (
        (tmp_path / home / "output" / "model" / "model.safetensors").read_bytes()
        for home in ("whole", "torn")
    )
    assert whole == parted


def test_what_is_chosen_new_left_out_and_cut_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = published("bert", tmp_path / "published")
    job = job_of(checkpoint, tmp_path, "classification", learning_rate=None, max_length=8, freeze=1, epochs=1)
    metrics = fine_tune(job, quiet_reporter())
    assert metrics["random_weights"] == [
        "bert.pooler.dense.bias",
        "bert.pooler.dense.weight",
        "classifier.bias",
        "classifier.weight",
    ]
    assert "cls.predictions.transform.dense.weight" in metrics["left_weights"]
    assert (metrics["learning_rate"], metrics["dropout"]) == (1e-3, 0.1)
    rows = (tmp_path / "data" / "train.jsonl").read_text(encoding="utf-8").splitlines()
    lengths = [len(json.loads(row)["text"].split()) + 2 for row in rows]
    lost = [length - 8 for length in lengths if length > 8]
    assert (metrics["cut_examples"], metrics["cut_tokens"]) == (len(lost), sum(lost))
    said = capsys.readouterr().err
    assert "at random begin bert.pooler.dense.bias, bert.pooler.dense.weight" in said
    assert f"{len(lost)} of 48 examples are longer than max_length 8" in said
    before, after = (
        AutoModel.from_pretrained(directory).state_dict()
        for directory in (checkpoint, tmp_path / "output" / "model")
    )
    moved = {name.split(".layer.")[-1][:2] for name in before if not torch.equal(before[name], after[name])}
    frozen = [name for name in before if "word_embeddings" in name or ".layer.0." in name]
    assert all(torch.equal(before[name], after[name]) for name in frozen)
    assert "1." in moved


@pytest.mark.parametrize(
    ("name", "task", "config", "said"),
    [
        ("roberta", "classification", {"max_length": 65}, "more than the 64 positions of the model"),
        ("bert", "classification", {"freeze": 3}, "freeze is 3, and the model has 2 layers"),
        ("opt", "token_classification", {}, "the model in .* is of the family opt; start from another"),
        ("bert", "instructions", {}, "for the families gpt2, llama and others"),
        ("mpnet", "classification", {"head_dropout": 0.2}, "a mpnet has no dropout of its own before a head"),
    ],
)
def test_what_can_not_be_is_one_error(
    name: str, task: str, config: dict[str, Any], said: str, tmp_path: Path
) -> None:
    job = job_of(published(name, tmp_path / "published"), tmp_path, task, epochs=1, **config)
    with pytest.raises(TrainingError, match=said):
        fine_tune(job, quiet_reporter())


def test_files_of_two_checkpoints_are_refused(tmp_path: Path) -> None:
    checkpoint = published("bert", tmp_path / "published")
    tokenizer = tokenizer_of("bert")
    tokenizer.add_tokens([f"more{i}" for i in range(9)])
    tokenizer.save(str(checkpoint / "tokenizer.json"))
    with pytest.raises(TrainingError, match="it is the tokenizer of another model"):
        fine_tune(job_of(checkpoint, tmp_path, "classification"), quiet_reporter())


@pytest.mark.parametrize("damage", ["lacking", "infinite"])
def test_a_damaged_body_is_no_head(damage: str, tmp_path: Path) -> None:
    checkpoint = published("bert", tmp_path / "published")
    file = checkpoint / "model.safetensors"
    weights = load_file(file)
    name = next(name for name in weights if "layer.1.attention" in name)
    if damage == "lacking":
        del weights[name]
    else:
        weights[name][0] = torch.inf
    save_file(weights, file, {"format": "pt"})
    said = "lacks 1 weights of the model" if damage == "lacking" else "numbers that are not finite"
    with pytest.raises(TrainingError, match=said):
        fine_tune(job_of(checkpoint, tmp_path, "classification"), quiet_reporter())


@pytest.mark.parametrize("name", ["t5", "marian", "gpt2", "llama"])
def test_packed_rows_score_like_the_stock_forward(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = "seq2seq" if name in ENCODER_DECODERS else "instructions"
    checkpoint = published(name, tmp_path)
    module, vocabulary = task_named(task), vocabulary_of(checkpoint)
    options = module.Options(**LENGTHS[task])
    settings = Settings(task, max_length=32, label_smoothing=0.1 * (task == "seq2seq"), options=options)
    rng = random.Random(3)
    data = module.encode(
        [example(task, rng) for _ in range(8)], tokenizer_of(ARCHITECTURES[name][0]), vocabulary, settings
    )
    model = module.load(checkpoint, vocabulary, settings).eval()
    packed = module.scores(model, data.batch(np.arange(8)).tensors, settings)
    for families in (ENCODER_DECODERS, DECODERS):
        monkeypatch.delitem(families, name, raising=False)  # type: ignore[arg-type]
    stock = module.scores(model, one_item_a_row(data).batch(np.arange(8)).tensors, settings)
    for term, score in packed.items():
        assert torch.allclose(score.loss, stock[term].loss, rtol=1e-5)
        assert torch.allclose(score.penalty, stock[term].penalty, rtol=1e-4, atol=1e-4)


def test_a_chat_template_is_used_and_kept(tmp_path: Path) -> None:
    checkpoint = published("qwen2", tmp_path / "published")
    template = (
        "{% for message in messages %}{{ message.role + ' ' + message.content + '<|endoftext|>' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ 'assistant ' }}{% endif %}"
    )
    (checkpoint / "chat_template.jinja").write_text(template, encoding="utf-8")
    fine_tune(job_of(checkpoint, tmp_path, "instructions", epochs=2), quiet_reporter())
    directory = tmp_path / "output" / "model"
    # AutoTokenizer would take Qwen's class, which is for its own kind of vocabulary.
    read = PreTrainedTokenizerFast.from_pretrained(directory)
    plain = AutoModelForCausalLM.from_pretrained(directory)
    assert read.chat_template == template
    asked = [{"role": "user", "content": " ".join(WORDS[1:5])}]
    given = read.apply_chat_template(asked, add_generation_prompt=True, return_tensors="pt")
    written = plain.generate(**given, max_new_tokens=8, do_sample=False, eos_token_id=0, pad_token_id=0)
    reply = read.decode(written[0, given["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    assert Predictor(directory).predict([{"messages": asked}]) == [reply]


def test_a_decoder_is_read_at_the_last_token_that_is_no_padding(tmp_path: Path) -> None:
    checkpoint = published("qwen2", tmp_path / "published")
    fine_tune(job_of(checkpoint, tmp_path, "classification", epochs=1), quiet_reporter())
    directory = tmp_path / "output" / "model"
    plain = AutoModelForSequenceClassification.from_pretrained(directory)
    read = AutoTokenizer.from_pretrained(directory)
    texts = [" ".join(WORDS[:3]), " ".join(WORDS[3:9])]
    together = plain(**read(texts, padding=True, return_tensors="pt")).logits
    alone = torch.cat([plain(**read(text, return_tensors="pt")).logits for text in texts])
    assert torch.allclose(together, alone, atol=1e-5)
