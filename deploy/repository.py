"""Write versions into a Triton model repository, so that no reader ever sees half of one.

Version N of an endpoint `<name>` is three composing models, and an ensemble points at one version's three:

    <name>-vN-tokenizer   text -> input_ids, attention_mask     (Python backend)
    <name>-vN-encoder     input_ids, attention_mask -> logits   (ONNX Runtime backend)
    <name>-vN-labels      logits -> labels, probabilities       (Python backend)
    <name>                the three in a row; so is `<name>-candidate`, for a version not yet live

No version shares a file with another, so a new one may have other labels and touches nothing that is live.
Triton's version number is N everywhere, the registry's number. NVIDIA's image serves the same files.
"""

from __future__ import annotations

import json
import py_compile
import re
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template

from deploy.client import MAX_BATCH, MAX_REQUEST_BYTES
from deploy.errors import TritonError

TEMPLATES = Path(__file__).parent / "templates"
MODELS = Path(__file__).parent / "models"
COMPOSING_MODELS = ("tokenizer", "encoder", "labels")
CANDIDATE = "-candidate"
# A file name has 255 bytes, and parts and temporary files add to it.
LONGEST_NAME = 128
COMPOSING = f"-v([1-9][0-9]*)-({'|'.join(COMPOSING_MODELS)})"


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
    """Add the composing models of one version; those of an equal version number are replaced.

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
    _check(name, version, onnx, tokenizer, labels, max_length)
    settings = {"max_length": max_length, "pad_id": pad_id}
    text_bytes = max_text_bytes(max_length)
    bounds = {"max_text_bytes": text_bytes, "max_request_bytes": max(MAX_REQUEST_BYTES, text_bytes)}
    external = onnx.with_name(f"{onnx.name}.data")
    contents: dict[str, Mapping[str, Path | str]] = {
        "tokenizer": {
            "model.py": MODELS / "tokenizer" / "model.py",
            "tokenizer.json": tokenizer,
            "settings.json": json.dumps(settings | bounds),
        },
        "encoder": {"model.onnx": onnx} | ({external.name: external} if external.exists() else {}),
        "labels": {
            "model.py": MODELS / "labels" / "model.py",
            "labels.json": json.dumps(list(labels), ensure_ascii=False),
        },
    }
    scratch = repository / f".{name}.new"
    try:
        for model, (part, files) in zip(composing_models(name, version), contents.items(), strict=True):
            shutil.rmtree(scratch, ignore_errors=True)  # a killed deployment leaves one
            _fill(scratch / str(version), files)
            values = {"model": model, "labels": len(labels), "max_length": max_length}
            _write_config(scratch, part, values)
            shutil.rmtree(repository / model, ignore_errors=True)
            scratch.rename(repository / model)
    except OSError as error:
        raise TritonError(f"can't write version {version} of {name} into {repository}: {error}") from error


def max_text_bytes(max_length: int) -> int:
    """Bytes of UTF-8 that a text may have: 64 KiB, or more where a model reads so many tokens.

    Tokenizing takes about 1.5 s for a megabyte, during which nobody else is answered.
    """
    return max(64 * 1024, 8 * max_length)


def write_ensemble(repository: Path, ensemble: str, name: str, version: int) -> None:
    """Point an ensemble at one version of `<name>`; Triton follows when it loads it next.

    Raises:
        TritonError: that version is not in the repository.
    """
    _require(repository, name, version)
    directory = repository / ensemble
    (directory / str(version)).mkdir(parents=True, exist_ok=True)
    labels = json.loads((repository / f"{name}-v{version}-labels/{version}/labels.json").read_text("utf-8"))
    values = {"ensemble": ensemble, "name": name, "version": version, "labels": len(labels)}
    _write_config(directory, "ensemble", values)
    for other in directory.iterdir():
        if other.is_dir() and other.name != str(version):
            other.rmdir()


def remove_ensemble(repository: Path, ensemble: str) -> None:
    """Remove an ensemble from the repository; none there is no error."""
    shutil.rmtree(repository / ensemble, ignore_errors=True)


def prune(repository: Path, name: str, keep: set[int]) -> list[str]:
    """Remove every version that is not in `keep`, half-written ones too.

    Returns:
        The composing models removed; a server may still have them loaded.
    """
    removed = [model for version, model in _composing_models_on_disk(repository, name) if version not in keep]
    for model in removed:
        shutil.rmtree(repository / model)
    return removed


def touch(repository: Path, name: str, version: int) -> None:
    """Make a version look modified, so that the next load starts its processes anew.

    Raises:
        TritonError: that version is not in the repository.
    """
    _require(repository, name, version)
    for model in composing_models(name, version):
        (repository / model / str(version)).touch()


def composing_models(name: str, version: int) -> list[str]:
    """The names of the models that one version consists of."""
    return [f"{name}-v{version}-{part}" for part in COMPOSING_MODELS]


def versions(repository: Path, name: str) -> list[int]:
    """The versions of `<name>` on disk with all three models, ascending."""
    found = Counter(version for version, _ in _composing_models_on_disk(repository, name))
    return sorted(version for version, count in found.items() if count == len(COMPOSING_MODELS))


def pinned_version(repository: Path, ensemble: str) -> int | None:
    """The version an ensemble points at, or None when there is no such ensemble.

    Where its configuration is damaged, the folder beside it has the version's name too.
    """
    if match := re.search(r"versions: \[(\d+)\]", _config(repository / ensemble)):
        return int(match[1])
    folders = [int(folder.name) for folder in (repository / ensemble).glob("*") if folder.name.isdecimal()]
    return max(folders, default=None)


def ensembles(repository: Path) -> list[str]:
    """The names of all ensembles, sorted; also of those with a damaged configuration or composing model."""
    matches = (re.fullmatch(f"(.+){COMPOSING}", entry.name) for entry in repository.glob("*"))
    composed = {match[1] for match in matches if match}
    return sorted(
        entry.name
        for entry in repository.glob("*")
        if entry.is_dir() and (entry.name in composed or 'platform: "ensemble"' in _config(entry))
    )


def served_files(repository: Path, name: str, version: int) -> list[str]:
    """The files from which an endpoint answers with this version, relative to the repository, sorted."""
    folders = [repository / model for model in (name, *composing_models(name, version))]
    files = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(repository).as_posix() for path in files)


def fault_of_name(name: str) -> str:
    """Why an endpoint can't have this name; "" if it can."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        return "use letters, digits, '-', '_' and '.'"
    if len(name) > LONGEST_NAME:
        return f"it has {len(name)} characters, {LONGEST_NAME} are the most; take a shorter one"
    if name.endswith(CANDIDATE) or re.search(f"{COMPOSING}$", name):
        return "this ending is kept for the parts of an endpoint; take another one"
    return ""


