"""Write versions into a Triton model repository, so that no reader ever sees half of one.

Version N of an endpoint `<name>` is one model, and an ensemble points at it:

    <name>-vN-model   strings -> answers: tokenizer, ONNX graph and the code between them (Python backend)
    <name>            one step, to a version's model; so is `<name>-candidate`, for a version not yet live

The ensemble is what clients ask: loading it is the one moment at which the answers change. No version shares
a file with another, so a new one may have other labels and touches nothing that is live. Triton's version
number is N everywhere, the registry's number. NVIDIA's image serves the same files.
"""

from __future__ import annotations

import json
import marshal
import re
import shutil
from collections.abc import Iterator, Mapping
from importlib.util import MAGIC_NUMBER, cache_from_source, source_hash
from pathlib import Path
from typing import Any

from deploy.client import MAX_BATCH, MAX_REQUEST_BYTES
from deploy.errors import TritonError

CODE = Path(__file__).parent / "models" / "served" / "model.py"
# What `export` writes, besides the folder `served`, whose files are code.
EXPORTED = ("model.onnx", "tokenizer.json", "settings.json", "signature.json")
COLLECTION = "collection"  # the folder of what is searched, where something is
PART = "model"
OLD_PARTS = ("tokenizer", "encoder", "labels")  # of versions that an older textmill deployed
CANDIDATE = "-candidate"
CHECKED_HASH = 0b11  # flags of a byte code file that Python compares with its source
# A file name has 255 bytes, and parts and temporary files add to it.
LONGEST_NAME = 128
COMPOSING = f"-v([1-9][0-9]*)-({'|'.join((PART, *OLD_PARTS))})"
BACKEND = (
    'backend: "python"',
    # Requests of any length are answered together; a delay would be added in full to each of a lone client.
    "dynamic_batching { max_queue_delay_microseconds: 0 }",
    # No kind: CPU machines and GPU machines serve the same file.
    "instance_group [ { count: 1 } ]",
    # As many as there are cores, four at most.
    'parameters { key: "intra_op_thread_count" value: { string_value: "0" } }',
)


def add_version(repository: Path, name: str, version: int, exported: Path) -> None:
    """Add the model of one version; one of an equal version number is replaced.

    Args:
        version: Triton's version number, from 1 (the registry's own number).
        exported: the folder that `model_code.onnx_export` wrote.

    Raises:
        TritonError: bad arguments, or the repository can't be written.
    """
    _check(name, version, exported)
    model, scratch = model_of(name, version), repository / f".{name}.new"
    limits = limits_of(exported)
    of_writers = sorted(exported.glob("next.onnx"))
    code = sorted((exported / "served").glob("*.py"))
    files: dict[str, Path | str] = {file: exported / file for file in EXPORTED}
    files |= {path.name: path for path in of_writers}
    files |= {f"{COLLECTION}/{path.name}": path for path in sorted((exported / COLLECTION).glob("*"))}
    files |= {"model.py": CODE, "limits.json": json.dumps(limits)}
    files |= {f"served/{path.name}": path for path in code}
    try:
        shutil.rmtree(scratch, ignore_errors=True)  # a killed deployment leaves one
        _fill(scratch / str(version), files)
        _write_config(scratch, [f'name: "{model}"', *_tensors(exported), *BACKEND])
        shutil.rmtree(repository / model, ignore_errors=True)
        scratch.rename(repository / model)
    except OSError as error:
        raise TritonError(f"can't write version {version} of {name} into {repository}: {error}") from error


def limits_of(exported: Path) -> dict[str, int]:
    """The bytes that a text and that all texts of a request may have."""
    text_bytes = max_text_bytes(json.loads((exported / "settings.json").read_text("utf-8"))["max_length"])
    # Where nothing is cut, all that is sent is computed.
    together = text_bytes if _signature(exported).get("reads_whole") else max(MAX_REQUEST_BYTES, text_bytes)
    return {"text_bytes": text_bytes, "request_bytes": together}


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
    directory, model = repository / ensemble, model_of(name, version)
    (directory / str(version)).mkdir(parents=True, exist_ok=True)
    tensors = _tensors(repository / model / str(version))
    _write_config(
        directory,
        [
            f'name: "{ensemble}"',
            'platform: "ensemble"',
            f"version_policy: {{ specific: {{ versions: [{version}] }} }}",
            *tensors,
            _step(model, version, repository / model / str(version)),
        ],
    )
    for other in directory.iterdir():
        if other.is_dir() and other.name != str(version):
            other.rmdir()


def ensemble_config(repository: Path, ensemble: str) -> str:
    """What an ensemble is, to be put back by `restore_ensemble`."""
    return _config(repository / ensemble)


def restore_ensemble(repository: Path, ensemble: str, version: int, config: str) -> None:
    """Let an ensemble be what it was, also where an older textmill wrote it."""
    directory = repository / ensemble
    (directory / str(version)).mkdir(parents=True, exist_ok=True)
    _write_config(directory, config.splitlines())


def remove_ensemble(repository: Path, ensemble: str) -> None:
    """Remove an ensemble from the repository; none there is no error."""
    shutil.rmtree(repository / ensemble, ignore_errors=True)


def prune(repository: Path, name: str, keep: set[int]) -> list[str]:
    """Remove every version that is not in `keep`, half-written ones too.

    Returns:
        The models removed; a server may still have them loaded.
    """
    removed = [model for version, model in _models_on_disk(repository, name) if version not in keep]
    for model in removed:
        shutil.rmtree(repository / model)
    return removed


def touch(repository: Path, name: str, version: int) -> None:
    """Make a version look modified, so that the next load starts its processes anew.

    Raises:
        TritonError: that version is not in the repository.
    """
    _require(repository, name, version)
    (repository / model_of(name, version) / str(version)).touch()


