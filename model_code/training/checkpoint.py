"""Training checkpoints that survive a kill at any moment: safetensors and JSON, never pickle.

Each checkpoint is a directory `step-NNNNNNNN`, written under another name, synced, its
`state.json` last, then renamed: a directory of that name is whole or was damaged later, and
damage shows in the digest. The two newest are kept, so one damaged file costs some steps only.
"""

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save

KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors and a JSON-able `state` after `step` finished steps."""

    step: int
    tensors: dict[str, torch.Tensor]
    state: dict[str, Any]


def save_checkpoint(scratch: Path, checkpoint: Checkpoint, fingerprint: str) -> None:
    """Write a checkpoint and drop the ones older than the two newest.

    `fingerprint` names the run (config and data); another run will not resume from it.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    final, temporary = scratch / f"step-{checkpoint.step:08d}", scratch / "unfinished"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()})
    _write(temporary / "tensors.safetensors", data)
    digest = hashlib.sha256(data).hexdigest()
    about = {"step": checkpoint.step, "fingerprint": fingerprint, "sha256": digest, "state": checkpoint.state}
    _write(temporary / "state.json", json.dumps(about).encode())
    _sync_directory(temporary)
    shutil.rmtree(final, ignore_errors=True)
    temporary.rename(final)
    _sync_directory(scratch)
    for old in _newest_first(scratch)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def latest_checkpoint(scratch: Path, fingerprint: str) -> Checkpoint | None:
    """The newest whole checkpoint of this run, or None.

    What can't be used (damaged, or of another run) is named on stderr and passed over.
    """
    for path in _newest_first(scratch):
        try:
            return _read(path, fingerprint)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            print(f"checkpoint {path} is passed over: {error}", file=sys.stderr)
    return None


def _read(path: Path, fingerprint: str) -> Checkpoint:
    about = json.loads((path / "state.json").read_text())
    if about["fingerprint"] != fingerprint:
        raise ValueError("it belongs to a run with another config or other data")
    data = (path / "tensors.safetensors").read_bytes()
    if hashlib.sha256(data).hexdigest() != about["sha256"]:
        raise ValueError("tensors.safetensors is damaged")
    return Checkpoint(about["step"], load(data), about["state"])


def _newest_first(scratch: Path) -> list[Path]:
    return sorted(scratch.glob("step-*"), reverse=True)


def _write(path: Path, data: bytes) -> None:
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def copy_weights(tensors: Mapping[str, torch.Tensor], model: torch.nn.Module) -> None:
    """Overwrite the parameters of `model` with the tensors of the same names."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(tensors[name])
