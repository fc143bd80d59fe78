"""MLflow as the pipeline uses it: one registered model per recipe, aliases that say what is live.

    challenger   the newest version that passed the gate
    champion     the version that the endpoint serves; moved by `deploy` together with the endpoint. Of a
                 task that is not served, the newest version that passed the gate; moved by `register`

A version carries the tags `textmill.model`, the digest of the fine-tuned artifact, `textmill.collection`,
that of what its endpoint searches (where it does), `textmill.compared_with`, the version that was champion
when it was judged, `textmill.files`, the digest of its files, and `textmill.verdict`, what the gate said.
With these a run can be repeated, and repaired, without making anything twice.

Several homes may use one server, and MLflow lets each of them register the same model. So a version counts
only when no older one has the same model and the same collection; whoever finds a younger one removes it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Any

from pydantic import BaseModel, ConfigDict

from corpus.redaction import redacted
from tasks.contract.artifact import Artifact
from tasks.contract.errors import ServerError
from tasks.tracking import own_servers, slow_server_messages

CHAMPION, CHALLENGER = "champion", "challenger"
SECONDS = 30.0  # for MLflow to say that it is there; a busy one may be loading libraries
MODEL_TAG, COMPARED_TAG, KEY_TAG = "textmill.model", "textmill.compared_with", "textmill.key"
FILES_TAG, COLLECTION_TAG = "textmill.files", "textmill.collection"
VERDICT_TAG = "textmill.verdict"  # the gate's, of runs and versions
LONGEST_ERROR = 300  # characters that are quoted
MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")  # no such model or version, no such alias


class SearchedCollection(BaseModel):
    """What an endpoint searches, by a digest of where its documents come from."""

    model_config = ConfigDict(frozen=True)

    digest: str


class ModelVersion(BaseModel):
    """A version of a registered model; `digest` is that of the fine-tuned artifact it was made from.

    `collection` is the digest of what its endpoint searches, empty where it searches nothing.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    version: int
    digest: str
    collection: str = ""


def server_address() -> str:
    """The address of the MLflow server, without credentials."""
    return redacted(os.environ.get("MLFLOW_TRACKING_URI", ""))


def client() -> Any:
    """An MLflow client for the server in MLFLOW_TRACKING_URI.

    Raises:
        ServerError: no server is named there, or it does not answer.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise ServerError("MLFLOW_TRACKING_URI names no server; start the command through `textmill`")
    if wrong := _fault(uri):
        place = redacted(uri)
        raise ServerError(f"the MLflow server at {place} {wrong}; try `textmill up`")
    from mlflow import MlflowClient

    slow_server_messages.say_attempts("MLflow")
    return slow_server_messages.SaysWaiting(MlflowClient(uri), "MLflow")


def _fault(uri: str) -> str | None:
    with slow_server_messages.said("MLflow"):
        return own_servers.server_fault("mlflow", uri, SECONDS)


def refusal(error: BaseException) -> str | None:
    """What became of MLflow when its client gave up, as one sentence; None for any other error."""
    if type(error).__module__.partition(".")[0] not in ("mlflow", "requests", "urllib3"):
        return None
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    place = redacted(uri)
    if wrong := _fault(uri):
        return (
            f"the MLflow server at {place} {wrong}; try `textmill up` and run again, it goes on where it was"
        )
    said = " ".join(str(error).split())
    if "500" in said or "INTERNAL_ERROR" in said:
        return (
            f"the MLflow server at {place} can't do its work ({said[:LONGEST_ERROR]}); its log is "
            "servers/mlflow.log in the home, and a full disk is a common cause; run again, it goes on where "
            "it was"
        )
    return None


def reachable() -> bool:
    """Whether the MLflow server answers."""
    try:
        client()
    except ServerError:
        return False
    return True


def champion_before(model_name: str, model: Artifact) -> ModelVersion | None:
    """The champion that a model has to stand comparison with; None when there is none.

    When the model itself is champion already, it is the one that it was compared with back then; so a
    repeated run asks the same question and finds the same answer.
    """
    versions = client()
    champion = by_alias(versions, model_name, CHAMPION)
    if champion is None or champion.digest != model.digest:
        return champion
    compared = versions.get_model_version(model_name, str(champion.version)).tags.get(COMPARED_TAG, "")
    return by_version(versions, model_name, int(compared)) if compared else None


def by_alias(versions: Any, model_name: str, alias: str) -> ModelVersion | None:
    """The version that carries the alias, or None."""
    from mlflow.exceptions import MlflowException

    try:
        return _model_version(versions.get_model_version_by_alias(model_name, alias))
    except MlflowException as error:
        if is_missing(error):
            return None
        raise ServerError(f"MLflow can't tell the {alias} of {model_name}: {error.message}") from error


def by_version(versions: Any, model_name: str, version: int) -> ModelVersion | None:
    """The version with this number, or None when it was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return _model_version(versions.get_model_version(model_name, str(version)))
    except MlflowException as error:
        if is_missing(error):
            return None
        raise ServerError(f"MLflow can't tell version {version} of {model_name}: {error.message}") from error


