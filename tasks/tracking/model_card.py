"""The model card: what a registered version is, what it learnt from, and how good it is, on one page.

The sections are those that readers of a card look for (Mitchell et al. 2019, arXiv 1810.03993).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.contract.artifact import Manifest
from tasks.contract.console import format_cell, markdown_table

PRIVATE = ("epsilon", "delta", "noise_multiplier")


def model_card(name: str, manifests: Mapping[str, Manifest], evaluation: Mapping[str, Any]) -> str:
    """The card in Markdown, from the manifests by stage and the evaluation."""
    tuned = manifests["fine_tune"]
    parts = [
        f"# {name}",
        f"A model for {evaluation['task'].replace('_', ' ')}, {_origin(manifests)}"
        + (f", labels: {', '.join(evaluation['labels'])}." if evaluation["labels"] else "."),
        "## Training",
        markdown_table(
            ["", ""],
            [
                *_pretraining(manifests),
                *manifests["examples"].counts.items(),
                ("best epoch", tuned.metrics["best_epoch"]),
                ("seed", tuned.metrics["seed"]),
            ],
        ),
        "## Evaluation",
        f"On {evaluation['test_examples']:,} test examples, "
        f"{evaluation['test_examples_in_training'] or 'none'} of which training has seen:",
        markdown_table(
            ["", *evaluation["model"]],
            [
                (rival.replace("_", " "), *(figures.get(name, "") for name in evaluation["model"]))
                for rival, figures in [("this model", evaluation["model"]), *evaluation["baselines"].items()]
            ],
        ),
    ]
    if seeds := evaluation["seeds"]:
        rows = [(f, *seeds[f].values()) for f in ("mean", "standard_deviation")]
        parts += [
            f"Over {len(seeds['models'])} seeds:",
            markdown_table(["", *seeds["mean"]], [(row[0].replace("_", " "), *row[1:]) for row in rows]),
        ]
    parts += ["## Privacy", _privacy(tuned.metrics)]
    return "\n\n".join(parts) + "\n"


def _origin(manifests: Mapping[str, Manifest]) -> str:
    if pretrained := manifests.get("pretrain"):
        if start := pretrained.external.get("start_from"):
            return f"pretrained further and fine-tuned from {start}"
        return f"family {pretrained.config['family']}"
    return f"fine-tuned from {manifests['fine_tune'].external['start_from']}"


def _pretraining(manifests: Mapping[str, Manifest]) -> Iterator[tuple[str, object]]:
    if cleaned := manifests.get("clean"):
        yield "documents of the corpus", cleaned.counts.get("kept", 0)
    if pretrained := manifests.get("pretrain"):
        yield "pretraining steps", pretrained.config["steps"]
    else:
        yield "parameters at the start", manifests["fine_tune"].counts["parameters at the start"]


def _privacy(metrics: Mapping[str, float]) -> str:
    if "epsilon" not in metrics:
        return "Trained without differential privacy: what it learnt from may be found in it."
    figures = ", ".join(f"{name.replace('_', ' ')} {format_cell(metrics[name])}" for name in PRIVATE)
    return (
        f"Fine-tuned with differential privacy (DP-SGD): {figures}. This holds for the examples of the "
        "fine-tuning and the model. It does not cover what the model was pretrained on, the tokenizer, the "
        "set of labels, the figures on this page, the training losses (they are without noise), or the "
        "choice among several models."
    )
