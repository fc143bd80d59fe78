"""Parquet documents to packed token shards, one split beside the other, in one pass."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from corpus.tokenizing.document_splits import SPLITS, Split, SplitOfDocuments
from corpus.tokenizing.encoding import Encoder
from corpus.tokenizing.fertility import Fertility, Integers

if TYPE_CHECKING:
    from model_code.data.shards import SplitInfo


@dataclass(frozen=True)
class SpecialIds:
    """Ids that surround every document, and the one for what a tokenizer can't write (None: it can)."""

    begin: tuple[int, ...]
    end: tuple[int, ...]
    unknown: int | None


def pack(
    division: SplitOfDocuments,
    words: Integers,
    encoder: Encoder,
    special: SpecialIds,
    vocab_size: int,
    directory: Path,
    advance: Callable[[float], None],
) -> tuple[dict[Split, SplitInfo], Fertility]:
    """Encode every document and write it to its split below `directory`.

    `words` [documents] are those of each document (`fertility.words_of`).

    Raises:
        EncodingDiffers: the fast encoder was wrong; what was written is no split.
    """
    from model_code.data.shards import SplitWriter

    fertility, done = Fertility(), 0
    with ExitStack() as stack:
        writers = [
            stack.enter_context(SplitWriter(directory, split, vocab_size, special.begin, special.end))
            for split in SPLITS
        ]
        for documents, codes in division.batches(["text", "language", "source"]):
            ids, lengths = encoder.encode(documents["text"])
            encoded = pa.LargeListArray.from_arrays(np.concatenate([[0], np.cumsum(lengths)]), ids)
            for code, writer in enumerate(writers):
                own = codes == code
                writer.write(encoded.filter(pa.array(own)).flatten().to_numpy(), lengths[own])
            unknown = _unknown(ids, lengths, special.unknown)
            fertility.add(documents, words[done : done + len(codes)], lengths, unknown)
            done += len(codes)
            advance(done)
    return {split: writer.info for split, writer in zip(SPLITS, writers, strict=True)}, fertility


def _unknown(ids: np.ndarray, lengths: np.ndarray, unknown: int | None) -> np.ndarray:
    """How many unknown tokens each document has, int64 [n]."""
    found = np.flatnonzero(ids == unknown) if unknown is not None else np.zeros(0, np.int64)
    documents = np.searchsorted(np.cumsum(lengths), found, side="right")
    return np.bincount(documents, minlength=len(lengths)).astype(np.int64)