def is_missing(error: Any) -> bool:
    """Whether MLflow says that there is no such thing, rather than that it can't tell."""
    return error.error_code in MISSING


def by_digest(versions: Any, model_name: str, digest: str, collection: str = "") -> ModelVersion | None:
    """The oldest version made from the fine-tuned artifact with this digest, for this collection; or None."""
    found = _made_from(versions, model_name, digest, collection)
    return _model_version(found[0]) if found else None


def keep_oldest(versions: Any, model_name: str, digest: str, collection: str = "") -> ModelVersion | None:
    """As `by_digest`; younger ones, which two runs at one time or a kill have left, are removed.

    But for those that carry an alias, which somebody must have given them.
    """
    oldest, *younger = _made_from(versions, model_name, digest, collection) or [None]
    for other in younger:
        _remove(versions, other, oldest)
    return _model_version(oldest) if oldest else None


def move_alias(versions: Any, model_name: str, alias: str, version: int) -> None:
    """From now on the alias is of this version, and of no other."""
    versions.set_registered_model_alias(model_name, alias, str(version))


def point_challenger_at_newest(versions: Any, model_name: str) -> None:
    """Move the alias `challenger` to the newest version, whatever other homes register in between."""
    while (newest := _newest(versions, model_name)) and newest != by_alias(versions, model_name, CHALLENGER):
        move_alias(versions, model_name, CHALLENGER, newest.version)


def _newest(versions: Any, model_name: str) -> ModelVersion | None:
    counting: dict[tuple[str, str], ModelVersion] = {}
    for version in map(_model_version, _made_from(versions, model_name)):
        counting.setdefault((version.digest, version.collection), version)
    return max(counting.values(), key=lambda version: version.version, default=None)


def _made_from(versions: Any, model_name: str, digest: str | None = None, collection: str = "") -> list[Any]:
    """The usable versions with this digest and collection, or with any, the oldest first."""
    found = [
        version
        for version in versions.search_model_versions(f"name='{model_name}'")
        if version.status == "READY"
        and FILES_TAG in version.tags
        and digest in (None, version.tags.get(MODEL_TAG))
        and (digest is None or version.tags.get(COLLECTION_TAG, "") == collection)
    ]
    return sorted(found, key=lambda version: int(version.version))


def _remove(versions: Any, version: Any, oldest: Any) -> None:
    from mlflow.exceptions import MlflowException

    with suppress(MlflowException):  # another run was faster
        if versions.get_model_version(version.name, version.version).aliases:  # a search tells of none
            return
        versions.delete_model_version(version.name, version.version)
        if version.source != oldest.source:  # somebody may have copied the version
            versions.delete_logged_model(str(version.source).removeprefix("models:/"))


def logged_model(versions: Any, version: ModelVersion) -> str:
    """The id of the MLflow logged model whose files a version consists of."""
    source = str(versions.get_model_version(version.model, str(version.version)).source)
    return source.removeprefix("models:/")


def _model_version(version: Any) -> ModelVersion:
    return ModelVersion(
        model=version.name,
        version=int(version.version),
        digest=version.tags.get(MODEL_TAG, ""),
        collection=version.tags.get(COLLECTION_TAG, ""),
    )
