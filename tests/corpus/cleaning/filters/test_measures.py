"""Every compiled measure equals a plain definition of itself, on texts that are made to repeat."""

import random
import re
from collections import Counter
from collections.abc import Sequence

import pyarrow as pa
import pytest

from corpus.cleaning.filters.measures import CODE_LINE, measure
from corpus.cleaning.filters.rule_sets import RULE_SETS, STOP_WORDS
from corpus.cleaning.text.characters import SENTENCE_ENDS, SYMBOLS
from corpus.cleaning.text.repair import repair

NAMES = sorted({rule.measure for rules in RULE_SETS.values() for rule in rules})
SINGLE = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
)
WORD = re.compile(rf"[{SINGLE}]|[^\W{SINGLE}]+|[^\w\s{SINGLE}]+")
SENTENCE = re.compile(
    rf"""\S.*?(?:[{SENTENCE_ENDS}"'”’)\]」』）]*[。！？．｡]["'”’)\]」』）]*|[.!?]["'”’)\].!?]*(?=\s|$)|$)"""
)
POLICY = ("terms of use", "privacy policy", "cookie policy", "uses cookies", "use of cookies", "use cookies")

FRAGMENTS = (
    *(
        "the cat",
        "The dog sat",
        "of and to",
        "a_b x1 = 2",
        "user's",
        "well-known",
        "Straße naïve",
        "한국어 문장",
    ),
    *(
        "中文句子",
        "他在家。",
        "「好」",
        "かな",
        "e.g. this",
        "Really?!",
        "'quoted.'",
        "“yes.”",
        "see [12]",
        "[edit]",
    ),
    *(
        "...",
        "…",
        "....",
        "#",
        "##",
        "->",
        "→ ─",
        "{",
        "}",
        "1.5",
        "2024",
        "lorem ipsum",
        "JavaScript",
        "uses Cookies",
    ),
    *(
        "word " * 4,
        "no end",
        "it ends.",
        "ends!",
        "stop.[citation needed]",
        "stop. [3]",
        "x" * 1100,
        "😀",
        "а он",
    ),
)
STARTS = (
    "",
    "",
    "",
    "- ",
    "• ",
    "* ",
    "12) ",
    "1.",
    "    ",
    ">>> f(x)",
    "| a | b |",
    "+---+",
    "x = f(1)",
    "1, 2 3",
)


def texts_of(seed: int, count: int) -> list[str]:
    drawn = random.Random(seed)
    texts = [
        repair(text) for text in ("", "a", "。", "...", "one line only.", "a\n\n\n\nb", "中\n中\n\n中\n中")
    ]
    while len(texts) < count:
        lines: list[str] = []
        for _ in range(drawn.randint(1, 14)):
            if lines and drawn.random() < 0.35:
                lines.append(drawn.choice(lines))
            elif drawn.random() < 0.2:
                lines.append("")
            else:
                parts = drawn.choices(FRAGMENTS, k=drawn.randint(1, 7))
                lines.append(drawn.choice(STARTS) + drawn.choice(("", " ", " ")).join(parts))
        texts.append(repair("\n".join(lines)))
    return texts


def share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def repeated(items: Sequence[str]) -> tuple[int, int]:
    """Items that occurred before, and their characters."""
    again = [item for place, item in enumerate(items) if item in items[:place]]
    return len(again), sum(map(len, again))


def grams(words: list[str], size: int) -> list[tuple[str, ...]]:
    return [tuple(words[i : i + size]) for i in range(len(words) - size + 1)]


def greedily_repeated(words: list[str], size: int) -> int:
    seen, place, characters = set(), 0, 0
    while place <= len(words) - size:
        gram = tuple(words[place : place + size])
        if gram in seen:
            characters += len("".join(gram))
            place += size
        else:
            seen.add(gram)
            place += 1
    return characters


def c4(text: str) -> Counter[str]:
    found: Counter[str] = Counter()
    for line in map(str.strip, text.split("\n")):
        spaced = re.sub(rf"([{SINGLE}])", r" \1 ", line).split()
        if len(spaced) < 3 or max(map(len, spaced)) > 1000:
            continue
        line = re.sub(r"(?i:\[\d*]|\[edit]|\[citation needed])+$", "", line)
        if not line.endswith((*SENTENCE_ENDS, *"\"'”’」』")) or line.endswith("..."):
            continue
        lower = line.lower()
        if "lorem ipsum" in lower:
            found["lorem_ipsum"] += 1
        elif "javascript" in lower:
            continue
        elif "{" in line:
            found["curly_brackets"] += 1
        elif not any(phrase in lower for phrase in POLICY):
            found["sentences"] += len(SENTENCE.findall(line))
    return found


