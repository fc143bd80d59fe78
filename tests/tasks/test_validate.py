"""The checkpoints on small corpora: the good ones pass, and each planted fault stops the run by its rule."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from expectations.clean_corpus import CleanDemands
from expectations.drift import Profile
from expectations.raw_corpus import RawDemands
from expectations.tokens import TokenDemands
from tasks.contract.errors import SourceError, StageError
from tasks.contract.run import Run
from tasks.contract.store import Store
from tasks.validate import (
    ValidateConfig,
    validate_clean,
    validate_raw,
    validate_tokens,
    what_dropped_most,
)
from tests.corpus_artifacts import Row, cleaned, collected, drop, good_rows, tokenized

RAW = RawDemands(
    min_documents=100,
    min_documents_per_source=45,
    allowed_licenses=("MIT",),
    allowed_encodings=("utf-8", "gb18030"),
    max_converted_share=0.1,
    max_left_out_share=0.1,
)
CLEAN = CleanDemands(
    warn_only=(),
    languages={"en": 0.9},
    allowed_licenses=("MIT",),
    max_source_share=0.6,
    median_characters=(40, 500),
    max_characters=1000,
    max_documents=150,
)
TOKENS = TokenDemands()
LEAK = "Please send everything to jane@corner.org as soon as you can."


def change(**values: Any) -> Callable[[list[Row]], list[Row]]:
    """Plant the values in every tenth document."""
    return lambda rows: [row | values if i % 10 == 0 else row for i, row in enumerate(rows)]


RAW_FAULTS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "documents": lambda rows: rows[:99],
    "malformed_ids": change(id="X" * 32),
    "untraceable": change(raw_digest=""),
    "licenses": change(license=None),
    "encodings": change(encoding="latin-1"),
    "converted": lambda rows: [row | {"encoding": "gb18030"} for row in rows],
    "smallest_source": lambda rows: [row for i, row in enumerate(rows * 2) if i % 2 or i < 80],
}
CLEAN_FAULTS: dict[str, Callable[[list[Row]], list[Row]]] = {
    "documents": lambda rows: rows[:99],
    "duplicates": lambda rows: [*rows, rows[0] | {"uri": "file:again"}],
    "empty_text": change(text=" \n"),
    "untraceable": change(uri=""),
    "licenses": change(license=None),
    "shortest": change(text="short"),
    "median_length": lambda rows: [row | {"text": row["text"] * 20} for row in rows],
    "longest": change(text="long " * 300),
    "personal_data": change(text=LEAK),
    "placeholders": lambda rows: [row | {"personal_data": 1} for row in rows],
    "mojibake": change(text="The cafÃ© at the corner was closed for the whole of the week."),
    "unreadable": change(text="The caf\N{REPLACEMENT CHARACTER} at the corner was closed for all the week."),
    "largest_source": lambda rows: [r | {"source": "one"} for r in rows],
    "other_languages": change(language=None),
    "language_en": lambda rows: [row | {"language": "de"} for row in rows],
}


def written(home: Path) -> list[Row]:
    """The rules as the refused stage wrote them, by the one message that names the place."""
    (kept,) = (home / "scratch").glob("validate_*")
    rules: list[Row] = json.loads((kept / "validation.json").read_text(encoding="utf-8"))
    assert "fa-times text-danger" in (kept / "data_docs" / "index.html").read_text(encoding="utf-8")
    return rules


def test_a_good_collection_passes(tmp_path: Path) -> None:
    skipped = [("source-0", "file:x", "too large", "3 GB")]
    skipped += [("source-0", f"file:{i}.png", "unsupported type", ".png") for i in range(99)]
    skipped += [("source-1", f"file:{i}", "licence not allowed", "GPL") for i in range(99)]
    skipped += [("exam", f"file:exam{i}", "too large", "") for i in range(99)]
    artifact = validate_raw.fn(collected(tmp_path, good_rows(), skipped), RAW, Run(tmp_path))
    report = json.loads((Store(tmp_path).path(artifact) / "validation.json").read_text(encoding="utf-8"))
    assert all(entry["passed"] and not entry["failing"] for entry in report)
    assert {entry["rule"]: entry["observed"] for entry in report}["left_out"] == pytest.approx(1 / 121)
    manifest = Store(tmp_path).manifest("validate_raw", artifact.key)
    assert manifest is not None
    assert manifest.counts == {"documents": 120, "rules": 9, "warnings": 0}
    assert manifest.files["data_docs/index.html"].volatile


@pytest.mark.parametrize("rule", RAW_FAULTS)
def test_a_fault_in_the_collection_stops_the_line(tmp_path: Path, rule: str) -> None:
    rows = RAW_FAULTS[rule](good_rows())
    with pytest.raises(StageError, match=rf"(?s)^validate_raw: the raw .*\n  {rule}: .*way out: ") as stop:
        validate_raw.fn(collected(tmp_path, rows), RAW, Run(tmp_path))
    broken = {entry["rule"]: entry for entry in written(tmp_path) if not entry["passed"]}
    assert set(broken) == {rule}
    if broken[rule]["failing"]:
        assert f"{broken[rule]['failing'][0]['id']}  file:" in str(stop.value)
    if rule == "smallest_source":
        assert "    source-0  file:" in str(stop.value)
    assert "validate.raw.warn_only" in str(stop.value)
    assert not list((tmp_path / "artifacts" / "validate_raw").iterdir())


def test_many_records_left_out_stop_the_line(tmp_path: Path) -> None:
    skipped = [("source-0", f"file:x{i}", "no text field", "") for i in range(20)]
    with pytest.raises(StageError, match=r"left_out: .* is 0\.1429, demanded is at most 0\.1"):
        validate_raw.fn(collected(tmp_path, good_rows(), skipped), RAW, Run(tmp_path))


def test_a_shard_with_another_schema_is_a_finding(tmp_path: Path) -> None:
    artifact = collected(tmp_path, good_rows())
    for path in (Store(tmp_path).path(artifact) / "documents").glob("*.parquet"):
        table = pq.read_table(path).drop_columns("extractor")
        pq.write_table(table.set_column(0, "id", pa.array(range(len(table)))), path)
    with pytest.raises(StageError, match=r"(?s)schema: columns .* is 6, demanded.*malformed_ids.*untrace"):
        validate_raw.fn(artifact, RAW, Run(tmp_path))


def test_a_good_corpus_passes_and_is_described(tmp_path: Path) -> None:
    dropped = drop(good_rows(40, "Too short {}."), "too_short", "12")
    artifact = validate_clean.fn(cleaned(tmp_path, good_rows(), dropped), None, CLEAN, Run(tmp_path))
    directory = Store(tmp_path).path(artifact)
    report = json.loads((directory / "validation.json").read_text(encoding="utf-8"))
    assert all(entry["passed"] and not entry["failing"] for entry in report)
    observed = {entry["rule"]: entry["observed"] for entry in report}
    assert (observed["kept_share"], observed["median_length"]) == (0.75, 49)
    assert not observed.keys() & {"length_drift", "kept_share_drift"}
    profile = Profile.model_validate_json((directory / "profile.json").read_text(encoding="utf-8"))
    assert profile.lengths == {"32": 120}
    assert profile.sources == {"source-0": 60, "source-1": 60}


@pytest.mark.parametrize("rule", CLEAN_FAULTS)
def test_a_fault_in_the_corpus_stops_the_line(tmp_path: Path, rule: str) -> None:
    rows = CLEAN_FAULTS[rule](good_rows())
    with pytest.raises(
        StageError, match=rf"(?s)^validate_clean: the clean .*\n  {rule}: .*way out: "
    ) as stop:
        validate_clean.fn(cleaned(tmp_path, rows), None, CLEAN, Run(tmp_path))
    report = {entry["rule"]: entry for entry in written(tmp_path)}
    assert not report[rule]["passed"]
    if report[rule]["failing"]:
        assert report[rule]["failing"][0]["id"] in str(stop.value)


def test_what_contradicts_itself_stops_the_line(tmp_path: Path) -> None:
    rows = good_rows()
    listed = [(rows[3]["id"], rows[3]["uri"], "exam:1", "an n-gram")]
    near = [(rows[5]["id"], rows[5]["uri"], "source-1", rows[4]["id"], 0.9, False)]
    artifact = cleaned(tmp_path, rows, clusters=near, contaminated=listed)
    with pytest.raises(StageError, match=rf"(?s)near_duplicates: .* is 1, .*{rows[5]['id']}"):
        validate_clean.fn(artifact, None, CLEAN, Run(tmp_path))
    with pytest.raises(StageError, match=rf"(?s)contaminated: .* is 1, .*{rows[3]['id']}"):
        validate_clean.fn(artifact, None, CLEAN, Run(tmp_path))
    (Store(tmp_path).path(artifact) / "documents" / "part-00001.parquet").unlink()
    with pytest.raises(StageError, match=r"unaccounted: .* is 50, demanded is at most 0"):
        validate_clean.fn(artifact, None, CLEAN, Run(tmp_path))


def test_too_much_dropped_and_too_many_documents(tmp_path: Path) -> None:
    dropped = drop(good_rows(3880), "too_short")
    with pytest.raises(StageError, match=r"kept_share: .* is 0\.03, demanded is at least 0\.05"):
        validate_clean.fn(cleaned(tmp_path, good_rows(), dropped), None, CLEAN, Run(tmp_path))
    many = cleaned(tmp_path, good_rows(200), key="e" * 64)
    with pytest.raises(StageError, match="documents: number of documents is 200, demanded is 100 to 150"):
        validate_clean.fn(many, None, CLEAN, Run(tmp_path))


def test_what_dropped_most_is_named_with_its_key() -> None:
    counts = {"collected": 100, "kept": 2, "dropped by too_short": 90, "dropped by language": 8}
    said = what_dropped_most(counts)
    assert said.startswith("90 of 100 documents were dropped by too_short: ")
    assert "relax clean.filters.thresholds.all.too_short, or lower validate.clean.min_kept_share" in said
    assert what_dropped_most({"collected": 100, "kept": 100}) == ""


def test_drift_warns_by_default_and_stops_on_demand(tmp_path: Path) -> None:
    first = validate_clean.fn(cleaned(tmp_path, good_rows()), None, CleanDemands(), Run(tmp_path))
    longer = good_rows(sentence="Return the mean of array {}" + " along an axis" * 12, language="de")
    moved = cleaned(tmp_path, longer, drop(good_rows(40), "too_short"), key="e" * 64)
    warned = validate_clean.fn(moved, first, CleanDemands(), Run(tmp_path))
    manifest = Store(tmp_path).manifest("validate_clean", warned.key)
    assert manifest is not None
    assert manifest.counts["warnings"] == 3
    assert manifest.metrics["source_drift"] == 0
    with pytest.raises(StageError, match=r"breaks 3 of \d+ rules\n  length_drift: .*\n.*\n  language_drift"):
        validate_clean.fn(moved, first, CleanDemands(warn_only=()), Run(tmp_path))


def test_good_tokens_pass(tmp_path: Path) -> None:
    rows = good_rows()
    artifacts = collected(tmp_path, rows), cleaned(tmp_path, rows), tokenized(tmp_path, rows)
    artifact = validate_tokens.fn(*artifacts, TOKENS, Run(tmp_path))
    report = json.loads((Store(tmp_path).path(artifact) / "validation.json").read_text(encoding="utf-8"))
    assert all(entry["passed"] for entry in report)
    observed = {entry["rule"]: entry["observed"] for entry in report}
    assert observed["characters_per_token"] == pytest.approx(49 / 51, abs=0.01)
    assert "evaluation_overlap" not in observed


@pytest.mark.parametrize(
    ("fault", "rule", "observed"),
    [
        ("id", "foreign_ids", "1"),
        ("unknown", "unknown_share", "0.006"),
        ("boundary", "boundaries", "1"),
        ("frame", "unframed", "1"),
        ("missing", "missing_documents", "1"),
    ],
)
def test_a_fault_in_the_shards_stops_the_line(tmp_path: Path, fault: str, rule: str, observed: str) -> None:
    rows = good_rows()
    artifacts = collected(tmp_path, rows), cleaned(tmp_path, rows), tokenized(tmp_path, rows, fault)
    with pytest.raises(StageError, match=rf"(?s)^validate_tokens: .*\n  {rule}: .* is {observed}"):
        validate_tokens.fn(*artifacts, TOKENS, Run(tmp_path))
    assert next(entry["rule"] for entry in written(tmp_path) if not entry["passed"]) == rule


def test_documents_without_a_split_or_in_two_are_named(tmp_path: Path) -> None:
    rows = good_rows()
    ids = [row["id"] for row in rows]
    splits = [(id, "train") for id in ids[1:]] + [(ids[7], "test")]
    artifacts = collected(tmp_path, rows), cleaned(tmp_path, rows), tokenized(tmp_path, rows, splits=splits)
    with pytest.raises(StageError, match=rf"(?s)undivided: .*{ids[0]}.*in_two_splits: .*{ids[7]}"):
        validate_tokens.fn(*artifacts, TOKENS, Run(tmp_path))


def test_an_evaluation_text_in_the_corpus_stops_the_line(tmp_path: Path) -> None:
    exam = "Which of these seven rivers runs through the largest number of countries on its way to the sea?"
    leaked = good_rows(1, f"A page of answers {{}}. {exam} The Danube.")
    rows = [*good_rows(), leaked[0] | {"uri": "file:leak"}]
    artifacts = (
        collected(tmp_path, rows, evaluation=good_rows(1, exam)),
        cleaned(tmp_path, rows),
        tokenized(tmp_path, rows),
    )
    with pytest.raises(StageError, match=r"(?s)evaluation_overlap: .* is 1, .*file:leak"):
        validate_tokens.fn(*artifacts, TOKENS, Run(tmp_path))


def test_no_text_reaches_report_page_or_message(tmp_path: Path) -> None:
    rows = CLEAN_FAULTS["personal_data"](good_rows())
    with pytest.raises(StageError) as stop:
        validate_clean.fn(cleaned(tmp_path, rows), None, CLEAN, Run(tmp_path))
    texts = [p.read_text(encoding="utf-8") for p in (tmp_path / "scratch").rglob("*") if p.is_file()]
    assert len(texts) == 2
    for text in [*texts, str(stop.value)]:
        assert "jane@" not in text
        assert "Return the mean" not in text


def test_warn_only_lets_the_corpus_pass(tmp_path: Path) -> None:
    config = CLEAN.model_copy(update={"warn_only": ("mojibake",)})
    rows = CLEAN_FAULTS["mojibake"](good_rows())
    artifact = validate_clean.fn(cleaned(tmp_path, rows), None, config, Run(tmp_path))
    manifest = Store(tmp_path).manifest("validate_clean", artifact.key)
    assert manifest is not None
    assert manifest.counts["warnings"] == 1
    page = (Store(tmp_path).path(artifact) / "data_docs" / "index.html").read_text(encoding="utf-8")
    assert "(warns only)" in page


def test_an_unknown_rule_in_warn_only_is_refused() -> None:
    for section in ("raw", "clean", "tokens"):
        with pytest.raises(ValidationError, match="no rule 'mojibak' with these demands; it is one of"):
            ValidateConfig.model_validate({section: {"warn_only": ["mojibak"]}})


def test_a_chinese_corpus_passes_the_defaults(tmp_path: Path) -> None:
    sentence = "返回第{}个数组沿给定轴的平均值，如果没有给出轴，则先把数组展平，再计算所有元素的平均值。"
    rows = good_rows(sentence=sentence, language="zh")
    config = CleanDemands(languages={"zh": 1.0})
    assert validate_clean.fn(cleaned(tmp_path, rows), None, config, Run(tmp_path)).stage == "validate_clean"


def test_an_empty_corpus_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="documents: number of documents is 0, demanded is at least 1"):
        validate_raw.fn(collected(tmp_path, []), RawDemands(min_documents_per_source=0), Run(tmp_path))
    with pytest.raises(StageError, match="documents: number of documents is 0, demanded is at least 100"):
        validate_clean.fn(cleaned(tmp_path, []), None, CleanDemands(), Run(tmp_path))


def test_missing_and_damaged_shards_are_named(tmp_path: Path) -> None:
    artifact = cleaned(tmp_path, good_rows())
    documents = Store(tmp_path).path(artifact) / "documents"
    (documents / "part-00001.parquet").write_bytes(b"not parquet")
    with pytest.raises(SourceError, match=r"part-00001\.parquet.*clean again"):
        validate_clean.fn(artifact, None, CLEAN, Run(tmp_path))
    shutil.rmtree(documents)
    with pytest.raises(SourceError, match=r"documents/\*\.parquet.*clean again"):
        validate_clean.fn(artifact, None, CLEAN, Run(tmp_path))


def test_the_same_corpus_gives_the_same_artifact(tmp_path: Path) -> None:
    first = cleaned(tmp_path / "one", good_rows())
    second = cleaned(tmp_path / "two", good_rows())
    one = validate_clean.fn(first, None, CLEAN, Run(tmp_path / "one"))
    assert one == validate_clean.fn(second, None, CLEAN, Run(tmp_path / "two"))
    assert one == validate_clean.fn(first, None, CLEAN, Run(tmp_path / "one", refresh=["validate_clean"]))
