"""What sentence-transformers says of a folder is what we say, before and after a training."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.job import Job
from model_code.models.sentence_folder import options_in
from model_code.predict import Predictor
from tests.model_code.checkpoints import published
from tests.model_code.conftest import WORDS, quiet_reporter

KIND = "sentence_transformers.models."
PROMPTS = {"query": "user ", "document": "assistant ", "clustering": "kete "}


def texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.sample(WORDS, rng.randint(2, 30))) for _ in range(count)]


def sentence_folder(
    folder: Path, name: str = "bert", pooling: dict[str, Any] | None = None, kinds: tuple[str, ...] = ()
) -> Path:
    """A checkpoint as it is published for sentence-transformers."""
    published(name, folder, torch.float32)
    kinds = kinds or ("Transformer", "Pooling", "Normalize")
    paths = ["", *(f"{n}_{kind}" for n, kind in enumerate(kinds[1:], 1))]
    modules = [
        {"idx": n, "name": str(n), "path": path, "type": KIND + kind}
        for n, (path, kind) in enumerate(zip(paths, kinds, strict=True))
    ]
    (folder / "1_Pooling").mkdir()
    described = {"word_embedding_dimension": 32} | (pooling or {"pooling_mode_mean_tokens": True})
    for path, values in {
        "modules.json": modules,
        "1_Pooling/config.json": described,
        "config_sentence_transformers.json": {"prompts": PROMPTS, "default_prompt_name": "clustering"},
        "sentence_bert_config.json": {"max_seq_length": 24, "do_lower_case": False},
    }.items():
        (folder / path).write_text(json.dumps(values), encoding="utf-8")
    return folder


def trained(checkpoint: Path, home: Path, task: str = "matching", **config: Any) -> Path:
    """The model after a few steps from a checkpoint."""
    (home / "data").mkdir(parents=True)
    for split, count, seed in (("train", 16, 1), ("validation", 8, 2)):
        sides = zip(texts(count, seed), texts(count, seed + 10), strict=True)
        rows = [{"first": one, "second": other, "score": len(one)} for one, other in sides]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (home / "data" / f"{split}.jsonl").write_text(lines, encoding="utf-8")
    paths = {"model": checkpoint} | {name: home / name for name in ("data", "output", "scratch")}
    values = {"task": task, "start_from": "tiny", "max_length": 16, "batch_size": 8, "epochs": 1}
    fine_tune(Job(paths, values | {"learning_rate": 1e-3} | config), quiet_reporter())
    return home / "output" / "model"


def theirs(folder: Path) -> SentenceTransformer:
    return SentenceTransformer(str(folder), device="cpu", local_files_only=True)


def ours(folder: Path, given: list[str]) -> tuple[np.ndarray, np.ndarray]:
    said = Predictor(folder).predict([{"first": text, "second": text} for text in given])
    return np.array([one["first"] for one in said]), np.array([one["second"] for one in said])


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode_mean_tokens": True},
        {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True},
        {"pooling_mode": ["mean_sqrt_len_tokens", "weightedmean"]},
        {"pooling_mode": "lasttoken"},
    ],
)
def test_the_same_vectors_in_sentence_transformers(pooling: dict[str, Any], tmp_path: Path) -> None:
    checkpoint = sentence_folder(tmp_path / "published", pooling=pooling)
    given = texts(9, seed=4)
    model = trained(checkpoint, tmp_path)
    library = theirs(model)
    first, second = ours(model, given)
    np.testing.assert_allclose(first, library.encode_query(given), atol=2e-6)
    np.testing.assert_allclose(second, library.encode_document(given), atol=2e-6)
    assert not np.allclose(first, second, atol=1e-4)
    assert library.prompts == PROMPTS
    assert library.default_prompt_name == "clustering"
    assert library.max_seq_length == 16
    assert options_in(model) == options_in(checkpoint)


@pytest.mark.parametrize("name", ["t5", "gpt2", pytest.param("roberta", marks=pytest.mark.slow)])
def test_a_checkpoint_without_such_files_gets_them(name: str, tmp_path: Path) -> None:
    checkpoint = published(name, tmp_path / "published", torch.float32)
    options = {"pooling": "lasttoken" if name == "gpt2" else "mean", "first_prompt": "user "}
    model = trained(checkpoint, tmp_path, "similarity", options=options)
    given = texts(6, seed=4)
    library = theirs(model)
    cosines = (library.encode_query(given) * library.encode_document(given)).sum(axis=1)
    said = Predictor(model).predict([{"first": text, "second": text} for text in given])
    np.testing.assert_allclose(said, cosines, atol=2e-6)


def test_an_encoder_that_the_library_lacks_gets_no_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = trained(published("bart", tmp_path / "published", torch.float32), tmp_path)
    assert not (model / "modules.json").exists()
    assert "sentence-transformers has no encoder of bart alone" in capsys.readouterr().err


def test_vectors_without_a_length_get_one_and_it_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = trained(sentence_folder(tmp_path / "published", kinds=("Transformer", "Pooling")), tmp_path)
    assert "its vectors have any length" in capsys.readouterr().err
    assert np.linalg.norm(theirs(model).encode("bara"), axis=-1) == pytest.approx(1, abs=1e-5)
    assert "its vectors have any length" not in capsys.readouterr().err


def test_a_recipe_has_its_way(tmp_path: Path) -> None:
    checkpoint = sentence_folder(tmp_path / "published")
    model = trained(checkpoint, tmp_path, options={"pooling": "cls", "second_prompt": ""})
    assert options_in(model) == {"pooling": "cls", "first_prompt": "user ", "second_prompt": ""}


def test_a_passage_is_a_document(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "published")
    written = {"prompts": {"passage": "passage: "}}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(written), encoding="utf-8")
    assert options_in(folder) == {"pooling": "mean", "first_prompt": "", "second_prompt": "passage: "}


@pytest.mark.parametrize(
    ("path", "values", "said"),
    [
        ("modules.json", [{"type": f"{KIND}Transformer", "path": ""}], "modules.json lists no Pooling"),
        ("modules.json", [{"path": ""}], "a module without a type"),
        ("modules.json", {}, "holds a dict, not a list"),
        ("1_Pooling/config.json", {"pooling_mode": "median"}, r"names 'median'; join some of cls, max"),
        ("1_Pooling/config.json", {"include_prompt": False}, "its prompts are left out of the pooling"),
        ("config_sentence_transformers.json", {"prompts": ["query: "]}, "no texts by their names"),
        ("sentence_bert_config.json", {"do_lower_case": True}, "lower-cases texts"),
    ],
)
def test_what_can_not_be_kept_is_one_error(path: str, values: Any, said: str, tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "published")
    (folder / path).write_text(json.dumps(values), encoding="utf-8")
    with pytest.raises(TrainingError, match=said):
        options_in(folder)


def test_a_dense_layer_is_refused_with_its_place(tmp_path: Path) -> None:
    folder = sentence_folder(tmp_path / "published", kinds=("Transformer", "Pooling", "Dense"))
    with pytest.raises(
        TrainingError, match=r"has a Dense \(2_Dense\) as module 3, which is not trained here"
    ):
        options_in(folder)
