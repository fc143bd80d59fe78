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

Named = Mapping[str, str | list[str]]
# How certain a guess is: by the shape of the columns alone, by their names, or by what they hold.
SHAPE, NAMES, CONTENT = 0, 1, 2
MOST_LABELS = 1000
SHOWN, LONGEST_SHOWN = 4, 40  # labels of a choice, and characters of each

_TEXT = "text sentence review reviews content body comment message tweet utterance document article abstract "
_TEXT += "description input inputs query question headline title summary post txt 文本 句子 内容 评论 标题"
_LABEL = "label labels class category categories target topic sentiment intent y gold rating stars tag tags "
_LABEL += "type quality polarity emotion genre is_duplicate verdict department 标签 类别 类目 分类"
_SCORE = "score similarity similarity_score relatedness relatedness_score sim grade gold_score 分数 相似度"
_TEXTS, _LABELS, _SCORES = (set(names.split()) for names in (_TEXT, _LABEL, _SCORE))
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
_WORDS, _TAGS = ("words", "tokens"), ("tags", "ner_tags", "ner", "labels", "pos_tags", "pos")
_ID = re.compile(
    r"(.*[_ #-])?(id|ids|idx|index|uuid|guid|url|uri|link|date|time|timestamp|created|unnamed.*)", re.I
)
_TAG = re.compile(r"O|[BIESLUM]-\S+")
_SEPARATORS = (";", "|", ",")


@dataclass(frozen=True)
class Doubt:
    """A question about a guess: what may be answered, each with what it means, and what was taken."""

    key: str
    question: str
    choices: Mapping[str, str]
    taken: str


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
    table = _Table(columns, told)
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


class _Table:
    """The columns by what they may be, the likeliest first, and the doubts of the rules about them."""

    def __init__(self, columns: Sequence[Column], told: Mapping[str, str]) -> None:
        self.told = told
        self.columns = [column for column in columns if column.kind != "empty"]
        self._doubts: dict[str, list[Doubt]] = {}
        usable = [column for column in self.columns if not _ID.fullmatch(column.name)]
        labels = sorted(filter(_may_be_label, usable), key=_label_rank)
        texts = [column for column in usable if _may_be_text(column) and column not in labels]
        if not texts and len(labels) > 1:  # short texts that come again and again
            texts = [column for column in [max(labels, key=_median)] if column.kind == "text"]
            labels = [column for column in labels if column not in texts]
        texts.sort(key=lambda column: -_median(column))
        # Where some have a name that says what they are, the others are something else.
        self.texts = [column for column in texts if _is_called(column, _TEXTS)] or texts
        self.labels = [column for column in labels if _is_like(column)] or labels

    def called(self, names: Sequence[str], kind: str = "text") -> Column | None:
        """The first column of a kind that has one of these names."""
        fitting = {
            column.name.lower().split(".")[-1]: column for column in self.columns if column.kind == kind
        }
        return next((fitting[name] for name in names if name in fitting), None)

    def of_kind(self, kind: str) -> list[Column]:
        """The columns of a kind."""
        return [column for column in self.columns if column.kind == kind]

    def choose(self, task: str, key: str, question: str, among: Sequence[Column]) -> Column:
        """The first of some columns, or the one that was told; a doubt where there are several."""
        by_name = {column.name: column for column in among}
        if self.told.get(key) in by_name:
            return by_name[self.told[key]]
        if len(among) > 1:
            tell = _values if key in ("label", "labels") else described
            choices = {column.name: tell(column) for column in among}
            self._doubts.setdefault(task, []).append(Doubt(key, question, choices, among[0].name))
        return among[0]

    def ask(self, task: str, doubt: Doubt) -> str:
        """What was told, or what is taken until somebody says otherwise."""
        if self.told.get(doubt.key) in doubt.choices:
            return self.told[doubt.key]
        self._doubts.setdefault(task, []).append(doubt)
        return doubt.taken

    def doubts_of(self, task: str) -> list[Doubt]:
        """The doubts that the rule of a task had, each once."""
        return list({doubt.key: doubt for doubt in self._doubts.get(task, [])}.values())

    @property
    def pair(self) -> tuple[Column, Column] | None:
        """Two texts whose names say that they are compared: they differ in a number alone, or are known."""
        in_order = [column for column in self.columns if column in self.texts]
        for first, second in ((a, b) for a in in_order for b in in_order if a is not b):
            if _counted(first.name) and _counted(first.name) == _counted(second.name):
                return first, second
        for one, other in (("premise", "hypothesis"), ("question", "sentence"), ("query", "passage")):
            found = [column for name in (one, other) for column in in_order if column.name.lower() == name]
            if len(found) == 2:
                return found[0], found[1]
        return None

    @property
    def only_two(self) -> tuple[Column, Column] | None:
        """The two texts, where there are no more."""
        in_order = [column for column in self.columns if column in self.texts]
        return (in_order[0], in_order[1]) if len(in_order) == 2 else None


