"""A checkpoint as it really was published: all-MiniLM-L6-v2, whose tokenizer pads and cuts by itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from transformers import AutoTokenizer

from benchmarks.checkpoints import published_checkpoint
from model_code.data.vocabulary import load_tokenizer
from model_code.models.folder import check_folder
from model_code.predict import Predictor
from tests.model_code.models.test_sentence_folder import trained

# Ten scripts, a word that is not in the vocabulary, and a text longer than any row.
TEXTS = [
    "The cat sat on the mat.",
    "我们在北京吃了早饭。",
    "東京は今日も雨です",
    "한국어 문장입니다",
    "Съешь же ещё этих мягких булок",
    "यह एक वाक्य है",
    "هذه جملة قصيرة",
    "זה משפט",
    "นี่คือประโยค",
    "Ελληνική πρόταση",
    "🦊 nöbödy 𝔴rites ﬁsh like this",
    "word " * 400,
]


@pytest.fixture(scope="module")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return published_checkpoint(tmp_path_factory.mktemp("published") / "minilm")


def test_it_is_whole_and_its_tokens_are_its_own(minilm: Path) -> None:
    assert check_folder(minilm)["model_type"] == "bert"
    ours, theirs = load_tokenizer(minilm), AutoTokenizer.from_pretrained(minilm)
    for text in TEXTS:
        assert ours.encode(text).ids == theirs(text, truncation=False)["input_ids"]


@pytest.mark.slow
def test_a_training_leaves_the_same_vectors_everywhere(minilm: Path, tmp_path: Path) -> None:
    model = trained(minilm, tmp_path, learning_rate=1e-4)
    given = TEXTS[:-1]
    said = Predictor(model).predict([{"first": text, "second": text} for text in given])
    library = SentenceTransformer(str(model), device="cpu", local_files_only=True)
    np.testing.assert_allclose([each["first"] for each in said], library.encode(given), atol=2e-6)
    before = SentenceTransformer(str(minilm), device="cpu", local_files_only=True)
    assert not np.allclose(before.encode(given[:1]), library.encode(given[:1]), atol=1e-5)
