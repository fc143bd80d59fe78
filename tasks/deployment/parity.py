"""Whether an ONNX build answers like the model that it was made from, on examples that nobody trained on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.deployment.task_settings import as_served

BATCH_SIZES = (1, 2, 7, 32)


def compare_graphs(
    model: Path, folder: Path, examples: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """What both graphs say of the same tokens: several batch sizes, from the shortest rows to the longest.

    Args:
        model: directory of a fine-tuned model.
        folder: what `model_code.onnx_export` made of it.
    """
    import numpy as np
    import torch
    from transformers import logging as transformers_logging

    from model_code.onnx_export import TracedModel

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    form = form_in(folder)
    questions = [question for one in as_served(examples) for question in form.questions(one) or [one]]
    rows = sorted(form.rows(questions), key=lambda row: (len(row.ids), list(row.ids)))
    reference = TracedModel(model, form.graph.settings["pairs"])
    for size in BATCH_SIZES:
        last = max(0, len(rows) - size)
        for start in sorted({0, last // 3, 2 * last // 3, last}):
            batch = rows[start : start + size]
            tensors = form.graph.padded(batch)
            with torch.inference_mode():
                said = reference(*(torch.from_numpy(tensors[name]) for name in reference.names))
            expected = form.graph.by_row([array.numpy() for array in said], batch)
            found = form.graph.by_row(form.graph.run_batch(tensors), batch)
            pairs = [pair for row in zip(expected, found, strict=True) for pair in zip(*row, strict=True)]
            yield {
                "batch": len(batch),
                "length": tensors["input_ids"].shape[1],
                "max_abs_difference": max(float(np.abs(true - other).max()) for true, other in pairs),
            }


def compare_answers(model: Path, folder: Path, examples: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What both answer: how many of the examples are answered otherwise, and by how much.

    PyTorch is given the examples, the build the strings that an endpoint is asked; the example itself where
    no strings are the same, as for a word with a blank in it. Answers of which only numbers differ are equal.
    """
    from model_code.predict import Predictor
    from model_code.served import predictions

    asked = as_served(examples)
    answers = predictions(form_in(folder), asked)
    expected = Predictor(model, as_served=True).predict(asked)
    differences = [difference(*pair) for pair in zip(expected, answers, strict=True)]
    return {
        "compared": len(asked),
        "different": sum(of is None for of in differences),
        "max_abs_difference": max((of for of in differences if of is not None), default=0.0),
    }


def difference(expected: Any, found: Any) -> float | None:
    """The largest difference of any number in two answers; None where something else differs.

    Keys count by name, not by place: of two labels that are as likely, either may be the first.
    """
    if isinstance(expected, float) and isinstance(found, float):
        apart = abs(expected - found)
        return apart if math.isfinite(apart) else None
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        if expected.keys() != found.keys():
            return None
        parts = [
            (difference_of_hits if name == "hits" else difference)(expected[name], found[name])
            for name in expected
        ]
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            return None
        parts = [difference(*pair) for pair in zip(expected, found, strict=True)]
    else:
        return 0.0 if expected == found else None
    known = [part for part in parts if part is not None]
    return max(known, default=0.0) if len(known) == len(parts) else None


def difference_of_hits(
    expected: Sequence[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> float | None:
    """By how much scores would have to differ for one list of hits to become the other; None if more does.

    Of documents that are nearly as near, either may be the first, or the last that is in the list at all.
    """
    if len(expected) != len(found):
        return None
    one, other = ({hit["id"]: hit for hit in hits} for hits in (expected, found))
    apart = [abs(a["score"] - b["score"]) for a, b in zip(expected, found, strict=True)]
    for mine, theirs in ((one, other), (other, one)):
        least = min((hit["score"] for hit in theirs.values()), default=0.0)
        for id, hit in mine.items():
            if id not in theirs:
                apart.append(abs(hit["score"] - least))
            elif _document(hit) != _document(theirs[id]):
                return None
            else:
                apart.append(abs(hit["score"] - theirs[id]["score"]))
    return max(apart, default=0.0) if all(map(math.isfinite, apart)) else None


def _document(hit: Mapping[str, Any]) -> list[Any]:
    """What is told of a hit's document; two passages of it may be as near."""
    return [hit[name] for name in ("source", "uri", "license")]


def form_in(folder: Path) -> Any:
    """The served form of a folder that `export` made, by the code that was copied into it."""
    from model_code.served import code_in

    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    return code_in(folder).form_of(settings["task"])(folder)