def _check(
    name: str,
    version: int,
    onnx: Path,
    tokenizer: Path,
    labels: Sequence[str],
    max_length: int,
) -> None:
    if fault := fault_of_name(name):
        raise TritonError(f"model name {name!r}: {fault}")
    if version < 1 or max_length < 1:
        raise TritonError(f"{name}: version {version} and max_length {max_length} must be at least 1")
    for file in (onnx, tokenizer):
        if not file.is_file():
            raise TritonError(f"{name} version {version}: there is no file {file}")
    if not labels or len(set(labels)) != len(labels):
        raise TritonError(f"{name} version {version}: labels must be distinct and not empty: {list(labels)}")


def _require(repository: Path, name: str, version: int) -> None:
    present = versions(repository, name)
    if version not in present:
        raise TritonError(f"{repository} has no version {version} of {name}, it has {present}")


def _fill(directory: Path, files: Mapping[str, Path | str]) -> None:
    """Make a directory out of file copies and texts."""
    directory.mkdir(parents=True)
    for file, content in files.items():
        if isinstance(content, Path):
            shutil.copyfile(content, directory / file)
        else:
            (directory / file).write_text(content, encoding="utf-8")
    if (code := directory / "model.py").exists():
        # A byte code file that appears later looks like a changed model: Triton would load it again.
        py_compile.compile(
            str(code),
            dfile=code.name,  # the place of the scratch folder is not part of the served files
            doraise=True,
            invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH,
        )


def _write_config(directory: Path, template: str, values: Mapping[str, object]) -> None:
    text = Template((TEMPLATES / f"{template}.pbtxt").read_text("utf-8"))
    fresh = directory / ".config.pbtxt.new"
    fresh.write_text(text.substitute(values, max_batch=MAX_BATCH), encoding="utf-8")
    fresh.replace(directory / "config.pbtxt")


def _config(directory: Path) -> str:
    """The configuration of a model, "" where there is none; damaged bytes are passed over."""
    try:
        return (directory / "config.pbtxt").read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _composing_models_on_disk(repository: Path, name: str) -> Iterator[tuple[int, str]]:
    """Version and directory name of each; nothing of an endpoint whose name only begins with `<name>`."""
    for entry in sorted(repository.glob("*")):
        if match := re.fullmatch(re.escape(name) + COMPOSING, entry.name):
            yield int(match[1]), entry.name
