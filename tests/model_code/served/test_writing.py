"""What is written is what transformers' `generate` writes, whatever the checkpoint says about it."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.onnx_export import export_model
from model_code.predict import Predictor
from model_code.served import form_of
from model_code.served.choosing import allowed
from tests.model_code.checkpoints import published
from tests.model_code.conftest import quiet_reporter
from tests.model_code.test_any_architecture import example, job_of

CONFIG = {"pairs": False, "words": "", "metadata": {}}
PLAIN = {"forced_first": None, "forced_last": None, "banned": [], "shortest": 0, "no_repeat": 0}
PLAIN |= {"ends": [1], "begins_with": 0}


@pytest.fixture(scope="module")
def translator(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A small model that writes, and its served folder."""
    home = tmp_path_factory.mktemp("translator")
    options = {"max_target_length": 24, "beams": 3}
    checkpoint = published("marian", home / "published")
    fine_tune(job_of(checkpoint, home, "seq2seq", epochs=1, options=options), quiet_reporter())
    export_model(home / "output" / "model", home / "onnx", CONFIG)
    return home / "output" / "model", home / "onnx"


@pytest.mark.parametrize("beams", [1, 2, 4])
@pytest.mark.parametrize(
    ("said", "settings"),
    [
        ({}, {}),
        ({"length_penalty": 2.0, "early_stopping": True}, {"length_penalty": 2.0, "early_stopping": True}),
        ({"no_repeat_ngram_size": 2, "min_length": 6}, {"no_repeat": 2, "shortest": 6}),
        ({"forced_bos_token_id": 7}, {"forced_first": 7}),
        (
            {"early_stopping": "never", "length_penalty": 0.5},
            {"early_stopping": "never", "length_penalty": 0.5},
        ),
    ],
)
def test_texts_are_those_of_generate(
    translator: tuple[Path, Path], tmp_path: Path, beams: int, said: dict[str, Any], settings: dict[str, Any]
) -> None:
    model, onnx = (_copy(folder, tmp_path / folder.name) for folder in translator)
    _change(model / "generation_config.json", said)
    _change(onnx / "settings.json", settings)
    for folder, file in ((model, "task.json"), (onnx, "settings.json")):
        _change(folder / file, {"options": {"max_target_length": 24, "beams": beams, "dropout": None}})
    rng = random.Random(5)
    asked = [example("seq2seq", rng) for _ in range(12)]
    expected = Predictor(model).predict(asked)
    answers = form_of("seq2seq")(onnx, threads=1).answers(asked)
    assert [answer["text_output"] for answer in answers] == expected


def _copy(folder: Path, place: Path) -> Path:
    """A folder with links to its files, which are replaced when they are changed."""
    place.mkdir()
    for path in folder.iterdir():
        (place / path.name).symlink_to(path)
    return place


def _change(path: Path, values: dict[str, Any]) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    path.unlink()
    path.write_text(json.dumps(content | values), encoding="utf-8")


def test_max_tokens_is_bounded_and_kept(translator: tuple[Path, Path]) -> None:
    form = form_of("seq2seq")(translator[1], threads=1)
    source = example("seq2seq", random.Random(1))["source"]
    few, all_of_it = form.answers([{"text_input": source, "max_tokens": 1}, {"text_input": source}])
    assert len(form.graph.tokenizer.encode(few["text_output"], add_special_tokens=False).ids) <= 1
    assert len(few["text_output"]) <= len(all_of_it["text_output"])
    for wrong in (0, 25, 1.5, True, "many"):
        assert "give a whole number from 1 to 24" in form.fault({"text_input": source, "max_tokens": wrong})
    assert form.fault({}) == "it has no text_input"


def test_what_is_not_served_is_refused_by_the_export(translator: tuple[Path, Path], tmp_path: Path) -> None:
    model = _copy(translator[0], tmp_path / "model")
    _change(model / "generation_config.json", {"repetition_penalty": 1.2})
    with pytest.raises(
        TrainingError, match=r"generation_config\.json says repetition_penalty 1\.2, which is not"
    ):
        export_model(model, tmp_path / "onnx", CONFIG)


def test_no_token_comes_that_may_not() -> None:
    logits = np.arange(5, dtype=np.float32)
    assert allowed(logits, [0], [2, 3], PLAIN, 9) is logits
    assert allowed(logits, [0], [], PLAIN | {"forced_first": 2}, 9).argmax() == 2
    assert allowed(logits, [0], [3, 3], PLAIN | {"forced_last": 1}, 3).argmax() == 1
    assert allowed(logits, [0], [3], PLAIN | {"banned": [4]}, 9).argmax() == 3
    assert np.isinf(allowed(logits, [0], [3], PLAIN | {"shortest": 3}, 9)[1])
    assert not np.isinf(allowed(logits, [0], [3, 2], PLAIN | {"shortest": 3}, 9)).any()
    rest = allowed(logits, [0], [3, 4, 3], PLAIN | {"no_repeat": 2}, 9)
    assert np.flatnonzero(np.isinf(rest)).tolist() == [4]