def plainly(text: str, language: str) -> dict[str, float]:
    words = WORD.findall(text)
    content = [word for word in words if any(map(str.isalnum, word))]
    visible = "".join(text.split())
    lines = [line for line in text.split("\n") if line]
    stripped = [line.strip() for line in lines]
    paragraphs = [part for part in re.split(r"\n{2,}", text) if part]
    ellipsis = [line.endswith(("...", "…")) for line in stripped]
    listed = [bool(re.match(r"\s*(?:[-*+•‣●○▪·]|\d{1,3}[.)])\s", line)) for line in lines]
    phrases = grams(content, 5)
    values = {
        "size": len(text) + 2 * len(re.findall(rf"[{SINGLE}\uac00-\ud7a3]", text)),
        "letters": share(sum(map(str.isalpha, text)), len(visible)),
        "symbols": share(
            sum(a != b and a in SYMBOLS for a, b in zip(text, " " + text, strict=False)), len(visible)
        ),
        "unreadable": share(text.count("\N{REPLACEMENT CHARACTER}"), len(visible)),
        "content_words": len(content),
        "word_length": share(sum(map(len, content)), len(content)),
        "hashes": share(text.count("#"), len(words)),
        "ellipses": share(text.count("...") + text.count("…"), len(words)),
        "alphabetic_words": share(sum(any(map(str.isalpha, word)) for word in words), len(words)),
        "stop_words": len(set(words) & set(STOP_WORDS[language])),
        "newlines": share(text.count("\n"), len(words)),
        "repeated_phrases": share(len(phrases) - len(set(phrases)), len(phrases)),
        "repeated_text": share(repeated(stripped)[1], sum(map(len, stripped))),
        "listed_lines": share(sum(listed), len(lines)) if len(lines) >= 5 else 0,
        "broken_lines": share(
            sum(e and len(s) > 3 for e, s in zip(ellipsis, stripped, strict=True)), len(lines)
        )
        if len(lines) >= 5
        else 0,
        "bullet_lines": share(sum(line.startswith(("•", "-")) for line in stripped), text.count("\n") + 1),
        "ellipsis_lines": share(sum(ellipsis), text.count("\n") + 1),
        "repeated_paragraphs": share(repeated(paragraphs)[0], len(paragraphs)),
        "repeated_paragraph_text": share(repeated(paragraphs)[1], len(text)),
        "repeated_lines": share(repeated(lines)[0], len(lines)),
        "repeated_line_text": share(repeated(lines)[1], len(text)),
        "repeated_line_share": share(repeated(lines)[1], len(text.replace("\n", ""))),
        "punctuated_lines": share(sum(line.endswith(tuple(SENTENCE_ENDS)) for line in lines), len(lines)),
        "short_lines": share(sum(len(line) <= 30 for line in lines), len(lines)),
        "code": share(
            sum(len(line) for line in stripped if re.match(CODE_LINE, line, re.ASCII)),
            sum(map(len, stripped)),
        ),
        **{name: c4(text)[name] for name in ("lorem_ipsum", "curly_brackets", "sentences")},
    }
    for size in (2, 3, 4):
        most = Counter(grams(words, size)).most_common(1)
        values[f"top_{size}_grams"] = share(len(" ".join(most[0][0])) * most[0][1], len(text)) if most else 0
    for size in range(5, 11):
        values[f"repeated_{size}_grams"] = share(greedily_repeated(words, size), len(text))
    return values


def test_every_measure_equals_its_plain_definition() -> None:
    texts = texts_of(seed=1, count=400)
    languages = [("en", "zh", "fr", "ko")[i % 4] for i in range(len(texts))]
    measured = measure(pa.array(texts), languages, NAMES)
    for row, (text, language) in enumerate(zip(texts, languages, strict=True)):
        for name, expected in plainly(text, language).items():
            assert measured[name][row] == pytest.approx(expected), (name, text)


def test_no_measure_depends_on_how_batches_are_cut() -> None:
    texts = texts_of(seed=2, count=60)
    whole = measure(pa.array(texts), ["en"] * len(texts), NAMES)
    sliced = pa.array(["before", *texts, "after"]).slice(1, len(texts))
    for start in range(0, len(texts), 7):
        part = sliced.slice(start, 7)
        measured = measure(part, ["en"] * len(part), NAMES)
        for name in NAMES:
            assert measured[name].tolist() == whole[name][start : start + 7].tolist(), name


def test_an_empty_batch_and_empty_texts_measure_nothing() -> None:
    assert all(len(values) == 0 for values in measure(pa.array([], pa.string()), [], NAMES).values())
    assert all(values.tolist() == [0.0] for values in measure(pa.array([""]), ["und"], NAMES).values())


def test_only_what_is_wanted_is_measured() -> None:
    assert "sentences" not in measure(pa.array(["a b."]), ["en"], ["letters"])
    assert measure(pa.array(["a b."]), ["en"], ["code"]).keys() == {"code"}


@pytest.mark.timeout(20)
@pytest.mark.parametrize("filler", [" ", "a.", "1 ", "f(", ") ", "= ", "-", "[1]", "。", "u", "\u3000x "])
def test_no_text_takes_quadratic_time(filler: str) -> None:
    text = repair(f"start {filler * 60_000} end\n" + filler * 60_000 + "x.")
    assert measure(pa.array([text]), ["en"], NAMES)["letters"][0] <= 1
