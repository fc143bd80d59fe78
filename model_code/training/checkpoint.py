"""Training checkpoints that survive a kill at any moment: safetensors and JSON, never pickle.

A checkpoint is a directory `step-NNNNNNNN`. Every rank writes its own part, `rank-0-of-2.safetensors`: under
FSDP the rows that it holds, otherwise a fair share of the tensors. All of it is written under another name by
a second thread while training goes on, synced, `state.json` with the digests last, then renamed: a directory
of that name is whole or was damaged later, and damage shows in the digest.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from model_code.errors import TrainingError
from model_code.training.parallel import held_rows, placed
from model_code.training.ranks import Ranks

NEWEST_KEPT = 2  # so one damaged checkpoint costs some steps only
_FAILED = bytes(32)


@dataclass(frozen=True)
class Checkpoint:
    """Named tensors (whole, or DTensors of which each rank holds some rows) and a JSON-able `state`."""

    step: int
    tensors: Mapping[str, torch.Tensor]
    state: dict[str, Any]


class Checkpoints:
    """The checkpoints of one run in one directory, which all of its ranks can see.

    `fingerprint` names the run (config and data); another run will not resume from them. Kept are the two
    newest, the best, and those of every `keep_every` steps (0: no others).
    """

    def __init__(
        self, directory: Path, fingerprint: str, ranks: Ranks | None = None, keep_every: int = 0
    ) -> None:
        """Nothing is read or written yet."""
        self.directory, self._fingerprint = directory, fingerprint
        self._ranks, self._keep_every = ranks or Ranks(), keep_every
        self._thread = ThreadPoolExecutor(1, "checkpoint")
        self._writing: Future[None] | None = None

    def save(self, checkpoint: Checkpoint, best: int | None = None) -> None:
        """Copy the tensors to the CPU, then write them in the background; every rank calls it.

        `best` is the step of the checkpoint to be kept as the best one. Waits for the write before, and
        raises TrainingError when that one failed.
        """
        self.finish()
        rows = dict(self._share(checkpoint.tensors))
        first_rows = {name: str(first) for name, (first, _) in rows.items()}
        copies = {name: part.to("cpu", copy=True).contiguous() for name, (_, part) in rows.items()}
        about = {"step": checkpoint.step, "fingerprint": self._fingerprint, "state": checkpoint.state}
        # The state is JSON from here on: what the run appends to it now belongs to the next checkpoint.
        text = json.dumps(about)
        self._writing = self._thread.submit(self._write, checkpoint.step, copies, first_rows, text, best)

    def finish(self) -> None:
        """Wait until the last `save` is on disk. Raises TrainingError when it could not be written."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.result()

    def latest(self) -> Checkpoint | None:
        """The newest whole checkpoint of this run, or None; the same one on every rank.

        What can't be used (damaged, incomplete, or of another run) is named on stderr and passed over.
        Tensors are read, as a whole, when they are asked for.
        """
        self.finish()
        if self._ranks.is_main:
            for unfinished in self.directory.glob("unfinished-*"):
                shutil.rmtree(unfinished, ignore_errors=True)
        self._ranks.barrier()
        for path in _newest_first(self.directory):
            problem = self._problem(path)
            if problem:
                print(f"checkpoint {path} is passed over: {problem}", file=sys.stderr)
            if not self._ranks.sum_of([bool(problem)])[0]:
                about = json.loads((path / "state.json").read_text(encoding="utf-8"))
                return Checkpoint(about["step"], SavedTensors(_parts(path, about)), about["state"])
        return None

    def _share(self, tensors: Mapping[str, torch.Tensor]) -> Iterator[tuple[str, tuple[int, torch.Tensor]]]:
        """What this rank writes: its rows of every sharded tensor, and its share of the others."""
        load = [0] * self._ranks.count
        for name in sorted(tensors, key=lambda name: (-tensors[name].nbytes, name)):
            rows = held_rows(tensors[name])
            if rows is None:
                writer = load.index(min(load))
                load[writer] += tensors[name].nbytes
                rows = (0, tensors[name].detach())
                if writer == self._ranks.rank:
                    yield name, rows
            elif len(rows[1]):
                yield name, rows

    def _write(
        self,
        step: int,
        tensors: dict[str, torch.Tensor],
        first_rows: dict[str, str],
        about: str,
        best: int | None,
    ) -> None:
        final = self.directory / f"step-{step:08d}"
        temporary = self.directory / f"unfinished-{step:08d}"
        try:
            temporary.mkdir(parents=True, exist_ok=True)
            path = temporary / _part(self._ranks.rank, self._ranks.count)
            save_file(tensors, path, first_rows)
            _sync(path)
            digest, problem = _digest(path), None
        except (OSError, SafetensorError) as error:
            digest, problem = _FAILED, error
        digests = self._ranks.exchange(digest)
        if problem or _FAILED in digests:
            raise TrainingError(
                f"the checkpoint of step {step} could not be written to {self.directory} "
                f"({problem or f'rank {digests.index(_FAILED)} failed'}); make room or repair the disk "
                "and start again: the run goes on from the checkpoint before"
            ) from problem
        if self._ranks.is_main:
            described = json.loads(about) | {"sha256": [digest.hex() for digest in digests]}
            (temporary / "state.json").write_text(json.dumps(described), encoding="utf-8")
            _sync(temporary / "state.json")
            _sync(temporary)
            shutil.rmtree(final, ignore_errors=True)
            temporary.rename(final)
            _sync(self.directory)
            self._drop_old(best)

    def _drop_old(self, best: int | None) -> None:
        for path in _newest_first(self.directory)[NEWEST_KEPT:]:
            step = int(path.name.removeprefix("step-"))
            if step != best and not (self._keep_every and step % self._keep_every == 0):
                shutil.rmtree(path, ignore_errors=True)

    def _problem(self, path: Path) -> str | None:
        """Why a checkpoint can't be used, or None; each rank reads some of its files to the end."""
        try:
            about = json.loads((path / "state.json").read_text(encoding="utf-8"))
            if about["fingerprint"] != self._fingerprint:
                return "it belongs to a run with another config or other data"
            files = list(zip(_parts(path, about), about["sha256"], strict=True))
            for file, digest in files[self._ranks.rank :: self._ranks.count]:
                if _digest(file).hex() != digest:
                    return f"{file.name} is damaged"
        except (OSError, ValueError, KeyError, TypeError) as error:
            return str(error)
        return None


