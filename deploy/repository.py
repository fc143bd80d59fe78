"""Write versions into a Triton model repository, so that no reader ever sees half of one.

Version N of an endpoint `<name>` is one model, and the endpoint points at it:

    <name>-vN-model   strings -> answers: tokenizer, ONNX graph and the code between them (Python backend)
    <name>            an ensemble of one step, to a version's model; of a model that writes, the same model
                      once more, with a link to its files: Triton's ensembles know no optional inputs
    <name>-candidate  the same, for a version not yet live

The endpoint is what clients ask: loading it is the one moment at which the answers change. No version shares
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

from deploy.errors import TritonError
from deploy.model_config import (
    COLLECTION,
    ON_TRIAL,
    limits_of,
    model_lines,
    signature,
    step_line,
    tensor_lines,
)

CODE = Path(__file__).parent / "models"
# What `export` writes, besides the folder `served`, whose files are code.
EXPORTED = ("model.onnx", "tokenizer.json", "settings.json", "signature.json")
PART = "model"
OLD_PARTS = ("tokenizer", "encoder", "labels")  # of versions that an older textmill deployed
CANDIDATE = "-candidate"
CHECKED_HASH = 0b11  # flags of a byte code file that Python compares with its source
# A file name has 255 bytes, and parts and temporary files add to it.
LONGEST_NAME = 128
COMPOSING = f"-v([1-9][0-9]*)-({'|'.join((PART, *OLD_PARTS))})"


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
    graphs = sorted(exported.glob("*.onnx*"))
    code = sorted((exported / "served").glob("*.py"))
    files: dict[str, Path | str] = {file: exported / file for file in EXPORTED}
    files |= {path.name: path for path in graphs}
    files |= {f"{COLLECTION}/{path.name}": path for path in sorted((exported / COLLECTION).glob("*"))}
    kind = "writing" if signature(exported).get("writes") else "served"
    files |= {"model.py": CODE / kind / "model.py", "limits.json": json.dumps(limits)}
    files |= {f"served/{path.name}": path for path in code}
    try:
        shutil.rmtree(scratch, ignore_errors=True)  # a killed deployment leaves one
        _fill(scratch / str(version), files)
        _write_config(scratch, [f'name: "{model}"', *model_lines(exported)])
        shutil.rmtree(repository / model, ignore_errors=True)
        scratch.rename(repository / model)
    except OSError as error:
        raise TritonError(f"can't write version {version} of {name} into {repository}: {error}") from error


def write_endpoint(repository: Path, ensemble: str, name: str, version: int) -> None:
    """Point an ensemble at one version of `<name>`; Triton follows when it loads it next.

    Raises:
        TritonError: that version is not in the repository.
    """
    _require(repository, name, version)
    model = model_of(name, version)
    place, files = repository / ensemble / str(version), repository / model / str(version)
    writes = bool(signature(files).get("writes"))
    _make_place(place, files if writes else None)
    config = model_lines(files) if writes else ['platform: "ensemble"', *tensor_lines(files)]
    policy = f"version_policy: {{ specific: {{ versions: [{version}] }} }}"
    step = [] if writes else [step_line(model, version, files)]
    _write_config(place.parent, [f'name: "{ensemble}"', policy, *config, *step])
    for other in place.parent.iterdir():
        if other.name.isdecimal() and other.name != str(version):
            other.unlink() if other.is_symlink() else other.rmdir()


def _make_place(place: Path, files: Path | None) -> None:
    """The folder of an endpoint's version: an empty one, or a link to the files of its model."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if files is None:
        shutil.rmtree(place, ignore_errors=True)  # a trial leaves its code
        place.mkdir()
    elif not place.is_symlink():
        place.symlink_to(Path("..", *files.parts[-2:]))


def write_trial(
    repository: Path, name: str, live: int, new: int, share: float, answers: str, tolerance: float
) -> None:
    """Let an endpoint ask two versions (`deploy/trial.py`); `write_endpoint` ends it.

    Raises:
        TritonError: a version is not in the repository, they have other tensors, or they write.
    """
    of_both = []
    for version in (live, new):
        if writes(repository, name, version):
            raise TritonError(f"{name} writes its answers, and such a version can't be tried beside another")
        of_both.append(tensor_lines(repository / model_of(name, version) / str(version)))
    if of_both[0] != of_both[1]:
        raise TritonError(
            f"versions {live} and {new} of {name} have other tensors (other labels, say), so they can't be "
            "tried side by side; deploy without a trial"
        )
    place = repository / name / str(live)
    said = {"live": [model_of(name, live), live], "new": [model_of(name, new), new], "share": share}
    said |= {"answers": answers, "tolerance": tolerance}
    _fill(place, {"trial.json": json.dumps(said), "model.py": CODE / "trial" / "model.py"})
    policy = f"version_policy: {{ specific: {{ versions: [{live}] }} }}"
    _write_config(place.parent, [f'name: "{name}"', policy, *of_both[0], *ON_TRIAL])


def endpoint_config(repository: Path, ensemble: str) -> str:
    """What an ensemble is, to be put back by `restore_endpoint`."""
    return _config(repository / ensemble)


def restore_endpoint(repository: Path, ensemble: str, version: int, config: str) -> None:
    """Let an ensemble be what it was, also where an older textmill wrote it."""
    directory = repository / ensemble
    files = repository / model_of(ensemble, version) / str(version)
    _make_place(directory / str(version), None if 'platform: "ensemble"' in config else files)
    _write_config(directory, config.splitlines())


def remove_endpoint(repository: Path, ensemble: str) -> None:
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


def writes(repository: Path, name: str, version: int) -> bool:
    """Whether a version is a model that writes its answers, so that the endpoint is no ensemble.

    Raises:
        TritonError: that version is not in the repository.
    """
    _require(repository, name, version)
    return bool(signature(repository / model_of(name, version) / str(version)).get("writes"))


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


def endpoints(repository: Path) -> list[str]:
    """The names of all ensembles, sorted; also of those with a damaged configuration or model."""
    matches = (re.fullmatch(f"(.+){COMPOSING}", entry.name) for entry in repository.glob("*"))
    composed = {match[1] for match in matches if match}
    candidates = {name + CANDIDATE for name in composed}
    return sorted(
        entry.name
        for entry in repository.glob("*")
        if entry.is_dir()
        and (entry.name in composed | candidates or 'platform: "ensemble"' in _config(entry))
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
