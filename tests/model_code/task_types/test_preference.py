"""Preference tuning: the loss of DPO, replies alone, the reference, and that the better reply is learnt."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.job import Job
from model_code.predict import Predictor
from model_code.runtime import prepare
from model_code.task_types import preference
from model_code.task_types.task import Settings
from tests.model_code.conftest import WORDS, quiet_reporter
from tests.model_code.task_types.test_instructions import untrained

SETTINGS = Settings("preference", max_length=64, options=preference.Options(max_reply=8, beta=0.3))
# The loss that `DPOTrainer` of trl 1.16.0 computes for the batch of five pairs (accelerate 1.15.0, CPU).
FROM_TRL = {"llama": 0.61791039, "gpt2": 0.65029842}


def pairs(count: int, seed: int) -> list[dict[str, Any]]:
    """The first word alone is right, whatever is asked; every second pair is a conversation."""
    rng = random.Random(seed)
    found: list[dict[str, Any]] = []
    for number in range(count):
        said = [rng.choice(WORDS) for _ in range(3)]
        pair = {"id": f"pair:{number}", "chosen": WORDS[0], "rejected": rng.choice(WORDS[1:5])}
        if number % 2:
            turns = zip(("user", "assistant", "user"), said, strict=True)
            pair["messages"] = [{"role": role, "content": word} for role, word in turns]
        else:
            pair["prompt"] = " ".join(said)
        found.append(pair)
    return found


def moved(model: Any) -> Any:
    """The model after some training: all weights a little elsewhere."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
    return model


@pytest.fixture(scope="module", params=["llama", "gpt2"])
def start(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("causal") / request.param, request.param)


def encoded(start: Path, examples: list[dict[str, Any]]) -> preference.PreferencePairs:
    return preference.encode(examples, load_tokenizer(start), vocabulary_of(start), SETTINGS)


def likelihood(model: Any, ids: Any, learnt: Any) -> float:
    """By the paper: the sum of the logarithms of each token of the reply, by the stock forward."""
    with torch.no_grad():
        logs = model(input_ids=torch.tensor([ids])).logits[0].log_softmax(-1)
    return sum(float(logs[i - 1, token]) for i, token in enumerate(ids) if learnt[i])


def test_the_loss_is_that_of_the_paper_and_of_trl(start: Path) -> None:
    vocabulary = vocabulary_of(start)
    before = preference.load(start, vocabulary, SETTINGS).eval()
    after = moved(preference.load(start, vocabulary, SETTINGS)).eval()
    data = preference.begun(before, encoded(start, pairs(5, seed=1)), prepare("float32"), 2)
    batch = data.batch(np.arange(5))
    assert batch.targets == {"preference": 5}
    assert len(batch.tensors["ids"]) < 10  # the conversations share rows
    score = preference.scores(after, batch.tensors, SETTINGS)["preference"]

    margins = []
    for pair in range(5):
        gains = [
            likelihood(after, data.replies.ids[side], data.replies.learnt[side])
            - likelihood(before, data.replies.ids[side], data.replies.learnt[side])
            for side in (2 * pair, 2 * pair + 1)
        ]
        margins.append(0.3 * (gains[0] - gains[1]))
    paper = sum(-math.log(1 / (1 + math.exp(-margin))) for margin in margins) / 5
    assert score.loss.item() / 5 == pytest.approx(paper, abs=1e-5)
    assert score.loss.item() / 5 == pytest.approx(FROM_TRL[start.name], abs=1e-5)
    assert int(score.hits) == sum(margin > 0 for margin in margins)
    alone = preference.scores(after, data.unpacked().batch(np.arange(5)).tensors, SETTINGS)["preference"]
    assert torch.allclose(alone.loss, score.loss, atol=1e-5)


def test_conversations_are_read_as_the_texts_that_they_end_with(start: Path) -> None:
    pair = pairs(1, seed=1)[0]
    asked = [{"role": "user", "content": pair["prompt"]}] if "prompt" in pair else pair["messages"]
    lists = {side: [*asked, {"role": "assistant", "content": pair[side]}] for side in ("chosen", "rejected")}
    texts, same = encoded(start, [pair]).replies, encoded(start, [lists]).replies
    assert (texts.ids, texts.learnt) == (same.ids, same.learnt)
    with pytest.raises(TrainingError, match=r"example x: of its two replies one is a text"):
        encoded(start, [lists | {"id": "x", "chosen": "text"}])


