"""The kernel of cleaning: one pure function of a batch, which any engine can distribute.

Each row's result depends on that row and the config alone, so the way in which documents
were cut into batches never shows.
"""

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tasks.cleaning.config import CleanConfig
from tasks.cleaning.language import UNKNOWN, language_of
from tasks.cleaning.repair import repair
from tasks.cleaning.rules import first_failure
from tasks.cleaning.words import shingles, units
from tasks.documents import document_id

PERMUTATIONS = 128
CLEANED = pa.schema(
    [
        ("id", pa.string()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("dropped_by", pa.string()),  # null: passed all filters
        ("value", pa.string()),  # what the filter measured
        ("collected_bytes", pa.int64()),  # UTF-8 size before repair
        ("signature", pa.binary(4 * PERMUTATIONS)),  # MinHash, little-endian uint32; null when dropped
    ]
)


def clean_batch(batch: pa.RecordBatch, rules: CleanConfig) -> pa.RecordBatch:
    """Repair, identify and filter the documents of `batch`; same rows, same order, columns of `CLEANED`.

    Filters run in the order of `rules.RULES`, then `language`, then `repeated_phrases`.
    """
    texts = [repair(text) for text in batch["text"].to_pylist()]
    languages = [language_of(text, rules.languages) for text in texts]
    failures = [
        first_failure(text, rules) or (("language", language) if language == UNKNOWN else None)
        for text, language in zip(texts, languages, strict=True)
    ]
    signatures: list[bytes | None] = [None] * len(texts)
    passed = [row for row, failure in enumerate(failures) if failure is None]
    windows = shingles([units(texts[row]) for row in passed])
    distinct = [np.unique(hashes) for hashes in windows]
    for row, all_of_it, once, signature in zip(
        passed, windows, distinct, minhash(distinct, rules.seed), strict=True
    ):
        repeated = round(1 - len(once) / max(len(all_of_it), 1), 4)
        if repeated > rules.max_repeated_phrases:
            failures[row] = ("repeated_phrases", repeated)
        else:
            signatures[row] = signature.tobytes()
    columns = [
        [document_id(text) for text in texts],
        texts,
        languages,
        [failure and failure[0] for failure in failures],
        [failure and str(failure[1]) for failure in failures],
        pc.binary_length(batch["text"]),
        signatures,
    ]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, CLEANED, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=CLEANED)


def minhash(shingle_sets: list[npt.NDArray[np.uint64]], seed: int) -> npt.NDArray[np.uint32]:
    """MinHash signatures [n, 128] of sets of 64-bit hashes (Broder 1997), with rensa's permutations."""
    from rensa import RMinHash

    if not shingle_sets:
        return np.empty((0, PERMUTATIONS), np.uint32)
    offsets = np.concatenate([[0], np.cumsum([len(hashes) for hashes in shingle_sets])]).astype(np.uint64)
    flat = np.concatenate(shingle_sets)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(flat, offsets, PERMUTATIONS, seed)
    return np.array(matrix.to_rows(), dtype="<u4")
