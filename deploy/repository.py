"""Write versions into a Triton model repository, so that no reader ever sees half of one.

One endpoint `<name>` is three composing models and an ensemble:

    <name>-tokenizer   text -> input_ids, attention_mask     (Python backend)
    <name>-encoder     input_ids, attention_mask -> logits   (ONNX Runtime backend)
    <name>-labels      logits -> labels, probabilities       (Python backend)
    <name>             the three in a row, pinned to one version of each

Each version directory is self-contained. A composing model's `config.pbtxt` names the versions that are on
disk; the ensemble's names one. NVIDIA's image serves the same files.
"""

from __future__ import annotations

import json
import py_compile
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from deploy.client import MAX_BATCH
from deploy.errors import TritonError

TEMPLATES = Path(__file__).parent / "templates"
MODELS = Path(__file__).parent / "models"
PARTS = ("tokenizer", "encoder", "labels")
CANDIDATE = "-candidate"


def add_version(
    repository: Path,
    name: str,
    version: int,
    onnx: Path,
    tokenizer: Path,
    labels: Sequence[str],
    max_length: int,
    pad_id: int,
) -> None:
    """Add one version of the three composing models; an equal version number is replaced.

    Args:
        version: Triton's version number, from 1 (the registry's own number).
        onnx: inputs `input_ids`, `attention_mask` INT64 [B, S], output `logits` FP32 [B, L]; weights kept
            outside it are expected beside it in `<file>.data`.
        tokenizer: a `tokenizer.json` of the `tokenizers` library.
        labels: L names, in the order of the logits.
        max_length: tokens after which a text is cut; at most the encoder's positions.
        pad_id: id that fills shorter rows.

    Raises:
        TritonError: bad arguments, or the repository can't be written.
    """
    _check(repository, name, version, onnx, tokenizer, labels, max_length)
    settings = json.dumps({"max_length": max_length, "pad_id": pad_id})
    external = onnx.with_name(f"{onnx.name}.data")
    contents: dict[str, Mapping[str, Path | str]] = {
        "tokenizer": {
            "model.py": MODELS / "tokenizer" / "model.py",
            "tokenizer.json": tokenizer,
            "settings.json": settings,
        },
        "encoder": {"model.onnx": onnx} | ({external.name: external} if external.exists() else {}),
        "labels": {
            "model.py": MODELS / "labels" / "model.py",
            "labels.json": json.dumps(list(labels), ensure_ascii=False),
        },
    }
    try:
        for part, files in contents.items():
            _place(repository / f"{name}-{part}" / str(version), files)
        _write_configs(repository, name)
    except OSError as error:
        raise TritonError(f"can't write version {version} of {name} into {repository}: {error}") from error


def write_ensemble(repository: Path, ensemble: str, name: str, version: int) -> None:
    """Point an ensemble at one version of `<name>`'s models; Triton follows when it loads it next.

    Raises:
        TritonError: that version is not in the repository.
    """
    if version not in versions(repository, name):
        raise TritonError(f"{repository} has no version {version} of {name}: {versions(repository, name)}")
    directory = repository / ensemble
    (directory / str(version)).mkdir(parents=True, exist_ok=True)
    count = len(_labels(repository, name, version))
    values = {"ensemble": ensemble, "name": name, "version": version, "labels": count}
    _write_config(directory, "ensemble", values)
    for other in _version_directories(directory):
        if other != version:
            (directory / str(other)).rmdir()


def remove_ensemble(repository: Path, ensemble: str) -> None:
    """Remove an ensemble from the repository; none there is no error."""
    shutil.rmtree(repository / ensemble, ignore_errors=True)


def prune(repository: Path, name: str, keep: set[int]) -> None:
    """Remove every version of the composing models that is not in `keep`; all of them when none is."""
    if not keep & set(versions(repository, name)):
        for part in PARTS:
            shutil.rmtree(repository / f"{name}-{part}", ignore_errors=True)
        return
    for part in PARTS:
        directory = repository / f"{name}-{part}"
        for version in _version_directories(directory):
            if version not in keep:
                shutil.rmtree(directory / str(version))
    _write_configs(repository, name)


