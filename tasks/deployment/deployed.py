"""What was deployed, written down, and whether Triton still serves exactly that.

`deploy` writes two files into its artifact: `served.json`, the sha256 of every file that Triton serves from,
and `canaries.json`, a few texts with the answers that the registered model gave. A later run, and `textmill
up`, compare the one with the disk and the other with the endpoint. What differs is built again from the
artifact of `export`, whose digests the store verifies.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import client as triton
from deploy import live, repository
from deploy.errors import TritonError
from deploy.triton_server import TritonServer
from tasks.contract.artifact import Manifest, sha256_file
from tasks.contract.errors import StageError, TextmillError
from tasks.contract.store import Store

SERVED, CANARIES = "served.json", "canaries.json"
CANARY_TEXTS = 5


@dataclass(frozen=True)
class Canaries:
    """Texts, and for each the probabilities (label -> probability) that the registered model gave."""

    texts: Sequence[str]
    expected: Sequence[Mapping[str, float]]


def write_down(directory: Path, server: TritonServer, name: str, version: int, questions: Canaries) -> None:
    """Write both files for the version that has just gone live."""
    place = Path(server.repository)
    files = {file: sha256_file(place / file) for file in repository.served_files(place, name, version)}
    canaries = {
        "texts": list(questions.texts[:CANARY_TEXTS]),
        "expected": [dict(probabilities) for probabilities in questions.expected[:CANARY_TEXTS]],
    }
    for file, content in ((SERVED, files), (CANARIES, canaries)):
        text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
        (directory / file).write_text(text, encoding="utf-8")


def difference_from_deployed(manifest: Manifest, server: TritonServer, store: Store) -> str | None:
    """How what Triton serves differs from what this artifact of `deploy` says, None where it does not."""
    return changed_file(manifest, server, store) or _wrong_answer(manifest, server, store)


def changed_file(manifest: Manifest, server: TritonServer, store: Store) -> str | None:
    """The first file below the model repository that is not what was deployed, in words."""
    for file, digest in _read(manifest, store, SERVED).items():
        place = Path(server.repository) / file
        if not place.is_file():
            return f"{place} is missing"
        if sha256_file(place) != digest:
            return f"{place} is not the file that was deployed"
    return None


def difference(endpoint: str, server: TritonServer, questions: Canaries) -> dict[str, Any]:
    """The endpoint's answers against those expected: largest difference of a probability, equal labels."""
    answers = triton.ask(questions.texts, endpoint, http_port=server.http_port, timeout=60)
    worst, same = 0.0, True
    for answer, wanted in zip(answers, questions.expected, strict=True):
        given = dict(zip(answer.labels, answer.probabilities, strict=True))
        worst = max(worst, *(abs(given.get(label, 0) - wanted[label]) for label in wanted))
        same &= answer.label == max(wanted, key=lambda label: wanted[label])
    return {"compared": len(answers), "max_abs_difference": worst, "same_labels": same}


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
        return f"{name} is not whole: {wrong}; {error}"
    return f"{name} version {version} was built again from its verified export: {wrong}"


def _revived(name: str, server: TritonServer, store: Store, manifest: Manifest | None) -> str | None:
    """What keeps the endpoint from answering as it was judged, None where it does now."""
    if manifest and (changed := changed_file(manifest, server, store)):
        return changed  # before Triton reads it
    try:
        live.revive(server, name)
    except TritonError as error:
        return str(error)
    return _wrong_answer(manifest, server, store) if manifest else None


def _build_again(manifest: Manifest, server: TritonServer, store: Store) -> None:
    name, version = manifest.external["model"], int(manifest.external["version"])
    onnx = _verified_export(manifest, store) / "onnx"
    live.rebuild(server, name, version, **onnx_files(onnx))
    if wrong := difference_from_deployed(manifest, server, store):
        raise StageError(f"after it was built again, {wrong}; {_again(name)}")


def onnx_files(onnx: Path) -> dict[str, Any]:
    """The folder that `export` made, as the arguments of `live.stage_version` and `live.rebuild`."""
    settings = json.loads((onnx / "settings.json").read_text(encoding="utf-8"))
    return {"onnx": onnx / "model.onnx", "tokenizer": onnx / "tokenizer.json", **settings}


def _verified_export(manifest: Manifest, store: Store) -> Path:
    exported = manifest.inputs["exported"]["digest"]
    for found in store.manifests():
        if found.stage == "export" and found.digest == exported and not store.damage(found):
            return store.place(found.stage, found.key)
    raise StageError(f"its export is not in {store.home} any more; {_again(manifest.external['model'])}")


def deployment(store: Store, name: str, version: int) -> Manifest | None:
    """The newest sound artifact of `deploy` for this version."""
    found = [
        manifest
        for manifest in store.manifests()
        if manifest.stage == "deploy"
        and manifest.external.get("model") == name
        and manifest.external.get("version") == str(version)
        and SERVED in manifest.files
        and not store.damage(manifest)
    ]
    return max(found, key=lambda manifest: manifest.made_at, default=None)


def _wrong_answer(manifest: Manifest, server: TritonServer, store: Store) -> str | None:
    name, version = manifest.external["model"], int(manifest.external["version"])
    if triton.ready_version(name, http_port=server.http_port) != version:
        return f"version {version} does not answer"
    canaries = Canaries(**_read(manifest, store, CANARIES))
    try:
        found = difference(name, server, canaries)
    except TritonError as error:
        return str(error)
    # "not <=" also catches NaN
    if not found["max_abs_difference"] <= manifest.config["tolerance"]:
        return (
            f"its answers to {len(canaries.texts)} known texts differ by {found['max_abs_difference']:.2e} "
            f"from those of the registered model (allowed {manifest.config['tolerance']:.0e})"
        )
    return None


def _read(manifest: Manifest, store: Store, file: str) -> Any:
    place = store.place(manifest.stage, manifest.key) / file
    return json.loads(place.read_text(encoding="utf-8"))


def _again(name: str) -> str:
    return f"run the recipe that deploys {name}, and it is deployed again"