def described(column: Column) -> str:
    """A column in a few words, without any of its texts."""
    if column.counts and column.distinct <= MOST_LABELS:
        return f"{column.distinct:,} different values"
    if column.lengths and column.kind == "text":
        return f"texts, half of them up to {column.lengths.median} words"
    return "lists" if column.kind in ("list", "numbers") else column.kind


def _values(column: Column) -> str:
    """Some labels of a column that holds labels."""
    first = [" ".join(label.split())[:LONGEST_SHOWN] for label in list(column.counts)[:SHOWN]]
    return f"{column.distinct:,}: {', '.join(first)}{', …' if column.distinct > SHOWN else ''}"


def _question_answering(table: _Table) -> Guess | None:
    context, question = table.called(["context", "passage", "paragraph"]), table.called(["question", "query"])
    answers = next(iter(table.of_kind("answers")), None) or table.called(["answers", "answer", "answer_text"])
    if not (context and question and answers):
        return None
    columns = {"context": context.name, "question": question.name, "answers": answers.name}
    return Guess("question_answering", "a question, a text and the answers in it", columns, CONTENT)


def _token_classification(table: _Table) -> Guess | None:
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


def _instructions(table: _Table) -> Guess | None:
    if messages := table.of_kind("messages"):
        return Guess("instructions", "conversations", {"messages": messages[0].name}, CONTENT)
    prompt, response = table.called(_PROMPTS), table.called(_RESPONSES)
    if prompt and response:
        columns = {"prompt": prompt.name, "response": response.name}
        return Guess("instructions", "a reply to each prompt", columns, NAMES)
    return None


