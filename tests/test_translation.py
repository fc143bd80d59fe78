"""docs/README.zh.md says what README.md says: the same sections, commands, names, figures, links."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
ENGLISH, CHINESE = ROOT / "README.md", ROOT / "docs" / "README.zh.md"
UNITS = {"million": 10**6, "万": 10**4}


def sections(page: Path) -> list[str]:
    """The page cut at its headings; headings in code blocks, which are comments, don't count."""
    code = re.compile(r"^```.*?^```$", re.M | re.S)
    text = page.read_text(encoding="utf-8")
    hidden = code.sub(lambda block: re.sub(r"^#", "\0", block[0], flags=re.M), text)
    return [part.replace("\0", "#") for part in re.split(r"^(?=#+ )", hidden, flags=re.M) if part.strip()]


def code_blocks(section: str) -> list[str]:
    """The code of a section without what a translator may change: comments, and labels of a drawing."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", section, re.M | re.S)
    return [
        "\n".join(line.rstrip() for line in _without_words(language, block).splitlines())
        for language, block in blocks
    ]


def _without_words(language: str, block: str) -> str:
    if language == "mermaid":
        return re.sub(r' \["[^"]*"\]|"[^"]*"|\(\[.*?\]\)|\. [^.>|]* \.', "", block)
    return re.sub(r"(^|\s+)# .*$", "", block, flags=re.M)


def names(section: str) -> set[str]:
    """Everything in code spans."""
    return set(re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", section, flags=re.M | re.S)))


def figures(section: str) -> set[str]:
    """Every number in the prose and tables, without thousands separators; 3.4 million is 340 万."""
    prose = re.sub(r"^```.*?^```$|`[^`\n]+`|\]\([^)]*\)", "", section, flags=re.M | re.S)
    found = re.findall(r"(\d[\d,]*(?:\.\d+)?)(?: (million|万))?", prose.replace("\n", " "))
    return {_written_out(number.replace(",", ""), unit) for number, unit in found}


def _written_out(number: str, unit: str) -> str:
    return str(int(Decimal(number) * UNITS[unit])) if unit else number


def links(section: str) -> set[str]:
    """What a section links to, as it is written."""
    return set(re.findall(r"\]\(([^)\s]+)\)", section))


def rows(section: str) -> list[tuple[set[str], set[str]]]:
    """The figures and the names of every table row."""
    return [(figures(row), names(row)) for row in re.findall(r"^\|.*$", section, re.M)]


PAIRS = list(zip(sections(ENGLISH), sections(CHINESE), strict=False))


def test_both_have_the_same_sections() -> None:
    english, chinese = (
        [re.match("#*", part)[0] for part in sections(page)]  # type: ignore[index]
        for page in (ENGLISH, CHINESE)
    )
    assert english == chinese


@pytest.mark.parametrize(("english", "chinese"), PAIRS, ids=lambda part: part.partition("\n")[0])
def test_a_section_says_the_same(english: str, chinese: str) -> None:
    assert code_blocks(chinese) == code_blocks(english)
    assert names(chinese) == names(english)
    assert figures(chinese) == figures(english)
    assert rows(chinese) == rows(english)
    here, there = CHINESE.parent, ENGLISH.parent
    own = {str(ENGLISH), str(CHINESE)}  # each page links to the other
    at = [
        {_place(base, link) for link in links(part)} - own
        for base, part in ((here, chinese), (there, english))
    ]
    assert at[0] == at[1]


def _place(base: Path, link: str) -> str:
    """Where a link leads, with its anchor: every page but these two is there in one language."""
    return link if link.startswith("https://") else str((base / link).resolve())
