"""The checkpoint between tokenizing and training: what the model will read is what was written.

The shards are memory-mapped and read in stretches, so their size does not matter.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from expectations.judgement import Demands, Rule, Share
from expectations.statistics import Statistics, parquet

SPLITS = ("train", "validation", "test")
STRETCH = 1 << 22  # tokens, or documents, looked at in one go


class TokenDemands(Demands):
    """The thresholds of the checkpoint after tokenizing."""

    max_unknown_share: Share = Field(0.001, description="most tokens that stand for something unknown")
    characters_per_token: tuple[float, float] = Field(
        (0.8, 12.0), description="lowest and highest mean length of a token in characters"
    )
    max_evaluation_overlap: int = Field(
        0, ge=0, description="most documents that share an n-gram with the evaluation sets"
    )

    @model_validator(mode="after")
    def _ranges(self) -> TokenDemands:
        lowest, highest = self.characters_per_token
        if lowest > highest:
            raise ValueError(f"characters_per_token: {lowest} to {highest} is an empty range")
        return self

    def rules(self) -> list[Rule]:
        """The rules, in the order in which they are reported."""
        return list(_rules(self))


@dataclass(frozen=True, slots=True)
class TokenizerIds:
    """What a tokenizer puts around every text, and its other ids that matter.

    `before` and `after` are the ids of the special tokens at both ends of a document; `unknown` is None
    when the tokenizer knows every text.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]
    unknown: int | None
    vocabulary: int


def read_tokenizer_ids(tokenizer: Path) -> TokenizerIds:
    """Find out from `tokenizer.json` how it frames a text.

    Raises:
        OSError: there is no such file.
    """
    from tokenizers import Tokenizer

    text = tokenizer.read_text(encoding="utf-8")
    loaded: Any = Tokenizer.from_str(text)
    loaded.no_padding()
    loaded.no_truncation()
    plain = loaded.encode("a", add_special_tokens=False).ids
    framed = loaded.encode("a", add_special_tokens=True).ids
    start = next(i for i in range(len(framed)) if framed[i : i + len(plain)] == plain)
    model = json.loads(text)["model"]
    unknown = model.get("unk_token")
    unknown = model.get("unk_id") if unknown is None else loaded.token_to_id(unknown)
    return TokenizerIds(
        tuple(framed[:start]), tuple(framed[start + len(plain) :]), unknown, loaded.get_vocab_size()
    )


@dataclass(slots=True)
class ShardFigures:
    """What was counted in the shards of one or more splits."""

    tokens: int = 0
    documents: int = 0
    foreign_ids: int = 0
    unknown: int = 0
    broken_boundaries: int = 0
    unframed: int = 0

    def __iadd__(self, other: ShardFigures) -> ShardFigures:
        for name in self.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self


def open_shard(directory: Path, split: str) -> tuple[Any, Any]:
    """Memory maps of a split: the ids of its documents end to end, and the offsets[documents + 1].

    Raises:
        OSError: a file is missing.
    """
    import numpy as np

    def mapped(path: Path, dtype: str) -> Any:
        # An empty file can't be mapped.
        return np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.zeros(0, dtype)

    description = json.loads((directory / f"{split}.json").read_text(encoding="utf-8"))
    return mapped(directory / f"{split}.bin", description["dtype"]), mapped(
        directory / f"{split}.offsets", "<i8"
    )


