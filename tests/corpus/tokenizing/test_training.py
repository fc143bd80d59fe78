"""Every kind of tokenizer on every script, and the same file from every process."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from corpus.errors import CorpusError
from corpus.tokenizing.config import TokenizeConfig
from corpus.tokenizing.encoding import round_trips
from corpus.tokenizing.sample_lines import SAMPLES
from corpus.tokenizing.special_tokens import FAMILIES
from corpus.tokenizing.training import train

LOST_BY_WORDPIECE = {"Control characters", "Emoji", "Last characters"}  # it drops control characters
KINDS = [("bpe", "bert", 320), ("bpe", "gpt", 320), ("bpe", "t5", 400), ("wordpiece", "bert", 520)]
KINDS += [("unigram", "t5", 670), ("unigram", "llama", 570), ("unigram", "bert", 570)]


def texts() -> list[list[str]]:
    return [[f"{text} number {n} {sample}" for n in range(3)] for sample, text in SAMPLES.items()]


def trained(model: Any, family: Any, vocabulary: int) -> Any:
    return train(texts, TokenizeConfig(model=model, family=family, vocabulary=vocabulary))


@pytest.mark.parametrize(("model", "family", "vocabulary"), KINDS)
def test_every_script_is_given_back_unless_the_kind_loses_it(
    model: str, family: str, vocabulary: int
) -> None:
    tokenizer = trained(model, family, vocabulary)
    assert tokenizer.get_vocab_size() == vocabulary
    changed, lines = round_trips(tokenizer)
    lost = {name for name, _, _, same in lines if not same}
    # Unigram writes a space as U+2581, so that sign itself comes back as a space.
    known = {
        "bpe": set(),
        "unigram": {"Special tokens as text"},
        "wordpiece": LOST_BY_WORDPIECE,
    }
    assert (changed, lost) == (["white space"] if model == "wordpiece" else [], known[model])


def test_lower_case_is_said_once_and_not_of_each_script() -> None:
    from tokenizers import normalizers

    tokenizer = trained("bpe", "bert", 320)
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    changed, lines = round_trips(tokenizer)
    assert (changed, [name for name, _, _, same in lines if not same]) == (["capital letters"], [])
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents()]
    )
    assert round_trips(tokenizer)[0] == ["capital letters", "accents"]
    assert [name for name, _, _, same in round_trips(tokenizer)[1] if not same] == []


def test_a_vocabulary_is_advised_that_a_recipe_may_have() -> None:
    few = lambda: [["a b c"]]  # noqa: E731
    for model, vocabulary in (("wordpiece", 300), ("bpe", 400)):
        with pytest.raises(CorpusError) as error:
            train(few, TokenizeConfig(model=model, vocabulary=vocabulary))  # type: ignore[arg-type]
        assert "the least that a recipe may ask for is 300, so collect more text" in str(error.value)
    with pytest.raises(CorpusError, match=r"set tokenize.vocabulary to (\d+) or collect more text") as error:
        train(lambda: [[f"word{n} again" for n in range(99)]], TokenizeConfig(vocabulary=5000))
    [size] = re.findall(r"vocabulary to (\d+)", str(error.value))
    TokenizeConfig(vocabulary=int(size))


@pytest.mark.parametrize(("model", "family", "vocabulary"), KINDS)
def test_special_tokens_have_their_places_and_never_come_from_text(
    model: str, family: Any, vocabulary: int
) -> None:
    from corpus.tokenizing.encoding import without_specials

    tokenizer, conventions = trained(model, family, vocabulary), FAMILIES[family]
    special = [tokenizer.token_to_id(token) for token in conventions.tokens.values()]
    assert special == list(range(len(special)))
    if conventions.sentinels:
        assert tokenizer.token_to_id("<extra_id_0>") == vocabulary - 1
    words = " ".join([*conventions.tokens.values(), "<extra_id_0> <0x41>x"])
    found = without_specials(tokenizer).encode(words, add_special_tokens=False).tokens
    assert not {*conventions.tokens.values(), "<extra_id_0>", "<0x41>"} & set(found) - {"[UNK]"}
    around = tokenizer.encode("a").tokens
    begin, end = (role and conventions.tokens[role] for role in conventions.template)
    assert around[0] == begin or begin is None
    assert around[-1] == end or end is None


def test_wordpiece_loses_what_it_is_said_to_lose() -> None:
    tokenizer = trained("wordpiece", "bert", 520)
    for text, back in {
        "Return  the\tmean\n": "Return the mean",
        "测试，平均": "测 试 ， 平 均",
        "a\x00b": "ab",
        "number Ⴀ": "number [UNK]",
    }.items():
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids, skip_special_tokens=False) == back


@pytest.mark.parametrize(("model", "family", "vocabulary"), [KINDS[0], KINDS[3], KINDS[4]])
def test_another_process_trains_the_same_file(model: str, family: str, vocabulary: int) -> None:
    module = "tests.corpus.tokenizing.test_training"
    call = f"import {module} as t; print(t.digest({model!r}, {family!r}, {vocabulary}))"
    command = [sys.executable, "-c", call]
    other = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3], encoding="utf-8"
    )
    assert other.stdout.strip() == digest(model, family, vocabulary)


def digest(model: str, family: str, vocabulary: int) -> str:
    return hashlib.sha256(trained(model, family, vocabulary).to_str().encode()).hexdigest()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": "wordpiece", "family": "gpt"}, "wordpiece is BERT's"),
        ({"model": "unigram", "family": "gpt"}, "unigram needs a token for the unknown"),
        ({"family": "t5", "vocabulary": 359}, "359 entries are bytes and special tokens of family t5"),
        (
            {"pretrained": "folder", "vocabulary": 32000},
            r"vocabulary 32000 is for a tokenizer that is trained here, .* \(pretrained folder; .* leave voc",
        ),
        ({"pretrained": "folder", "family": "own", "model": "unigram"}, "model unigram is for a tokenizer t"),
    ],
)
def test_a_combination_that_makes_no_sense_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        TokenizeConfig(**values)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("wordpiece", r"entries are characters and special tokens, so a vocabulary of 300 has no room"),
        ("unigram", r"vocabulary of 300 has no room for words: .* alone need \d{3}; raise tokenize"),
    ],
)
def test_more_characters_than_entries_are_an_error(model: str, said: str) -> None:
    many = [["".join(map(chr, range(0x4E00, 0x4E00 + 400)))] * 3]
    with pytest.raises(CorpusError, match=said):
        train(lambda: many, TokenizeConfig(model=model, vocabulary=300))
