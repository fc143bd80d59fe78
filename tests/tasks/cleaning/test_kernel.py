"""The kernel: a row's result depends on that row alone, and signatures measure similarity."""

import numpy as np
import pyarrow as pa

from tasks.cleaning.config import CleanConfig
from tasks.cleaning.kernel import CLEANED, clean_batch, minhash
from tasks.cleaning.words import shingles, units
from tasks.documents import document_id

TEXTS = [
    "Return the weighted mean of the values along the given axis, ignoring missing entries.",
    "short",
    "ä¸\xadæ–‡" + "这个耳机的音质非常好，佩戴也很舒服，推荐大家购买。",
    "好看好看好看好看好看好看好看好看好看好看好看好看好看好看",
    "Это русский текст о музыке и о театре большого города.",
]


def cleaned(texts: list[str], rows: int, config: CleanConfig) -> pa.Table:
    table = pa.table({"text": pa.array(texts, pa.string())})
    return pa.Table.from_batches(
        [clean_batch(b, config) for b in table.to_batches(max_chunksize=rows)], CLEANED
    )


def test_batches_do_not_show() -> None:
    tables = [cleaned(TEXTS * 3, rows, CleanConfig()) for rows in (1, 4, 100)]
    assert tables[0].to_pylist() == tables[1].to_pylist() == tables[2].to_pylist()


def test_verdicts_ids_and_sizes() -> None:
    rows = cleaned(TEXTS, 10, CleanConfig()).to_pylist()
    assert [row["dropped_by"] for row in rows] == [None, "too_short", None, "repeated_phrases", "language"]
    assert rows[1]["value"] == "5.0"
    assert rows[4]["value"] == "und"
    assert rows[2]["text"].startswith("中文这个耳机")
    assert [row["id"] for row in rows] == [document_id(row["text"]) for row in rows]
    assert [row["collected_bytes"] for row in rows] == [len(text.encode()) for text in TEXTS]
    assert [row["signature"] is None for row in rows] == [row["dropped_by"] is not None for row in rows]


def test_a_batch_may_be_empty_or_all_dropped() -> None:
    assert clean_batch(pa.record_batch({"text": pa.array([], pa.string())}), CleanConfig()).num_rows == 0
    assert cleaned(["", "?"], 2, CleanConfig())["dropped_by"].to_pylist() == ["too_short", "too_short"]


def test_shingles_are_words_or_chinese_characters() -> None:
    assert units("The Mean, of X.") == ["the", "mean", "of", "x"]
    assert units("中文，很好 2") == ["中", "文", "很", "好", "2"]
    few, many, none = shingles([["a", "b"], list("abcdefg"), []])
    assert (len(few), len(many), len(none)) == (1, 3, 0)
    again = shingles([list("xabcdefg")])[0]
    assert again[1:].tolist() == many.tolist()


def test_signatures_estimate_jaccard_similarity() -> None:
    sets = [np.arange(0, 900, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(1)]
    sets += [np.concatenate([sets[0][:800], sets[0][:100] + np.uint64(7)])]  # Jaccard 800 / 1000
    left, right = minhash(sets, seed=0)
    assert abs((left == right).mean() - 0.8) < 4 * (0.8 * 0.2 / 128) ** 0.5
    assert not (minhash(sets, seed=1) == minhash(sets, seed=0)).all()
