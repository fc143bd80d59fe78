"""`textmill corpus show`: read kept and dropped documents side by side, to tune thresholds by reading."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from corpus.cleaning.filters.rule_sets import rules_of
from flows.last_corpus import LastCorpus, query, shards
from tasks.contract.errors import RecipeError

NARROW = 100  # columns; below, documents come one after the other
DUPLICATES = ("exact_duplicate", "near_duplicate")
COLUMNS = "id, collected_id, uri, source, language, length(text) AS characters, text"
# What a terminal would act upon is shown as what it is.
_CONTROLS = {code: chr(0x2400 + code) for code in range(32) if code not in (9, 10)} | {
    0x7F: "\u2421",
    **dict.fromkeys(range(0x80, 0xA0), "\N{REPLACEMENT CHARACTER}"),
    **dict.fromkeys((*range(0x202A, 0x202F), *range(0x2066, 0x206A)), ""),
}

ShownDocument = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Selection:
    """Which documents to show: `count` a page, in an order that `seed` shuffles.

    `dropped` is the filter that dropped them (None: any), `kept_only` leaves the dropped ones out.
    """

    dropped: str | None = None
    kept_only: bool = False
    source: str | None = None
    language: str | None = None
    search: str | None = None
    page: int = 1
    count: int = 5
    seed: int = 0
    characters: int = 800


class _Listing(NamedTuple):
    """Some documents, and how many there are on all pages."""

    rows: Sequence[ShownDocument] = ()
    total: int = 0


def show(corpus: LastCorpus, selection: Selection, console: Console) -> None:
    """Print one page: kept documents on the left, dropped ones on the right.

    A duplicate has the document that was kept in its stead beside it.

    Raises:
        RecipeError: there is no such filter.
        StageError: the files of the corpus can't be read.
    """
    _check_filter(corpus, selection.dropped)
    limits = _Limits(corpus.config)
    left: list[RenderableType | None]
    kept, dropped = _Listing(), _Listing()
    if not selection.kept_only:
        dropped = _page(corpus, "dropped", selection)
    if selection.dropped in DUPLICATES:
        instead = _kept_instead(corpus, dropped.rows)
        left = [_kept(row, selection) if row else None for row in instead]
    else:
        kept = _page(corpus, "documents", selection)
        left = [_kept(row, selection) for row in kept.rows]
    right = [_dropped(row, limits, selection) for row in dropped.rows]
    for piece in _layout(list(zip_longest(left, right)), console.width):
        console.print(piece, soft_wrap=False)
    reason = f"dropped by {selection.dropped}" if selection.dropped else "dropped"
    counts = [f"{kept.total:,} kept"] * (selection.dropped not in DUPLICATES)
    counts += [f"{dropped.total:,} {reason}"] * (not selection.kept_only)
    pages = max(1, -(-max(kept.total, dropped.total) // selection.count))
    console.print(f"page {selection.page} of {pages:,}: {', '.join(counts)}", style="dim")


def _check_filter(corpus: LastCorpus, name: str | None) -> None:
    if name is not None and not corpus.dropped.get(name):
        found = sorted(((n, key) for key, n in corpus.dropped.items() if n), reverse=True)
        listed = ", ".join(f"{key} ({n:,})" for n, key in found)
        nothing = "dropped nothing" if name in corpus.dropped else "is no filter of this corpus"
        raise RecipeError(f"corpus show: {name!r} {nothing}; these dropped something: {listed or 'none'}")


def _page(corpus: LastCorpus, folder: str, selection: Selection) -> _Listing:
    demands = {
        "source": "source = $source",
        "language": "language = $language",
        "search": "contains(lower(text), lower($search))",
    }
    asked = {name: getattr(selection, name) for name in demands if getattr(selection, name) is not None}
    where = [demands[name] for name in asked]
    if folder == "dropped" and selection.dropped is not None:
        where.append("filter = $filter")
        asked["filter"] = selection.dropped
    chosen = f"FROM read_parquet($shards) WHERE {' AND '.join(where) or 'true'}"
    asked["shards"] = shards(corpus.cleaned / folder)
    total = query(f"SELECT count(*) AS n {chosen}", asked)[0]["n"]
    order = f"ORDER BY hash(id || uri || '{selection.seed:d}'), id, uri"
    place = f"LIMIT {selection.count:d} OFFSET {(selection.page - 1) * selection.count:d}"
    # Texts are read for one page of documents, not for all that are put in order.
    wanted = query(f"SELECT id, uri {chosen} {order} {place}", asked)
    found = {(row["id"], row["uri"]): row for row in _by_id(corpus, folder, [row["id"] for row in wanted])}
    return _Listing([found[row["id"], row["uri"]] for row in wanted], total)


def _by_id(corpus: LastCorpus, folder: str, ids: Sequence[str]) -> list[ShownDocument]:
    columns = COLUMNS + (", filter, value, duplicate_of" if folder == "dropped" else "")
    names = {f"id{number}": id for number, id in enumerate(ids)}
    among = f"id IN ({', '.join('$' + name for name in names) or 'NULL'})"
    asked = {**names, "shards": shards(corpus.cleaned / folder)}
    return [*query(f"SELECT {columns} FROM read_parquet($shards) WHERE {among}", asked)]


def _kept_instead(corpus: LastCorpus, dropped: Sequence[ShownDocument]) -> list[ShownDocument | None]:
    """The documents that dropped duplicates were dropped for, each beside its duplicate."""
    ids = [row["duplicate_of"] for row in dropped]
    found: dict[str, ShownDocument] = {}
    for folder in ("dropped", "documents"):  # the kept one may have been left out of the mixture later
        found |= {row["id"]: row for row in _by_id(corpus, folder, ids)}
    return [found.get(id) for id in ids]


class _Limits:
    """What each filter demanded, in words."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        filters = config.get("filters", {})
        self.rules = {
            rule.name: rule for rule in rules_of(filters.get("sets", ()), filters.get("thresholds", {}))
        }
        self.near = config.get("duplicates", {}).get("near")

    def of(self, row: ShownDocument) -> str:
        """The limit that a dropped document missed; empty where there is no number."""
        if rule := self.rules.get(row["filter"]):
            at = "at least" if rule.bound == ">=" else "at most"
            return f", demanded {at} {rule.threshold(row['language'] or ''):g}"
        return f", dropped from {self.near:g} on" if row["filter"] == "near_duplicate" and self.near else ""