def versions(repository: Path, name: str) -> list[int]:
    """The versions of `<name>` on disk with all three models, ascending."""
    found = [set(_version_directories(repository / f"{name}-{part}")) for part in PARTS]
    return sorted(set.intersection(*found))


def pinned_version(repository: Path, ensemble: str) -> int | None:
    """The version an ensemble points at, or None when there is no such ensemble."""
    config = repository / ensemble / "config.pbtxt"
    match = re.search(r"versions: \[(\d+)\]", config.read_text("utf-8")) if config.exists() else None
    return int(match[1]) if match else None


def ensembles(repository: Path) -> list[str]:
    """The names of all ensembles, sorted; what a server must load at start to serve again."""
    configs = sorted(repository.glob("*/config.pbtxt"))
    return [path.parent.name for path in configs if 'platform: "ensemble"' in path.read_text("utf-8")]


def recover(repository: Path) -> None:
    """Make a repository fit for a server's start after a deployment was killed.

    It can leave a version that was never proven to load, for which Triton would refuse the whole endpoint.
    A version newer than the live one stays only when the candidate ensemble, written last, points at it.
    """
    for name in ensembles(repository):
        live, staged = pinned_version(repository, name), pinned_version(repository, name + CANDIDATE)
        if live and not name.endswith(CANDIDATE):
            prune(repository, name, {v for v in versions(repository, name) if v <= live or v == staged})


def _check(
    repository: Path,
    name: str,
    version: int,
    onnx: Path,
    tokenizer: Path,
    labels: Sequence[str],
    max_length: int,
) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise TritonError(f"model name {name!r}: use letters, digits, '-', '_' and '.'")
    if version < 1 or max_length < 1:
        raise TritonError(f"{name}: version {version} and max_length {max_length} must be at least 1")
    for file in (onnx, tokenizer):
        if not file.is_file():
            raise TritonError(f"{name} version {version}: there is no file {file}")
    if not labels or len(set(labels)) != len(labels):
        raise TritonError(f"{name} version {version}: labels must be distinct and not empty: {list(labels)}")
    # One config.pbtxt describes all versions, and ONNX Runtime's backend demands the exact size.
    for other in versions(repository, name):
        count = len(_labels(repository, name, other))
        if other != version and count != len(labels):
            raise TritonError(
                f"{name} version {version} has {len(labels)} labels, version {other} on the server "
                f"has {count}; deploy it under another name"
            )


def _place(target: Path, files: Mapping[str, Path | str]) -> None:
    """Make a directory out of file copies and texts, and move it into place in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as scratch:
        fresh = Path(scratch) / "fresh"
        fresh.mkdir()
        for file, content in files.items():
            if isinstance(content, Path):
                shutil.copyfile(content, fresh / file)
            else:
                (fresh / file).write_text(content, encoding="utf-8")
        if (code := fresh / "model.py").exists():
            # A byte code file that appears later looks like a changed model: Triton would load it again.
            py_compile.compile(
                str(code), doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH
            )
        if target.exists():
            target.rename(Path(scratch) / "replaced")
        fresh.rename(target)


def _write_configs(repository: Path, name: str) -> None:
    present = versions(repository, name)
    count = len(_labels(repository, name, present[-1]))
    for part in PARTS:
        model = f"{name}-{part}"
        values = {"model": model, "versions": ", ".join(map(str, present)), "labels": count}
        _write_config(repository / model, part, values)


def _write_config(directory: Path, template: str, values: Mapping[str, object]) -> None:
    text = Template((TEMPLATES / f"{template}.pbtxt").read_text("utf-8"))
    fresh = directory / ".config.pbtxt.new"
    fresh.write_text(text.substitute(values, max_batch=MAX_BATCH), encoding="utf-8")
    fresh.replace(directory / "config.pbtxt")


def _labels(repository: Path, name: str, version: int) -> list[str]:
    path = repository / f"{name}-labels" / str(version) / "labels.json"
    labels: list[str] = json.loads(path.read_text("utf-8"))
    return labels


def _version_directories(directory: Path) -> list[int]:
    if not directory.is_dir():
        return []
    return sorted(int(entry.name) for entry in directory.iterdir() if entry.name.isdecimal())
