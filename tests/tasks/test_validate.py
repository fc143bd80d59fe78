"""The stage on small corpora: the good ones pass, and each planted fault stops the line by its rule."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from tasks.artifact import Artifact
from tasks.documents import SCHEMA, Document, to_batches, write_shards
from tasks.errors import SourceError, StageError
from tasks.stage import Run
from tasks.store import Store
from tasks.validate import ValidateConfig, validate
from tests.published import publish

Row = dict[str, Any]
DEMANDS = ValidateConfig(
    languages={"en": 0.9},
    allowed_licenses=("MIT",),
    max_source_share=0.6,
    median_characters=(40, 500),
    max_characters=1000,
    max_documents=150,
)


def good_rows(
    count: int = 120, sentence: str = "Return the mean of array number {} along an axis."
) -> list[Row]:
    documents = [Document(sentence.format(i), f"source-{i % 2}", f"file:{i}", "MIT") for i in range(count)]
    rows: list[Row] = [row for batch in to_batches(documents) for row in batch.to_pylist()]
    return [row | {"language": "en"} for row in rows]


def cleaned(home: Path, rows: list[Row], dropped: int = 0) -> Artifact:
    """Publish an artifact of the clean stage that holds these rows."""

    store = Store(home)
    directory = store.begin("clean", "k" * 64)
    schema = pa.schema([field.with_nullable(True) for field in SCHEMA])  # faults are planted as nulls too
    write_shards([pa.RecordBatch.from_pylist(rows, schema)], directory / "documents", rows_per_shard=50)
    if dropped:
        (directory / "dropped").mkdir()
        table = pa.table({"id": ["x"] * dropped, "filter": ["too_short"] * dropped})
        pq.write_table(table, directory / "dropped" / "part-00000.parquet")
    return publish(store, directory, "clean", "k" * 64)


def test_a_good_corpus_passes_and_is_described(tmp_path: Path) -> None:
    artifact = validate.fn(cleaned(tmp_path, good_rows(), dropped=40), DEMANDS, Run(tmp_path))
    directory = Store(tmp_path).path(artifact)
    report = json.loads((directory / "validation.json").read_text())
    assert all(entry["passed"] and not entry["failing"] for entry in report)
    assert {entry["rule"]: entry["observed"] for entry in report}["kept_share"] == 0.75
    manifest = Store(tmp_path).verified("validate", artifact.key)
    assert manifest is not None
    assert manifest.counts == {"documents": 120, "rules": len(report), "warnings": 0}
    assert manifest.files["data_docs/index.html"].volatile


def change(**values: Any) -> Callable[[list[Row]], list[Row]]:
    """Plant the values in every tenth document."""
    return lambda rows: [row | values if i % 10 == 0 else row for i, row in enumerate(rows)]


FAULTS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "documents": lambda rows: rows[:99],
    "duplicates": lambda rows: [*rows, rows[0] | {"uri": "file:again"}],
    "empty_text": change(text=" \n"),
    "untraceable": change(uri=""),
    "licenses": change(license=None),
    "shortest": change(text="short"),
    "median_length": lambda rows: [row | {"text": row["text"] * 20} for row in rows],
    "longest": change(text="long " * 300),
    "personal_data": change(text="Please send everything to jane@example.org as soon as you can."),
    "mojibake": change(text="The cafÃ© at the corner was closed for the whole of the week."),
    "unreadable": change(text="The caf\N{REPLACEMENT CHARACTER} at the corner was closed for all the week."),
    "largest_source": lambda rows: [r | {"source": "one"} for r in rows],
    "other_languages": change(language=None),
    "language_en": lambda rows: [row | {"language": "de"} for row in rows],
}


@pytest.mark.parametrize("rule", FAULTS)
def test_a_planted_fault_stops_the_line(tmp_path: Path, rule: str) -> None:
    rows = FAULTS[rule](good_rows())
    with pytest.raises(StageError, match=rf"(?s)^validate: the corpus .*\n  {rule}: .*way out: ") as stop:
        validate.fn(cleaned(tmp_path, rows), DEMANDS, Run(tmp_path))
    (kept,) = (tmp_path / "scratch").glob("validate-*")
    assert str(kept / "data_docs" / "index.html") in str(stop.value)
    report = {entry["rule"]: entry for entry in json.loads((kept / "validation.json").read_text())}
    assert not report[rule]["passed"]
    assert "fa-times text-danger" in (kept / "data_docs" / "index.html").read_text()
    if report[rule]["failing"]:
        assert report[rule]["failing"][0]["id"] in str(stop.value)
    assert not list((tmp_path / "artifacts" / "validate").iterdir())


def test_too_much_dropped_and_too_many_documents(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"kept_share: .* is 0\.03, demanded is at least 0\.05"):
        validate.fn(cleaned(tmp_path, good_rows(), dropped=3880), DEMANDS, Run(tmp_path))
    with pytest.raises(StageError, match="documents: number of documents is 200, demanded is 100 to 150"):
        validate.fn(cleaned(tmp_path, good_rows(200)), DEMANDS, Run(tmp_path))


def test_no_text_reaches_report_page_or_message(tmp_path: Path) -> None:
    rows = FAULTS["personal_data"](good_rows())
    with pytest.raises(StageError) as stop:
        validate.fn(cleaned(tmp_path, rows), DEMANDS, Run(tmp_path))
    written = [p.read_text() for p in (tmp_path / "scratch").rglob("*") if p.is_file()]
    assert len(written) == 2
    for text in [*written, str(stop.value)]:
        assert "jane@" not in text
        assert "Return the mean" not in text


def test_warn_only_lets_the_corpus_pass(tmp_path: Path) -> None:
    config = DEMANDS.model_copy(update={"warn_only": ("mojibake",)})
    artifact = validate.fn(cleaned(tmp_path, FAULTS["mojibake"](good_rows())), config, Run(tmp_path))
    manifest = Store(tmp_path).manifest("validate", artifact.key)
    assert manifest is not None
    assert manifest.counts["warnings"] == 1
    page = (Store(tmp_path).path(artifact) / "data_docs" / "index.html").read_text()
    assert "(warns only)" in page


def test_an_unknown_rule_in_warn_only_is_refused() -> None:
    with pytest.raises(ValidationError, match="no rule 'mojibak' with these demands; it is one of documents"):
        ValidateConfig(warn_only=("mojibak",))


def test_a_chinese_corpus_passes_the_defaults(tmp_path: Path) -> None:
    sentence = "返回第{}个数组沿给定轴的平均值，如果没有给出轴，则先把数组展平，再计算所有元素的平均值。"
    rows = [row | {"language": "zh"} for row in good_rows(sentence=sentence)]
    config = ValidateConfig(languages={"zh": 1.0})
    assert validate.fn(cleaned(tmp_path, rows), config, Run(tmp_path)).stage == "validate"


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="documents: number of documents is 0, demanded is at least 100"):
        validate.fn(cleaned(tmp_path, []), ValidateConfig(), Run(tmp_path))


def test_missing_and_damaged_shards_are_named(tmp_path: Path) -> None:
    artifact = cleaned(tmp_path, good_rows())
    documents = Store(tmp_path).path(artifact) / "documents"
    (documents / "part-00001.parquet").write_bytes(b"not parquet")
    with pytest.raises(SourceError, match=r"part-00001\.parquet.*clean again"):
        validate.fn(artifact, DEMANDS, Run(tmp_path))
    shutil.rmtree(documents)
    with pytest.raises(SourceError, match="no document shards"):
        validate.fn(artifact, DEMANDS, Run(tmp_path))


def test_the_same_corpus_gives_the_same_artifact(tmp_path: Path) -> None:
    first = cleaned(tmp_path / "one", good_rows())
    second = cleaned(tmp_path / "two", good_rows())
    one = validate.fn(first, DEMANDS, Run(tmp_path / "one"))
    assert one == validate.fn(second, DEMANDS, Run(tmp_path / "two"))
    assert one == validate.fn(first, DEMANDS, Run(tmp_path / "one", refresh=["validate"]))
