"""What was deployed, written down, and whether Triton still serves exactly that.

`deploy` writes two files into its artifact: `served.json`, the sha256 of every file that Triton serves from,
and `canaries.json`, a few questions with the registered model's answers. A later run, and `textmill up`,
compare the one with the disk and the other with the endpoint. What differs is built again from the artifact
of `export`, whose digests the store verifies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import client as triton
from deploy import live, model_config, repository
from deploy.errors import TritonError
from deploy.triton_server import TritonServer
from tasks.contract.artifact import Manifest, sha256_file
from tasks.contract.errors import StageError, TextmillError
from tasks.contract.store import Store
from tasks.deployment.parity import difference

SERVED, CANARIES = "served.json", "canaries.json"
CANARY_TEXTS = 5
TOLERANCE = 1e-3  # largest difference of any number in an answer, where a recipe says no other


@dataclass(frozen=True)
class Canaries:
    """Questions, and the answer that the registered model gave to each."""

    questions: Sequence[Mapping[str, Any]]
    expected: Sequence[Mapping[str, Any]]


def write_down(directory: Path, server: TritonServer, name: str, version: int, questions: Canaries) -> None:
    """Write both files for the version that has just gone live."""
    place = Path(server.repository)
    files = {file: sha256_file(place / file) for file in repository.served_files(place, name, version)}
    canaries = {
        "questions": list(questions.questions[:CANARY_TEXTS]),
        "expected": list(questions.expected[:CANARY_TEXTS]),
    }
    for file, content in ((SERVED, files), (CANARIES, canaries)):
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (directory / file).write_text(text, encoding="utf-8")


def difference_from_deployed(manifest: Manifest, server: TritonServer, store: Store) -> str | None:
    """How what Triton serves differs from what this artifact of `deploy` says, None where it does not."""
    return changed_file(manifest, server, store) or wrong_answer(manifest, server, store)


def changed_file(manifest: Manifest, server: TritonServer, store: Store, folder: str = "") -> str | None:
    """The first file of the model repository (or a folder in it) that is not what was deployed, in words."""
    for file, digest in _read(manifest, store, SERVED).items():
        if not file.startswith(folder):
            continue
        place = Path(server.repository) / file
        if not place.is_file():
            return f"{place} is missing"
        if sha256_file(place) != digest:
            return f"{place} is not the file that was deployed"
    return None


def answers_of(
    endpoint: str, server: TritonServer, questions: Sequence[Mapping[str, Any]]
) -> list[triton.EndpointAnswer]:
    """What an endpoint answers; a minute for each batch."""
    return triton.ask(questions, endpoint, http_port=server.http_port, timeout=60)


def apart(expected: Sequence[Any], answers: Sequence[Any]) -> dict[str, Any]:
    """Answers against those expected: how many are others, and by how much numbers differ."""
    found = [difference(wanted, answer) for wanted, answer in zip(expected, answers, strict=True)]
    return {
        "compared": len(found),
        "different": sum(of is None for of in found),
        "max_abs_difference": max((of for of in found if of is not None), default=0.0),
    }


def restore(server: TritonServer, store: Store) -> list[str]:
    """Serve everything that is live on disk; what is damaged is built again, and the rest goes on without it.

    Returns:
        A line for each endpoint that was not whole.
    """
    lines = (_restore(name, server, store) for name in live.endpoints(Path(server.repository)))
    return [line for line in lines if line]


def _restore(name: str, server: TritonServer, store: Store) -> str | None:
    version = repository.pinned_version(Path(server.repository), name)
    if version is None:
        return f"{name} is not whole: its configuration does not name a version; {_again(name)}"
    manifest = deployment(store, name, version)
    wrong = _revived(name, server, store, manifest)
    if wrong is None:
        return None
    if manifest is None:
        return f"{name} is not whole: {wrong}; {_again(name)}"
    try:
        with store.lock("endpoint", name):
            _build_again(manifest, server, store)
    except (TextmillError, TritonError) as error:
        way_out = "" if _again(name) in str(error) else f"; {_again(name)}"
        return f"{name} is not whole: {wrong}; {error}{way_out}"
    return f"{name} version {version} was built again from its verified export: {wrong}"


def _revived(name: str, server: TritonServer, store: Store, manifest: Manifest | None) -> str | None:
    """What keeps the endpoint from answering as it was judged, None where it does now."""
    if manifest and (changed := changed_file(manifest, server, store)):
        return changed  # before Triton reads it
    try:
        live.revive(server, name)
    except TritonError as error:
        return str(error)
    return wrong_answer(manifest, server, store) if manifest else None


def _build_again(manifest: Manifest, server: TritonServer, store: Store) -> None:
    name, version = manifest.external["model"], int(manifest.external["version"])
    onnx = _verified_export(manifest, store) / "onnx"
    live.rebuild(server, name, version, onnx)
    if wrong := difference_from_deployed(manifest, server, store):
        raise StageError(f"after it was built again, {wrong}; {_again(name)}")


def _verified_export(manifest: Manifest, store: Store) -> Path:
    exported = manifest.inputs["exported"]
    for found in store.manifests(exported["stage"]):
        if found.digest == exported["digest"] and not store.damage(found):
            return store.place(found.stage, found.key)
    raise StageError(f"its export is not in {store.home} any more; {_again(manifest.external['model'])}")


def deployment(store: Store, name: str, version: int) -> Manifest | None:
    """The newest sound artifact of `deploy` for this version."""
    found = [
        manifest
        for manifest in store.manifests("deploy")
        if manifest.external.get("model") == name
        and manifest.external.get("version") == str(version)
        and SERVED in manifest.files
        and not store.damage(manifest)
    ]
    return max(found, key=lambda manifest: manifest.made_at, default=None)


def is_built_from(onnx: Path, manifest: Manifest, store: Store) -> bool:
    """Whether this artifact of `deploy` deployed this build with what it searches.

    Another registry counts its versions from 1, too.
    """
    name, version = manifest.external["model"], int(manifest.external["version"])
    served, folder = _read(manifest, store, SERVED), f"{repository.model_of(name, version)}/{version}"
    files = [*onnx.glob("*.onnx*"), *onnx.glob(f"{model_config.COLLECTION}/*")]
    names = [file.relative_to(onnx).as_posix() for file in files]
    searched = {name for name in served if name.startswith(f"{folder}/{model_config.COLLECTION}/")}
    return searched <= {f"{folder}/{name}" for name in names} and all(
        served.get(f"{folder}/{name}") == sha256_file(file) for name, file in zip(names, files, strict=True)
    )


def canaries_of(manifest: Manifest, store: Store) -> Canaries:
    """What this artifact of `deploy` has of questions and the registered model's answers."""
    return Canaries(**_read(manifest, store, CANARIES))