def test_the_last_reply_alone_counts(start: Path) -> None:
    (pair,) = (one for one in pairs(2, seed=1) if "messages" in one)
    data = encoded(start, [pair])
    for side, name in enumerate(("chosen", "rejected")):
        said = [
            token
            for token, counts in zip(data.replies.ids[side], data.replies.learnt[side], strict=True)
            if counts
        ]
        assert load_tokenizer(start).decode(said, skip_special_tokens=True) == pair[name]
        assert said[-1] == vocabulary_of(start).eos
    assert data.replies.questions[0] == data.replies.questions[1]


def job_of(start: Path, home: Path, **config: Any) -> Job:
    (home / "data").mkdir(parents=True)
    for split, count, seed in (("train", 96, 2), ("validation", 16, 3)):
        lines = (json.dumps(pair) + "\n" for pair in pairs(count, seed))
        (home / "data" / f"{split}.jsonl").write_text("".join(lines), encoding="utf-8")
    paths = {"model": start, "data": home / "data", "output": home / "output", "scratch": home / "scratch"}
    values = {"task": "preference", "max_length": 64, "batch_size": 16, "epochs": 2, "precision": "float32"}
    values |= {"learning_rate": 3e-3, "options": {"max_reply": 8, "beta": 0.3}}
    return Job(paths, values | config)


def test_the_better_reply_is_learnt(start: Path, tmp_path: Path) -> None:
    lora = {"rank": 4} if start.name == "gpt2" else None
    metrics = fine_tune(job_of(start, tmp_path, lora=lora), quiet_reporter())
    assert metrics["loss"] < 0.9 * math.log(2)
    first = json.loads((tmp_path / "output" / "history.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["loss"] == pytest.approx(math.log(2), abs=1e-4)  # it begins as its reference
    directory = tmp_path / "output" / "model"
    predictor, test = Predictor(directory), pairs(20, seed=4)
    margins = predictor.predict(test)
    found = preference.metrics(test, margins, predictor.settings)
    assert found["accuracy"] > 0.9
    reference, tuned = (AutoModelForCausalLM.from_pretrained(path) for path in (start, directory))
    data = encoded(start, test[:1])
    gains = [
        likelihood(tuned, ids, counts) - likelihood(reference, ids, counts)
        for ids, counts in zip(data.replies.ids, data.replies.learnt, strict=True)
    ]
    assert margins[0] == pytest.approx(0.3 * (gains[0] - gains[1]), abs=1e-4)


def test_baselines_and_figures() -> None:
    test = [
        {"prompt": "?", "chosen": "long enough", "rejected": "no"},
        {"prompt": "?", "chosen": "no", "rejected": "long enough"},
        {"prompt": "?", "chosen": "longest of all", "rejected": "short"},
    ]
    said = preference.baselines([], test, SETTINGS)
    assert [*said] == ["neither", "longer"]
    neither, longer = (preference.metrics(test, one, SETTINGS) for one in said.values())
    assert (neither["accuracy"], neither["loss"]) == (0.5, pytest.approx(math.log(2)))
    assert longer["accuracy"] == pytest.approx(2 / 3)
    (sample,) = preference.resampled(test, said["longer"], SETTINGS)(np.array([[0, 2, 1]]))
    assert sample == pytest.approx(1 / 3)


TALK = [{"role": "user", "content": "bara"}, {"role": "assistant", "content": "kete"}]


@pytest.mark.parametrize(
    ("example", "fault"),
    [
        ({"prompt": "?"}, ""),
        ({"messages": TALK[:1]}, ""),
        ({}, "neither messages nor a prompt"),
        ({"messages": TALK}, "its last message is not by the user"),
        ({"messages": [TALK[0], TALK[0]]}, "user and assistant take turns"),
        ({"prompt": "?", "rejected": "a"}, "are the same; remove it"),
    ],
)
def test_a_pair_that_can_not_be_learnt_is_named(example: dict[str, Any], fault: str) -> None:
    said = preference.fault({"chosen": "a", "rejected": "b"} | example)
    assert fault in said
    assert bool(fault) == bool(said)


def test_settings_that_make_no_sense_are_refused(start: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"beta is 0; 0\.1 is usual"):
        preference.Options(beta=0)
    with pytest.raises(TrainingError, match="label_smoothing is not for the task preference"):
        preference.check(replace(SETTINGS, label_smoothing=0.1), None)
    with pytest.raises(TrainingError, match="example x: it has no rejected reply"):
        encoded(start, [{"id": "x", "prompt": "bara", "chosen": "kete"}])
    with pytest.raises(TrainingError, match="leave privacy out"):
        fine_tune(job_of(start, tmp_path, privacy={"epsilon": 8}), quiet_reporter())
