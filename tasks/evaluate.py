"""Stage 9: measure the models on the test examples, against baselines and the champion, and judge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from pydantic import Field

from tasks.artifact import Artifact
from tasks.errors import StageError
from tasks.labelled.artifact import read_split, test_examples_in_training
from tasks.plots import plot_confusion_matrix, plot_loss_curves
from tasks.registry import ModelVersion, predict_with
from tasks.stage import Config, Workspace, stage

if TYPE_CHECKING:
    from model_code.task_types.task import Field as ExampleField
    from model_code.task_types.task import TaskType

SAMPLES = 12
Predictions = Sequence[Any]


class EvaluateConfig(Config):
    """What the gate demands of a model before it may be registered."""

    at_least: dict[str, float] = Field(
        {}, description="Lowest value on the test examples, by metric of the task."
    )
    over_baseline: float = Field(
        0.0, description="How far the task's main metric must lie above that of the most trivial baseline."
    )
    max_perplexity: float | None = Field(None, gt=1, description="Of the pretrained model on held-out text.")
    below_champion: float = Field(
        0.005,
        ge=0,
        description="How far the task's main metric may lie below the champion's on the same examples.",
    )
    batch_size: int = Field(64, ge=1, le=1_000_000, description="Examples predicted at once.")


@stage(runs=("model_code.task_types.",))
def evaluate(
    tokens: Artifact,
    examples: Artifact,
    pretrained: Artifact,
    model: Artifact,
    champion: ModelVersion | None,
    config: EvaluateConfig,
    workspace: Workspace,
) -> None:
    """Write `evaluation.json` with every figure and the gate's verdict, `predictions.jsonl`, and the plots.

    A refusal is a result, not an error, here: `register` logs it and then stops the line.

    Raises:
        StageError: the champion can't be asked, or the gate demands a metric that the task does not have.
    """
    from model_code.predict import Predictor
    from model_code.pretrain import held_out_metrics

    train, test = (read_split(workspace.path(examples), split) for split in ("train", "test"))
    predictor = Predictor(workspace.path(model) / "model")
    task, settings = predictor.task, predictor.settings
    predicted = predictor.predict(test, config.batch_size)
    training = workspace.manifest(pretrained).config
    held_out = held_out_metrics(
        workspace.path(pretrained) / "model", workspace.path(tokens) / "tokens", "test", training
    )
    rivals = task.baselines(train, test, settings)
    evaluation: dict[str, Any] = {
        "task": settings.task,
        "metric": task.METRIC,
        "labels": list(settings.labels),
        "test_examples": len(test),
        "test_examples_in_training": test_examples_in_training(workspace.path(examples)),
        "pretrained": {name: held_out[name] for name in ("loss", "perplexity", "accuracy", "targets")},
        "model": task.metrics(test, predicted, settings),
        "baselines": {name: task.metrics(test, said, settings) for name, said in rivals.items()},
        "champion": None,
        "seeds": _over_seeds(workspace.path(model), test, config.batch_size),
        "samples": samples(task, test, predicted),
    }
    if champion:
        workspace.say(f"comparing with the champion, version {champion.version}")
        said = predict_with(champion, settings.task, test)
        evaluation["champion"] = {"version": champion.version} | task.metrics(test, said, settings)
    evaluation |= _by_label(task, test, predicted, settings.labels)
    evaluation["gate"] = judge(evaluation, config)
    _write(evaluation, test, predicted, workspace)
    plot_loss_curves(
        {
            name: workspace.path(a) / "history.jsonl"
            for name, a in (("pretrain", pretrained), ("fine-tune", model))
        },
        workspace.directory / "loss_curves.png",
    )
    _show(evaluation, workspace)


def _over_seeds(model: Path, test: Sequence[Any], batch_size: int) -> dict[str, Any]:
    """Mean and standard deviation of every metric over several seeds; empty for a single one."""
    from model_code.predict import Predictor

    listed = model / "seeds.json"
    if not listed.is_file():
        return {}
    found = []
    for seed in json.loads(listed.read_text(encoding="utf-8")):
        predictor = Predictor(model / seed["model"])
        figures = predictor.task.metrics(test, predictor.predict(test, batch_size), predictor.settings)
        found.append({"seed": seed["seed"]} | figures)
    names = [name for name in found[0] if name != "seed"]
    return {
        "models": found,
        "mean": {name: mean(one[name] for one in found) for name in names},
        "standard_deviation": {name: stdev(one[name] for one in found) for name in names},
    }


def target_of(task: TaskType) -> tuple[str, ExampleField] | None:
    """The field that a task predicts, if it is one."""
    return next(((name, field) for name, field in task.FIELDS.items() if field.target), None)


def samples(task: TaskType, test: Sequence[Any], predicted: Predictions) -> list[dict[str, str]]:
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


def _by_label(
    task: TaskType, test: Sequence[Any], predicted: Predictions, labels: Sequence[str]
) -> dict[str, Any]:
    """Figures of each label and the confusion matrix, where an example has one label."""
    found = target_of(task)
    if found is None or found[1].kind != "label":
        return {}
    target, _ = found
    truth = [example[target] for example in test]
    return {
        "per_label": per_label(truth, predicted, labels),
        "confusion_matrix": confusion_matrix(truth, predicted, labels),
    }


def per_label(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Precision, recall, F1 and the number of test examples of every label."""
    from sklearn.metrics import precision_recall_fscore_support

    columns = precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    rows = zip(labels, *(column.tolist() for column in columns), strict=True)
    return [dict(zip(("label", "precision", "recall", "f1", "support"), row, strict=True)) for row in rows]


