"""Fast encoding gives the ids of `tokenizers`, on everything that the two could read differently."""

import random
import unicodedata
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from corpus.tokenizing import encoding
from corpus.tokenizing.config import TokenizeConfig
from corpus.tokenizing.encoding import CHECK_EVERY, Encoder, EncodingDiffers
from corpus.tokenizing.sample_lines import SAMPLES
from corpus.tokenizing.training import train


@pytest.fixture(scope="module", params=["bert", "gpt", "t5", "llama"])
def tokenizer(request: pytest.FixtureRequest) -> Any:
    return train(lambda: [[*SAMPLES.values()] * 3], TokenizeConfig(family=request.param, vocabulary=450))


def agree(tokenizer: Any, texts: pa.StringArray) -> bool:
    fast, exact = Encoder(tokenizer), Encoder(tokenizer, fast=False)
    assert (fast.name.split()[0], exact.name.split()[0]) == ("gigatoken", "tokenizers")
    (ids, lengths), (expected, expected_lengths) = fast.encode(texts), exact.encode(texts)
    return np.array_equal(ids, expected) and np.array_equal(lengths, expected_lengths)


def test_random_texts_get_the_ids_of_tokenizers(tokenizer: Any) -> None:
    numbers = random.Random(7)
    assigned = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Co", "Cs")]
    usual = " \n\t'sdtre123.,\u0301\u0323\u3099-[]MASK<s>|数据データ"
    texts = [
        "".join(
            numbers.choice(assigned) if numbers.random() < 0.3 else numbers.choice(usual)
            for _ in range(numbers.randint(0, 60))
        )
        for _ in range(3000)
    ]
    assert agree(tokenizer, pa.array(texts))


def test_marks_of_every_code_point_are_normalised_as_tokenizers_does() -> None:
    tokenizer = train(lambda: [[*SAMPLES.values()]], TokenizeConfig(vocabulary=300))
    marks = [chr(c) for c in range(0x300, 0x20000) if unicodedata.category(chr(c)) in ("Mn", "Mc", "Cn")]
    texts = pa.array(
        [f"a\u0301{mark}\u0323 {mark}\u3099" for mark in marks if mark < "\ud800" or mark > "\uffff"]
    )
    later = pc.match_substring_regex(texts, encoding._LATER_MARKS)
    settled = texts.filter(pc.invert(later))
    assert len(texts) > len(settled) > 45_000
    assert agree(tokenizer, settled)
    assert agree(tokenizer, texts.slice(0, 3000))


def test_a_batch_may_be_a_slice_empty_or_of_empty_texts(tokenizer: Any) -> None:
    texts = pa.array(["one", "", "two three", "", "四"])
    fast = Encoder(tokenizer)
    ids, lengths = fast.encode(texts)
    part_ids, part_lengths = fast.encode(texts.slice(1, 3))
    assert part_lengths.tolist() == lengths[1:4].tolist()
    assert part_ids.tolist() == ids[lengths[0] : lengths[:4].sum()].tolist()
    for empty in (texts.slice(0, 0), pa.array(["", ""])):
        ids, lengths = fast.encode(empty)
        assert (len(ids), lengths.tolist()) == (0, [0] * len(empty))


def test_a_wrong_id_in_a_checked_document_stops_the_fast_encoder(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast, right = Encoder(tokenizer), encoding._encode_fast
    texts = pa.array([f"document {n}" for n in range(CHECK_EVERY)])
    fast.encode(texts.slice(0, 100))

    def wrong(model: Any, texts: pa.StringArray) -> Any:
        ids, lengths = right(model, texts)
        ids = ids.copy()
        ids[-1] += 1
        return ids, lengths

    monkeypatch.setattr(encoding, "_encode_fast", wrong)
    fast.encode(texts.slice(100, 156))  # up to the document before the one that is checked
    with pytest.raises(EncodingDiffers):
        fast.encode(texts.slice(0, 1))
    assert Encoder(tokenizer).name.startswith("tokenizers")


@pytest.mark.parametrize("model", ["wordpiece", "unigram"])
def test_kinds_that_the_fast_encoder_lacks_are_encoded_exactly(model: Any) -> None:
    from tokenizers import Tokenizer, models

    pieces = [("<unk>", -9.0), ("a", -1.0), ("b", -2.0)]
    kinds = {
        "wordpiece": models.WordPiece({"[UNK]": 0, "a": 1, "##b": 2}, unk_token="[UNK]"),
        "unigram": models.Unigram(pieces, unk_id=0),
    }
    encoder = Encoder(Tokenizer(kinds[model]))
    ids, lengths = encoder.encode(pa.array(["ab", "c"]))
    assert encoder.name.startswith("tokenizers")
    assert (ids.tolist(), lengths.tolist()) == ([1, 2, 0], [2, 1])
