"""From the columns of a file to a task and its fields: what is most likely meant, and what is not sure.

The rules go from what can be nothing else (messages, answers with their places, tags) to what can be many
things (two texts). Names decide between columns that hold the same kind of thing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from corpus.errors import CorpusError
from corpus.profiling.column import Column
from corpus.profiling.table import ID, LABELS, SCORES, Doubt, Table, described, is_called

Named = Mapping[str, str | list[str]]
# How certain a guess is: by the shape of the columns alone, by their names, or by what they hold.
SHAPE, NAMES, CONTENT = 0, 1, 2

_SOURCES = [
    "source",
    "src",
    "input",
    "article",
    "document",
    "text",
    "en",
    "question",
    "original",
    "dialogue",
    "原文",
]
_TARGETS = [
    "target",
    "tgt",
    "output",
    "summary",
    "highlights",
    "translation",
    "de",
    "fr",
    "zh",
    "reference",
    "simplified",
    "headline",
    "译文",
]
_QUERIES = ["query", "question", "anchor", "q", "search", "问题", "查询"]
_PASSAGES = [
    "passage",
    "document",
    "positive",
    "pos",
    "answer",
    "answers",
    "product",
    "context",
    "response",
    "答案",
]
_PROMPTS = ["prompt", "instruction", "instructions"]
_RESPONSES = ["response", "output", "completion", "answer", "reply"]
_REPLIES = ("chosen", "rejected")
# What stands above a text and belongs to it.
_HEADINGS = {"title", "headline", "summary", "标题"}
_WORDS, _TAGS = ("words", "tokens"), ("tags", "ner_tags", "ner", "labels", "pos_tags", "pos")
_TAG = re.compile(r"O|[BIESLUM]-\S+")
_SEPARATORS = (";", "|", ",")


@dataclass(frozen=True)
class Guess:
    """A task, the columns by its fields, and why; `doubts` are the questions that nobody has answered."""

    task: str
    why: str
    columns: Named
    certainty: int = SHAPE
    separator: str = ","
    doubts: tuple[Doubt, ...] = ()


def guessed(columns: Sequence[Column], told: Mapping[str, str]) -> Guess:
    """The likeliest task.

    Args:
        told: answers to doubts, by their keys.

    Raises:
        CorpusError: the columns are of no task.
    """
    table = Table(columns, told)
    found = [guess for rule in _RULES if (guess := rule(table))]
    if not found:
        names = ", ".join(repr(column.name[:40]) for column in columns)[:300]
        raise CorpusError(
            f"no task fits the columns {names}: a text and a label (few different values), two texts, words "
            "and tags, or messages are wanted. Texts without labels are a corpus: see `collect` in "
            "docs/recipes.md"
        )
    highest = max(guess.certainty for guess in found)
    likely = [guess for guess in found if guess.certainty == highest]
    guess = next((guess for guess in found if guess.task == told.get("task")), likely[0])
    doubts = table.doubts_of(guess.task)
    if len(likely) > 1 and "task" not in told:
        choices = {one.task: one.why for one in found}
        doubts = [Doubt("task", "What is to be learnt?", choices, guess.task), *doubts]
    return replace(guess, doubts=tuple(doubts))


def _question_answering(table: Table) -> Guess | None:
    context, question = table.called(["context", "passage", "paragraph"]), table.called(["question", "query"])
    answers = next(iter(table.of_kind("answers")), None) or table.called(["answers", "answer", "answer_text"])
    if not (context and question and answers):
        return None
    columns = {"context": context.name, "question": question.name, "answers": answers.name}
    return Guess("question_answering", "a question, a text and the answers in it", columns, CONTENT)


def _token_classification(table: Table) -> Guess | None:
    lists = table.of_kind("list")
    tags = [c for c in lists if c.counts and all(map(_TAG.fullmatch, c.counts))] or [
        c for c in lists if c.name.lower() in _TAGS and c.counts
    ]
    words = [column for column in lists if column not in tags and column.name.lower() in _WORDS]
    words = words or [c for c in lists if c not in tags and tags and c.lengths == tags[0].lengths]
    if not (tags and words):
        return None
    columns = {"words": words[0].name, "tags": tags[0].name}
    return Guess("token_classification", "a tag for each word", columns, CONTENT)


def _preference(table: Table) -> Guess | None:
    for kind in ("messages", "text"):
        replies = [table.called([name], kind) for name in _REPLIES]
        found = {name: column.name for name, column in zip(_REPLIES, replies, strict=True) if column}
        asked = table.called(_PROMPTS, "messages") or table.called(_PROMPTS)
        before = {"prompt": asked.name} if asked else {}
        if len(found) == len(_REPLIES) and (asked or kind == "messages"):
            return Guess("preference", "which of two replies is the better one", before | found, CONTENT)
    return None


def _instructions(table: Table) -> Guess | None:
    if _preference(table):
        return None
    if messages := table.of_kind("messages"):
        return Guess("instructions", "conversations", {"messages": messages[0].name}, CONTENT)
    prompt, response = table.called(_PROMPTS), table.called(_RESPONSES)
    if prompt and response:
        columns = {"prompt": prompt.name, "response": response.name}
        return Guess("instructions", "a reply to each prompt", columns, NAMES)
    return None


def _multi_label(table: Table) -> Guess | None:
    if not table.texts:
        return None
    task = "multi_label"
    text = table.choose(task, "text", "Which column holds the text?", table.texts)
    lists = [c for c in (*table.of_kind("list"), *table.of_kind("numbers")) if c.counts]
    lists = [c for c in lists if c.distinct <= max(2, c.filled // 2)]
    if lists:
        lists.sort(key=lambda column: not is_called(column, LABELS))
        labels = table.choose(task, "labels", "Which column holds the labels?", lists)
        columns: Named = {"text": text.name, "labels": labels.name}
        return Guess(task, "a list of labels for each text", columns, CONTENT)
    marks = [column for column in table.columns if column.is_marked and not is_called(column, LABELS)]
    if len(marks) > 1 and not any(is_called(column, LABELS) for column in table.labels):
        names = [column.name for column in marks]
        columns = {"text": text.name, "labels": names}
        return Guess(task, "a column of 0 and 1 for each label", columns, CONTENT)
    for column in table.columns:
        separator = next((one for one in _SEPARATORS if _is_joined(column, one)), "")
        if separator and column is not text and is_called(column, LABELS):
            columns = {"text": text.name, "labels": column.name}
            return Guess(
                task, f"labels with {separator!r} between them", columns, CONTENT, separator=separator
            )
    return None


def _similarity(table: Table) -> Guess | None:
    pair = table.pair or table.only_two
    scores = [c for c in table.columns if c.kind in ("number", "whole") and not ID.fullmatch(c.name)]
    scores = [c for c in scores if c.kind == "number" or is_called(c, SCORES)]
    if not (pair and scores):
        return None
    columns = {"first": pair[0].name, "second": pair[1].name, "score": scores[0].name}
    return Guess("similarity", "how alike two texts are, as a number", columns, CONTENT)


def _classification(table: Table) -> Guess | None:
    if not (table.texts and table.labels):
        return None
    task = "classification"
    label = table.choose(task, "label", "Which column holds the label?", table.labels)
    texts = [column for column in table.texts if column is not label]
    if not texts:
        return None
    if pair := table.pair:
        columns = {"text": pair[0].name, "second": pair[1].name, "label": label.name}
        return Guess(task, "a label for each pair of texts", columns, NAMES)
    if len(texts) == 1:
        return Guess(task, "a label for each text", {"text": texts[0].name, "label": label.name}, NAMES)
    heading = next((column for column in texts if is_called(column, _HEADINGS)), texts[0])
    body = next(column for column in texts if column is not heading)
    in_order = [column.name for column in table.columns if column in (heading, body)]
    joined, both = " and ".join(in_order), " + ".join(in_order)
    choices = {column.name: described(column) for column in texts}
    choices |= {joined: "both, joined into one text", both: "both, as a pair of texts"}
    likely = joined if is_called(heading, _HEADINGS) else texts[0].name
    chosen = table.ask(task, Doubt("text", "Which column holds the text?", choices, likely))
    if chosen == both:
        columns = {"text": in_order[0], "second": in_order[1], "label": label.name}
        return Guess(task, "a label for each pair of texts", columns, NAMES)
    text: str | list[str] = in_order if chosen == joined else chosen
    return Guess(task, "a label for each text", {"text": text, "label": label.name}, NAMES)


def _seq2seq(table: Table) -> Guess | None:
    source, target = table.called(_SOURCES), table.called(_TARGETS)
    if source and target and source is not target:
        columns = {"source": source.name, "target": target.name}
        return Guess("seq2seq", "a text to write from another one", columns, NAMES)
    if not (pair := table.only_two):
        return None
    columns = {"source": pair[0].name, "target": pair[1].name}
    return Guess("seq2seq", "a text to write from another one", columns)


def _matching(table: Table) -> Guess | None:
    first, second = table.called(_QUERIES), table.called(_PASSAGES)
    pair = (first, second) if first and second else table.pair or table.only_two
    if not pair:
        return None
    columns = {"first": pair[0].name, "second": pair[1].name}
    certainty = NAMES if first and second else SHAPE
    return Guess("matching", "which text belongs to which: search", columns, certainty)


_RULES: Sequence[Callable[[Table], Guess | None]] = (
    _question_answering,
    _token_classification,
    _preference,
    _instructions,
    _multi_label,
    _similarity,
    _classification,
    _seq2seq,
    _matching,
)


def _is_joined(column: Column, separator: str) -> bool:
    """Whether the values of a column are labels with this between them."""
    if column.kind != "text" or not column.counts:
        return False
    parts = {part.strip() for value in column.counts for part in value.split(separator)}
    return any(separator in value for value in column.counts) and 1 < len(parts) < column.distinct
