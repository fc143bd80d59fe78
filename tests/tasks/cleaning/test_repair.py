"""Repair by example, and what it must leave alone."""

import pytest

from tasks.cleaning.repair import repair


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
    ],
)
def test_leaves_good_text_alone(text: str) -> None:
    assert repair(text) == text
