"""The kernel of cleaning: one pure function of an Arrow batch, which any engine can distribute.

A row's result depends on that row, the config and what was counted beforehand (shared lines, the
evaluation sets), so the way in which documents were cut into batches never shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.cleaning.config import ANY, CleanConfig, PersonalData
from corpus.cleaning.duplicates.decontamination import Hashes, Index
from corpus.cleaning.duplicates.minhash import signatures
from corpus.cleaning.filters import boilerplate
from corpus.cleaning.filters.first_failure import first_failures
from corpus.cleaning.filters.word_lists import WordLists
from corpus.cleaning.personal_data import masking
from corpus.cleaning.text.language import UNKNOWN, languages_of
from corpus.cleaning.text.repair import repair_batch
from corpus.cleaning.text.text_units import unit_hashes
from corpus.documents import CLEANED_SCHEMA, SCHEMA, document_id

MASKED, WORD_LIST = "masked_", "words_"

Offsets = npt.NDArray[np.int64]
Int32s = npt.NDArray[np.int32]


class Kernel:
    """Everything that cleaning does with each document by itself.

    Args:
        config: of the cleaning.
        lines: lines that many documents of a source share; None: every line stays.
        evaluation: what no document may have a run of words of; None: nothing.
    """

    def __init__(
        self, config: CleanConfig, lines: boilerplate.LineTable | None, evaluation: Index | None
    ) -> None:
        self.config, self.lines, self.evaluation = config, lines, evaluation
        self.word_lists = WordLists(config.word_lists)
        self.schema = cleaned_schema(config, self.word_lists.names)

    def clean(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, npt.NDArray[np.uint32]]:
        """Repair, mask, measure and judge the documents of `batch`, which has `corpus.documents.SCHEMA`.

        Returns:
            The same rows in the same order in `self.schema`, `filter` being null for those that stay; and
            the MinHash signatures of these, uint32[stay, permutations].
        """
        texts, removed = batch["text"], np.zeros(batch.num_rows, np.int32)
        if self.lines is not None:
            texts, removed = boilerplate.remove(texts, batch["source"], self.lines)
        texts, masked = repaired_and_masked(texts, self.config)
        languages = languages_of(texts, self.config.languages)
        hashes, offsets = unit_hashes(texts)
        words = np.diff(offsets)
        listed = self.word_lists.count(hashes, offsets)

        verdicts = _Dropped(batch.num_rows)
        verdicts.drop("empty", np.flatnonzero(words == 0).tolist(), "0")
        if self.config.languages != ANY:
            unknown = [row for row, language in enumerate(languages) if language == UNKNOWN]
            verdicts.drop("language", unknown, UNKNOWN)
        rows = verdicts.left
        chosen = [languages[row] for row in rows]
        verdicts.judge(rows, *first_failures(_rows(texts, rows), chosen, self.config.filters))
        verdicts.judge(range(batch.num_rows), *self.word_lists.failures(listed, words))
        contamination = self._decontaminate(texts, hashes, offsets, verdicts)

        columns = {name: batch[name] for name in SCHEMA.names} | {
            "id": _ids(texts, batch),
            "collected_id": batch["id"],
            "text": texts,
            "language": languages,
            "collected_bytes": pc.binary_length(batch["text"]),
            "characters": pc.utf8_length(texts),
            "words": words,
            "bytes": pc.binary_length(texts),
            "removed_lines": removed,
            "personal_data": np.sum([*masked.values(), np.zeros(batch.num_rows)], axis=0, dtype=np.int32),
            **{MASKED + kind: counts for kind, counts in masked.items()},
            **{WORD_LIST + name: counts for name, counts in listed.items()},
            **contamination,
            "filter": verdicts.filters,
            "value": verdicts.values,
        }
        cleaned = pa.RecordBatch.from_arrays(
            [_array(columns[field.name], field.type) for field in self.schema], schema=self.schema
        )
        return cleaned, signatures(*_units_of(hashes, offsets, verdicts.left), self.config.duplicates)

    def _decontaminate(
        self, texts: pa.StringArray, hashes: Hashes, offsets: Offsets, verdicts: _Dropped
    ) -> dict[str, list[str | None]]:
        """Drop what matches an evaluation text; the columns that say which text, and by which words."""
        uris: list[str | None] = [None] * len(texts)
        runs: list[str | None] = [None] * len(texts)
        if self.evaluation is not None:
            rows = verdicts.left
            units = _units_of(hashes, offsets, rows)
            matched, ngrams = self.evaluation.matches(_rows(texts, rows), units)
            for row, number, ngram in zip(rows, matched.tolist(), ngrams, strict=True):
                if ngram is not None:
                    uris[row], runs[row] = self.evaluation.uris[number], ngram
                    verdicts.drop("contaminated", [row], ngram)
        return {"evaluation_uri": uris, "ngram": runs}


class _Dropped:
    """Per row the first filter that drops it, and what that filter found."""

    def __init__(self, rows: int) -> None:
        self.filters: list[str | None] = [None] * rows
        self.values: list[str | None] = [None] * rows

    @property
    def left(self) -> list[int]:
        """Rows that nothing has dropped so far."""
        return [row for row, name in enumerate(self.filters) if name is None]

    def drop(self, name: str, rows: Iterable[int], value: str) -> None:
        for row in rows:
            if self.filters[row] is None:
                self.filters[row], self.values[row] = name, value

    def judge(
        self, rows: Sequence[int], names: Sequence[str | None], values: npt.NDArray[np.float64]
    ) -> None:
        """Drop each of `rows` that has a name, with the value that was measured."""
        for row, name, value in zip(rows, names, values.tolist(), strict=True):
            if name is not None:
                self.drop(name, [row], f"{value:.4f}".rstrip("0").rstrip("."))


def repaired_and_masked(
    texts: pa.StringArray, config: CleanConfig
) -> tuple[pa.StringArray, Mapping[PersonalData, Int32s]]:
    """Texts as they are compared, judged and written, and how many values of each kind were masked.

    Evaluation texts go through it too, or they would not be found where something in them was masked.
    """
    return masking.mask(repair_batch(texts, config.repair), config.personal_data)


def cleaned_schema(config: CleanConfig, word_lists: Sequence[str]) -> pa.Schema:
    """The columns of a cleaned document: those of a document, its statistics, and the verdict."""
    counted = ["collected_bytes", "characters", "words", "bytes", "removed_lines", "personal_data"]
    counted += [MASKED + kind for kind in config.personal_data.mask]
    counted += [WORD_LIST + name for name in word_lists]
    said = ["evaluation_uri", "ngram", "value", "filter"]
    return pa.schema(
        [*CLEANED_SCHEMA, *((name, pa.int32()) for name in counted), *((name, pa.string()) for name in said)]
    )


def _ids(texts: pa.StringArray, batch: pa.RecordBatch) -> pa.Array:
    """The ids of `texts`; where cleaning changed nothing it is the one that the document came with."""
    changed = pc.not_equal(texts, batch["text"])
    return pc.replace_with_mask(
        batch["id"], changed, pa.array(map(document_id, texts.filter(changed).to_pylist()), pa.string())
    )


def _units_of(hashes: Hashes, offsets: Offsets, rows: list[int]) -> tuple[Hashes, Offsets]:
    """The units of some of the texts, ascending."""
    lengths = np.diff(offsets)
    chosen = np.zeros(len(lengths), np.bool_)
    chosen[rows] = True
    bounds = np.concatenate([[0], np.cumsum(lengths[chosen])]).astype(np.int64)
    return hashes[np.repeat(chosen, lengths)], bounds


def _rows(texts: pa.StringArray, rows: Sequence[int]) -> pa.StringArray:
    return texts if len(rows) == len(texts) else texts.take(pa.array(rows, pa.int64()))


def _array(values: object, kind: pa.DataType) -> pa.Array:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)
