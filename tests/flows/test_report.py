"""The report of a run: complete, refused, failed early, with hostile text; one file that asks nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal

import pytest

from flows.report import (
    format_duration,
    format_number,
    format_size,
    render_report,
    write_report,
)
from flows.run_record import RunRecord
from flows.stages import STAGES
from tasks.contract.artifact import Manifest, content_digest, describe_files
from tasks.contract.errors import TextmillError
from tasks.contract.run import StageOutcome
from tasks.contract.store import Store

LABELS = ["numpy", "pandas", "python", "scipy", "torch", "transformers"]
COUNTS = {
    "collect": {"documents": 84_912, "characters": 56_210_400, "skipped files": 3},
    "clean": {"collected": 84_912, "kept": 51_310}
    | {"dropped by min_characters": 9_804, "dropped by language": 1_208, "dropped by symbol_ratio": 2_611}
    | {"dropped by exact_duplicate": 12_877, "dropped by near_duplicate": 7_102},
    "validate_clean": {"rules": 12},
    "tokenize": {"train tokens": 9_840_112, "vocabulary": 8_192},
    "examples": {"train examples": 14_400},
    "evaluate": {"test examples": 1_800},
}

EXTERNAL = {
    "deploy": {"model": "python-docs", "version": "3", "url": "http://127.0.0.1:8100/v2/models/python-docs"}
}


def scores(accuracy: float, f1: float) -> dict[str, float]:
    return {"accuracy": accuracy, "precision_macro": f1 + 0.004, "recall_macro": f1 - 0.003, "f1_macro": f1}


def evaluation(passed: bool = True, labels: list[str] = LABELS) -> dict[str, Any]:
    matrix = [
        [260 - 9 * i if i == j else (7 * i + 3 * j) % 11 for j in range(len(labels))]
        for i in range(len(labels))
    ]
    return {
        "task": "classification",
        "metric": "f1_macro",
        "labels": labels,
        "test_examples": sum(map(sum, matrix)),
        "pretrained": {"loss": 3.412, "perplexity": 30.33, "accuracy": 0.381, "targets": 204_800},
        "model": scores(0.912, 0.874),
        "per_label": [
            {"label": label, "precision": 0.95 - 0.02 * i, "recall": 0.96 - 0.03 * i}
            | {"f1": 0.955 - 0.025 * i, "support": sum(matrix[i])}
            for i, label in enumerate(labels)
        ],
        "confusion_matrix": matrix,
        "baselines": {"majority": scores(0.211, 0.058), "tfidf_logistic_regression": scores(0.861, 0.822)},
        "champion": {"version": 2} | scores(0.905, 0.869),
        "gate": {
            "passed": passed,
            "demands": [
                {"name": "macro F1", "demand": "at least 0.8", "actual": 0.874, "passed": True},
                {"name": "macro F1 against champion 2", "demand": "at least 0.869", "actual": 0.874}
                | {"passed": passed},
            ],
        },
    }


def history(start: float, end: float, steps: int, every: int) -> str:
    rows: list[dict[str, Any]] = []
    for step in range(1, steps + 1):
        loss = end + (start - end) * 0.985 ** (step * 300 / steps) + 0.03 * ((step * 7919) % 13 - 6)
        rows.append({"step": step, "loss": loss})
        if step % every == 0:
            rows.append({"step": step, "validation": {"loss": loss + 0.08, "f1_macro": 0.8}})
    return "".join(json.dumps(row) + "\n" for row in rows)


def files(passed: bool = True, labels: list[str] = LABELS) -> dict[str, dict[str, str]]:
    rules = [
        {"rule": rule, "description": description, "observed": observed, "expected": expected}
        | {"passed": passed, "warn_only": not passed, "failing": []}
        for rule, description, observed, expected, passed in (
            ("min_documents", "documents", 51_310, "at least 1,000", True),
            ("duplicates", "share of duplicate ids", 0.0, "at most 0", True),
            ("email", "share with an e-mail address", 0.021, "at most 0.01", False),
        )
    ]
    cleaning = {
        "languages": {"en": 48_000, "zh": 3_310},
        "lengths": {"collected": {"32": 9, "128": 4}, "kept": {"32": 5}},
        "duplicate_clusters": {"2": 900, "3": 40, "17": 2},
        "personal_data": {"email": 212, "iban": 0},
    }
    parity = {
        "cases": [
            {"batch": b, "length": n, "max_abs_difference": 1.2e-6 * b, "same_labels": True}
            for b, n in ((1, 1), (1, 128), (8, 64), (64, 128))
        ],
        "max_abs_difference": 7.7e-5,
        "tolerance": 1e-4,
        "opset": 20,
        "onnx_bytes": 5_840_212,
    }
    sizes = {"train": 16, "validation": 2, "test": 2}
    examples = {
        "task": "token_classification",
        "labels": ["B-LOC", "I-LOC", "O"],
        "counts": sizes,
        "label_counts": dict.fromkeys(["B-LOC", "I-LOC", "O"], sizes),
        "entity_counts": {"LOC": {"train": 31, "validation": 4, "test": 5}},
        "remarks": {"training examples that repeat another": 3, "labels that no test example has": 0},
        "left_out": {"RARE": "4 documents, fewer than 100"},
    }
    deployment = {"model": "python-docs", "version": 3, "compared": 64}
    deployment |= {"max_abs_difference": 2.4e-6, "same_labels": True}
    return {
        "clean": {"report.json": json.dumps(cleaning)},
        "validate_clean": {"validation.json": json.dumps(rules)},
        "examples": {"report.json": json.dumps(examples)},
        "pretrain": {"history.jsonl": history(9.01, 3.4, 1500, every=1501)},
        "fine_tune": {"history.jsonl": history(2.6, 0.32, 1350, every=450)},
        "evaluate": {"evaluation.json": json.dumps(evaluation(passed, labels))},
        "export": {"parity.json": json.dumps(parity)},
        "deploy": {"deployment.json": json.dumps(deployment)},
    }


def published(store: Store, stage: str, contents: Mapping[str, str], seconds: float) -> StageOutcome:
    """Put an artifact with these files in the store; the outcome that a run would record for it."""
    key = f"{STAGES.index(stage):064x}"
    directory = store.begin(stage, key)
    for name, text in contents.items():
        (directory / name).write_text(text, encoding="utf-8")
    stored = describe_files(directory, frozenset())
    manifest = Manifest(
        stage=stage,
        key=key,
        digest=content_digest(stage, stored),
        inputs={},
        config={},
        code="c" * 64,
        files=stored,
        counts=COUNTS.get(stage, {}),
        metrics={"loss": 3.46},
        external=EXTERNAL.get(stage, {}),
        seconds=seconds,
        made_at="2026-11-22T10:14:00+00:00",
    )
    store.publish(directory, manifest)
    state: Literal["cached", "made"] = "cached" if stage in ("collect", "clean") else "made"
    return StageOutcome(stage=stage, state=state, key=key, digest=manifest.digest, seconds=seconds)


def record(outcomes: list[StageOutcome], **changes: Any) -> RunRecord:
    values: dict[str, Any] = {
        "id": "20261122-101400-python-docs",
        "recipe": "python-docs",
        "command": "textmill run python-docs --set pretrain.steps=1500",
        "started_at": "2026-11-22T10:14:00+00:00",
        "finished_at": "2026-11-22T10:20:12+00:00",
        "seconds": 372.4,
        "state": "completed",
        "message": "",
        "outcomes": outcomes,
        "settings": {"name": "python-docs", "pretrain": {"steps": 1500, "layers": 2}, "labels": ["类", "b"]},
        "urls": {"Prefect": "http://127.0.0.1:4200", "MLflow": "http://127.0.0.1:5000"}
        | {"Triton": "http://127.0.0.1:8000"},
        "version": 3,
        "pid": 4711,
        "created": 1_795_342_440.0,
    }
    return RunRecord(**(values | changes))


def walk(store: Store, until: str, contents: Mapping[str, Mapping[str, str]]) -> list[StageOutcome]:
    made = STAGES[: STAGES.index(until) + 1]
    return [published(store, stage, contents.get(stage, {}), 2.5 + 7.3 * i) for i, stage in enumerate(made)]


class Page(HTMLParser):
    """What matters of a page: its visible text, tags, and the addresses it would open."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.addresses: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.text += " "
        self.addresses += [
            (tag, value or "") for name, value in attrs if name in ("src", "href", "srcset", "action", "data")
        ]

    def handle_data(self, data: str) -> None:
        if self.tags[-1:] == ["style"]:
            return
        self.text = re.sub(r"\s+", " ", self.text + data)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def test_complete_run_shows_every_part(store: Store, tmp_path: Path) -> None:
    run = record(walk(store, "deploy", files()))
    write_report(run, store, tmp_path / "runs" / "report.html")
    page = Page((tmp_path / "runs" / "report.html").read_text(encoding="utf-8"))
    assert "Version 3 is deployed" in page.text
    assert "84,912 documents collected, 51,310 kept (60.4 %)" in page.text
    assert "near duplicate 7,102 8.4 % 51,310" in page.text
    assert "share of duplicate ids at most 0 0 ✓ passed" in page.text
    assert "share with an e-mail address at most 0.01 0.0210 ! warning" in page.text
    assert "Checkpoint: clean 2 of 3 rules hold, Data Docs" in page.text
    assert "Languages of the kept documents en 48,000 zh 3,310" in page.text
    assert "kept of collected 32 to 63 5 of 9 64 to 127 0 of 0 128 to 255 0 of 4" in page.text
    assert "cluster of duplicates 2 to 3 940 4 to 7 0 8 to 15 0 16 to 31 2" in page.text
    assert "Masked personal data email 212" in page.text
    assert "For token classification: 16 train, 2 validation, 2 test. entities of type" in page.text
    assert "entities of type train validation test LOC 31 4 5" in page.text
    assert "3 training examples that repeat another" in page.text
    assert "labels that no test example has" not in page.text
    assert "left out: RARE (4 documents, fewer than 100)" in page.text
    assert page.tags.count("svg") == 2
    assert page.tags.count("path") == 4
    assert "champion, version 2 0.905 0.873 0.866 0.869" in page.text
    assert "macro F1 against champion 2 at least 0.869 0.874 ✓ passed" in page.text
    assert "loss 3.41, perplexity 30.3, guessed right 38.1 %" in page.text
    assert "opset 20, 5.8 MB" in page.text
    assert "curl -s http://127.0.0.1:8000/v2/models/python-docs/infer" in page.text
    without_server = render_report(run.model_copy(update={"urls": {}}), store)
    assert "http://127.0.0.1:8100/v2/models/python-docs/infer" in without_server
    assert "textmill run python-docs --set pretrain.steps=1500" in page.text
    assert "类" in page.text
    assert all(outcome.digest in page.text for outcome in run.outcomes)
    assert list((tmp_path / "runs").iterdir()) == [tmp_path / "runs" / "report.html"]


