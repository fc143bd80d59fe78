"""Languages by script, and by lingua where the script does not settle it."""

import pytest

from tasks.cleaning.language import UNKNOWN, language_of


@pytest.mark.parametrize(
    ("text", "languages", "expected"),
    [
        ("Return the mean of the values.", ("en", "zh"), "en"),
        ("用 pandas 的 DataFrame.rolling 计算移动平均值", ("en", "zh"), "zh"),
        ("これは日本語の文章です。", ("en", "zh"), UNKNOWN),
        ("これは日本語の文章です。", ("zh", "ja"), "ja"),
        ("我喜欢の这个字", ("zh", "ja"), "zh"),
        ("Это русский текст о музыке.", ("en", "zh"), UNKNOWN),
        ("Ein kleiner Hund läuft über die Straße.", ("en", "de"), "de"),
        ("A small dog runs across the street.", ("en", "de"), "en"),
        ("12345 67 -- 89", ("en", "zh"), UNKNOWN),
    ],
)
def test_language(text: str, languages: tuple[str, ...], expected: str) -> None:
    assert language_of(text, languages) == expected
