"""SQuAD's JSON, version 1 and 2 (https://rajpurkar.github.io/SQuAD-explorer)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from corpus.reading.containers import Entry
from corpus.reading.decoding import decode
from corpus.reading.record import OnSkipped
from corpus.reading.rows import Row, RowOptions
from corpus.reading.skipped import Skipped

SUFFIXES: dict[str, tuple[str, ...]] = {"squad": ()}  # the files are called .json


def rows(entry: Entry, options: RowOptions, on_skipped: OnSkipped | None = None) -> Iterator[Row]:
    """A row per question: `question`, `context`, `answers` (none where it has no answer), `title`.

    Raises:
        Skipped: it is no JSON, or not SQuAD's.
    """
    text, _ = decode(entry.stream.read())
    try:
        articles = json.loads(text)["data"]
    except json.JSONDecodeError as error:
        detail = f"not JSON ({error.msg}, column {error.colno})"
        raise Skipped("not JSON", detail, error.lineno) from error
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise _not_squad(1, 'no list "data" of articles') from error
    position, line = 0, 1
    for article, paragraph, question in _questions(articles):
        # The line of a question is that of its id; a file without line ends has one line.
        found = text.find(json.dumps(str(question["id"])), position) if "id" in question else -1
        if found >= 0:
            line, position = line + text.count("\n", position, found), found
        try:
            values = {
                "title": article.get("title", ""),
                "context": paragraph["context"],
                "question": question["question"],
                "answers": [] if _is_impossible(question) else question["answers"],
            }
        except ValueError as error:
            raise Skipped("unclear answer", str(error), line) from error
        except KeyError as error:
            raise _not_squad(line, f"a question or its paragraph has no {error}") from error
        yield Row(entry.uri, line, values, str(question.get("id", "")))


def _questions(articles: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any], dict[str, Any]]]:
    try:
        for article in articles:
            for paragraph in article["paragraphs"]:
                for question in paragraph["qas"]:
                    yield article, paragraph, dict(question)
    except (KeyError, TypeError, ValueError) as error:
        raise _not_squad(1, f'"data" is no list of articles with paragraphs and qas ({error})') from error


def _is_impossible(question: dict[str, Any]) -> bool:
    """Whether a question says that it has no answer.

    Raises:
        ValueError: it says neither, or has an answer all the same.
    """
    stated = question.get("is_impossible", False)
    if not isinstance(stated, bool | None):
        raise ValueError(f"is_impossible is {stated!r}; write true or false")
    answers = question.get("answers") or []
    if stated and any(answer.get("text") for answer in answers if isinstance(answer, dict)):
        raise ValueError("is_impossible is true, and it has an answer; take one of them away")
    return bool(stated)


def _not_squad(line: int, what: str) -> Skipped:
    return Skipped("not SQuAD", f"not SQuAD's JSON: {what}; set examples.format to what the file holds", line)
