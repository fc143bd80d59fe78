"""What a tokenizer makes of each language and source: tokens per word, characters per token."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.cleaning.units import unit_hashes

COUNTS = ("documents", "bytes", "characters", "words", "tokens", "unknown")
_KEYS = ["language", "source"]


class Fertility:
    """Sums over documents, per language and source.

    A word is what cleaning takes for one: a run of letters and digits, or a single character where a script
    has no spaces. Tokens are those of the text, without the special ones around it.
    """

    def __init__(self) -> None:
        """Nothing counted yet."""
        self._sums: list[pa.Table] = []

    def add(
        self, documents: pa.RecordBatch, lengths: npt.NDArray[np.int64], unknown: npt.NDArray[np.int64]
    ) -> None:
        """Count a batch of n documents; `lengths` [n] are their tokens, `unknown` [n] those unknown."""
        texts = documents["text"]
        _, bounds = unit_hashes(texts)
        columns = {
            "language": pc.fill_null(documents["language"], "und"),
            "source": documents["source"],
            "documents": np.ones(len(texts), np.int64),
            "bytes": pc.cast(pc.binary_length(texts), pa.int64()),
            "characters": pc.cast(pc.utf8_length(texts), pa.int64()),
            "words": np.diff(bounds),
            "tokens": lengths,
            "unknown": unknown,
        }
        self._sums.append(_summed(pa.table(columns)))

    def table(self) -> pa.Table:
        """A row per language and source: the sums, `tokens_per_word` and `characters_per_token`."""
        table = _summed(pa.concat_tables(self._sums)).sort_by([(key, "ascending") for key in _KEYS])
        per_word = _ratio(table["tokens"], table["words"])
        per_token = _ratio(table["characters"], table["tokens"])
        return table.append_column("tokens_per_word", per_word).append_column(
            "characters_per_token", per_token
        )


def _summed(table: pa.Table) -> pa.Table:
    summed = table.group_by(_KEYS).aggregate([(count, "sum") for count in COUNTS])
    return summed.rename_columns([name.removesuffix("_sum") for name in summed.column_names]).select(
        [*_KEYS, *COUNTS]
    )


def _ratio(above: pa.ChunkedArray, below: pa.ChunkedArray) -> pa.ChunkedArray:
    """Null where there is nothing to divide by."""
    whole = pc.if_else(pc.equal(below, 0), None, below)
    return pc.divide(pc.cast(above, pa.float64()), pc.cast(whole, pa.float64()))
