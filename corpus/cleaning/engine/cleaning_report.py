"""The report of a cleaning: what became of the documents, by reason, source, language and length.

Each part of the statistics is summed up by its few distinct keys as soon as it is written, and the
report is made of these sums: its cost does not grow with the corpus.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.cleaning.config import CleanConfig
from corpus.cleaning.engine.kernel import MASKED, WORD_LIST
from corpus.cleaning.engine.mixing import rates
from corpus.cleaning.filters.rule_sets import rules_of
from corpus.errors import CorpusError

KEYS = ["filter", "source", "language", "length"]
IDENTITY = ["id", "uri", "license"]


def filters_of(config: CleanConfig) -> list[str]:
    """The names of all filters that are at work, in the order in which they apply."""
    return [
        "empty",
        "language",
        *(rule.name for rule in rules_of(config.filters.sets, config.filters.thresholds)),
        *(WORD_LIST + name for name in sorted(config.word_lists.max_share)),
        "contaminated",
        "exact_duplicate",
        "near_duplicate",
        "mix",
    ]


def summed(statistics: pa.Table) -> pa.Table:
    """`statistics` (a row per document) by filter, source, language and length class: documents and sums.

    A length class is named by its lower bound in characters, a power of two.
    """
    characters = pc.max_element_wise(statistics["characters"], 1)
    length = pc.power(pc.cast(2, pa.int64()), pc.cast(pc.floor(pc.log2(characters)), pa.int64()))
    measured = [name for name in statistics.column_names if name not in (*KEYS, *IDENTITY)]
    table = statistics.drop_columns([name for name in IDENTITY if name in statistics.column_names])
    table = table.append_column("length", length).append_column(
        "documents", pa.array(np.ones(table.num_rows, np.int64))
    )
    return _grouped(table, ["documents", *measured])


def merged(sums: Iterable[pa.Table]) -> pa.Table:
    """The sums of several parts as those of all."""
    table = pa.concat_tables(sums)
    return _grouped(table, [name for name in table.column_names if name not in KEYS])


def make_report(
    sums: pa.Table,
    config: CleanConfig,
    cluster_sizes: Mapping[int, int],
    largest_clusters: Sequence[Mapping[str, Any]],
    collected: int,
) -> dict[str, Any]:
    """What `report.json` holds.

    Args:
        sums: of the statistics of all parts.
        config: of the cleaning.
        cluster_sizes: number of duplicate clusters of each size.
        largest_clusters: id, uri and size of a few of them.
        collected: documents that the input has.

    Raises:
        CorpusError: documents went missing, or came from nowhere.
    """
    reasons = filters_of(config)
    by_filter = _by(sums, "filter", "documents", "collected_bytes")
    kept = sums.filter(pc.is_null(sums["filter"]))
    dropped = {reason: by_filter.get(reason, [0, 0])[0] for reason in reasons}
    documents, lost = _total(kept, "documents"), sum(dropped.values())
    if collected != documents + lost:
        raise CorpusError(
            f"clean: {collected:,} documents were collected, but {documents:,} kept and {lost:,} dropped "
            f"make {documents + lost:,}; this is an error of ours, please report it"
        )
    return {
        "counts": {"collected": collected, "kept": documents, "dropped": dropped},
        "funnel": _funnel(reasons, by_filter, collected),
        "bytes": {"collected": _total(sums, "collected_bytes"), "kept": _total(kept, "bytes")},
        "characters": {"kept": _total(kept, "characters")},
        "languages": {name: count for name, [count] in _by(kept, "language", "documents").items()},
        "lengths": {
            "collected": {str(size): count for size, [count] in _by(sums, "length", "documents").items()},
            "kept": {str(size): count for size, [count] in _by(kept, "length", "documents").items()},
        },
        "duplicate_clusters": {str(size): count for size, count in sorted(cluster_sizes.items())},
        "largest_clusters": list(largest_clusters),
        "personal_data": _totals(sums, MASKED),
        "word_lists": {
            "collected": _totals(sums, WORD_LIST),
            "kept": _totals(kept, WORD_LIST),
        },
        "removed_lines": _total(sums, "removed_lines"),
        "mixing": _mixing(sums, kept, config),
    }


def cluster_sizes(sizes: npt.NDArray[np.integer]) -> dict[int, int]:
    """How many clusters of two or more documents there are of each size.

    Args:
        sizes: of each representative's cluster, itself included.
    """
    found, counts = np.unique(sizes[sizes > 1], return_counts=True)
    return dict(zip(found.tolist(), counts.tolist(), strict=True))


def _funnel(
    reasons: Sequence[str], by_filter: Mapping[Any, list[int]], collected: int
) -> list[dict[str, Any]]:
    funnel, left = [], collected
    for reason in reasons:
        documents, size = by_filter.get(reason, [0, 0])
        left -= documents
        funnel.append({"reason": reason, "documents": documents, "bytes": size, "left": left})
    return funnel


def _mixing(sums: pa.Table, kept: pa.Table, config: CleanConfig) -> list[dict[str, Any]]:
    drawn = sums.filter(pc.or_kleene(pc.is_null(sums["filter"]), pc.equal(sums["filter"], "mix")))
    collected, before = _by(sums, "source", "documents"), _by(drawn, "source", "documents")
    after = _by(kept, "source", "documents", "characters")
    rate = rates({source: before.get(source, [0])[0] for source in collected}, config.mix)
    return [
        {
            "source": source,
            "collected": collected[source][0],
            "clean": before.get(source, [0])[0],
            "rate": round(rate[source], 6),
            "kept": after.get(source, [0, 0])[0],
            "characters": after.get(source, [0, 0])[1],
        }
        for source in sorted(collected)
    ]


def _grouped(table: pa.Table, measured: list[str]) -> pa.Table:
    grouped = table.group_by(KEYS, use_threads=False).aggregate([(name, "sum") for name in measured])
    columns = [*KEYS, *(f"{name}_sum" for name in measured)]
    return grouped.select(columns).rename_columns([*KEYS, *measured])


def _by(sums: pa.Table, key: str, *measured: str) -> dict[Any, list[int]]:
    grouped = sums.group_by(key, use_threads=False).aggregate([(name, "sum") for name in measured])
    columns = [grouped[name].to_pylist() for name in (key, *(f"{name}_sum" for name in measured))]
    rows = sorted(zip(*columns, strict=True), key=lambda row: (row[0] is not None, row[0]))
    return {name: list(values) for name, *values in rows}


def _total(sums: pa.Table, measured: str) -> int:
    return pc.sum(sums[measured]).as_py() or 0


def _totals(sums: pa.Table, prefix: str) -> dict[str, int]:
    names = [name for name in sums.column_names if name.startswith(prefix)]
    return {name.removeprefix(prefix): _total(sums, name) for name in names}
