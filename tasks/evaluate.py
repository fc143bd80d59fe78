"""Stage: measure the models on the test examples, against baselines and the champion, and judge."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from corpus.examples.written_examples import read_split, test_examples_in_training
from tasks.contract.artifact import Artifact
from tasks.contract.console import escaped
from tasks.contract.errors import GateRefused
from tasks.contract.run import Run
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace
from tasks.evaluation import kept_predictions, verdict_table
from tasks.evaluation.answers_before import Answers, answers_of
from tasks.evaluation.calibration import calibration
from tasks.evaluation.gate import EvaluateConfig, interval, judge_model, reasons, refused, way_out
from tasks.evaluation.paired_bootstrap import OWN, groups_of, measured
from tasks.evaluation.slices import HEADER, slice_rows, slices
from tasks.tracking.plots import plot_confusion_matrix, plot_loss_curves, plot_reliability
from tasks.tracking.registry import ModelVersion

if TYPE_CHECKING:
    from model_code.task_types.task import Field as ExampleField
    from model_code.task_types.task import Settings, TaskType

CHAMPION = "champion"
SAMPLES = 12
READABLE = 40  # labels of a confusion matrix
Predictions = Sequence[Any]


@stage(runs=("model_code.task_types.",))
def evaluate(
    tokens: Artifact | None,
    examples: Artifact,
    pretrained: Artifact | None,
    model: Artifact,
    champion: ModelVersion | None,
    config: EvaluateConfig,
    workspace: Workspace,
) -> None:
    """Write `evaluation.json` with every figure and the gate's verdict, and the plots.

    `tokens` and `pretrained` are None where the recipe starts from a published checkpoint.

    What was said of each example is in `predictions.parquet`, by which later versions are compared with this
    one; some of it beside the texts in `samples.json`. Neither is shown on any server's page.

    A refusal is a result, not an error, here: `register` logs it and then stops the run.

    Raises:
        StageError: the champion can't be asked, or the gate demands a metric that the task does not have.
    """
    from model_code.predict import Predictor

    train, test = (read_split(workspace.path(examples), split) for split in ("train", "test"))
    predictor = Predictor(workspace.path(model) / "model")
    task, settings = predictor.task, predictor.settings
    predicted, sure = predictor.predict_surely(test, config.batch_size)
    baselines = _baselines(task, train, test, settings)
    rivals = {name: said for name, (said, figures) in baselines.items() if figures}
    before = _champions(champion, settings.task, test, workspace)
    truths = kept_predictions.truths_of(test, settings)
    said = {OWN: predicted, **rivals} | ({CHAMPION: before.said} if before else {})
    intervals, comparisons = measured(task, truths, said, settings)
    evaluation: dict[str, Any] = {
        "task": settings.task,
        "metric": task.METRIC,
        "labels": list(settings.labels),
        "test_examples": len(test),
        "test_examples_in_training": test_examples_in_training(workspace.path(examples)),
        "pretrained": _held_out(pretrained, tokens, workspace),
        "model": task.metrics(truths, predicted, settings),
        "trivial": next(iter(baselines)),
        "baselines": {name: baselines[name][1] for name in rivals},
        "unavailable": {name: said.reason for name, (said, _) in baselines.items() if name not in rivals},
        "intervals": intervals,
        "comparisons": {name: comparisons[name] for name in rivals},
        "slices": slices(task, test, predicted, settings),
        "calibration": _calibration(task, test, predicted, sure),
        "champion": None,
        "against_champion": comparisons.get(CHAMPION),
        "seeds": _over_seeds(workspace.path(model), test, config.batch_size),
        "demanded": config.model_dump(mode="json"),
    }
    if champion and before:
        figures = task.metrics(truths, before.said, settings)
        evaluation["champion"] = {"version": champion.version, "source": before.source, **figures}
    evaluation |= _by_label(task, test, predicted, settings.labels)
    evaluation["gate"] = judge_model(evaluation, config)
    kept_predictions.write(workspace.directory / kept_predictions.FILE, test, predicted, settings)
    write_evaluation(evaluation, workspace)
    write_samples(example_answers(task, test, predicted), workspace)
    trained = {"pretrain": pretrained, "fine-tune": model}
    plot_loss_curves(
        {name: workspace.path(made) / "history.jsonl" for name, made in trained.items() if made},
        workspace.directory / "loss_curves.png",
    )
    _show(evaluation, workspace)


def _champions(
    champion: ModelVersion | None, task: str, test: Sequence[Any], workspace: Workspace
) -> Answers | None:
    """What the champion says of the test examples; None where there is none."""
    if champion is None:
        return None
    answers = answers_of(champion, task, test, workspace.store)
    workspace.say(f"comparing with the champion, version {champion.version}, by {answers.source}")
    return answers


def _held_out(pretrained: Artifact | None, tokens: Artifact | None, workspace: Workspace) -> dict[str, Any]:
    """How well the pretrained model guesses the test split of its corpus; empty where it has none here."""
    from model_code.pretraining import held_out_metrics

    if pretrained is None or tokens is None:
        return {}
    model, training = workspace.path(pretrained) / "model", workspace.manifest(pretrained).whole_config
    measured = held_out_metrics(model, workspace.path(tokens) / "tokens", "test", training)
    return {name: measured[name] for name in ("loss", "perplexity", "accuracy", "targets")}


def _baselines(
    task: TaskType, train: Sequence[Any], test: Sequence[Any], settings: Settings
) -> dict[str, tuple[Any, dict[str, float]]]:
    """Of each baseline what it says and its figures; NotAvailable, and none, where it can't be had."""
    from model_code.task_types.baselines import NotAvailable, attempt

    made = attempt(lambda: task.baselines(train, test, settings))
    by_baseline: dict[str, tuple[Any, dict[str, float]]] = {}
    for name, said in ({"baselines": made} if isinstance(made, NotAvailable) else made).items():
        if isinstance(said, NotAvailable):
            figures = said
        else:
            figures = attempt(partial(task.metrics, test, said, settings))
        by_baseline[name] = (figures, {}) if isinstance(figures, NotAvailable) else (said, figures)
    return by_baseline


