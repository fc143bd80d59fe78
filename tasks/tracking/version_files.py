"""The files of a registered version: what they must be, and a private copy of them that is that.

Whoever reaches MLflow can overwrite the files of a version, and a version is code that its users run. So
what a stage uploads is accompanied by `SHA256SUMS` (`sha256sum -c` reads it), whose own digest is in a tag of
the version and, where an attacker on the server does not get, in the artifact of the stage. The artifact
wins over the tag; a version that another home registered has only the tag.

    register   everything but the build    tag textmill.files        its artifact's `SHA256SUMS`
    export     artifacts/onnx              tag textmill.onnx_files   its artifact's `onnx/SHA256SUMS`
    index      artifacts/onnx/collection   tag textmill.collection_files, and so on
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from tasks.contract.artifact import MANIFEST, Manifest, sha256_file, sha256_text
from tasks.contract.errors import StageError
from tasks.contract.store import Store
from tasks.tracking.registry import (
    CHAMPION,
    FILES_TAG,
    ModelVersion,
    client,
    logged_model,
    server_address,
)
from tasks.tracking.slow_server_messages import said

SUMS = "SHA256SUMS"


class Part(NamedTuple):
    """Files of a version that one stage uploads, into `folder`; `sums` is their list in its artifact.

    What lies in the folder `without` is another part.
    """

    stage: str
    folder: str
    sums: str
    tag: str
    without: str = ""


REGISTERED = Part("register", "", SUMS, FILES_TAG, without="artifacts/onnx")
EXPORTED = Part("export", "artifacts/onnx", f"onnx/{SUMS}", "textmill.onnx_files", without="collection")
INDEXED = Part("index", "artifacts/onnx/collection", f"onnx/collection/{SUMS}", "textmill.collection_files")
JUDGED = "evaluation"  # the folder with what it was judged by, which `register` uploads too
# MLflow writes it into a copy that it fetches, and never reads it from there.
_FETCHED = "registered_model_meta"
_WAY_OUT = "Delete this version in MLflow and run again: the model is registered anew"


def write_sums(folder: Path) -> str:
    """List the files below a folder in its `SHA256SUMS`; returns that list's sha256."""
    lines = [f"{digest}  {name}\n" for name, digest in _digests(folder).items() if name != SUMS]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")
    return sha256_file(folder / SUMS)


def version_identity(version: ModelVersion) -> dict[str, str]:
    """A version's model, number and server, as the manifest of a stage that uploads to it keeps them."""
    return {"model": version.model, "version": str(version.version), "server": server_address()}


def join_version(part: Part, version: ModelVersion, folder: Path, told: Mapping[str, str]) -> None:
    """Add a folder to the files of a registered version, and its digest and what is told to the tags."""
    mlflow, digest = client(), write_sums(folder)
    mlflow.log_model_artifacts(logged_model(mlflow, version), str(folder), part.folder)
    for name, text in {part.tag: digest, **{f"textmill.{key}": text for key, text in told.items()}}.items():
        mlflow.set_model_version_tag(version.model, str(version.version), name, text)


@contextmanager
def verified_files(
    version: ModelVersion, store: Store, parts: Sequence[Part] = (REGISTERED, EXPORTED, INDEXED)
) -> Iterator[Path]:
    """A private copy of a version's files, of which every one in `parts` is what a stage uploaded.

    It is removed in the end. What nothing accounts for (a build whose upload was cut short) is not in it.

    Raises:
        StageError: a file was changed, added or removed, or nothing says what the files must be.
        ServerError: MLflow does not answer.
    """
    with _copy(version) as folder:
        for part in parts:
            _verify(part, version, folder, _recorded(part, version, store))
        yield folder


@contextmanager
def verified_file(version: ModelVersion, store: Store, name: str) -> Iterator[Path | None]:
    """A private copy of one of the files that `register` uploaded, without the others; None: it has no such.

    Raises:
        StageError: it was changed or removed since.
    """
    recorded, tag = _recorded(REGISTERED, version, store), _tags(version).get(REGISTERED.tag)
    with TemporaryDirectory(prefix="textmill-") as temporary:  # of mode 700
        folder = Path(temporary)
        if recorded is None and tag is not None:
            recorded = _one_file(version, SUMS, folder).read_text("utf-8", "replace")
            if sha256_text(recorded) != tag:
                raise StageError(_mismatch(version, REGISTERED, SUMS, "was changed"))
        lines = (line.partition("  ") for line in (recorded or "").splitlines())
        listed = {name: digest for digest, _, name in lines}
        if name not in listed:
            yield None
            return
        file = _one_file(version, name, folder)
        if sha256_file(file) != listed[name]:
            raise StageError(_mismatch(version, REGISTERED, name, "was changed"))
        yield file


@contextmanager
def loaded(version: ModelVersion, store: Store) -> Iterator[Any]:
    """A version as `mlflow.pyfunc.load_model` gives it, from a verified copy of its files.

    Raises:
        StageError: as `verified_files`.
    """
    import mlflow

    with verified_files(version, store) as folder:
        yield mlflow.pyfunc.load_model(str(folder))