def test_labels_are_listed_weakest_first_and_the_matrix_adds_up(store: Store) -> None:
    text = Page(render_report(record(walk(store, "evaluate", files())), store)).text
    by_label = text[text.index("weakest first") : text.index("Confusion matrix")]
    assert [by_label.index(label) for label in LABELS] == sorted(map(by_label.index, LABELS), reverse=True)
    diagonal = [row[i] for i, row in enumerate(evaluation()["confusion_matrix"])]
    assert all(str(count) in text[text.index("Confusion matrix") :] for count in diagonal)


def test_the_report_says_what_the_differences_rest_on(store: Store) -> None:
    compared = {"difference": 0.052, "low": 0.031, "high": 0.072, "examples": 1_800, "groups": 40}
    found = evaluation() | {
        "comparisons": {"tfidf_logistic_regression": compared},
        "unavailable": {"nearest": "empty vocabulary"},
        "confused": LABELS[:2],
        "confusion_matrix": [[260, 1], [2, 251]],
    }
    given = files() | {"evaluate": {"evaluation.json": json.dumps(found)}}
    text = Page(render_report(record(walk(store, "evaluate", given)), store)).text
    assert "+0.052 over tfidf logistic regression: between +0.031 and +0.072 with 95 % confidence" in text
    assert "1,800 examples in 40 groups" in text
    assert "baseline nearest not available: empty vocabulary" in text
    assert f"These are the 2 of {len(LABELS)} labels that most mistakes are about" in text


