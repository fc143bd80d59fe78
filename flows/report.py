"""One HTML page per run: what was made, how good it is, and how to make it again.

The servers' pages show one part each and go away with the servers. This page is a single file that opens
from disk anywhere, asks nothing of a network, and shows whatever exists: a run that failed in its second
stage has a report of its first, with the error on top.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from corpus.atomic import whole_file
from deploy.client import PROBE
from flows.corpus_figures import corpus_bars
from flows.question import HITS, as_curl
from flows.report_chart import Chart, line_chart
from flows.run_record import RunRecord
from flows.stages import STAGES
from tasks.contract.artifact import Manifest
from tasks.contract.errors import TextmillError
from tasks.contract.store import Store
from tasks.evaluation.gate import UNDECIDED

TEMPLATE = "report_template.html"
TRAINED = {"Pretraining": "pretrain", "Fine-tuning": "fine_tune"}
DATA_DOCS = "data_docs/index.html"
DROPPED_BY = "dropped by "  # how the clean stage names its counts
EXAMPLE = "Read a CSV file into a table"


def write_report(record: RunRecord, store: Store, path: Path) -> None:
    """Write the run's report to `path`, in one step; the same record and artifacts give the same bytes.

    Raises:
        TextmillError: `path` can't be written.
    """
    page = render_report(record, store)
    try:
        with whole_file(path) as unfinished:
            unfinished.write_text(page, encoding="utf-8")
    except OSError as error:
        raise TextmillError(
            f"report: {path} can't be written ({error.strerror}); make room or make it writable, "
            "the run itself is not affected"
        ) from error


def render_report(record: RunRecord, store: Store) -> str:
    """The report as HTML text; every part whose artifact is missing is left out."""
    from jinja2 import ChainableUndefined, Environment, FileSystemLoader

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=ChainableUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=format_number,
        score=format_score,
        percent=format_percent,
        duration=format_duration,
        size=format_size,
        moment=_moment,
    )
    return environment.get_template(TEMPLATE).render(_content(record, store))


def _content(record: RunRecord, store: Store) -> dict[str, Any]:
    """Everything the template shows; a value is empty where its artifact does not exist."""
    outcomes = {outcome.stage: outcome for outcome in record.outcomes}
    manifests = {}
    for outcome in record.outcomes:
        manifest = store.manifest(outcome.stage, outcome.key) if outcome.state in ("made", "cached") else None
        if manifest and manifest.digest == outcome.digest:
            manifests[outcome.stage] = manifest
    files = _Files(store, manifests)
    evaluation = files.json("evaluate", "evaluation.json") or {}
    parity = files.json("export", "parity.json") or {}
    deployment = files.json("deploy", "deployment.json") or {}
    pretrained = evaluation.get("pretrained") or _held_out(manifests.get("pretrain"))
    tone, headline = _verdict(record)
    curves = [
        (name, _loss_curve(files.lines(stage, "history.jsonl"), manifests[stage].metrics.get("loss")))
        for name, stage in TRAINED.items()
        if stage in manifests
    ]
    return {
        "record": record,
        "tone": tone,
        "headline": headline,
        "figures": _figures(manifests, pretrained, evaluation, parity),
        "stages": [(name, outcomes.get(name), manifests.get(name)) for name in record.stages or STAGES],
        "funnel": _funnel(manifests.get("clean")),
        "bars": corpus_bars(files.json("clean", "report.json") or {}),
        "checkpoints": _checkpoints(record, store),
        "examples": files.json("examples", "report.json") or {},
        "curves": [(name, curve) for name, curve in curves if curve],
        "pretrained": pretrained,
        "starts": {s: m.external["start_from"] for s, m in manifests.items() if "start_from" in m.external},
        "samples": {stage: files.place(stage, "samples.json") for stage in ("pretrain", "evaluate")},
        "evaluation": evaluation,
        "contenders": _contenders(evaluation),
        "parity": parity,
        "deployment": deployment,
        "curl": _curl(files, record, manifests.get("deploy")),
        "settings": _yaml(record.settings),
    }


class _Files:
    """Files inside the run's artifacts, None or empty where there is nothing that can be read."""

    def __init__(self, store: Store, manifests: Mapping[str, Manifest]) -> None:
        self.store, self.manifests = store, manifests

    def place(self, stage: str, name: str) -> Path | None:
        """Where a file of a stage's artifact is."""
        manifest = self.manifests.get(stage)
        return self.store.place(stage, manifest.key) / name if manifest and name in manifest.files else None

    def json(self, stage: str, name: str) -> Any:
        """The JSON value in a file of a stage's artifact."""
        try:
            return json.loads(self._text(stage, name))
        except (OSError, ValueError):
            return None

    def lines(self, stage: str, name: str) -> list[dict[str, Any]]:
        """The JSON objects in a file of a stage's artifact, one per line."""
        try:
            return [json.loads(line) for line in self._text(stage, name).split("\n") if line]
        except (OSError, ValueError):
            return []

    def _text(self, stage: str, name: str) -> str:
        manifest = self.manifests.get(stage)
        if manifest is None:
            raise FileNotFoundError(stage)
        return (self.store.place(stage, manifest.key) / name).read_text(encoding="utf-8")