def _kept(row: ShownDocument, selection: Selection) -> RenderableType:
    return Group(Text("kept", style="bold green"), *_document(row, selection))


def _dropped(row: ShownDocument, limits: _Limits, selection: Selection) -> RenderableType:
    reason = Text(f"dropped by {row['filter']}", style="bold red")
    value = Text(f"{_visible(str(row['value']))}{limits.of(row)}", style="red")
    return Group(Text.assemble(reason, ": ", value), *_document(row, selection))


def _document(row: ShownDocument, selection: Selection) -> list[Text]:
    """A document's address and ids, what is known of it, and its text as far as there is room."""
    about = f"{row['source']} · {row['language'] or 'und'} · {row['characters']:,} characters"
    ids = f"id {row['id']}"
    if row["collected_id"] != row["id"]:
        ids += f", collected as {row['collected_id']}"
    text = _visible(row["text"])
    first = text.lower().find(selection.search.lower()) if selection.search else -1
    start = max(0, first - selection.characters // 2)
    end = start + selection.characters
    shown = Text(("… " if start else "") + text[start:end].strip("\n"))
    if selection.search:
        shown.highlight_words([selection.search], "reverse", case_sensitive=False)
    if len(text) > end:
        shown.append(f" … {len(text) - end:,} more", style="dim")
    known = Text(f"{about}\n{ids}", style="dim")
    return [Text(_visible(row["uri"]), style="cyan", overflow="fold"), known, shown]


def _visible(text: str) -> str:
    return text.translate(_CONTROLS)


def _layout(
    pairs: Sequence[tuple[RenderableType | None, RenderableType | None]], width: int
) -> Iterator[RenderableType]:
    if width < NARROW or not all(any(column) for column in zip(*pairs, strict=True)):
        for pair in pairs:
            for document in pair:
                if document is not None:
                    yield document
                    yield Rule(style="dim")
        return
    table = Table.grid(expand=True, padding=(0, 2))
    table.add_column(ratio=1)
    table.add_column(ratio=1)
    for kept, dropped in pairs:
        table.add_row(kept or "", dropped or "")
        table.add_row(Rule(style="dim"), Rule(style="dim"))
    yield table