def test_refused_run_says_by_what(store: Store) -> None:
    message = "register: the gate refused the model: macro F1 is 0.8740, demanded at least 0.8800"
    refused = StageOutcome(stage="register", state="failed", key="k" * 64, message=message)
    outcomes = [*walk(store, "evaluate", files(passed=False)), refused]
    run = record(outcomes, state="refused", message=message, version=None)
    text = Page(render_report(run, store)).text
    assert text.index("Refused by the gate") < text.index(message) < text.index("The pipeline")
    assert "macro F1 against champion 2 at least 0.869 0.874 ✗ failed" in text
    assert "register ✗ refused" in text
    assert "Release" not in text
    assert "deploy not reached" in text


def test_failed_run_shows_what_exists(store: Store) -> None:
    outcomes = [
        *walk(store, "collect", {}),
        StageOutcome(
            stage="clean", state="failed", key="k" * 64, message="clean: every document was dropped"
        ),
    ]
    run = record(outcomes, state="failed", message="clean: every document was dropped", version=None)
    page = Page(render_report(run, store))
    assert page.text.index("Failed in clean") < page.text.index("every document was dropped")
    assert "84,912 documents" in page.text
    assert "clean ✗ failed" in page.text
    assert "svg" not in page.tags
    for absent in ("Corpus", "Training", "Evaluation", "Release", "curl"):
        assert absent not in page.text


