"""Where words begin, as three kinds of tokenizers spell it."""

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

from model_code.data.words import words_of
from model_code.errors import TrainingError

SPECIAL = ["[UNK]", "[CLS]", "[SEP]"]


def wordpiece(*pieces: str) -> Tokenizer:
    entries = {piece: number for number, piece in enumerate([*SPECIAL, *pieces])}
    tokenizer = Tokenizer(models.WordPiece(entries, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    return tokenizer


def byte_level(*merged: str) -> Tokenizer:
    alphabet = [*SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    entries = {piece: number for number, piece in enumerate([*alphabet, *merged])}
    tokenizer = Tokenizer(models.BPE(entries, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def metaspace(*pieces: str) -> Tokenizer:
    scores = [(piece, -1.0) for piece in [*SPECIAL, "<0xE4>", "<0xB8>", *pieces]]
    tokenizer = Tokenizer(models.Unigram(scores, unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="never")
    tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def in_words(tokenizer: Tokenizer, *pieces: str) -> list[str]:
    """The pieces of a row, those of a word joined by a plus."""
    ids = np.array([[tokenizer.token_to_id(piece) for piece in pieces]])
    columns = words_of(tokenizer).first_columns(ids, np.zeros_like(ids))[0]
    return [
        "+".join(p for p, own in zip(pieces, columns, strict=True) if own == c) for c in np.unique(columns)
    ]


def test_wordpiece() -> None:
    pieces = ("[CLS]", "un", "##like", "##ly", ",", "so", "中", "文", "[SEP]")
    found = in_words(wordpiece(*pieces[1:-1]), *pieces)
    assert found == ["[CLS]", "un+##like+##ly", ",", "so", "中", "文", "[SEP]"]


def test_byte_level() -> None:
    pieces = (
        "[CLS]",
        "ob",
        "ject",
        "Ġ(",
        "of",
        "Ġthe",
        "Ċ",
        "def",
        "Ġun",
        "like",
        "ly",
        "),",
        "x",
        "é",
        "ä¸Ń",
        "æ",
        "ĸ",
    )
    tokenizer = byte_level(*(piece for piece in pieces[1:] if len(piece) > 1 and piece != "ä¸Ń"), "ä¸Ń")
    ids = [tokenizer.token_to_id(piece) for piece in pieces]
    assert None not in ids
    found = in_words(tokenizer, *pieces)
    assert found == [
        *("[CLS]", "ob+ject", "Ġ(", "of", "Ġthe", "Ċ", "def", "Ġun+like+ly", "),", "x+é", "ä¸Ń", "æ+ĸ"),
    ]


def test_metaspace() -> None:
    pieces = ("▁un", "like", "ly", "▁", "x", ".", "42", "▁中文", "字", "a", "<0xE4>", "<0xB8>")
    found = in_words(metaspace(*pieces[:-2]), *pieces)
    assert found == ["▁un+like+ly", "▁+x", ".", "42", "▁中文", "字", "a+<0xE4>+<0xB8>"]


def test_a_word_ends_with_its_document() -> None:
    tokenizer = wordpiece("un", "##like", "##ly")
    ids = np.array([[3, 4, 5, 5, 5]])
    columns = words_of(tokenizer).first_columns(ids, np.array([[0, 0, 0, 1, 1]]))
    assert columns.tolist() == [[0, 0, 0, 3, 3]]


def test_a_tokenizer_without_marks_is_refused() -> None:
    with pytest.raises(TrainingError, match="don't tell where words begin"):
        words_of(Tokenizer(models.WordLevel({"a": 0, "b": 1}, unk_token="a")))
