"""What a tokenizer makes of each language and source: tokens per word, characters per token."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.documents import read_documents

COUNTS = ("documents", "bytes", "characters", "words", "tokens", "unknown")
_KEYS = ["language", "source"]


Integers = npt.NDArray[np.integer]


def words_of(statistics: Path) -> Integers:
    """Words of each document that cleaning kept, int32 [documents], in their order.

    Cleaning has counted them: a run of letters and digits, or a single character where a script has no
    spaces. To count again would take compiled code, which loads for as long as 50 MB take to encode.

    Raises:
        SourceError: there are no statistics in this folder.
    """
    counted = [
        batch["words"].filter(pc.is_null(batch["filter"]))
        for batch in read_documents(statistics, ["filter", "words"])
    ]
    words: Integers = pa.chunked_array(counted, pa.int32()).to_numpy()
    return words


class Fertility:
    """Sums over documents, per language and source. Tokens are without the special ones around a text."""

    def __init__(self) -> None:
        """Nothing counted yet."""
        self._sums: list[pa.Table] = []

    def add(self, documents: pa.RecordBatch, words: Integers, tokens: Integers, unknown: Integers) -> None:
        """Count a batch of n documents by their words, tokens and unknown tokens, each [n]."""
        texts = documents["text"]
        columns = {
            "language": pc.fill_null(documents["language"], "und"),
            "source": documents["source"],
            "documents": np.ones(len(texts), np.int64),
            "bytes": pc.cast(pc.binary_length(texts), pa.int64()),
            "characters": pc.cast(pc.utf8_length(texts), pa.int64()),
            "words": words,
            "tokens": tokens,
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
