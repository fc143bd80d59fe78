"""Stage: build the ONNX model, prove that it answers like PyTorch, add it to the registered version."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from corpus.examples.written_examples import read_split
from model_code.config.strict import Config
from tasks.contract.artifact import Artifact, Manifest
from tasks.contract.child import run_child
from tasks.contract.console import escaped, say
from tasks.contract.errors import ParityError
from tasks.contract.run import Run
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace
from tasks.register import registered_version
from tasks.tracking.registry import ModelVersion, by_digest, client, logged_model, reachable
from tasks.tracking.version_files import EXPORTED, version_identity, what_differs, write_sums

EXPORTER = "model_code.onnx_export"
BATCH_SIZES = (1, 2, 7, 32)


class ExportConfig(Config):
    """How closely the ONNX build must follow PyTorch."""

    tolerance: float = Field(1e-4, gt=0, le=0.1, description="Largest difference of any logit.")


def still_in_registry(manifest: Manifest, config: ExportConfig, run: Run) -> bool:
    """Whether the registered version has the ONNX build among its files, byte for byte."""
    if not reachable():
        return False
    external = manifest.external
    version = by_digest(client(), external["model"], manifest.inputs["model"]["digest"])
    if version is None or str(version.version) != external["version"]:
        return False
    if differs := what_differs(EXPORTED, version, manifest, run.store):
        say(f"[yellow]export: {escaped(differs)}[/]")
    return not differs


@stage(runs=(EXPORTER,), is_current=still_in_registry)
def export(
    examples: Artifact, model: Artifact, registered: Artifact, config: ExportConfig, workspace: Workspace
) -> None:
    """Write `onnx/` (model.onnx, tokenizer.json, settings.json) and `parity.json`.

    The folder is everything that serving needs; it joins the files of the registered model version.

    Raises:
        ParityError: the build answers differently from PyTorch, or is not valid ONNX.
    """
    import onnx

    source = workspace.path(model)
    max_length = workspace.manifest(model).config["max_length"]
    folder = workspace.directory / "onnx"
    folder.mkdir()
    job = {"model": source / "model", "output": folder, "config": {}}
    opset = run_child(EXPORTER, job, "tracing the graph", workspace)["metrics"]["opset"]
    _write_settings(source, max_length, folder)
    try:
        onnx.checker.check_model(folder / "model.onnx", full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ParityError(f"export: the ONNX build is not valid: {error}") from error
    texts = [example["text"] for example in read_split(workspace.path(examples), "test")]
    cases = list(_compare(source / "model", folder, texts, max_length))
    worst = max(case["max_abs_difference"] for case in cases)
    parity = {
        "cases": cases,
        "max_abs_difference": worst,
        "tolerance": config.tolerance,
        "opset": opset,
        "onnx_bytes": (folder / "model.onnx").stat().st_size,
    }
    (workspace.directory / "parity.json").write_text(json.dumps(parity, indent=2) + "\n", encoding="utf-8")
    _demand_parity(parity)
    workspace.metrics |= {"max abs difference": worst}
    workspace.counts |= {"parity cases": len(cases), "onnx bytes": parity["onnx_bytes"]}
    workspace.table("Parity with PyTorch", list(cases[0]), [tuple(case.values()) for case in cases])
    version = registered_version(registered, workspace)
    _join_version(version, folder)
    workspace.external |= version_identity(version)
    workspace.say(
        f"{parity['onnx_bytes'] / 1e6:.1f} MB, largest difference {worst:.1e} over {len(cases)} shapes, "
        f"added to {version.model} version {version.version}"
    )


def _write_settings(model: Path, max_length: int, folder: Path) -> None:
    shutil.copyfile(model / "model" / "tokenizer.json", folder / "tokenizer.json")
    config = json.loads((model / "model" / "config.json").read_text(encoding="utf-8"))
    labels = json.loads((model / "model" / "task.json").read_text(encoding="utf-8"))["labels"]
    settings = {"labels": labels, "max_length": max_length, "pad_id": config["pad_token_id"]}
    (folder / "settings.json").write_text(
        json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )


def _compare(model: Path, folder: Path, texts: Sequence[str], max_length: int) -> Iterator[dict[str, Any]]:
    """Logits of both on real texts: several batch sizes, from the shortest texts to the longest."""
    import numpy as np
    import onnxruntime
    import torch
    from tokenizers import Tokenizer
    from transformers import AutoModelForSequenceClassification
    from transformers import logging as transformers_logging

    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    reference = AutoModelForSequenceClassification.from_pretrained(model).float().eval()
    session = onnxruntime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(max_length)
    tokenizer.enable_padding(pad_id=reference.config.pad_token_id)
    by_length = sorted(texts, key=lambda text: (len(text), text))
    for size in BATCH_SIZES:
        last = max(0, len(by_length) - size)
        for start in sorted({0, last // 3, 2 * last // 3, last}):
            encodings = tokenizer.encode_batch(by_length[start : start + size])
            ids = np.array([encoding.ids for encoding in encodings], dtype=np.int64)
            mask = np.array([encoding.attention_mask for encoding in encodings], dtype=np.int64)
            with torch.inference_mode():
                expected = reference(
                    input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)
                ).logits.numpy()
            actual = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})[0]
            yield {
                "batch": len(ids),
                "length": ids.shape[1],
                "max_abs_difference": float(np.abs(expected - actual).max()),
                "same_labels": bool((expected.argmax(1) == actual.argmax(1)).all()),
            }


def _demand_parity(parity: dict[str, Any]) -> None:
    for case in parity["cases"]:
        # "not <=" also catches NaN
        if not case["max_abs_difference"] <= parity["tolerance"] or not case["same_labels"]:
            raise ParityError(
                f"export: at batch {case['batch']}, length {case['length']} the ONNX build differs from "
                f"PyTorch by {case['max_abs_difference']:.2e} (allowed {parity['tolerance']:.0e}), labels "
                f"{'equal' if case['same_labels'] else 'differ'}; it will not be deployed"
            )


def _join_version(version: ModelVersion, folder: Path) -> None:
    """Add the folder to the files of the registered version, and its digest to the tags."""
    mlflow, digest = client(), write_sums(folder)
    mlflow.log_model_artifacts(logged_model(mlflow, version), str(folder), EXPORTED.folder)
    mlflow.set_model_version_tag(version.model, str(version.version), EXPORTED.tag, digest)
