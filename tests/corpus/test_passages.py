"""Texts in pieces that a model reads whole: nothing is lost, and pieces end where a person would end them."""

from __future__ import annotations

import random
import string

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from corpus.passages import passages_of

TRAINED_ON = ["the bank raised its rates", "rain and wind tomorrow.", "今天的比赛很精彩。", "a\n\nb"]


@pytest.fixture(scope="module", params=["bytes", "words"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    """Byte pairs, whose tokens hold blanks, and words, which leave them out."""
    if request.param == "words":
        made = Tokenizer(models.WordLevel(unk_token="[UNK]"))
        made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        made.train_from_iterator(TRAINED_ON, trainers.WordLevelTrainer(special_tokens=["[UNK]"]))
        return made
    made = Tokenizer(models.BPE(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=320, special_tokens=["[UNK]"], initial_alphabet=alphabet)
    made.train_from_iterator(TRAINED_ON, trainer)
    return made


def pieces(text: str, tokenizer: Tokenizer, room: int) -> list[str]:
    (found,) = passages_of([text], tokenizer, room)
    return [text[start:end] for start, end in found]


def tokens(text: str, tokenizer: Tokenizer) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


def test_what_fits_is_one_passage_and_nothing_none(tokenizer: Tokenizer) -> None:
    assert passages_of(["rain and wind", ""], tokenizer, 50) == [[(0, 13)], []]


@pytest.mark.parametrize(
    ("between", "is_end"),
    [("\n\n", True), ("\n", True), (". ", True), (" ", True), ("", False)],
)
def test_a_passage_ends_where_a_part_does(tokenizer: Tokenizer, between: str, is_end: bool) -> None:
    part = "wind" if between == " " else "and wind"
    text = between.join([part] * 60)
    found = pieces(text, tokenizer, 20)
    assert len(found) > 1
    if is_end and between != " ":
        assert {piece.rstrip(".") for piece in found} == {
            between.join([part] * n)
            for n in {(len(piece.rstrip(".")) + len(between)) // len(part + between) for piece in found}
        }
    assert "".join(found).replace(" ", "").replace("\n", "") == text.replace(" ", "").replace("\n", "")


def test_a_paragraph_is_preferred_to_a_later_line(tokenizer: Tokenizer) -> None:
    long = "\n".join(["rain and wind"] * 3)
    text = "\n\n".join([long] * 4)
    room = tokens(long + "\n\n", tokenizer) * 3 // 2
    assert pieces(text, tokenizer, room) == [long] * 4


@pytest.mark.parametrize("room", [1, 3, 17])
def test_no_passage_has_more_tokens_and_no_sign_is_lost(tokenizer: Tokenizer, room: int) -> None:
    rng = random.Random(room)
    alphabet = [*string.ascii_lowercase, *"   .\n\n看海。é👩‍🔬\u0301\u200b\t", "\n\n", "rain ", "wind"]
    for _ in range(200):
        text = "".join(rng.choices(alphabet, k=rng.randrange(1, 120)))
        (found,) = passages_of([text], tokenizer, room)
        kept = [text[start:end] for start, end in found]
        assert all(tokens(piece, tokenizer) <= room for piece in kept if len(piece) > 1), (text, kept)
        assert [start for start, _ in found] == sorted(start for start, _ in found)
        lost = list(text)
        for start, end in found:
            lost[start:end] = [""] * (end - start)
        assert not tokens("".join(lost).strip(), tokenizer), (text, kept)


def test_a_long_word_and_a_long_blank_take_no_longer_than_they_are(tokenizer: Tokenizer) -> None:
    text = "\n" + " " * 30_000 + "a" * 3000 + "\n" * 30_000 + "b"
    found = pieces(text, tokenizer, 64)
    assert "".join(found).replace(" ", "").replace("\n", "") == "a" * 3000 + "b"