def _multi_label(table: _Table) -> Guess | None:
    if not table.texts:
        return None
    task = "multi_label"
    text = table.choose(task, "text", "Which column holds the text?", table.texts)
    lists = [c for c in (*table.of_kind("list"), *table.of_kind("numbers")) if c.counts]
    lists = [c for c in lists if c.distinct <= max(2, c.filled // 2)]
    if lists:
        lists.sort(key=lambda column: not _is_called(column, _LABELS))
        labels = table.choose(task, "labels", "Which column holds the labels?", lists)
        columns: Named = {"text": text.name, "labels": labels.name}
        return Guess(task, "a list of labels for each text", columns, CONTENT)
    marks = [column for column in table.columns if column.is_marked and not _is_called(column, _LABELS)]
    if len(marks) > 1 and not any(_is_called(column, _LABELS) for column in table.labels):
        names = [column.name for column in marks]
        columns = {"text": text.name, "labels": names}
        return Guess(task, "a column of 0 and 1 for each label", columns, CONTENT)
    for column in table.columns:
        separator = next((one for one in _SEPARATORS if _is_joined(column, one)), "")
        if separator and column is not text and _is_called(column, _LABELS):
            columns = {"text": text.name, "labels": column.name}
            return Guess(
                task, f"labels with {separator!r} between them", columns, CONTENT, separator=separator
            )
    return None


def _similarity(table: _Table) -> Guess | None:
    pair = table.pair or table.only_two
    scores = [c for c in table.columns if c.kind in ("number", "whole") and not _ID.fullmatch(c.name)]
    scores = [c for c in scores if c.kind == "number" or _is_called(c, _SCORES)]
    if not (pair and scores):
        return None
    columns = {"first": pair[0].name, "second": pair[1].name, "score": scores[0].name}
    return Guess("similarity", "how alike two texts are, as a number", columns, CONTENT)


def _classification(table: _Table) -> Guess | None:
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
    in_order = [column.name for column in table.columns if column in texts[:2]]
    both = " + ".join(in_order)
    choices = {column.name: described(column) for column in texts}
    choices[both] = "both, as a pair of texts"
    chosen = table.ask(task, Doubt("text", "Which column holds the text?", choices, texts[0].name))
    if chosen == both:
        columns = {"text": in_order[0], "second": in_order[1], "label": label.name}
        return Guess(task, "a label for each pair of texts", columns, NAMES)
    return Guess(task, "a label for each text", {"text": chosen, "label": label.name}, NAMES)


def _seq2seq(table: _Table) -> Guess | None:
    source, target = table.called(_SOURCES), table.called(_TARGETS)
    if source and target and source is not target:
        columns = {"source": source.name, "target": target.name}
        return Guess("seq2seq", "a text to write from another one", columns, NAMES)
    if not (pair := table.only_two):
        return None
    columns = {"source": pair[0].name, "target": pair[1].name}
    return Guess("seq2seq", "a text to write from another one", columns)


def _matching(table: _Table) -> Guess | None:
    first, second = table.called(_QUERIES), table.called(_PASSAGES)
    pair = (first, second) if first and second else table.pair or table.only_two
    if not pair:
        return None
    columns = {"first": pair[0].name, "second": pair[1].name}
    certainty = NAMES if first and second else SHAPE
    return Guess("matching", "which text belongs to which: search", columns, certainty)


_RULES: Sequence[Callable[[_Table], Guess | None]] = (
    _question_answering,
    _token_classification,
    _instructions,
    _multi_label,
    _similarity,
    _classification,
    _seq2seq,
    _matching,
)


def _is_called(column: Column, names: set[str]) -> bool:
    return column.name.lower().split(".")[-1] in names


def _may_be_text(column: Column) -> bool:
    if column.kind != "text" or not column.lengths:
        return False
    return column.distinct > max(2, column.filled // 2) or _median(column) > 4 or _is_called(column, _TEXTS)


def _may_be_label(column: Column) -> bool:
    if column.kind not in ("text", "whole", "truth") or not column.counts:
        return False
    return (
        column.distinct <= max(2, column.filled // 2)
        and _median(column) <= 6
        and not _is_called(column, _TEXTS)
    )


def _label_rank(column: Column) -> tuple[object, ...]:
    """Called a label, with more than one value, named in words rather than numbers, with few of them."""
    return (not _is_like(column), column.distinct < 2, column.kind != "text", column.distinct)


def _is_like(column: Column) -> bool:
    """Whether the name says that there are labels in a column."""
    return bool(_LABELS & set(re.split(r"[\W_]+", column.name.lower())))


def _is_joined(column: Column, separator: str) -> bool:
    """Whether the values of a column are labels with this between them."""
    if column.kind != "text" or not column.counts:
        return False
    parts = {part.strip() for value in column.counts for part in value.split(separator)}
    return any(separator in value for value in column.counts) and 1 < len(parts) < column.distinct


def _median(column: Column) -> int:
    return column.lengths.median if column.lengths else 1


def _counted(name: str) -> str:
    """A name without the number or the last letter that tells it from another one; "" where it has none."""
    bare = re.sub(r"[12]|(?<=[_ -])[abAB]$", "", name, count=1)
    return bare if bare != name else ""
