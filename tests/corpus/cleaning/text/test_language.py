"""Languages by script, and by CLD2 where the script does not settle it."""

from typing import Literal

import pyarrow as pa
import pytest

from corpus.cleaning.config import ANY
from corpus.cleaning.text.language import UNKNOWN, languages_of

SWEDISH = "En liten hund springer över gatan medan barnen leker i trädgården."
GERMAN = "Ein kleiner Hund läuft über die Straße, während die Kinder im Garten spielen."

QUOTING = (
    "Der Satz „the cat and the dog“ steht in einem Buch, das mir mein Vater vor vielen Jahren schenkte "
    "und in dem es um Katzen, Hunde, Vögel und andere Tiere geht, die bei uns im Garten lebten."
)


@pytest.mark.parametrize(
    ("text", "languages", "expected"),
    [
        ("Return the mean of the values.", ("en", "zh"), "en"),
        ("用 pandas 的 DataFrame.rolling 计算移动平均值", ("en", "zh"), "zh"),
        ("漢語與繁體字的文章", ("en", "zh"), "zh"),
        ("これは日本語の文章です。", ("en", "zh"), UNKNOWN),
        ("これは日本語の文章です。", ("zh", "ja"), "ja"),
        ("我喜欢の这个字", ("zh", "ja"), "zh"),
        ("이것은 한국어 문장입니다.", ("ko", "zh"), "ko"),
        ("Это русский текст о музыке.", ("en", "zh"), UNKNOWN),
        ("Это русский текст о музыке.", ("en", "ru", "uk"), "ru"),
        ("Це український текст про музику та її історію.", ("ru", "uk"), "uk"),
        ("Αυτό είναι ένα ελληνικό κείμενο.", ("en",), UNKNOWN),
        (GERMAN, ("en", "de"), "de"),
        (GERMAN, ("en", "zh"), UNKNOWN),
        ("Un petit chien traverse la rue pendant que les enfants jouent.", ("en", "fr"), "fr"),
        ("A small dog runs across the street.", ("en", "de"), "en"),
        ("x = df.rolling(3).mean()\n>>> np.arange(10)\narray([0, 1])", ("en", "zh"), "en"),
        (QUOTING, ("en", "zh"), UNKNOWN),
        ("thé andré thatß with-out which", ("en", "fr"), "en"),
        ("12345 67 -- 89", ("en", "zh"), UNKNOWN),
        ("", ("en",), UNKNOWN),
        ("Good film.", ANY, "en"),
        ("这个耳机", ANY, "zh"),
        ("Αυτό είναι ένα ελληνικό κείμενο.", ANY, UNKNOWN),
        (SWEDISH, ANY, UNKNOWN),
        ("12 34", ANY, UNKNOWN),
    ],
)
def test_language(text: str, languages: tuple[str, ...] | Literal["any"], expected: str) -> None:
    assert languages_of(pa.array([text]), languages) == [expected]


def test_a_batch_may_begin_inside_a_buffer() -> None:
    texts = pa.array(["中文", "English words here", GERMAN, "한국어"])[1:3]
    assert languages_of(texts, ("en", "de")) == ["en", "de"]
