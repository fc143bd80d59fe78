"""The division of a corpus into training, validation and test documents."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.documents import read_documents
from corpus.errors import CorpusError
from corpus.tokenizing.config import TokenizeConfig

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class SplitOfDocuments:
    """Which split each document belongs to: per batch of `read_documents`, a byte per document."""

    documents: Path
    codes: Sequence[npt.NDArray[np.uint8]]

    def sizes(self) -> dict[Split, int]:
        """Documents per split."""
        counts = sum((np.bincount(batch, minlength=len(SPLITS)) for batch in self.codes), np.zeros(3, int))
        return {split: int(count) for split, count in zip(SPLITS, counts, strict=True)}

    def batches(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, npt.NDArray[np.uint8]]]:
        """Batches of documents with their codes, indices into `SPLITS`."""
        return zip(read_documents(self.documents, columns), self.codes, strict=True)


def split_codes(groups: Sequence[str], config: TokenizeConfig) -> npt.NDArray[np.uint8]:
    """The indices into `SPLITS` of groups: a pure function of name and seed, so the same next month."""
    seed = f"{config.seed}:"
    digests = b"".join([blake2b((seed + group).encode(), digest_size=8).digest() for group in groups])
    position = np.frombuffer(digests, ">u8") / 2**64
    held_out = np.where(position < config.test, SPLITS.index("test"), SPLITS.index("validation"))
    return np.where(position < config.test + config.validation, held_out, 0).astype(np.uint8)


def divide(documents: Path, config: TokenizeConfig, written: Path) -> SplitOfDocuments:
    """Divide the documents of a folder of shards and write `written`, Parquet of (id, collected_id, split).

    Its rows are in the order of the documents: the n-th row of a split is the n-th document of its tokens.

    Raises:
        CorpusError: a split stays empty, or documents lack the key to group by.
    """
    ids = ["id", "collected_id"]
    schema = pa.schema([*((name, pa.string()) for name in ids), ("split", pa.string())])
    names = pa.array(SPLITS, pa.string())
    codes = []
    with pq.ParquetWriter(written, schema, compression="zstd") as writer:
        for batch in read_documents(documents, [*ids, "meta"] if config.group_by else ids):
            codes.append(split_codes(_groups(batch, config.group_by), config))
            splits = names.take(pa.array(codes[-1]))
            writer.write_batch(pa.record_batch([*(batch[name] for name in ids), splits], schema=schema))
    division = SplitOfDocuments(documents, codes)
    sizes = division.sizes()
    if empty := [split for split, size in sizes.items() if not size]:
        raise CorpusError(
            f"tokenize: no document falls into {empty[0]} ({sum(sizes.values())} documents); collect more "
            "text, change tokenize.seed, or raise the held-out shares"
        )
    return division


def _groups(batch: pa.RecordBatch, key: str) -> list[str]:
    ids: list[str] = batch["id"].to_pylist()
    if not key:
        return ids
    groups = []
    for id, meta in zip(ids, batch["meta"].to_pylist(), strict=True):
        fields = json.loads(meta)
        if key not in fields:
            raise CorpusError(
                f"tokenize: document {id} has no {key!r} in its meta to group by (it has "
                f"{', '.join(sorted(fields)) or 'none'}); correct tokenize.group_by in the recipe"
            )
        groups.append(str(fields[key]))
    return groups