def _verdict(record: RunRecord) -> tuple[str, str]:
    """(tone, headline): good, bad or neutral, and the run's result in a few words."""
    states = {outcome.stage: outcome.state for outcome in record.outcomes}
    if record.state == "refused":
        return "bad", "The gate can't tell" if UNDECIDED in record.message else "Refused by the gate"
    if record.state == "failed":
        failed = next((o.stage for o in record.outcomes if o.state == "failed"), None)
        return "bad", f"Failed in {_words(failed)}" if failed else "Failed before the first stage"
    if record.state == "killed":
        return "bad", "Killed before its end"
    if record.state == "running":
        return "neutral", "Still running"
    version = "The model" if record.version is None else f"Version {record.version}"
    if states.get("deploy") in ("made", "cached"):
        return "good", f"{version} is deployed"
    if states.get("register") in ("made", "cached"):
        return "good", f"{version} is registered"
    last = [o.stage for o in record.outcomes if o.state in ("made", "cached")][-1:]
    if last == ["pretrain"] and not record.settings.get("examples"):
        return "good", "The model is pretrained"
    return "good", f"Completed up to {_words(last[0])}" if last else "Completed"


def _words(stage: str) -> str:
    return stage.replace("_", "-")


def _held_out(manifest: Manifest | None) -> dict[str, float]:
    """What pretraining found on its validation split, in the words of an evaluation; empty if nothing."""
    metrics = manifest.metrics if manifest else {}
    if not {"loss", "perplexity", "accuracy", "targets"} <= metrics.keys():
        return {}
    return {
        "loss": metrics["loss"],
        "perplexity": metrics["perplexity"],
        "accuracy": metrics["accuracy"],
        "targets": int(metrics["targets"]),
    }


def _figures(
    manifests: Mapping[str, Manifest],
    pretrained: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    parity: Mapping[str, Any],
) -> list[tuple[str, str]]:
    """The few numbers under the headline, those that exist."""
    metric = evaluation.get("metric", "")
    name = metric.replace("_", " ")
    baselines = [scores[metric] for scores in evaluation.get("baselines", {}).values()]
    values = {
        "documents kept": manifests["clean"].counts.get("kept") if "clean" in manifests else None,
        "held-out perplexity": pretrained.get("perplexity"),
        "accuracy": evaluation.get("model", {}).get("accuracy"),
        name: evaluation.get("model", {}).get(metric),
        f"{name} of the best baseline": max(baselines, default=None),
    }
    figures = [(name, format_number(value)) for name, value in values.items() if value is not None]
    if "onnx_bytes" in parity:
        figures.append(("ONNX model", format_size(parity["onnx_bytes"])))
    return figures


def _funnel(manifest: Manifest | None) -> dict[str, Any]:
    """Documents collected and kept, and each filter's step between the two; empty before cleaning."""
    counts = manifest.counts if manifest else {}
    if not counts.get("collected"):
        return {}
    collected = left = counts["collected"]
    steps = []
    for name, dropped in counts.items():
        if name.startswith(DROPPED_BY):
            left -= dropped
            steps.append(
                {"name": name.removeprefix(DROPPED_BY), "dropped": dropped, "left": left}
                | {"dropped_share": dropped / collected, "left_share": left / collected}
            )
    kept = counts.get("kept", left)
    return {"collected": collected, "kept": kept, "kept_share": kept / collected, "steps": steps}


