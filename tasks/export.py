"""Stage: build the ONNX model, prove that it answers like PyTorch, add it to the registered version."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import Field

from corpus.examples.written_examples import read_split
from model_code.served.token_classification import usual_words
from tasks.contract.artifact import Artifact, Manifest
from tasks.contract.child import run_child
from tasks.contract.console import escaped, say
from tasks.contract.errors import ParityError
from tasks.contract.run import Run
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace
from tasks.deployment.parity import compare_answers, compare_graphs
from tasks.deployment.variants import QUANTIZER, VariantConfig, choose
from tasks.register import registered_version
from tasks.tracking.registry import by_digest, by_version, client, reachable
from tasks.tracking.version_files import EXPORTED, join_version, version_identity, what_differs

EXPORTER = "model_code.onnx_export"


class ExportConfig(VariantConfig):
    """How closely the ONNX build must follow PyTorch."""

    tolerance: float = Field(1e-4, gt=0, le=0.1, description="Largest difference of any logit.")
    compare: int = Field(
        500, ge=1, le=1_000_000, description="Held-out examples on which the build must answer like PyTorch."
    )


def still_in_registry(manifest: Manifest, config: ExportConfig, run: Run) -> bool:
    """Whether the registered version has the ONNX build among its files, byte for byte."""
    if not reachable():
        return False
    external = manifest.external
    version = by_version(client(), external["model"], int(external["version"]))
    if version is None or version.digest != manifest.inputs["model"]["digest"]:
        return False
    if by_digest(client(), version.model, version.digest, version.collection) != version:
        return False
    if differs := what_differs(EXPORTED, version, manifest, run.store):
        say(f"[yellow]export: {escaped(differs)}[/]")
    return not differs


@stage(
    runs=(EXPORTER, QUANTIZER, "model_code.served.", "model_code.task_types."), is_current=still_in_registry
)
def export(
    examples: Artifact, model: Artifact, registered: Artifact, config: ExportConfig, workspace: Workspace
) -> None:
    """Write `onnx/` (what `model_code.onnx_export` makes) and `parity.json`.

    The folder is everything that serving needs, its code too; it joins the files of the registered version.

    Raises:
        ParityError: the build answers differently from PyTorch, or is not valid ONNX.
    """
    import onnx

    source, split = workspace.path(model) / "model", read_split(workspace.path(examples), "test")
    folder = workspace.directory / "onnx"
    folder.mkdir()
    job = {"model": source, "output": folder, "config": _questions(split, model)}
    opset = run_child(EXPORTER, job, "tracing the graph", workspace)["metrics"]["opset"]
    try:
        onnx.checker.check_model(folder / "model.onnx", full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ParityError(f"export: the ONNX build is not valid: {error}") from error
    try:
        cases = list(compare_graphs(source, folder, split))
        answers = compare_answers(source, folder, split[: config.compare])
    except ValueError as error:
        raise ParityError(f"export: the ONNX build can't be used: {error}") from error
    worst = max(case["max_abs_difference"] for case in cases)
    parity = {
        "cases": cases,
        "max_abs_difference": worst,
        "tolerance": config.tolerance,
        "answers": answers,
        "opset": opset,
        "onnx_bytes": sum(path.stat().st_size for path in folder.glob("*.onnx*")),
    }
    (workspace.directory / "parity.json").write_text(json.dumps(parity, indent=2) + "\n", encoding="utf-8")
    _demand_parity(parity)
    chosen = choose(config, folder, workspace.path(examples), workspace)
    compared = answers["compared"]
    workspace.metrics |= {"max abs difference": worst}
    workspace.counts |= {"parity cases": len(cases), "onnx bytes": parity["onnx_bytes"]}
    workspace.counts |= {"compared answers": compared}
    workspace.table("Parity with PyTorch", list(cases[0]), [tuple(case.values()) for case in cases])
    version = registered_version(registered, workspace)
    join_version(EXPORTED, version, folder, {"variant": chosen, "parity": f"{worst:.1e}"})
    workspace.external |= version_identity(version)
    size = sum(path.stat().st_size for path in folder.glob("*.onnx*"))
    workspace.say(
        f"{chosen}, {size / 1e6:.1f} MB, largest difference {worst:.1e} over {len(cases)} shapes, equal "
        f"answers to {compared} test examples, added to {version.model} version {version.version}"
    )


def _questions(split: Sequence[Mapping[str, Any]], model: Artifact) -> dict[str, Any]:
    """What a question of these examples consists of, and what the graph tells about itself."""
    words = [example["words"] for example in split if "words" in example]
    return {
        "pairs": "second" in split[0] and "text" in split[0],
        "words": usual_words(words) if words else "",
        "metadata": {"model": model.digest},
    }


def _demand_parity(parity: dict[str, Any]) -> None:
    for case in parity["cases"]:
        # "not <=" also catches NaN
        if not case["max_abs_difference"] <= parity["tolerance"]:
            raise ParityError(
                f"export: at batch {case['batch']}, length {case['length']} the ONNX build differs from "
                f"PyTorch by {case['max_abs_difference']:.2e} (allowed {parity['tolerance']:.0e}); it "
                "will not be deployed"
            )
    answers = parity["answers"]
    if not answers["max_abs_difference"] <= parity["tolerance"] or answers["different"]:
        raise ParityError(
            f"export: {answers['different']} of {answers['compared']} test examples get another answer from "
            f"the ONNX build than from PyTorch, numbers differ by {answers['max_abs_difference']:.2e} "
            f"(allowed {parity['tolerance']:.0e}); it will not be deployed"
        )