class SavedTensors(Mapping[str, torch.Tensor]):
    """The tensors of a checkpoint, read and put together from the ranks' parts when they are asked for."""

    def __init__(self, files: list[Path]) -> None:
        """Opens the files: what they hold can be read even when they are deleted afterwards."""
        self._rows: dict[str, list[tuple[int, Any]]] = {}
        for path in files:
            file = safe_open(path, "pt")
            for name, first in (file.metadata() or {}).items():  # type: ignore[no-untyped-call]
                self._rows.setdefault(name, []).append((int(first), file))

    def __getitem__(self, name: str) -> torch.Tensor:
        """The whole tensor, on the CPU."""
        rows = sorted(self._rows[name], key=lambda row: row[0])
        parts = [file.get_tensor(name) for _, file in rows]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def __iter__(self) -> Iterator[str]:
        """The names."""
        return iter(self._rows)

    def __len__(self) -> int:
        """How many tensors there are."""
        return len(self._rows)


def trained(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters that training moves, by name: what rests need not be kept."""
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def copy_weights(tensors: Mapping[str, torch.Tensor], model: torch.nn.Module) -> None:
    """Overwrite what is trained of `model`, sharded or not, with the whole tensors of the same names."""
    with torch.no_grad():
        for name, parameter in trained(model).items():
            parameter.copy_(placed(tensors[name], parameter))


def _newest_first(directory: Path) -> list[Path]:
    return sorted(directory.glob("step-*"), reverse=True)


def _part(rank: int, count: int) -> str:
    return f"rank-{rank}-of-{count}.safetensors"


def _parts(path: Path, about: dict[str, Any]) -> list[Path]:
    count = len(about["sha256"])
    return [path / _part(rank, count) for rank in range(count)]


def _digest(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _sync(path: Path) -> None:
    """Have a file, or the names in a directory, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
