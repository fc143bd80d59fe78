"""Stage 7: measure the models on the test split, against baselines and the champion, and judge."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pydantic import Field

from tasks.artifact import Artifact
from tasks.cleaning.words import is_unspaced
from tasks.fine_tune import read_examples
from tasks.plots import plot_confusion_matrix, plot_loss_curves
from tasks.registry import ModelVersion, predict_with
from tasks.stage import Config, Workspace, stage


class EvaluateConfig(Config):
    """What the gate demands of a model before it may be registered."""

    min_accuracy: float = Field(0.0, ge=0, le=1, description="On the test split.")
    min_f1_macro: float = Field(0.0, ge=0, le=1, description="On the test split, all labels alike.")
    min_f1_over_majority: float = Field(
        0.1, ge=-1, le=1, description="How far macro F1 must lie above always answering the commonest label."
    )
    max_perplexity: float | None = Field(None, gt=1, description="Of the pretrained model on held-out text.")
    max_f1_below_champion: float = Field(
        0.005, ge=0, le=1, description="How far macro F1 may lie below the champion's on the same examples."
    )
    batch_size: int = Field(64, ge=1, description="Texts classified at once.")


@stage()
def evaluate(
    tokens: Artifact,
    pretrained: Artifact,
    model: Artifact,
    champion: ModelVersion | None,
    config: EvaluateConfig,
    workspace: Workspace,
) -> None:
    """Write `evaluation.json` with every figure and the gate's verdict, predictions, and two plots.

    A refusal is a result, not an error, here: `register` logs it and then stops the line.
    """
    from model_code.predict import classify
    from model_code.pretrain import held_out_metrics

    model_path, labelled = workspace.path(model) / "model", workspace.path(model) / "labelled"
    texts, truth = read_examples(labelled, "test")
    train_texts, train_truth = read_examples(labelled, "train")
    labels = json.loads((labelled / "report.json").read_text())["labels"]

    training = workspace.manifest(pretrained).config
    held_out = held_out_metrics(
        workspace.path(pretrained) / "model", workspace.path(tokens) / "tokens", "test", training
    )
    logits = classify(model_path, texts, config.batch_size)
    predicted = [labels[index] for index in logits.argmax(axis=1)]
    baselines = {
        "majority": scores(truth, _majority(train_truth, len(truth)), labels),
        "tfidf_logistic_regression": scores(truth, _tfidf(train_texts, train_truth, texts), labels),
    }
    evaluation: dict[str, Any] = {
        "labels": labels,
        "test_examples": len(texts),
        "pretrained": {
            "loss": held_out["loss"],
            "perplexity": held_out["perplexity"],
            "masked_accuracy": held_out["accuracy"],
            "tokens": held_out["targets"],
        },
        "model": scores(truth, predicted, labels),
        "per_label": per_label(truth, predicted, labels),
        "confusion_matrix": confusion_matrix(truth, predicted, labels),
        "baselines": baselines,
        "champion": _champion_scores(champion, texts, truth, labels, workspace),
    }
    evaluation["gate"] = judge(evaluation, config)
    _write(evaluation, workspace)
    plot_confusion_matrix(
        evaluation["confusion_matrix"], labels, workspace.directory / "confusion_matrix.png"
    )
    plot_loss_curves(
        {
            name: workspace.path(a) / "history.jsonl"
            for name, a in (("pretrain", pretrained), ("fine-tune", model))
        },
        workspace.directory / "loss_curves.png",
    )
    _show(evaluation, workspace)


def scores(truth: Sequence[str], predicted: Sequence[str], labels: Sequence[str]) -> dict[str, float]:
    """Accuracy, and macro precision, recall and F1 over `labels`; undefined precision counts as 0."""
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support

    precision, recall, f1, _ = precision_recall_fscore_support(
        truth, predicted, labels=labels, average="macro", zero_division=0
    )
    return {
        "accuracy": float(accuracy_score(truth, predicted)),
        "precision_macro": float(precision),
        "recall_macro": float(recall),
        "f1_macro": float(f1),
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
    """The gate's verdict: every demand of the recipe, what was found, and whether all are met."""
    model, majority = evaluation["model"], evaluation["baselines"]["majority"]
    over_majority = model["f1_macro"] - majority["f1_macro"]
    demands = [
        _at_least("accuracy", model["accuracy"], config.min_accuracy),
        _at_least("macro F1", model["f1_macro"], config.min_f1_macro),
        _at_least("macro F1 over majority baseline", over_majority, config.min_f1_over_majority),
    ]
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
        lowest = champion["f1_macro"] - config.max_f1_below_champion
        demands.append(
            _at_least(f"macro F1 against champion {champion['version']}", model["f1_macro"], lowest)
        )
    return {"passed": all(demand["passed"] for demand in demands), "demands": demands}


