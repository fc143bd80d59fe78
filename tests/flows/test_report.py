"""The report of a run: complete, refused, failed early, with hostile text; one file that asks nothing."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from flows.report import (
    format_duration,
    format_number,
    format_size,
    render_report,
    write_report,
)
from tasks.contract.errors import TextmillError
from tasks.contract.run import StageOutcome
from tasks.contract.store import Store
from tasks.evaluation.gate import refused
from tests.flows.reported_run import LABELS, evaluation, files, record, walk


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
    assert "champion, version 2 0.905 0.873 0.866 0.869 0.853 to 0.884" in page.text
    assert "length 3 to 40 characters 450 right answers 0.871 0.837 to 0.899" in page.text
    assert "12 right answers 0.500 0.254 to 0.746 (too few to say much)" in page.text
    assert "Its probabilities are off by 0.031 on average" in page.text
    assert "0.60 to 0.67 120 0.630 0.550" in page.text
    demanded = "macro F1 against champion 2 not more than 0.02 below 0.00500 -0.0110 to 0.0210 0.0280"
    assert f"{demanded} ✓ passed" in page.text
    assert "+0.005 over champion 2: between -0.011 and +0.021 with 95 % confidence" in page.text
    assert "loss 3.41, perplexity 30.3, guessed right 38.1 %" in page.text
    assert "opset 20, 5.8 MB" in page.text
    assert "curl -s http://127.0.0.1:8000/v2/models/python-docs/generate" in page.text
    assert "500 test examples answered as by PyTorch" in page.text
    assert "f1 macro on the same test examples: 0.874 through the endpoint" in page.text
    assert "What Triton has counted" not in page.text
    without_server = render_report(run.model_copy(update={"urls": {}}), store)
    assert "http://127.0.0.1:8100/v2/models/python-docs/generate" in without_server
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
    assert "The gate: keep ✗ failed" in text
    assert "not more than 0.02 below 0.00500 -0.0110 to 0.0210 0.0280 ✗ failed" in text
    assert "register ✗ refused" in text
    assert "Release" not in text
    assert "deploy not reached" in text


def test_a_run_of_which_the_gate_can_not_tell_says_how_many_examples_it_needs(store: Store) -> None:
    found = evaluation(passed=False)
    says = "inconclusive: needs 1,240 more examples"
    found["gate"] |= {"verdict": "inconclusive", "needs": 1240, "says": says}
    found["gate"]["demands"][1] |= {"needs": 1240, "says": "it is only known to be at most 0.0136 below"}
    given = files() | {"evaluate": {"evaluation.json": json.dumps(found)}}
    message = f"register: {refused(found['gate'])}"
    text = Page(
        render_report(record(walk(store, "evaluate", given), state="refused", message=message), store)
    ).text
    assert text.strip().startswith("The gate can't tell")
    assert text.index(says) < text.index("The pipeline")
    assert f"The gate: {says}" in text
    assert "it is only known to be at most 0.0136 below 0.00500 -0.0110 to 0.0210 0.0280 ? can't tell" in text


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


def test_what_triton_counted_is_beside_the_deployment(store: Store) -> None:
    counted = {"requests": 1_512.0, "failures": 2.0, "latency_ms": 3.456, "queue_ms": 0.25}
    counted |= {"rows_per_execution": 7.5}
    run = record(walk(store, "deploy", files()), endpoint=counted)
    text = Page(render_report(run, store)).text
    assert "mean time of it waiting rows per execution 1,512 2 3.46 ms 0.250 ms 7.50" in text


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
