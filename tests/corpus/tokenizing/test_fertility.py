from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from corpus.tokenizing.fertility import Fertility, words_of


def test_sums_per_language_and_source_do_not_depend_on_batches() -> None:
    rows = [
        ("two words", "en", "b", 2, 4, 0),
        ("两个词", "zh", "a", 3, 3, 1),
        ("three more words", "en", "b", 3, 6, 0),
        ("", None, "a", 0, 0, 0),
        ("one", "en", "a", 1, 1, 0),
    ]
    tables = []
    for cuts in ([0, 5], [0, 1, 3, 5]):
        fertility = Fertility()
        for first, last in pairwise(cuts):
            texts, languages, sources, *counts = zip(*rows[first:last], strict=True)
            batch = pa.record_batch(
                [pa.array(texts), pa.array(languages, pa.string()), pa.array(sources)],
                names=["text", "language", "source"],
            )
            fertility.add(batch, *map(np.array, counts))
        tables.append(fertility.table().to_pylist())
    assert tables[0] == tables[1]
    found = {(row["language"], row["source"]): row for row in tables[0]}
    assert list(found) == [("en", "a"), ("en", "b"), ("und", "a"), ("zh", "a")]
    assert found["en", "b"] == {
        "language": "en",
        "source": "b",
        "documents": 2,
        "bytes": 25,
        "characters": 25,
        "words": 5,
        "tokens": 10,
        "unknown": 0,
        "tokens_per_word": 2.0,
        "characters_per_token": 2.5,
    }
    assert (found["zh", "a"]["words"], found["zh", "a"]["bytes"], found["zh", "a"]["unknown"]) == (3, 9, 1)
    assert found["und", "a"]["tokens_per_word"] is None


def test_words_are_those_of_the_documents_that_cleaning_kept(tmp_path: Path) -> None:
    for part, (filters, words) in enumerate([([None, "empty", None], [5, 0, 7]), ([], []), ([None], [2])]):
        table = pa.table({"filter": pa.array(filters, pa.string()), "words": pa.array(words, pa.int32())})
        pq.write_table(table, tmp_path / f"part-{part:05}.parquet")
    assert words_of(tmp_path).tolist() == [5, 7, 2]
