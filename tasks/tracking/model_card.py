"""The model card: what a registered version is, what it learnt from, and how good it is, on one page.

The sections are those that readers of a card look for (Mitchell et al. 2019, arXiv 1810.03993).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.contract.artifact import Manifest
from tasks.contract.console import format_cell, markdown_table

PRIVATE = ("epsilon", "delta", "noise_multiplier")


def model_card(name: str, manifests: Mapping[str, Manifest], evaluation: Mapping[str, Any]) -> str:
    """The card in Markdown, from the manifests by stage and the evaluation."""
    pretrained, tuned = manifests["pretrain"], manifests["fine_tune"]
    examples, corpus = manifests["examples"].counts, manifests["clean"].counts
    parts = [
        f"# {name}",
        f"A model for {evaluation['task'].replace('_', ' ')}, family {pretrained.config['family']}"
        + (f", labels: {', '.join(evaluation['labels'])}." if evaluation["labels"] else "."),
        "## Training",
        markdown_table(
            ["", ""],
            [
                ("documents of the corpus", corpus.get("kept", 0)),
                ("pretraining steps", pretrained.config["steps"]),
                *((what, number) for what, number in examples.items()),
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
                (rival.replace("_", " "), *figures.values())
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


def _privacy(metrics: Mapping[str, float]) -> str:
    if "epsilon" not in metrics:
        return "Trained without differential privacy: what it learnt from may be found in it."
    found = ", ".join(f"{name.replace('_', ' ')} {format_cell(metrics[name])}" for name in PRIVATE)
    return (
        f"Fine-tuned with differential privacy (DP-SGD): {found}. This holds for the examples of the "
        "fine-tuning and the model. It does not cover the corpus of the pretraining, the tokenizer, the set "
        "of labels, the figures on this page, the training losses (they are without noise), or the choice "
        "among several models."
    )