def wrong_answer(manifest: Manifest, server: TritonServer, store: Store) -> str | None:
    """How the endpoint answers otherwise than when it was deployed, in words; None where it does not."""
    name, version = manifest.external["model"], int(manifest.external["version"])
    if triton.ready_version(name, http_port=server.http_port) != version:
        return f"version {version} does not answer"
    canaries = canaries_of(manifest, store)
    try:
        answers = [answer.content for answer in answers_of(name, server, canaries.questions)]
    except TritonError as error:
        return str(error)
    return disagreement(apart(canaries.expected, answers), manifest.config["tolerance"])


def disagreement(found: Mapping[str, Any], tolerance: float) -> str | None:
    """What `apart` found, in words, where it is more than may be."""
    count = found["compared"]
    if found["different"]:
        return f"gives another answer than the registered model to {found['different']} of {count} questions"
    # "not <=" also catches NaN
    if not found["max_abs_difference"] <= tolerance:
        return (
            f"differs from the registered model by {found['max_abs_difference']:.2e} (allowed "
            f"{tolerance:.0e}) on {count} questions"
        )
    return None


def _read(manifest: Manifest, store: Store, file: str) -> Any:
    place = store.place(manifest.stage, manifest.key) / file
    return json.loads(place.read_text(encoding="utf-8"))


def _again(name: str) -> str:
    return f"run the recipe that deploys {name}, or `textmill deploy {name}`, and it is deployed again"