def _over_seeds(model: Path, test: Sequence[Any], batch_size: int) -> dict[str, Any]:
    """Mean and standard deviation of every metric over several seeds; empty for a single one."""
    from model_code.predict import Predictor

    listed = model / "seeds.json"
    if not listed.is_file():
        return {}
    by_seed = []
    for seed in json.loads(listed.read_text(encoding="utf-8")):
        predictor = Predictor(model / seed["model"])
        figures = predictor.task.metrics(test, predictor.predict(test, batch_size), predictor.settings)
        by_seed.append({"seed": seed["seed"]} | figures)
    names = [name for name in by_seed[0] if name != "seed"]
    return {
        "models": by_seed,
        "mean": {name: mean(one[name] for one in by_seed) for name in names},
        "standard_deviation": {name: stdev(one[name] for one in by_seed) for name in names},
    }


def target_of(task: TaskType) -> tuple[str, ExampleField] | None:
    """The field that a task predicts, if it is one."""
    return next(((name, field) for name, field in task.FIELDS.items() if field.target), None)


def example_answers(task: TaskType, test: Sequence[Any], predicted: Predictions) -> list[dict[str, str]]:
    """Some examples as a person reads them: what was given, what the model says, what is right."""
    found = target_of(task)
    if found is None or found[1].kind == "score":
        return []
    target, _ = found
    every = max(1, len(test) // SAMPLES)
    return [
        {
            "given": "\n".join(
                _text(example[name]) for name in task.FIELDS if name in example and name != target
            ),
            "model": _text(said),
            "right": _text(example.get(target, "")),
        }
        for example, said in list(zip(test, predicted, strict=True))[::every][:SAMPLES]
    ]


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return _text(next(value[key] for key in ("content", "text", "labels") if key in value))
    return " ".join(map(_text, value)) if isinstance(value, list | tuple) else str(value)


def _calibration(
    task: TaskType, test: Sequence[Any], predicted: Predictions, sure: Sequence[float] | None
) -> dict[str, Any]:
    """Whether the probabilities of labels are what they say; empty for tasks without."""
    if sure is None or (found := target_of(task)) is None or found[1].kind != "label":
        return {}
    right = [example[found[0]] == said for example, said in zip(test, predicted, strict=True)]
    return calibration(right, sure, groups_of(test))


def _by_label(
    task: TaskType, test: Sequence[Any], predicted: Predictions, labels: Sequence[str]
) -> dict[str, Any]:
    """Figures of each label, and the confusion matrix of as many as can be read, where an example has one."""
    found = target_of(task)
    if found is None or found[1].kind != "label":
        return {}
    target, _ = found
    truth = [example[target] for example in test]
    shown = most_confused(truth, predicted, labels)
    return {
        "per_label": per_label(truth, predicted, labels),
        "confused": shown,
        "confusion_matrix": confusion_matrix(truth, predicted, shown),
    }


def per_label(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Precision, recall, F1 and the number of test examples of every label."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    rows = zip(labels, *(column.tolist() for column in columns), strict=True)
    return [dict(zip(("label", "precision", "recall", "f1", "support"), row, strict=True)) for row in rows]


def most_confused(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> list[str]:
    """All labels, or as many as can be read in a matrix: those that most mistakes are about."""
    wrong = [pair for pair in zip(truth, predicted, strict=True) if pair[0] != pair[1]]
    mistakes = Counter(label for pair in wrong for label in pair)
    chosen = set(sorted(labels, key=lambda label: -mistakes[label])[:READABLE])
    return [label for label in labels if label in chosen]


def confusion_matrix(
    truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> list[list[int]]:
    """Counts [true label][predicted label]."""
    counts = Counter(zip(truth, predicted, strict=True))
    return [[counts[true, said] for said in labels] for true in labels]


def write_evaluation(evaluation: dict[str, Any], workspace: Workspace) -> None:
    """The figures, and the pictures of a confusion matrix and of calibration where there are such."""
    text = json.dumps(evaluation, indent=2, ensure_ascii=False) + "\n"
    (workspace.directory / "evaluation.json").write_text(text, encoding="utf-8")
    if "confusion_matrix" in evaluation:
        picture = workspace.directory / "confusion_matrix.png"
        plot_confusion_matrix(evaluation["confusion_matrix"], evaluation["confused"], picture)
    if evaluation.get("calibration"):
        plot_reliability(evaluation["calibration"]["bins"], workspace.directory / "reliability.png")


def write_samples(found: list[dict[str, str]], workspace: Workspace) -> None:
    """What people read; no file where there is nothing."""
    if found:
        text = json.dumps(found, indent=2, ensure_ascii=False) + "\n"
        (workspace.directory / "samples.json").write_text(text, encoding="utf-8")


def _show(evaluation: dict[str, Any], workspace: Workspace) -> None:
    model, gate, metric = evaluation["model"], evaluation["gate"], evaluation["metric"]
    workspace.counts |= {"test examples": evaluation["test_examples"], "labels": len(evaluation["labels"])}
    workspace.metrics |= model | {f"pretrained {k}": float(v) for k, v in evaluation["pretrained"].items()}
    rivals = {"textmill": model, **evaluation["baselines"]}
    if evaluation["champion"]:
        rivals["champion"] = evaluation["champion"]
    rows = [(rival, *(figures.get(name, "") for name in model)) for rival, figures in rivals.items()]
    workspace.table("Against the baselines", ["", *model], rows)
    if seeds := evaluation["seeds"]:
        figures = ("mean", "standard_deviation")
        rows = [(name, *(seeds[figure][name] for figure in figures)) for name in model]
        workspace.table(f"Over {len(seeds['models'])} seeds", ["", "mean", "standard deviation"], rows)
        workspace.metrics |= {f"{metric} over seeds, {figure}": seeds[figure][metric] for figure in figures}
    if "per_label" in evaluation:
        labels = [tuple(row.values()) for row in evaluation["per_label"]]
        workspace.table("Per label", ["label", "precision", "recall", "F1", "test examples"], labels)
    elif (workspace.directory / "samples.json").is_file():
        place = workspace.store.place(workspace.stage, workspace.key)
        workspace.say(f"what it says beside what is right: {escaped(str(place / 'samples.json'))}")
    if sureness := evaluation["calibration"]:
        workspace.metrics["calibration error"] = sureness["error"]
        workspace.say(
            f"probabilities are off by {sureness['error']:.3f} ({sureness['low']:.3f} to "
            f"{sureness['high']:.3f}; {sureness['by_chance']:.3f} may be chance)"
        )
    if parts := evaluation["slices"]:
        workspace.table("By part of the test examples, reported and not judged", HEADER, slice_rows(parts))
    workspace.table(f"Gate: {gate['says']}", verdict_table.HEADER, verdict_table.rows(gate))
    above = [
        (name.replace("_", " "), found["difference"], interval(found))
        for name, found in evaluation["comparisons"].items()
    ]
    if before := evaluation["champion"]:
        found = evaluation["against_champion"]
        above.append((f"champion {before['version']}", found["difference"], interval(found)))
    missing = [(name, "", f"not available: {why}") for name, why in evaluation["unavailable"].items()]
    workspace.table(f"{metric} over the others", ["", "difference", "interval"], [*above, *missing])
    others = ", ".join(
        f"{name.replace('_', ' ')} {figures[metric]:.3f}" for name, figures in evaluation["baselines"].items()
    )
    workspace.say(
        f"{metric.replace('_', ' ')} {model[metric]:.3f} ({others}); "
        + (f"perplexity {pretrained['perplexity']:.1f}; " if (pretrained := evaluation["pretrained"]) else "")
        + f"[{'green' if gate['passed'] else 'red'}]{gate['says']}[/]"
    )
    for name, difference, found in above:
        workspace.say(f"  {difference:+.3f} over {name}, interval {found}")
    for name, _, why in missing:
        workspace.say(f"  [yellow]baseline {escaped(name)} {escaped(why)}[/]")
    if not gate["passed"]:
        workspace.say(f"  {escaped(reasons(gate))}")


def require_passed(evaluation: Artifact, run: Run) -> None:
    """End a run that goes no further than the evaluation as one that goes on would end.

    Raises:
        GateRefused: the gate refused the model.
    """
    path = run.store.path(evaluation) / "evaluation.json"
    gate = json.loads(path.read_text(encoding="utf-8"))["gate"]
    if not gate["passed"]:
        raise GateRefused(f"evaluate: {refused(gate)}. {way_out(gate)}")