def confusion_matrix(
    truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> list[list[int]]:
    """Counts [true label][predicted label]."""
    from sklearn.metrics import confusion_matrix as count

    return [[int(cell) for cell in row] for row in count(truth, predicted, labels=labels)]


def judge(evaluation: dict[str, Any], config: EvaluateConfig) -> dict[str, Any]:
    """The gate's verdict: every demand of the recipe, what was found, and whether all are met.

    Raises:
        StageError: a metric is demanded that the task does not have.
    """
    model, metric = evaluation["model"], evaluation["metric"]
    if unknown := sorted(config.at_least.keys() - model.keys()):
        raise StageError(
            f"evaluate: the task has no metric {unknown[0]!r}; evaluate.at_least may name {', '.join(model)}"
        )
    demands = [_at_least(name, model[name], lowest) for name, lowest in config.at_least.items()]
    trivial, figures = next(iter(evaluation["baselines"].items()))
    over = model[metric] - figures[metric]
    demands.append(_at_least(f"{metric} over the baseline {trivial}", over, config.over_baseline))
    if config.max_perplexity is not None:
        found = evaluation["pretrained"]["perplexity"]
        demands.append(
            {
                "name": "held-out perplexity",
                "demand": f"at most {config.max_perplexity:g}",
                "found": found,
                "passed": found <= config.max_perplexity,
            }
        )
    if champion := evaluation["champion"]:
        lowest = champion[metric] - config.below_champion
        demands.append(_at_least(f"{metric} against champion {champion['version']}", model[metric], lowest))
    return {"passed": all(demand["passed"] for demand in demands), "demands": demands}


def _at_least(name: str, found: float, lowest: float) -> dict[str, Any]:
    return {"name": name, "demand": f"at least {lowest:.4g}", "found": found, "passed": bool(found >= lowest)}


def _write(
    evaluation: dict[str, Any], test: Sequence[Any], predicted: Predictions, workspace: Workspace
) -> None:
    text = json.dumps(evaluation, indent=2, ensure_ascii=False) + "\n"
    (workspace.directory / "evaluation.json").write_text(text, encoding="utf-8")
    rows = ({"id": example["id"], "predicted": said} for example, said in zip(test, predicted, strict=True))
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (workspace.directory / "predictions.jsonl").write_text(lines, encoding="utf-8")
    if "confusion_matrix" in evaluation:
        plot_confusion_matrix(
            evaluation["confusion_matrix"], evaluation["labels"], workspace.directory / "confusion_matrix.png"
        )


def _show(evaluation: dict[str, Any], workspace: Workspace) -> None:
    model, gate, metric = evaluation["model"], evaluation["gate"], evaluation["metric"]
    workspace.counts |= {"test examples": evaluation["test_examples"], "labels": len(evaluation["labels"])}
    workspace.metrics |= model | {f"pretrained {k}": float(v) for k, v in evaluation["pretrained"].items()}
    rivals = {"textmill": model, **evaluation["baselines"]}
    if evaluation["champion"]:
        rivals["champion"] = evaluation["champion"]
    rows = [(rival, *(figures[name] for name in model)) for rival, figures in rivals.items()]
    workspace.table("Against the baselines", ["", *model], rows)
    if seeds := evaluation["seeds"]:
        figures = ("mean", "standard_deviation")
        rows = [(name, *(seeds[figure][name] for figure in figures)) for name in model]
        workspace.table(f"Over {len(seeds['models'])} seeds", ["", "mean", "standard deviation"], rows)
        workspace.metrics |= {f"{metric} over seeds, {figure}": seeds[figure][metric] for figure in figures}
    if "per_label" in evaluation:
        labels = [tuple(row.values()) for row in evaluation["per_label"]]
        workspace.table("Per label", ["label", "precision", "recall", "F1", "test examples"], labels)
    elif evaluation["samples"]:
        shown = [tuple(sample.values()) for sample in evaluation["samples"]]
        workspace.table("Samples", ["given", "the model", "right"], shown)
    demands = [tuple(demand.values()) for demand in gate["demands"]]
    workspace.table(
        "Gate: " + ("passed" if gate["passed"] else "refused"), ["", "demand", "found", "met"], demands
    )
    others = ", ".join(
        f"{name.replace('_', ' ')} {figures[metric]:.3f}" for name, figures in evaluation["baselines"].items()
    )
    workspace.say(
        f"{metric.replace('_', ' ')} {model[metric]:.3f} ({others}); "
        f"perplexity {evaluation['pretrained']['perplexity']:.1f}; "
        + ("[green]gate passed[/]" if gate["passed"] else "[red]gate refused[/]")
    )