def predict_with(
    version: ModelVersion, task: str, examples: Sequence[Mapping[str, Any]], store: Store
) -> list[Any]:
    """What a registered version says about the examples of a task, loaded as its users load it.

    Raises:
        StageError: its files are not those that were registered, it can't be loaded, or can't do this task.
    """
    try:
        with loaded(version, store) as model:
            stored = model.unwrap_python_model()
            if hasattr(stored, "predictions"):
                return list(stored.predictions(list(examples)))
            if hasattr(stored, "session"):  # of a textmill that served labels of single texts alone
                texts = [example["text"] for example in examples]
                return [str(label) for label in model.predict(texts)["label"]]
            return list(model.predict(list(examples))["prediction"])
    except Exception as error:  # whatever a stored model raises, it is not fit to be compared with
        raise StageError(
            f"evaluate: the champion can't be compared with: {error}; take the alias {CHAMPION!r} from it in "
            "MLflow to go on without a comparison"
        ) from error


def what_differs(part: Part, version: ModelVersion, manifest: Manifest, store: Store) -> str:
    """How a part of a version differs from what the stage of this artifact uploaded; "" if it does not."""
    sums = _sums_in(part, manifest, store)
    try:
        with _copy(version) as folder:
            _verify(part, version, folder, sums)
    except StageError as error:
        return str(error)
    known = sums is not None and _tags(version).get(part.tag) == sha256_text(sums)
    return "" if known else f"the tag {part.tag} of {_name(version)} was changed since"


@contextmanager
def _copy(version: ModelVersion) -> Iterator[Path]:
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    model_id = logged_model(client(), version)
    with TemporaryDirectory(prefix="textmill-") as temporary:  # of mode 700
        try:
            with said("MLflow (the files of a version)"):
                download_artifacts(artifact_uri=f"models:/{model_id}", dst_path=temporary)
        except (MlflowException, OSError) as error:
            raise StageError(f"{_name(version)}: its files can't be fetched ({error}). {_WAY_OUT}") from error
        (Path(temporary) / _FETCHED).unlink(missing_ok=True)
        yield Path(temporary)


def _one_file(version: ModelVersion, name: str, folder: Path) -> Path:
    """Fetch a file of a version into a folder."""
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    mlflow = client()
    place = mlflow.get_logged_model(logged_model(mlflow, version)).artifact_location
    try:
        with said("MLflow (a file of a version)"):
            return Path(download_artifacts(artifact_uri=f"{place}/{name}", dst_path=str(folder)))
    except (MlflowException, OSError) as error:
        raise StageError(
            f"{_name(version)}: its file {name} can't be fetched ({error}). {_WAY_OUT}"
        ) from error


def _verify(part: Part, version: ModelVersion, folder: Path, recorded: str | None) -> None:
    """Compare a part of a copy with the recorded list, or else with its own, which must be the tag's."""
    place, tag = folder / part.folder, _tags(version).get(part.tag)
    if recorded is None and tag is None:
        if part is REGISTERED:
            raise StageError(
                f"{_name(version)} was registered by an older textmill, without digests of its files; they "
                f"may have been changed since, so nothing of it is run. {_WAY_OUT}"
            )
        shutil.rmtree(place, ignore_errors=True)
        return
    actual = _digests(place, part.without)
    if recorded is None:
        recorded = (place / SUMS).read_text("utf-8", "replace") if SUMS in actual else ""
        if sha256_text(recorded) != tag:
            raise StageError(_mismatch(version, part, SUMS, "was changed"))
    listed = {name: digest for digest, _, name in (line.partition("  ") for line in recorded.splitlines())}
    listed[SUMS] = sha256_text(recorded)
    for name in sorted(actual.keys() | listed.keys()):
        if actual.get(name) != listed.get(name):
            what = (
                "is missing" if name not in actual else "was added" if name not in listed else "was changed"
            )
            raise StageError(_mismatch(version, part, name, what))


def _mismatch(version: ModelVersion, part: Part, name: str, what: str) -> str:
    file = f"{part.folder}/{name}".lstrip("/")
    return (
        f"{_name(version)} is not what was registered: {file} {what} since; nothing of it was run. {_WAY_OUT}"
    )


def _name(version: ModelVersion) -> str:
    return f"version {version.version} of {version.model} in MLflow"


def _digests(folder: Path, without: str = "") -> dict[str, str]:
    digests = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if not path.is_dir() and not (without and name.startswith(f"{without}/")):
            digests[name] = sha256_file(path)
    return digests


def _tags(version: ModelVersion) -> dict[str, Any]:
    return dict(client().get_model_version(version.model, str(version.version)).tags)


def _recorded(part: Part, version: ModelVersion, store: Store) -> str | None:
    """The list of a part's files in the newest artifact of this home that uploaded them, if there is one."""
    place, lists = version_identity(version), {}
    for path in (store.home / "artifacts" / part.stage).glob(f"[!.]*/{MANIFEST}"):
        manifest = store.manifest(part.stage, path.parent.name)
        if manifest and place.items() <= manifest.external.items():
            lists[manifest.made_at] = _sums_in(part, manifest, store)
    return lists[max(lists)] if lists else None


def _sums_in(part: Part, manifest: Manifest, store: Store) -> str | None:
    """The list in an artifact, None where it is damaged."""
    file, stored = store.place(part.stage, manifest.key) / part.sums, manifest.files.get(part.sums)
    if stored is None or not file.is_file() or sha256_file(file) != stored.sha256:
        return None
    return file.read_text(encoding="utf-8")
