"""The compiled tokenizer finds what its plain twin finds, in any script and however batches are cut."""

import random
from itertools import pairwise

import pyarrow as pa
import pytest

from corpus.cleaning.text.text_units import unit_hashes, units

TEXTS = [
    "",
    "...",
    "Hello, HELLO hello_9",
    "naïve Ünïcode ΣΊΣΥΦΟΣ İstanbul",
    "中文和 English 混排，第3章。",
    "カタカナｶﾅ ひらがな 々〇",
    "ภาษาไทย",
    "한국어 문장",
    "हिन्दी में",
    "😀 smile 😀",
    "𠀀𠀁 rare",
    "a\x00b\tc\nd",
    "\U000e0041 tag",
]


def hashes_of(texts: list[str]) -> list[list[int]]:
    hashes, offsets = unit_hashes(pa.array(texts, pa.string()))
    return [hashes[a:b].tolist() for a, b in pairwise(offsets)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't STOP_now 42", ["don", "t", "stop_now", "42"]),
        ("中文AB，第3章", ["中", "文", "ab", "第", "3", "章"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("ไทย", ["ไ", "ท", "ย"]),
        ("—…\u3000", []),
    ],
)
def test_units_are_words_or_single_characters(text: str, expected: list[str]) -> None:
    assert units(text) == expected


def test_hashes_and_units_agree_on_everything() -> None:
    rng = random.Random(0)
    pieces = [chr(rng.randrange(0x20, 0xD800)) for _ in range(400)] + list(" ,.aZ9_") * 20
    fuzz = ["".join(rng.choices(pieces, k=rng.randrange(60))) for _ in range(500)]
    spelled: dict[str, int] = {}
    for text, hashes in zip(TEXTS + fuzz, hashes_of(TEXTS + fuzz), strict=True):
        found = units(text)
        assert len(found) == len(hashes), text
        for unit, value in zip(found, hashes, strict=True):
            assert spelled.setdefault(unit, value) == value
    assert len(set(spelled.values())) == len(spelled)


def test_the_lowest_bit_tells_characters_from_words() -> None:
    [hashes] = hashes_of(["中 word 文 x ไ"])
    assert [value & 1 for value in hashes] == [1, 0, 1, 0, 1]


def test_hashes_are_those_of_every_process() -> None:
    assert hashes_of(["a 中"]) == [[0x676400E90665BBDC, 0x11738FF3322F9F1]]


def test_cuts_and_slices_do_not_show() -> None:
    whole = pa.array(TEXTS, pa.string())
    hashes, offsets = unit_hashes(whole)
    part, bounds = unit_hashes(whole.slice(3, 6))
    assert part.tolist() == hashes[offsets[3] : offsets[9]].tolist()
    assert bounds.tolist() == (offsets[3:10] - offsets[3]).tolist()
    assert [h.tolist() for h in unit_hashes(whole.slice(2, 0))] == [[], [0]]