def count_shard(tokens: Any, offsets: Any, tokenizer: TokenizerIds) -> ShardFigures:
    """Look at all tokens and all document boundaries of a split.

    Args:
        tokens: unsigned integers[n], the ids of all documents one after the other.
        offsets: integers[documents + 1], where each document starts, and the end of the last one.
        tokenizer: the one that wrote them.
    """
    import numpy as np

    figures = ShardFigures(tokens=len(tokens), documents=max(0, len(offsets) - 1))
    for start in range(0, len(tokens), STRETCH):
        stretch = np.asarray(tokens[start : start + STRETCH])
        figures.foreign_ids += int(np.count_nonzero(stretch >= tokenizer.vocabulary))
        if tokenizer.unknown is not None:
            figures.unknown += int(np.count_nonzero(stretch == tokenizer.unknown))
    if not len(offsets) or offsets[0] != 0 or offsets[-1] != len(tokens):
        figures.broken_boundaries += 1
    around = len(tokenizer.before) + len(tokenizer.after)
    for first in range(0, figures.documents, STRETCH):
        edges = np.asarray(offsets[first : first + STRETCH + 1], dtype=np.int64)
        starts, ends = edges[:-1], edges[1:]
        figures.broken_boundaries += int(np.count_nonzero(ends <= starts))
        sound = (starts >= 0) & (starts + around <= ends) & (ends <= len(tokens))
        framed = sound.copy()
        for place, id in enumerate(tokenizer.before):
            framed[sound] &= tokens[starts[sound] + place] == id
        for place, id in enumerate(reversed(tokenizer.after), start=1):
            framed[sound] &= tokens[ends[sound] - place] == id
        figures.unframed += len(starts) - int(np.count_nonzero(framed))
    return figures


def open_tokens(cleaned: Path, tokens: Path, spill: Path) -> Statistics:
    """The kept documents as `documents` (id, uri, characters) and their division as `splits` (id, split).

    Args:
        cleaned: the artifact of the clean stage.
        tokens: that of the tokenize stage.
        spill: as in `Statistics`.

    Raises:
        duckdb.Error: a file is unreadable or lacks a column.
        FileNotFoundError: one is missing.
    """
    return Statistics(
        spill,
        [
            "CREATE VIEW documents AS SELECT id, uri, characters "
            f"FROM {parquet(cleaned / 'statistics')} WHERE filter IS NULL",
            f"CREATE VIEW splits AS SELECT id, split FROM {parquet(tokens, 'splits.parquet')}",
        ],
    )


def shard_figures(shards: ShardFigures, statistics: Statistics) -> dict[str, float]:
    """The figures of the rules that look into the shards, summed over all splits."""
    kept, characters = statistics.rows("SELECT count(*), coalesce(sum(characters), 0) FROM documents")[0]
    return {
        "foreign_ids": shards.foreign_ids,
        "unknown_share": shards.unknown / max(1, shards.tokens),
        "boundaries": shards.broken_boundaries,
        "unframed": shards.unframed,
        "characters_per_token": float(characters) / max(1, shards.tokens),
        "missing_documents": abs(kept - shards.documents),
    }


def _rules(demands: TokenDemands) -> Iterator[Rule]:
    again = "tokenize again: the shards were changed"
    lowest, highest = demands.characters_per_token
    yield Rule("foreign_ids", "token ids outside the vocabulary", maximum=0, advice=again)
    yield Rule(
        "unknown_share",
        "share of tokens that stand for something unknown",
        maximum=demands.max_unknown_share,
        advice="take a byte-level tokenizer, a larger vocabulary, or raise max_unknown_share",
    )
    yield Rule("boundaries", "document boundaries that are out of order", maximum=0, advice=again)
    yield Rule(
        "unframed",
        "documents without the special tokens at their start and end",
        maximum=0,
        advice="tokenize again; with a tokenizer of your own, check its template (post_processor)",
    )
    yield Rule(
        "characters_per_token",
        "characters per token",
        minimum=lowest,
        maximum=highest,
        advice="is the vocabulary made for these languages? or set characters_per_token",
    )
    yield Rule("missing_documents", "kept documents that are in no shard", maximum=0, advice=again)
    yield Rule(
        "undivided",
        "kept documents without a split",
        maximum=0,
        advice=again,
        aggregate="(SELECT count(*) FROM documents ANTI JOIN splits USING (id))",
        failing="id NOT IN (SELECT id FROM splits)",
    )
    yield Rule(
        "in_two_splits",
        "documents in more than one split",
        maximum=0,
        advice=again,
        aggregate="(SELECT count(*) - count(DISTINCT id) FROM splits)",
        failing="id IN (SELECT id FROM splits GROUP BY id HAVING count(*) > 1)",
    )
    yield Rule(
        "evaluation_overlap",
        "documents that share an n-gram with the evaluation sets",
        maximum=demands.max_evaluation_overlap,
        advice="clean again: decontamination drops these, so documents or evaluation sets were changed",
    )
