"""Which build of a model is served: the one with weights of eight bits where it loses little enough.

The choice is made on the validation examples, so that the figures of the test examples stay honest.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from corpus.examples.written_examples import read_split
from model_code.config.strict import Config
from model_code.served import predictions
from tasks.contract.child import run_child
from tasks.contract.errors import ParityError
from tasks.contract.workspace import Workspace
from tasks.deployment.parity import form_in
from tasks.deployment.task_settings import as_served, settings_in

QUANTIZER = "model_code.onnx_quantization"
Variant = Literal["float32", "int8", "auto"]
Example = Mapping[str, Any]


class VariantConfig(Config):
    """Which build is served."""

    variant: Variant = Field(
        "float32",
        description="What is served: `float32`, `int8` (a quarter of the size, and quicker on a CPU), or "
        "`auto`: int8 where it loses little enough.",
    )
    most_lost: float = Field(
        0.005,
        ge=0,
        le=1,
        description="Of the task's metric, on the validation examples, that int8 may lose; a hundred times "
        "as much of metrics that go up to 100.",
    )


def choose(config: VariantConfig, folder: Path, examples: Path, workspace: Workspace) -> str:
    """Put the build that is to be served into `folder`; its name. Both are compared in `variants.json`.

    Args:
        folder: with the build in float32, as `model_code.onnx_export` wrote it.
        examples: the artifact of the stage of that name.

    Raises:
        ParityError: the variant is to be `int8`, and that loses more than `most_lost`.
    """
    if config.variant == "float32":
        return config.variant
    held_out = read_split(examples, "validation")
    rounded = workspace.directory / "int8"
    rounded.mkdir()
    run_child(QUANTIZER, {"served": folder, "output": rounded, "config": {}}, "rounding weights", workspace)
    measured = {name: _measured(place, held_out) for name, place in (("float32", folder), ("int8", rounded))}
    lost = measured["float32"]["metric"] - measured["int8"]["metric"]
    scale = 100 if measured["float32"]["metric"] > 1 else 1  # BLEU and its like go up to 100
    passes = lost <= config.most_lost * scale
    _tell(measured, lost, passes, workspace)
    if passes:
        shutil.rmtree(folder)
        rounded.rename(folder)
    elif config.variant == "int8":
        raise ParityError(
            f"export: with weights of eight bits the model loses {lost:.4f} of {measured['int8']['name']} on "
            f"the validation examples (allowed {config.most_lost * scale}); set export.variant to auto or to "
            "float32"
        )
    else:
        shutil.rmtree(rounded)
    return "int8" if passes else "float32"


def _measured(folder: Path, examples: Sequence[Example]) -> dict[str, Any]:
    """The metric of a build on examples, and the milliseconds that one of them takes alone, by the median."""
    form, (task, settings) = form_in(folder), settings_in(folder)
    examples = as_served(examples)
    answers = predictions(form, examples)
    seconds = []
    for example in examples[:50]:
        start = time.perf_counter()
        predictions(form, [example])
        seconds.append(time.perf_counter() - start)
    figure = task.metrics(examples, answers, settings)[task.METRIC]
    return {
        "name": task.METRIC,
        "metric": figure,
        "milliseconds": 1000 * sorted(seconds)[len(seconds) // 2],
        "bytes": sum(path.stat().st_size for path in folder.glob("*.onnx*")),
    }


def _tell(measured: Mapping[str, Mapping[str, Any]], lost: float, passes: bool, workspace: Workspace) -> None:
    file = "variants.json"  # times differ from run to run
    workspace.volatile |= {file}
    (workspace.directory / file).write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    floats, rounded = measured["float32"], measured["int8"]
    workspace.say(
        f"int8: {rounded['name']} {rounded['metric']:.4f} on the validation examples, {lost:.4f} less than "
        f"float32; {rounded['milliseconds']:.1f} ms a question instead of {floats['milliseconds']:.1f}, "
        f"{rounded['bytes'] / 1e6:.1f} MB instead of {floats['bytes'] / 1e6:.1f}: "
        f"{'taken' if passes else 'not taken'}"
    )
    columns = ["variant", rounded["name"], "ms a question", "bytes"]
    rows = [(name, of["metric"], of["milliseconds"], of["bytes"]) for name, of in measured.items()]
    workspace.table("Variants, on the validation examples", columns, rows)
