"""The kernel: a row's result depends on that row alone, and every step of cleaning is in it."""

import pyarrow as pa

from corpus.cleaning.config import CleanConfig
from corpus.cleaning.duplicates.decontamination import Index
from corpus.cleaning.engine.kernel import Kernel
from corpus.cleaning.filters.boilerplate import LineTable, count_lines
from corpus.documents import Document, document_id, to_batches

EVALUATION = "The quick brown fox jumps over the lazy dog while seven wizards brew a potion in the old tower."
TEXTS = [
    "Return the weighted mean of the values along the given axis, ignoring missing entries.",
    "short",
    "ä¸\xadæ–‡" + "这个耳机的音质非常好，佩戴也很舒服，推荐大家购买。",
    "好看好看好看好看好看好看好看好看好看好看好看好看好看好看",
    "Это русский текст о музыке и о театре большого города.",
    "Questions about the damn parser go to the maintainer, who answers at jane.roe@corp-mail.org every day.",
    f"A text that holds a sentence of the evaluation set somewhere. {EVALUATION}",
    " \n\u200b\n ",
    "What a damn damn shitty piece of crap this damn library is, I say, for all to hear.",
]
CONFIG = CleanConfig.model_validate({"word_lists": {"max_share": {"toxicity": 0.2}}})


def batch_of(texts: list[str]) -> pa.RecordBatch:
    documents = [Document(text, "s", f"u{row}", meta={"row": str(row)}) for row, text in enumerate(texts)]
    return pa.Table.from_batches(to_batches(documents)).combine_chunks().to_batches()[0]


def kernel(config: CleanConfig = CONFIG) -> Kernel:
    index = Index.build(pa.array([EVALUATION]), ["test-set#1"], config.decontaminate)
    return Kernel(config, LineTable(config.boilerplate), index)


def test_short_texts_in_any_language_stay_where_the_recipe_says_so() -> None:
    texts = ["short", "Привет", "2 x 4", "Ωραία", " \n"]
    config = CleanConfig.model_validate({"filters": "none", "languages": "any"})
    rows = kernel(config).clean(batch_of(texts))[0].to_pylist()
    assert [row["filter"] for row in rows] == [None, None, None, None, "empty"]


def test_every_step_leaves_its_trace() -> None:
    cleaned, signatures = kernel().clean(batch_of(TEXTS))
    rows = cleaned.to_pylist()
    assert [row["filter"] for row in rows] == [
        None,
        "too_short",
        None,
        "repeated_phrases",
        "language",
        None,
        "contaminated",
        "empty",
        "words_toxicity",
    ]
    assert (rows[1]["value"], rows[4]["value"]) == ("5", "und")
    assert rows[2]["text"].startswith("中文这个耳机")
    assert rows[2]["language"] == "zh"
    assert "<EMAIL>" in rows[5]["text"]
    assert (rows[5]["personal_data"], rows[5]["masked_email"], rows[5]["words_toxicity"]) == (1, 1, 1)
    assert rows[6]["evaluation_uri"] == "test-set#1"
    assert "quick brown fox" in rows[6]["ngram"].lower()
    assert [row["id"] for row in rows] == [document_id(row["text"]) for row in rows]
    assert [row["collected_bytes"] for row in rows] == [len(text.encode()) for text in TEXTS]
    assert [row["bytes"] for row in rows] == [len(row["text"].encode()) for row in rows]
    assert [row["meta"] for row in rows] == [f'{{"row": "{row}"}}' for row in range(len(rows))]
    assert signatures.shape == (sum(row["filter"] is None for row in rows), 128)


def test_batches_do_not_show() -> None:
    batch, cleaner = batch_of(TEXTS * 3), kernel()
    whole, signatures = cleaner.clean(batch)
    for rows in (1, 4):
        parts = [cleaner.clean(batch.slice(start, rows)) for start in range(0, batch.num_rows, rows)]
        assert pa.Table.from_batches([part for part, _ in parts]).to_pylist() == whole.to_pylist()
        assert [row.tolist() for _, found in parts for row in found] == signatures.tolist()


def test_a_batch_may_be_empty_or_all_dropped() -> None:
    cleaned, signatures = kernel().clean(batch_of(TEXTS).slice(0, 0))
    assert (cleaned.num_rows, signatures.shape) == (0, (0, 128))
    cleaned, signatures = kernel().clean(batch_of(["", "tiny"]))
    assert cleaned["filter"].to_pylist() == ["empty", "too_short"]
    assert signatures.shape == (0, 128)


def test_lines_of_a_source_go_before_anything_is_measured() -> None:
    header = "Copyright of the authors of this site, all rights reserved."
    texts = [f"{header}\nThe {number}th page tells of the harvest in year {number}." for number in range(60)]
    batch = batch_of(texts)
    table = LineTable(CONFIG.boilerplate)
    count_lines(batch["text"], batch["source"], table)
    cleaned, _ = Kernel(CONFIG, table, None).clean(batch)
    assert cleaned["removed_lines"].to_pylist() == [1] * 60
    assert cleaned["text"][7].as_py() == "The 7th page tells of the harvest in year 7."


def test_nothing_is_masked_when_the_recipe_says_so() -> None:
    config = CleanConfig.model_validate({"personal_data": {"mask": []}})
    cleaned, _ = Kernel(config, None, None).clean(batch_of(TEXTS))
    assert "jane.roe@corp-mail.org" in cleaned["text"][5].as_py()
    assert set(cleaned["personal_data"].to_pylist()) == {0}