def _at_least(name: str, found: float, lowest: float) -> dict[str, Any]:
    return {"name": name, "demand": f"at least {lowest:.4g}", "found": found, "passed": bool(found >= lowest)}


def _majority(train: Sequence[str], size: int) -> list[str]:
    return [max(sorted(set(train)), key=train.count)] * size


def _tfidf(train_texts: Sequence[str], train_truth: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Predictions of the baseline that everyone would try first, at scikit-learn's usual settings."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    unspaced = 2 * sum(map(is_unspaced, texts)) > len(texts)
    units: dict[str, Any] = {"analyzer": "char", "ngram_range": (1, 3)} if unspaced else {}
    baseline = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, max_features=50_000, **units),
        LogisticRegression(C=10, max_iter=200, tol=1e-3),
    )
    baseline.fit(train_texts, train_truth)
    return [str(label) for label in baseline.predict(texts)]


def _champion_scores(
    champion: ModelVersion | None,
    texts: Sequence[str],
    truth: Sequence[str],
    labels: Sequence[str],
    workspace: Workspace,
) -> dict[str, Any] | None:
    """The champion on the same examples, through its registered model as a user would load it."""
    if champion is None:
        return None
    workspace.say(f"comparing with the champion, version {champion.version}")
    return {"version": champion.version, **scores(truth, predict_with(champion, texts), labels)}


def _write(evaluation: dict[str, Any], workspace: Workspace) -> None:
    text = json.dumps(evaluation, indent=2, ensure_ascii=False) + "\n"
    (workspace.directory / "evaluation.json").write_text(text)


def _show(evaluation: dict[str, Any], workspace: Workspace) -> None:
    model, gate = evaluation["model"], evaluation["gate"]
    workspace.counts |= {"test examples": evaluation["test_examples"], "labels": len(evaluation["labels"])}
    workspace.metrics |= model | {f"pretrained {k}": float(v) for k, v in evaluation["pretrained"].items()}
    rivals = {"textmill": model, **evaluation["baselines"]}
    if evaluation["champion"]:
        rivals["champion"] = evaluation["champion"]
    names = ("accuracy", "precision_macro", "recall_macro", "f1_macro")
    rows = [(rival, *(figures[name] for name in names)) for rival, figures in rivals.items()]
    workspace.table("Against the baselines", ["", *names], rows)
    labels = [tuple(row.values()) for row in evaluation["per_label"]]
    workspace.table("Per label", ["label", "precision", "recall", "F1", "test examples"], labels)
    demands = [tuple(demand.values()) for demand in gate["demands"]]
    workspace.table(
        "Gate: " + ("passed" if gate["passed"] else "refused"), ["", "demand", "found", "met"], demands
    )
    f1 = {rival: figures["f1_macro"] for rival, figures in rivals.items()}
    workspace.say(
        f"macro F1 {f1['textmill']:.3f} (majority {f1['majority']:.3f}, TF-IDF + logistic regression "
        f"{f1['tfidf_logistic_regression']:.3f}); perplexity {evaluation['pretrained']['perplexity']:.1f}; "
        + ("[green]gate passed[/]" if gate["passed"] else "[red]gate refused[/]")
    )
