"""The language of a text: by script where that settles it, else by `lingua` among the recipe's languages."""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lingua import LanguageDetector

UNKNOWN = "und"
_SAMPLE = 1000  # characters; more do not change the answer but cost time

_KANA = re.compile(r"[\u3040-\u30ff]")
_SCRIPTS = {
    "han": re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"),
    "hangul": re.compile(r"[\uac00-\ud7a3]"),
    "cyrillic": re.compile(r"[\u0400-\u04ff]"),
    "arabic": re.compile(r"[\u0600-\u06ff]"),
    "latin": re.compile(r"[A-Za-z\u00c0-\u024f]"),
}
_SCRIPT_OF = {"zh": "han", "ja": "han", "ko": "hangul", "ru": "cyrillic", "uk": "cyrillic", "ar": "arabic"}


def language_of(text: str, languages: tuple[str, ...]) -> str:
    """The ISO 639-1 code among `languages` that `text` is written in, `und` when its script is of none.

    Languages outside the list are not told from those in it that share their script.
    """
    sample = text[:_SAMPLE]
    script = _script(sample)
    candidates = tuple(code for code in languages if _SCRIPT_OF.get(code, "latin") == script)
    if script == "han":
        kana = len(_KANA.findall(sample))
        # Half of running Japanese is kana; Chinese has some in a quoted name.
        code = "ja" if kana * 5 > kana + len(_SCRIPTS["han"].findall(sample)) else "zh"
        return code if code in candidates else UNKNOWN
    if len(candidates) <= 1:
        return candidates[0] if candidates else UNKNOWN
    detected = _detector(candidates).detect_language_of(sample)
    return detected.iso_code_639_1.name.lower() if detected else UNKNOWN


def _script(text: str) -> str:
    """The script of most letters; a Han character weighs three, as Chinese quotes Latin words at length."""
    if text.isascii():
        return "latin" if any(map(str.isalpha, text)) else ""
    counts = {script: len(pattern.findall(text)) for script, pattern in _SCRIPTS.items()}
    counts["han"] = 3 * counts["han"] + len(_KANA.findall(text))
    if not any(counts.values()) or 2 * sum(counts.values()) < sum(map(str.isalpha, text)):
        return ""
    return max(counts, key=lambda script: counts[script])


@cache
def _detector(languages: tuple[str, ...]) -> "LanguageDetector":
    from lingua import IsoCode639_1, LanguageDetectorBuilder

    codes = [getattr(IsoCode639_1, code.upper()) for code in languages]
    return LanguageDetectorBuilder.from_iso_codes_639_1(*codes).build()
