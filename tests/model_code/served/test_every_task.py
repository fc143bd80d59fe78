"""Every architecture with every task that it can do: what is served answers like the trained model."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_code.fine_tuning import fine_tune
from model_code.onnx_export import export_model
from model_code.predict import Predictor
from model_code.served import code_in, form_of, served_tasks
from model_code.task_types.task import task_named
from tests.model_code.checkpoints import ARCHITECTURES, published
from tests.model_code.conftest import quiet_reporter
from tests.model_code.test_any_architecture import QUICK, example, job_of

# The longest export of all; mBART's graphs are the same but for what a text begins with and where norms are.
ALWAYS = QUICK - {("bart", "seq2seq")}
PAIRS = [
    pytest.param(name, task, marks=() if (name, task) in ALWAYS else pytest.mark.smoke)
    for name in ARCHITECTURES
    for task in served_tasks()
    if name in task_named(task).FAMILIES
]


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_it_answers_like_the_trained_model(name: str, task: str, tmp_path: Path) -> None:
    checkpoint = published(name, tmp_path / "published")
    fine_tune(job_of(checkpoint, tmp_path, task, epochs=1), quiet_reporter())
    model = tmp_path / "output" / "model"
    export_model(
        model, tmp_path / "served", {"pairs": False, "words": "spaces", "metadata": {"recipe": name}}
    )
    files = sorted((tmp_path / "served").rglob("*"))
    form = code_in(tmp_path / "served").form_of(task)(tmp_path / "served", threads=1)
    assert type(form) is not form_of(task)  # but its copy
    assert sorted((tmp_path / "served").rglob("*")) == files
    rng = random.Random(3)
    asked = [example(task, rng) for _ in range(9)]
    asked.append(longer(asked))
    assert [form.fault(question) for question in asked] == [""] * 10
    answers = form.answers(asked)
    expected = Predictor(model).predict(asked)
    for answer, prediction in zip(answers, expected, strict=True):
        assert_alike(form.prediction(answer), prediction)
    # Alone it is answered like among others.
    for question, answer in zip(asked, answers, strict=True):
        assert_alike(form.answers([question])[0], answer)
    assert json.loads(json.dumps(answers)) == answers
    # As an endpoint is asked, with strings.
    for question, prediction in zip(asked, expected, strict=True):
        said = form.answers(form.questions(question))
        assert_alike(form.prediction(form.joined(said)), prediction)
    tensors = form.tensors([answer for q in asked for answer in form.answers(form.questions(q)[:1])])
    signature = json.loads((tmp_path / "served" / "signature.json").read_text(encoding="utf-8"))
    assert {name: tensor.shape for name, tensor in tensors.items()} == {
        name: (10, size) for name, (_, size) in signature["outputs"].items()
    }


def longer(examples: list[dict[str, Any]]) -> dict[str, Any]:
    """An example that doesn't fit into one row, of the texts of others."""
    first = examples[0]
    if "head" in first or "<e1>" in first.get("text", ""):
        return first
    texts = {
        name: [part for one in examples for part in one[name]]
        if isinstance(value, list)
        else " ".join(str(one[name]) for one in examples)
        for name, value in first.items()
        if name not in ("label", "labels", "answers", "score", "question")
    }
    return {**first, **texts}


def assert_alike(found: Any, expected: Any) -> None:
    """Equal, numbers up to what another order of adding makes."""
    if isinstance(expected, float):
        assert found == pytest.approx(expected, abs=2e-5)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_alike(found[name], expected[name])
    elif isinstance(expected, list) and expected and isinstance(expected[0], float):
        np.testing.assert_allclose(found, expected, atol=2e-5)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_alike(one, other)
    else:
        assert found == expected