def data_docs(record: RunRecord, store: Store) -> dict[str, Path]:
    """The Data Docs page of every checkpoint that was reached, by its stage.

    What a checkpoint refused is in its scratch directory.
    """
    return {
        outcome.stage: (
            store.scratch(outcome.stage, outcome.key)
            if outcome.state == "failed"
            else store.place(outcome.stage, outcome.key)
        )
        / DATA_DOCS
        for outcome in record.outcomes
        if outcome.stage.startswith("validate_") and outcome.key
    }


def _checkpoints(record: RunRecord, store: Store) -> list[dict[str, Any]]:
    """The verdict of each checkpoint that was reached, and the way from the report to its Data Docs."""
    here = store.home / "runs" / record.id
    checkpoints = []
    for stage, page in data_docs(record, store).items():
        with suppress(OSError, ValueError):
            rules = json.loads((page.parents[1] / "validation.json").read_text(encoding="utf-8"))
            docs = Path(os.path.relpath(page, here)).as_posix()
            checkpoints.append({"name": stage.removeprefix("validate_"), "rules": rules, "docs": docs})
    return checkpoints


def _loss_curve(history: list[dict[str, Any]], final: float | None) -> Chart | None:
    """Training and validation loss by step; `final` is the validation loss after the last step."""
    training = [(row["step"], row["loss"]) for row in history if "loss" in row]
    validation = [(row["step"], row["validation"]["loss"]) for row in history if "validation" in row]
    if training and not validation and final is not None:
        validation = [(training[-1][0], final)]
    return line_chart({"training": training, "validation": validation})


def _contenders(evaluation: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any], Mapping[str, Any]]]:
    """(name, scores, interval of the main one) of model, champion and baselines, the best one first."""
    champion, intervals = evaluation.get("champion"), evaluation.get("intervals", {})
    named = [("this model", "model", evaluation.get("model"))]
    if champion:
        named.append((f"champion, version {champion.get('version')}", "champion", champion))
    baselines = evaluation.get("baselines", {}).items()
    named += [(name.replace("_", " "), name, scores) for name, scores in baselines]
    present = [(title, scores, intervals.get(name, {})) for title, name, scores in named if scores]
    return sorted(present, key=lambda item: -item[1].get(evaluation["metric"], 0.0))


def _curl(files: Any, record: RunRecord, deployed: Manifest | None) -> str | None:
    """A command that asks the deployed model: at its address in this run, where that is known."""
    signature = files.json("export", "onnx/signature.json")
    if deployed is None or signature is None or "url" not in deployed.external:
        return None
    triton, name = record.urls.get("Triton"), deployed.external["model"]
    url = f"{triton}/v2/models/{name}" if triton else deployed.external["url"]
    task = files.json("export", "onnx/settings.json") or {}
    example = PROBE if task.get("task") == "relations" else EXAMPLE
    hits = HITS if files.json("index", "onnx/collection/signature.json") else 0
    question = next(iter(record.settings.get("questions") or ()), example)
    return as_curl(question, signature["inputs"], url, hits)


def _yaml(settings: Mapping[str, Any]) -> str:
    import yaml

    return yaml.safe_dump(dict(settings), sort_keys=False, allow_unicode=True, width=100)


def format_number(value: object) -> str:
    """A value as a person reads it: 12,345 or 0.873 or 1.2e-06; `yes`/`no`, a dash for nothing."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if value == 0 or abs(value) >= 1000:
            return f"{value:,.0f}"
        return f"{value:.1e}" if abs(value) < 0.001 else f"{value:#.3g}".rstrip(".")
    return str(value) if value else "–"


def format_score(value: object) -> str:
    """A score from 0 to 1 with three decimals, one up to 100 with one."""
    if not isinstance(value, int | float):
        return "–"
    return f"{value:.3f}" if abs(value) <= 1 else f"{value:.1f}"


def format_percent(value: object) -> str:
    """A share from 0 to 1 as a percentage with one decimal."""
    return f"{100 * value:.1f} %" if isinstance(value, int | float) else "–"


def format_duration(seconds: object) -> str:
    """Seconds as 0.8 s, 34 s, 6 min 12 s or 1 h 04 min."""
    if not isinstance(seconds, int | float):
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
    return f"{minutes // 60} h {minutes % 60:02} min"


def format_size(count: object) -> str:
    """A number of bytes as kB or MB (powers of 1000)."""
    if not isinstance(count, int | float):
        return "–"
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"


def _moment(text: str | None) -> str:
    """An ISO 8601 time as minutes in UTC; what is none is shown as it is."""
    try:
        return f"{datetime.fromisoformat(text or '').astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    except ValueError:
        return text or "–"
