"""The columns of a table by what they may be: texts, labels, pairs; and what is in doubt about them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from corpus.profiling.column import Column

MOST_LABELS = 1000
SHOWN, LONGEST_SHOWN = 4, 40  # labels of a choice, and characters of each

_TEXT = "text sentence review reviews content body comment message tweet utterance document article abstract "
_TEXT += "description input inputs query question headline title summary post txt 文本 句子 内容 评论 标题"
_LABEL = "label labels class category categories target topic sentiment intent y gold rating stars tag tags "
_LABEL += "type quality polarity emotion genre is_duplicate verdict department 标签 类别 类目 分类"
_SCORE = "score similarity similarity_score relatedness relatedness_score sim grade gold_score 分数 相似度"
TEXTS, LABELS, SCORES = (set(names.split()) for names in (_TEXT, _LABEL, _SCORE))
ID = re.compile(
    r"(.*[_ #-])?(id|ids|idx|index|uuid|guid|url|uri|link|date|time|timestamp|created|unnamed.*)", re.I
)


@dataclass(frozen=True)
class Doubt:
    """A question about a guess: what may be answered, each with what it means, and what was taken."""

    key: str
    question: str
    choices: Mapping[str, str]
    taken: str


class Table:
    """The columns by what they may be, the likeliest first, and the doubts of the rules about them."""

    def __init__(self, columns: Sequence[Column], told: Mapping[str, str]) -> None:
        self.told = told
        self.columns = [column for column in columns if column.kind != "empty"]
        self._doubts: dict[str, list[Doubt]] = {}
        usable = [column for column in self.columns if not ID.fullmatch(column.name)]
        labels = sorted(filter(_may_be_label, usable), key=_label_rank)
        texts = [column for column in usable if _may_be_text(column) and column not in labels]
        if not texts and len(labels) > 1:  # short texts that come again and again
            texts = [column for column in [max(labels, key=_median)] if column.kind == "text"]
            labels = [column for column in labels if column not in texts]
        texts.sort(key=lambda column: -_median(column))
        # Where some have a name that says what they are, the others are something else.
        self.texts = [column for column in texts if is_called(column, TEXTS)] or texts
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


def is_called(column: Column, names: set[str]) -> bool:
    return column.name.lower().split(".")[-1] in names


def _may_be_text(column: Column) -> bool:
    if column.kind != "text" or not column.lengths:
        return False
    return column.distinct > max(2, column.filled // 2) or _median(column) > 4 or is_called(column, TEXTS)


def _may_be_label(column: Column) -> bool:
    if column.kind not in ("text", "whole", "truth") or not column.counts:
        return False
    return (
        column.distinct <= max(2, column.filled // 2)
        and _median(column) <= 6
        and not is_called(column, TEXTS)
    )


def _label_rank(column: Column) -> tuple[object, ...]:
    """Called a label, with more than one value, named in words rather than numbers, with few of them."""
    return (not _is_like(column), column.distinct < 2, column.kind != "text", column.distinct)


def _is_like(column: Column) -> bool:
    """Whether the name says that there are labels in a column."""
    return bool(LABELS & set(re.split(r"[\W_]+", column.name.lower())))


def _median(column: Column) -> int:
    return column.lengths.median if column.lengths else 1


def _counted(name: str) -> str:
    """A name without the number or the last letter that tells it from another one; "" where it has none."""
    bare = re.sub(r"[12]|(?<=[_ -])[abAB]$", "", name, count=1)
    return bare if bare != name else ""