def model_of(name: str, version: int) -> str:
    """The name of the model that answers as one version."""
    return f"{name}-v{version}-{PART}"


def versions(repository: Path, name: str) -> list[int]:
    """The versions of `<name>` on disk, ascending."""
    of_version = _models_on_disk(repository, name)
    return sorted(version for version, model in of_version if model == model_of(name, version))


def pinned_version(repository: Path, ensemble: str) -> int | None:
    """The version an ensemble points at, or None when there is no such ensemble.

    Where its configuration is damaged, the folder beside it has the version's name too.
    """
    if match := re.search(r"versions: \[(\d+)\]", _config(repository / ensemble)):
        return int(match[1])
    folders = [int(folder.name) for folder in (repository / ensemble).glob("*") if folder.name.isdecimal()]
    return max(folders, default=None)


def ensembles(repository: Path) -> list[str]:
    """The names of all ensembles, sorted; also of those with a damaged configuration or model."""
    matches = (re.fullmatch(f"(.+){COMPOSING}", entry.name) for entry in repository.glob("*"))
    composed = {match[1] for match in matches if match}
    return sorted(
        entry.name
        for entry in repository.glob("*")
        if entry.is_dir() and (entry.name in composed or 'platform: "ensemble"' in _config(entry))
    )


def served_files(repository: Path, name: str, version: int) -> list[str]:
    """The files from which an endpoint answers with this version, relative to the repository, sorted."""
    folders = [repository / model for model in (name, model_of(name, version))]
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


def _check(name: str, version: int, exported: Path) -> None:
    if fault := fault_of_name(name):
        raise TritonError(f"model name {name!r}: {fault}")
    if version < 1:
        raise TritonError(f"{name}: version {version} must be at least 1")
    for file in EXPORTED:
        if not (exported / file).is_file():
            raise TritonError(f"{name} version {version}: there is no file {exported / file}")


def _require(repository: Path, name: str, version: int) -> None:
    present = versions(repository, name)
    if version not in present:
        raise TritonError(f"{repository} has no version {version} of {name}, it has {present}")


def _fill(directory: Path, files: Mapping[str, Path | str]) -> None:
    """Make a directory out of file copies and texts."""
    for file, content in files.items():
        place = directory / file
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, Path):
            shutil.copyfile(content, place)
        else:
            place.write_text(content, encoding="utf-8")
    for code in directory.rglob("*.py"):
        # A byte code file that appears later looks like a changed model: Triton would load it again.
        place = Path(cache_from_source(str(code)))
        place.parent.mkdir(exist_ok=True)
        # Where the scratch folder is, is not part of it.
        place.write_bytes(_byte_code(code.read_bytes(), code.relative_to(directory).as_posix()))


def _byte_code(source: bytes, file: str) -> bytes:
    """A byte code file (PEP 552, with the hash of its source), the same from every process.

    `py_compile` writes which strings the process happens to have interned, so that a version that `textmill
    up` built again had other bytes than the one that a run had deployed. Marshal's format 2 knows nothing of
    that.
    """
    code = compile(source, file, "exec", dont_inherit=True)
    return MAGIC_NUMBER + CHECKED_HASH.to_bytes(4, "little") + source_hash(source) + marshal.dumps(code, 2)


def _tensors(folder: Path) -> list[str]:
    """Batch size, inputs and outputs of an exported model, as `config.pbtxt` has them.

    Every answer is in `json` too, whatever its tensors are.
    """
    signature = _signature(folder)
    inputs = [_tensor(name, "STRING", 1) for name in signature["inputs"]]
    outputs = [_tensor(name, *of) for name, of in [*signature["outputs"].items(), ("json", ("STRING", 1))]]
    return [f"max_batch_size: {MAX_BATCH}", f"input [{', '.join(inputs)}]", f"output [{', '.join(outputs)}]"]


def _tensor(name: str, kind: str, size: int) -> str:
    return f'{{ name: "{name}" data_type: TYPE_{kind} dims: [{size}] }}'


def _step(model: str, version: int, folder: Path) -> str:
    """The one step of an ensemble. It names a fixed version, so it never changes by itself."""
    signature = _signature(folder)
    inputs = [f'input_map {{ key: "{name}" value: "{name}" }}' for name in signature["inputs"]]
    outputs = [f'output_map {{ key: "{name}" value: "{name}" }}' for name in [*signature["outputs"], "json"]]
    named = f'model_name: "{model}" model_version: {version}'
    return f"ensemble_scheduling {{ step [{{ {' '.join([named, *inputs, *outputs])} }}] }}"


def _signature(folder: Path) -> dict[str, Any]:
    """Strings of a question and tensors of an answer; a model that searches answers with more of them."""
    with_hits = folder / COLLECTION / "signature.json"
    place = with_hits if with_hits.is_file() else folder / "signature.json"
    signature: dict[str, Any] = json.loads(place.read_text("utf-8"))
    return signature


def _write_config(directory: Path, lines: list[str]) -> None:
    fresh = directory / ".config.pbtxt.new"
    fresh.write_text("\n".join(lines) + "\n", encoding="utf-8")
    fresh.replace(directory / "config.pbtxt")


def _config(directory: Path) -> str:
    """The configuration of a model, "" where there is none; damaged bytes are passed over."""
    try:
        return (directory / "config.pbtxt").read_text("utf-8", errors="replace")
    except OSError:
        return ""


def _models_on_disk(repository: Path, name: str) -> Iterator[tuple[int, str]]:
    """Version and directory name of each; nothing of an endpoint whose name only begins with `<name>`."""
    for entry in sorted(repository.glob("*")):
        if match := re.fullmatch(re.escape(name) + COMPOSING, entry.name):
            yield int(match[1]), entry.name
