"""Repair by example, what it must leave alone, and the quick look that decides which texts it sees."""

import random

import pyarrow as pa
import pytest

from corpus.cleaning.config import RepairConfig
from corpus.cleaning.text.repair import repair, repair_batch

# What damaged text is made of, so that any string of these is a fair trial.
PIECES = (
    *"ab \t\n\r&;lt<>'“”’…Ã©Âé中文가が가ß\u3000",
    *"\u00a0\u2003\u200b\ufeff\ufffd\xad\x00\x1f\x85\u2028\u0301\u1161\u11a8\u3099",
    *("&amp;", "&lt;", "&amp;lt;", "donâ€™t", "ä¸\xadæ–‡", "👩‍👧"),
)


@pytest.mark.parametrize(
    ("broken", "repaired"),
    [
        ("donâ€™t worry, cafÃ©", "don’t worry, café"),
        ("ä¸\xadæ–‡", "中文"),
        ("cafe\u0301", "café"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a\x00b\x1b[0mc\u200bd\ufeff", "ab[0mcd"),
        ("end  \t\n\n\n\n  next\u00a0word ", "end\n\n  next word"),
        ("Tom &amp; Jerry", "Tom & Jerry"),
        ("\ufeffbegins with a mark", "begins with a mark"),
        ("\u202eright to left", "right to left"),
    ],
)
def test_repairs(broken: str, repaired: str) -> None:
    assert repair(broken) == repaired
    assert repair(repaired) == repaired


@pytest.mark.parametrize(
    "text",
    [
        "“中文”，全角！１２３",
        "a  b\n    code(x)  # y",
        "Ça va, déjà naïve Größe",
        "Escape < as &lt; in <b>",
        "👩‍👩‍👧 می‌خواهم",
        "漢字と繁體字",
    ],
)
def test_leaves_good_text_alone(text: str) -> None:
    assert repair(text) == text


def test_a_batch_is_repaired_as_its_texts_are_and_for_good() -> None:
    rng = random.Random(0)
    texts = ["".join(rng.choices(PIECES, k=rng.randint(0, 12))) for _ in range(10_000)]
    repaired = repair_batch(pa.array(texts), RepairConfig()).to_pylist()
    assert repaired == [repair(text) for text in texts]
    assert [repair(text) for text in repaired] == repaired


def test_a_slice_without_damage_is_returned_as_it_is() -> None:
    texts = pa.array(["x\x00", "good", "text 文"])[1:]
    assert repair_batch(texts, RepairConfig()) is texts


def test_traditional_characters_become_simplified_only_on_demand() -> None:
    texts = pa.array(["漢語與繁體字", "plain", "発音"])
    assert repair_batch(texts, RepairConfig()).to_pylist() == texts.to_pylist()
    simplified = repair_batch(texts, RepairConfig(simplified_chinese=True)).to_pylist()
    assert simplified[:2] == ["汉语与繁体字", "plain"]


def test_long_runs_take_no_quadratic_time() -> None:
    for text in (" " * 200_000 + "x", "\n" * 200_000 + "x", "&" * 200_000, "Ã" * 100_000):
        (repaired,) = repair_batch(pa.array([text]), RepairConfig()).to_pylist()
        assert repaired[-1] == text[-1]
