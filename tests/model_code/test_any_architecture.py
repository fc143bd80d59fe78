"""Any checkpoint, any task that it can do: it learns, and plain transformers gives the same answers."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from model_code.data.vocabulary import vocabulary_of
from model_code.fine_tuning import fine_tune
from model_code.job import Job
from model_code.predict import Predictor
from model_code.runtime import prepare
from model_code.task_types.task import read_settings, task_named
from model_code.validation import Validation
from tests.model_code.checkpoints import ARCHITECTURES, published
from tests.model_code.conftest import WORDS, quiet_reporter

KINDS: dict[str, Any] = {
    "classification": AutoModelForSequenceClassification,
    "multi_label": AutoModelForSequenceClassification,
    "token_classification": AutoModelForTokenClassification,
    "question_answering": AutoModelForQuestionAnswering,
    "similarity": AutoModel,
    "matching": AutoModel,
    "seq2seq": AutoModelForSeq2SeqLM,
    "instructions": AutoModelForCausalLM,
}
# One for each way in which an architecture or a tokenizer is unlike the others; all the rest are slow.
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
                marks = () if (name, task) in QUICK else pytest.mark.slow
                yield pytest.param(name, task, marks=marks)


def example(task: str, rng: random.Random) -> dict[str, Any]:
    words = rng.sample(WORDS[2:], k=rng.randint(3, 6))
    key = rng.choice(WORDS[:2])
    words.insert(rng.randrange(len(words)), key)
    text = " ".join(words)
    other = " ".join(words[::-1])
    return {
        "classification": {"text": text, "label": key},
        "multi_label": {"text": text, "labels": [key]},
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
    values = {"task": task, "start_from": "tiny", "max_length": 32, "batch_size": 8, "epochs": 3}
    values |= {"learning_rate": 5e-3, "precision": "float32"}
    if task == "instructions":
        values["options"] = {"max_reply": 8}
    (home / "output").mkdir()
    paths = {"model": checkpoint, "data": data, "output": home / "output", "scratch": home / "scratch"}
    return Job(paths, values | config)


@pytest.mark.parametrize(("name", "task"), pairs())
def test_it_learns_and_answers_alike_in_plain_transformers(name: str, task: str, tmp_path: Path) -> None:
    checkpoint = published(name, tmp_path / "published", torch.bfloat16 if name == "llama" else torch.float32)
    metrics = fine_tune(job_of(checkpoint, tmp_path, task), quiet_reporter())
    rows = (tmp_path / "output" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    losses = [json.loads(row)["loss"] for row in rows]
    assert sum(losses[-4:]) < sum(losses[:4])

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
