"""The peer of `data_filters`: datatrove's filters on the same documents. Runs in `.venv-bench`.

    .venv-bench/bin/python benchmarks/data_filters_peer.py JOB.json OUT.json

Only the filters' own methods are called, without datatrove's executor, readers and statistics. Words come
from a regular expression, the same words as ours, in place of spaCy, NLTK and jieba. Needs nothing of ours.
"""

import json
import re
import sys
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from datatrove.data import Document
from datatrove.pipeline.filters import (
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
)
from datatrove.utils import word_tokenizers

UNSPACED = "".join(
    [
        "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff",
        "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff",
    ]
)
WORD = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+|[^\w\s{UNSPACED}]+")
SENTENCE = re.compile(r"""\S.*?(?:[.!?]+["'”’)\]]*(?=\s|$)|[。！？．｡]["'”’)\]」』）]*|$)""")


class RegexTokenizer(word_tokenizers.WordTokenizer):
    """Words and sentences by two regular expressions, for every language."""

    def word_tokenize(self, text: str) -> list[str]:
        return WORD.findall(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return SENTENCE.findall(text)

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [found.span() for found in SENTENCE.finditer(text)]


def main(job_file: str, out: str) -> None:
    """Write for each of the job's alternatives one reason, or null, per document."""
    word_tokenizers.load_word_tokenizer = cache(lambda language: RegexTokenizer(language))
    job = json.loads(Path(job_file).read_text(encoding="utf-8"))
    Path(out).write_text(json.dumps([reasons(job, sets) for sets in job["alternatives"]]), encoding="utf-8")


def reasons(job: dict[str, Any], sets: list[str]) -> list[str | None]:
    """Filter the job's documents by rule sets."""
    filters = {language: chosen(sets, language, job["thresholds"]) for language in ("en", "zh")}
    with Path(job["lines"]).open(encoding="utf-8") as lines:
        return [
            first_failure(Document(text=row["text"], id=""), filters[row["language"]])
            for row in map(json.loads, islice(lines, job["limit"]))
        ]


def first_failure(document: Document, filters: list[Any]) -> str | None:
    """The reason of the first filter that drops the document, None when all keep it."""
    for one in filters:
        result = one.filter(document)
        if result is not True:
            return str(result[1])
    return None


def chosen(sets: list[str], language: str, thresholds: dict[str, Any]) -> list[Any]:
    """The filters of the named sets, in the order of `sets`.

    C4 comes last there, as datatrove's also cuts lines out of the text, and is left out for Chinese: it
    counts words by spaces.
    """
    filters = english() if language == "en" else chinese(thresholds[language])
    return [filters[name] for name in sets if name in filters]


def english() -> dict[str, Any]:
    """datatrove's defaults."""
    return {
        "gopher_repetition": GopherRepetitionFilter(),
        "gopher_quality": GopherQualityFilter(),
        "fineweb": FineWebQualityFilter(),
        "c4": C4QualityFilter(),
    }


def chinese(limit: dict[str, Any]) -> dict[str, Any]:
    """FineWeb-2's thresholds, in its way of switching rules off."""
    return {
        "gopher_repetition": GopherRepetitionFilter(
            dup_para_frac=0,
            dup_para_char_frac=0,
            dup_line_char_frac=0,
            dup_line_frac=limit["gopher_repeated_lines"],
            top_n_grams=tuple((n, limit[f"gopher_top_{n}_grams"]) for n in range(2, 5)),
            dup_n_grams=tuple((n, limit[f"gopher_repeated_{n}_grams"]) for n in range(5, 11)),
        ),
        "gopher_quality": GopherQualityFilter(
            min_doc_words=limit["gopher_few_words"],
            min_avg_word_length=limit["gopher_short_words"],
            max_avg_word_length=limit["gopher_long_words"],
            max_non_alpha_words_ratio=limit["gopher_alphabetic_words"],
            stop_words=limit["stop_words"],
        ),
        "fineweb": FineWebQualityFilter(
            line_punct_thr=limit["fineweb_line_ends"],
            short_line_thr=999,
            char_duplicates_ratio=limit["fineweb_repeated_lines"],
            new_line_ratio=limit["fineweb_newlines"],
        ),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
