"""MLflow as the line uses it: one registered model per recipe, aliases that say what is live.

    challenger   the newest version that passed the gate
    champion     the version that the endpoint serves; moved by `deploy` together with the endpoint. Of a
                 task that is not served, the newest version that passed the gate; moved by `register`

A version carries the tag `textmill.model`, the digest of the fine-tuned artifact, and
`textmill.compared_with`,
the version that was champion when it was judged. With these a run can be repeated, and repaired, without
making anything twice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from tasks import mlflow_waits, own_servers
from tasks.artifact import Artifact
from tasks.errors import ServerError, StageError

CHAMPION, CHALLENGER = "champion", "challenger"
SERVED_TASK = "classification"  # of single texts: the others end with the registered model
SECONDS = 10.0  # for MLflow to say that it is there
MODEL_TAG, COMPARED_TAG, KEY_TAG = "textmill.model", "textmill.compared_with", "textmill.key"


class ModelVersion(BaseModel):
    """A version of a registered model; `digest` is that of the fine-tuned artifact it was made from."""

    model_config = ConfigDict(frozen=True)

    model: str
    version: int
    digest: str


def client() -> Any:
    """An MLflow client for the server in MLFLOW_TRACKING_URI.

    Raises:
        ServerError: no server is named there, or it does not answer.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise ServerError("MLFLOW_TRACKING_URI names no server; start the command through `textmill`")
    if wrong := own_servers.fault("mlflow", uri, SECONDS):
        place = own_servers.without_credentials(uri)
        raise ServerError(f"the MLflow server at {place} {wrong}; try `textmill up`")
    from mlflow import MlflowClient

    mlflow_waits.say_so()
    return MlflowClient(uri)


def refusal(error: BaseException) -> str | None:
    """What became of MLflow when its client gave up, as one sentence; None for any other error."""
    if type(error).__module__.partition(".")[0] not in ("mlflow", "requests", "urllib3"):
        return None
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    place = own_servers.without_credentials(uri)
    if wrong := own_servers.fault("mlflow", uri, SECONDS):
        return (
            f"the MLflow server at {place} {wrong}; try `textmill up` and run again, it goes on where it was"
        )
    said = " ".join(str(error).split())[:300]
    if "500" in said or "INTERNAL_ERROR" in said:
        return (
            f"the MLflow server at {place} can't do its work ({said}); its log is servers/mlflow.log in the "
            "home, and a full disk is a common cause; run again, it goes on where it was"
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
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise ServerError(f"MLflow can't tell the {alias} of {model_name}: {error.message}") from error


def by_version(versions: Any, model_name: str, version: int) -> ModelVersion | None:
    """The version with this number, or None when it was deleted."""
    from mlflow.exceptions import MlflowException

    try:
        return _model_version(versions.get_model_version(model_name, str(version)))
    except MlflowException:
        return None


def by_digest(versions: Any, model_name: str, digest: str) -> ModelVersion | None:
    """The newest version made from the fine-tuned artifact with this digest, or None."""
    found = [
        _model_version(version)
        for version in versions.search_model_versions(f"name='{model_name}'")
        if version.tags.get(MODEL_TAG) == digest and version.status == "READY"
    ]
    return max(found, key=lambda version: version.version, default=None)


def logged_model(versions: Any, version: ModelVersion) -> str:
    """The id of the MLflow logged model whose files a version consists of."""
    source = str(versions.get_model_version(version.model, str(version.version)).source)
    return source.removeprefix("models:/")


def predict_with(version: ModelVersion, task: str, examples: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What a registered version says about the examples of a task, loaded as its users load it.

    Raises:
        StageError: it can't be loaded, or can't do this task.
    """
    client()
    import mlflow

    uri = f"models:/{version.model}/{version.version}"
    try:
        model = mlflow.pyfunc.load_model(uri)
        if task == SERVED_TASK and "second" not in examples[0]:
            return [str(label) for label in model.predict([example["text"] for example in examples])["label"]]
        return list(model.predict(list(examples))["prediction"])
    except Exception as error:  # whatever a stored model raises, it is not fit to be compared with
        raise StageError(
            f"evaluate: the champion {uri} can't be loaded or asked ({error}); take the alias {CHAMPION!r} "
            "from it in MLflow to go on without a comparison"
        ) from error


def _model_version(version: Any) -> ModelVersion:
    return ModelVersion(
        model=version.name, version=int(version.version), digest=version.tags.get(MODEL_TAG, "")
    )
