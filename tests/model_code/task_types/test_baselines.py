"""Baselines of every task type on texts that they can do nothing with: each fails alone, and none raises."""

from typing import Any

import pytest

from model_code.task_types import seq2seq, task_types
from model_code.task_types.baselines import NotAvailable, attempted
from model_code.task_types.task import Settings, task_named

TEXTS = {
    "spaced Chinese": ["我 们 去", "看 花 开", "春 天 来"],
    "segmented Chinese": ["我们 去 公园", "看 花", "我 爱 你"],
    "emoji": ["🙂 🙂", "🙃", "🎉 🎉 🎉"],
    "one character each": ["a", "b", "c"],
    "punctuation": ["...", "!!!", "?"],
    "empty": ["", "", ""],
    "Hindi": ["का", "की", "के"],
}
LABELS = ("a", "b")


def examples_of(task: str, texts: list[str]) -> list[dict[str, Any]]:
    return {
        "classification": [{"text": t, "label": "ab"[n % 2]} for n, t in enumerate(texts)],
        "multi_label": [{"text": t, "labels": ["a", "b"][: n % 2]} for n, t in enumerate(texts)],
        "relations": [
            {"text": f"<e1>…</e1>{t}<e2>…</e2>", "label": "ab"[n % 2]} for n, t in enumerate(texts)
        ],
        "token_classification": [{"words": [t], "tags": ["O"]} for t in texts],
        "question_answering": [
            {"question": t, "context": f"{t} .", "answers": [{"text": t, "start": 0}]} for t in texts
        ],
        "seq2seq": [{"source": t, "target": t} for t in texts],
        "instructions": [{"prompt": t, "response": t} for t in texts],
        "preference": [{"prompt": t, "chosen": t, "rejected": f"{t} {t}"} for t in texts],
        "similarity": [{"first": t, "second": t, "score": 1.0} for t in texts],
        "matching": [{"first": t, "second": t} for t in texts],
    }[task]


@pytest.mark.parametrize("texts", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("name", task_types())
def test_no_text_ends_a_run(name: str, texts: list[str]) -> None:
    task, examples = task_named(name), examples_of(name, texts)
    options = task.Options()
    settings = Settings(name, LABELS if name != "token_classification" else ("O",), options=options)
    found = task.baselines(examples, examples, settings)
    trivial, *others = found
    assert len(found[trivial]) == len(examples)
    assert task.metrics(examples, found[trivial], settings).keys() >= {task.METRIC}
    for other in others:
        if texts == TEXTS["empty"] and isinstance(found[other], NotAvailable):
            assert "empty vocabulary" in found[other].reason
        else:
            assert len(found[other]) == len(examples)


def test_one_label_leaves_the_trivial_baseline() -> None:
    examples = [{"text": "some words", "label": "a"}] * 3
    found = task_named("classification").baselines(examples, examples, Settings("classification", ("a",)))
    assert found["majority"] == ["a"] * 3
    assert "1 class" in found["tfidf_logistic_regression"].reason or "one class" in str(found)


def test_characters_that_stand_apart_are_words() -> None:
    train = [{"source": "春 天", "target": "one"}, {"source": "秋 天", "target": "two"}]
    said = seq2seq.baselines(train, [{"source": "秋 水"}], Settings("seq2seq", options=seq2seq.Options()))
    assert said["nearest"] == ["two"]


def test_what_fails_says_why_in_its_place() -> None:
    def fail() -> list[str]:
        raise MemoryError

    assert attempted({"fails": fail, "works": lambda: ["a"]}) == {
        "fails": NotAvailable("MemoryError"),
        "works": ["a"],
    }
