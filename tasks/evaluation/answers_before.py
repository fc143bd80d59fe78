"""What an earlier version says of the test examples: as it was kept, or asked anew where that is no answer.

Kept predictions are of the very same examples or not used at all. The artifacts of this home are looked at
first, then the files of the version in MLflow; both are verified.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from tasks.contract.artifact import sha256_file
from tasks.contract.store import Store
from tasks.evaluation import kept_predictions
from tasks.evaluation.kept_predictions import FILE, Kept
from tasks.tracking.registry import ModelVersion
from tasks.tracking.version_files import JUDGED, predict_with, verified_file

KEPT = "its kept predictions"


class Answers(NamedTuple):
    """What is said of each example, and in words where that comes from."""

    said: Sequence[Any]
    source: str


def answers_of(
    version: ModelVersion, task: str, examples: Sequence[Mapping[str, Any]], store: Store
) -> Answers:
    """What a version says of the examples.

    Raises:
        StageError: the version has to be asked and can't be, or its files are not those that were registered.
        ServerError: MLflow does not answer.
    """
    digest = kept_predictions.digest_of(examples)
    if kept := kept_of(version, store, digest):
        if kept.examples == digest:
            return Answers(kept.said, KEPT)
        why = "the test examples are others than when it was judged"
    else:
        why = "it was registered without its predictions"
    return Answers(predict_with(version, task, examples, store), f"asking it anew, since {why}")


def kept_of(version: ModelVersion, store: Store, digest: str | None = None) -> Kept | None:
    """The predictions with which a version was judged, those of the examples with this digest if there are.

    None where an older textmill registered it without.

    Raises:
        StageError: its files in MLflow are not those that were registered.
    """
    here = list(_in_artifacts(version, store))
    for path in here:
        if digest in (None, kept_predictions.examples_in(path)):
            return kept_predictions.read(path)
    with ExitStack() as stack:
        file = stack.enter_context(verified_file(version, store, f"{JUDGED}/{FILE}"))
        found = [file] if file else here
        return kept_predictions.read(found[0]) if found else None


def _in_artifacts(version: ModelVersion, store: Store) -> list[Path]:
    """Sound files of this home with what the model of a version said, the newest first."""
    found: dict[str, Path] = {}
    for manifest in store.manifests("evaluate"):
        stored, path = manifest.files.get(FILE), store.place("evaluate", manifest.key) / FILE
        if manifest.inputs.get("model", {}).get("digest") != version.digest or stored is None:
            continue
        if path.is_file() and sha256_file(path) == stored.sha256:
            found[f"{manifest.made_at} {manifest.key}"] = path
    return [found[name] for name in sorted(found, reverse=True)]
