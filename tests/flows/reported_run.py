"""The record of a run and what its stages left, as far as a report shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from flows.run_record import RunRecord
from flows.stages import STAGES
from tasks.contract.artifact import Manifest, content_digest, describe_files
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
        "intervals": {
            "model": {"value": 0.874, "low": 0.858, "high": 0.889},
            "champion": {"value": 0.869, "low": 0.853, "high": 0.884},
        },
        "against_champion": {"difference": 0.005, "low": -0.011, "high": 0.021, "examples": 1800}
        | {"groups": 1800},
        "calibration": {
            **{"error": 0.031, "low": 0.02, "high": 0.043, "by_chance": 0.024},
            "bins": [{"from": 0.6, "to": 0.667, "examples": 120, "probability": 0.63, "right": 0.55}],
        },
        "slices": [
            {"by": "length", "part": "3 to 40 characters", "examples": 450, "figure": "right answers"}
            | {"value": 0.871, "low": 0.837, "high": 0.899, "tiny": False},
            {"by": "label", "part": labels[-1], "examples": 12, "figure": "right answers"}
            | {"value": 0.5, "low": 0.254, "high": 0.746, "tiny": True},
        ],
        "gate": {
            "verdict": "promote" if passed else "keep",
            "needs": 0,
            "says": "promote" if passed else "keep",
            "passed": passed,
            "demands": [
                {"name": "macro F1", "demand": "at least 0.8", "actual": 0.874, "passed": True},
                {"name": "macro F1 against champion 2", "demand": "not more than 0.02 below", "actual": 0.005}
                | {"low": -0.011, "high": 0.021, "smallest": 0.028, "passed": passed},
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
            {"batch": b, "length": n, "max_abs_difference": 1.2e-6 * b}
            for b, n in ((1, 1), (1, 128), (8, 64), (64, 128))
        ],
        "max_abs_difference": 7.7e-5,
        "tolerance": 1e-4,
        "answers": {"compared": 500, "different": 0, "max_abs_difference": 1.1e-6},
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
    deployment |= {"max_abs_difference": 2.4e-6, "different": 0}
    deployment |= {"metric": "f1_macro", "served": 0.874, "registered": 0.874}
    return {
        "clean": {"report.json": json.dumps(cleaning)},
        "validate_clean": {"validation.json": json.dumps(rules)},
        "examples": {"report.json": json.dumps(examples)},
        "pretrain": {"history.jsonl": history(9.01, 3.4, 1500, every=1501)},
        "fine_tune": {"history.jsonl": history(2.6, 0.32, 1350, every=450)},
        "evaluate": {"evaluation.json": json.dumps(evaluation(passed, labels))},
        "export": {
            "parity.json": json.dumps(parity),
            "onnx/signature.json": json.dumps({"inputs": ["text"]}),
        },
        "deploy": {"deployment.json": json.dumps(deployment)},
    }


def published(store: Store, stage: str, contents: Mapping[str, str], seconds: float) -> StageOutcome:
    """Put an artifact with these files in the store; the outcome that a run would record for it."""
    key = f"{STAGES.index(stage):064x}"
    directory = store.begin(stage, key)
    for name, text in contents.items():
        (directory / name).parent.mkdir(exist_ok=True)
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
    }
    return RunRecord(**(values | changes))


def walk(store: Store, until: str, contents: Mapping[str, Mapping[str, str]]) -> list[StageOutcome]:
    made = STAGES[: STAGES.index(until) + 1]
    return [published(store, stage, contents.get(stage, {}), 2.5 + 7.3 * i) for i, stage in enumerate(made)]
