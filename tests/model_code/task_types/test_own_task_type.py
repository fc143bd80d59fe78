"""The task type that docs/recipes.md shows is found by its name, learns, and predicts."""

import importlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from model_code import served, task_types
from model_code.fine_tuning import fine_tune
from model_code.onnx_export import export_model
from model_code.predict import Predictor
from model_code.task_types.task import task_named
from tests.model_code.conftest import fine_tune_job, quiet_reporter, sentences

PAGE = Path(__file__).parents[3] / "docs" / "recipes.md"


@pytest.fixture
def regression(tmp_path: Path) -> Iterator[None]:
    codes = re.findall(r'```python\n("""A number for a text.*?)```', PAGE.read_text(encoding="utf-8"), re.S)
    for package, code in zip((task_types, served), codes, strict=True):
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / "regression.py").write_text(code, encoding="utf-8")
        package.__path__.append(str(folder))
    importlib.invalidate_caches()
    yield
    for package in (task_types, served):
        package.__path__.pop()
        sys.modules.pop(f"{package.__name__}.regression", None)


def test_the_documented_task_type_learns_and_predicts(
    regression: None, pretrained: Path, tmp_path: Path
) -> None:
    job = fine_tune_job(pretrained, tmp_path)
    for split, count, seed in (("train", 400, 3), ("validation", 60, 4)):
        rows = [{"text": text, "score": text.count(" ") / 10} for text in sentences(count, seed)]
        (tmp_path / "data" / f"{split}.jsonl").write_text(
            "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
        )
    fine_tune(replace(job, values=job.values | {"task": "regression"}), quiet_reporter())
    test = [{"text": text, "score": text.count(" ") / 10} for text in sentences(60, seed=5)]
    predictor = Predictor(tmp_path / "output" / "model")
    said = predictor.predict(test)
    task = task_named("regression")
    assert task.metrics(test, said, predictor.settings)["r2"] > 0.25  # the mean of all scores has 0
    (mean,) = task.baselines(test, test, predictor.settings).values()
    assert task.metrics(test, mean, predictor.settings)["r2"] == pytest.approx(0)

    assert "regression" in served.served_tasks()
    export_model(
        tmp_path / "output" / "model", tmp_path / "onnx", {"pairs": False, "words": "", "metadata": {}}
    )
    assert (tmp_path / "onnx" / "served" / "regression.py").is_file()
    form = served.form_of("regression")(tmp_path / "onnx")
    answers = form.answers([form.questions(example)[0] for example in test])
    assert [form.prediction(answer) for answer in answers] == pytest.approx(said, abs=1e-5)
    assert form.tensors(answers)["score"].shape == (60, 1)
