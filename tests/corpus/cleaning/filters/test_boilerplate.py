"""Lines that many documents of a source share go; what the sketch says is what counting says."""

import random
import string
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus.cleaning.config import BoilerplateConfig
from corpus.cleaning.filters.boilerplate import LineTable, count_lines, remove

CONFIG = BoilerplateConfig(min_share=0.2, min_documents=5, min_characters=10)
FOOTERS = [
    "All rights reserved, Example Ltd.",
    "版权所有，未经许可不得转载本站内容",
    "Back to the top of the page",
]
WHITE = "".join(map(chr, range(33)))


def corpus(seed: int, documents: int) -> tuple[list[str], list[str]]:
    rng = random.Random(seed)
    texts, sources = [], []
    for number in range(documents):
        lines = ["".join(rng.choices(string.ascii_letters + " 中文", k=rng.randrange(40))) for _ in range(6)]
        for footer in FOOTERS:
            if rng.random() < 0.35:
                lines.insert(
                    rng.randrange(len(lines) + 1), rng.choice(["", "  "]) + footer + rng.choice(["", "\r"])
                )
        texts.append("\n".join(lines))
        sources.append(f"source {number % 3}")
    return texts, sources


def counted(texts: list[str], sources: list[str], cuts: int = 1) -> LineTable:
    whole = LineTable(CONFIG)
    for part in range(cuts):
        table = LineTable(CONFIG)
        count_lines(
            pa.array(texts[part::cuts], pa.string()), pa.array(sources[part::cuts], pa.string()), table
        )
        whole.add(table)
    return whole


def cleaned(texts: list[str], sources: list[str], table: LineTable) -> tuple[list[str], list[int]]:
    left, removed = remove(pa.array(texts, pa.string()), pa.array(sources, pa.string()), table)
    return left.to_pylist(), removed.tolist()


def by_plain_counting(texts: list[str], sources: list[str]) -> list[str]:
    occurrences = Counter(
        (source, line)
        for text, source in zip(texts, sources, strict=True)
        for line in {line.strip(WHITE) for line in text.split("\n")}
    )
    documents = Counter(sources)

    def stays(line: str, source: str) -> bool:
        bound = max(CONFIG.min_documents, CONFIG.min_share * documents[source])
        return len(line) < CONFIG.min_characters or occurrences[source, line] < bound

    return [
        "\n".join(line for line in text.split("\n") if stays(line.strip(WHITE), source))
        for text, source in zip(texts, sources, strict=True)
    ]


def test_the_table_says_what_plain_counting_says() -> None:
    texts, sources = corpus(seed=0, documents=300)
    left, removed = cleaned(texts, sources, counted(texts, sources))
    assert left == by_plain_counting(texts, sources)
    assert removed == [t.count("\n") - k.count("\n") for t, k in zip(texts, left, strict=True)]
    assert sum(removed) > 200


def test_parts_of_a_corpus_add_up_and_survive_a_file(tmp_path: Path) -> None:
    texts, sources = corpus(seed=1, documents=200)
    whole, parts = counted(texts, sources), counted(texts, sources, cuts=7)
    assert np.array_equal(whole.counts, parts.counts)
    whole.save(tmp_path / "lines.npy")
    loaded = LineTable.load(tmp_path / "lines.npy", CONFIG)
    assert cleaned(texts[150:], sources[150:], loaded) == cleaned(texts[150:], sources[150:], whole)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{FOOTERS[0]}", ""),
        (f"{FOOTERS[0]}\n", ""),
        (f"a\n{FOOTERS[0]}", "a"),
        (f"a\n{FOOTERS[0]}\n", "a\n"),
        (f"{FOOTERS[0]}\na\n\n  {FOOTERS[0]}\t\nb", "a\n\nb"),
        (f"{FOOTERS[0]}\n{FOOTERS[0]}", ""),
        (f"inside {FOOTERS[0]}", f"inside {FOOTERS[0]}"),
        ("", ""),
    ],
)
def test_whole_lines_go_with_their_newline(text: str, expected: str) -> None:
    table = counted([FOOTERS[0]] * 20, ["s"] * 20)
    assert cleaned([text], ["s"], table)[0] == [expected]


def test_sources_are_counted_apart_and_a_text_counts_once() -> None:
    often = "\n".join([FOOTERS[0]] * 50)
    texts, sources = [often] + ["x"] * 9 + [FOOTERS[0]] * 9, ["one"] * 10 + ["other"] * 9
    left, _ = cleaned(texts, sources, counted(texts, sources))
    assert left == [often] + ["x"] * 9 + [""] * 9


def test_texts_without_such_lines_are_passed_through() -> None:
    texts = pa.array(["one line\nanother", "", "third"])
    left, removed = remove(texts, pa.array(["s"] * 3), LineTable(CONFIG))
    assert left is texts
    assert removed.tolist() == [0, 0, 0]


def test_a_crowded_table_keeps_what_is_rare() -> None:
    texts, sources = corpus(seed=2, documents=50)
    table = counted(texts, sources)
    crowded = LineTable(CONFIG, table.counts + np.uint32(CONFIG.min_documents))  # every counter is shared
    left, _ = cleaned(["a line that nobody else has"], ["source 0"], crowded)
    assert left == ["a line that nobody else has"]


def test_a_corpus_without_boilerplate_is_known_as_such() -> None:
    texts = [f"a line that only document {number} has" for number in range(60)]
    sources = ["one"] * 40 + ["other"] * 20
    assert not counted(texts, sources).has_boilerplate(["one", "other"])
    texts[40:] = [f"{text}\n{FOOTERS[0]}" for text in texts[40:]]
    assert counted(texts, sources).has_boilerplate(["one", "other"])