def test_a_checkpoint_that_refused_shows_its_rules(store: Store) -> None:
    failed = StageOutcome(stage="validate_raw", state="failed", key="k" * 64, message="no")
    scratch = store.scratch("validate_raw", failed.key)
    scratch.mkdir(parents=True)
    rule = {"rule": "licenses", "description": "share without an allowed licence", "observed": 0.5}
    rule |= {"expected": "at most 0", "passed": False, "warn_only": False, "failing": []}
    (scratch / "validation.json").write_text(json.dumps([rule]), encoding="utf-8")
    page = Page(render_report(record([*walk(store, "collect", {}), failed], state="failed"), store))
    assert "Checkpoint: raw 0 of 1 rules hold, Data Docs" in page.text
    assert "share without an allowed licence at most 0 0.500 ✗ failed" in page.text
    link = f"../../scratch/validate_raw-{'k' * 32}/data_docs/index.html"
    assert ("a", link) in page.addresses


def test_run_without_any_outcome_and_damaged_files(store: Store) -> None:
    assert "Failed before the first stage" in render_report(record([], state="failed"), store)
    damaged = {"evaluate": {"evaluation.json": '{"labels": ['}, "pretrain": {"history.jsonl": "{}\nnot"}}
    text = Page(render_report(record(walk(store, "evaluate", damaged), version=None), store)).text
    assert "Completed up to evaluate" in text
    assert "Confusion" not in text


@pytest.mark.parametrize(
    ("state", "until", "headline"),
    [
        ("running", "clean", "Still running"),
        ("killed", "pretrain", "Killed before its end"),
        ("completed", "tokenize", "Completed up to tokenize"),
        ("completed", "register", "Version 3 is registered"),
    ],
)
def test_headline_says_how_far_the_run_came(store: Store, state: str, until: str, headline: str) -> None:
    html = render_report(record(walk(store, until, files()), state=state), store)
    assert f">{headline}</h1>" in html


def test_artifact_that_was_replaced_is_not_shown(store: Store) -> None:
    outcomes = walk(store, "clean", {})
    outcomes[2] = outcomes[2].model_copy(update={"digest": "f" * 64})
    assert "documents collected" not in render_report(record(outcomes), store)


def test_hostile_text_stays_text(store: Store) -> None:
    evil = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>"
    run = record(
        walk(store, "deploy", files(labels=[evil, *LABELS[1:]])),
        **{"state": "failed", "message": evil, "recipe": evil, "command": evil, "id": evil},
        **{
            "settings": {evil: evil},
            "urls": {evil: "javascript:alert(3)", "Triton": f"http://127.0.0.1/{evil}"},
        },
    )
    page = Page(render_report(run, store))
    assert page.text.count("<script>alert(1)</script>") >= 8
    assert not {"script", "img"} & set(page.tags)
    assert not any(value.startswith("javascript:") for _, value in page.addresses)


def test_nothing_is_asked_of_a_network(store: Store) -> None:
    run = record(walk(store, "deploy", files()))
    html = render_report(run, store)
    page = Page(html)
    docs = f"../../artifacts/validate_clean/{run.outcomes[3].key[:32]}/data_docs/index.html"
    assert sorted(value for _, value in page.addresses) == sorted([docs, *run.urls.values()])
    assert {tag for tag, _ in page.addresses} == {"a"}
    style = html[html.index("<style>") : html.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style
    assert "default-src 'none'" in html


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    pages = []
    for name in ("one", "two"):
        store = Store(tmp_path / name)
        write_report(record(walk(store, "deploy", files())), store, tmp_path / f"{name}.html")
        pages.append((tmp_path / f"{name}.html").read_bytes())
    assert pages[0] == pages[1]


def test_unwritable_place_is_named(store: Store, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(TextmillError, match=r"file/report\.html can't be written"):
        write_report(record([]), store, tmp_path / "file" / "report.html")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (format_number(84_912), "84,912"),
        (format_number(0.8741), "0.874"),
        (format_number(30.33), "30.3"),
        (format_number(0.0), "0"),
        (format_number(7.7e-5), "7.7e-05"),
        (format_number(None), "–"),
        (format_number(0), "0"),
        (format_duration(0.84), "0.8 s"),
        (format_duration(372.4), "6 min 12 s"),
        (format_duration(3_840), "1 h 04 min"),
        (format_size(5_840_212), "5.8 MB"),
    ],
)
def test_numbers_are_written_for_people(shown: str, expected: str) -> None:
    assert shown == expected
