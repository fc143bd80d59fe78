"""Triton model of an endpoint on trial: a share of the requests goes to the new version and to the live one.

Both answers are compared. The client gets the new version's (a canary) or the live one's (a shadow), and the
live one's where the new one fails. It runs inside the server and imports nothing of ours.
"""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils

ANSWER = "json"  # the output that holds all of an answer
OF_TRITON = "triton_"


class TritonPythonModel:
    """The endpoint while a version is tried."""

    def initialize(self, args: dict[str, str]) -> None:
        """Read which models are asked, and how often."""
        here = Path(args["model_repository"]) / args["model_version"]
        said = json.loads((here / "trial.json").read_text(encoding="utf-8"))
        self._live, self._new = (said[name] for name in ("live", "new"))  # model and version
        self._share, self._answers, self._tolerance = (said[n] for n in ("share", "answers", "tolerance"))
        self._due = 0.0
        config = json.loads(args["model_config"])
        self._inputs = [tensor["name"] for tensor in config["input"]]
        self._outputs = [tensor["name"] for tensor in config["output"]]
        counted = {
            "compared": "answered by both",
            "different": "answered otherwise",
            "failed": "not answered",
        }
        labels = {"model": args["model_name"]}
        # The families are kept, since a metric lives no longer than its own.
        self._families = {
            name: pb_utils.MetricFamily(
                name=f"textmill_trial_{name}", description=words, kind=pb_utils.MetricFamily.COUNTER
            )
            for name, words in counted.items()
        }
        self._counts = {name: family.Metric(labels=labels) for name, family in self._families.items()}

    async def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request, all of them at once."""
        return list(await asyncio.gather(*(self._answer(request) for request in requests)))

    async def _answer(self, request: Any) -> Any:
        self._due += self._share
        if self._due < 1:
            return response_of(await self._asked(self._live, request), self._outputs, self._live)
        self._due -= 1
        live, new = await asyncio.gather(*(self._asked(model, request) for model in (self._live, self._new)))
        if new.has_error() and not live.has_error():  # else the fault is the question's
            self._counts["failed"].increment(1)
        elif not live.has_error():
            self._counts["compared"].increment(1)
            self._counts["different"].increment(int(not alike(live, new, self._tolerance)))
        is_new = self._answers == "new" and not new.has_error()
        return response_of(new if is_new else live, self._outputs, self._new if is_new else self._live)

    async def _asked(self, model: Sequence[Any], request: Any) -> Any:
        name, version = model
        said = json.loads(request.parameters() or "{}")
        return await pb_utils.InferenceRequest(
            model_name=name,
            model_version=version,
            requested_output_names=self._outputs,
            inputs=[pb_utils.get_input_tensor_by_name(request, name) for name in self._inputs],
            parameters={key: value for key, value in said.items() if not key.startswith(OF_TRITON)},
        ).async_exec()


def answers_in(response: Any) -> list[Any]:
    """The answers of a response, one for each question."""
    texts = pb_utils.get_output_tensor_by_name(response, ANSWER).as_numpy().reshape(-1)
    return [json.loads(text) for text in texts]


def alike(one: Any, other: Any, tolerance: float) -> bool:
    """Whether two responses say the same, numbers up to a tolerance."""
    return _alike(answers_in(one), answers_in(other), tolerance)


def _alike(one: Any, other: Any, tolerance: float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= tolerance
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[name], other[name], tolerance) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(lambda a, b: _alike(a, b, tolerance), one, other))
    return bool(one == other)


def response_of(found: Any, names: Sequence[str], model: Sequence[Any]) -> Any:
    """The response of a model as the endpoint's own; each answer names the version that gave it."""
    if found.has_error():
        return pb_utils.InferenceResponse(error=found.error())
    tensors = []
    for name in names:
        tensor = pb_utils.get_output_tensor_by_name(found, name)
        if name == ANSWER:
            array = tensor.as_numpy().copy()
            for place, text in enumerate(array.reshape(-1)):
                array.reshape(-1)[place] = text[:-1] + f', "version": {model[1]}}}'.encode()
            tensor = pb_utils.Tensor(name, array)
        tensors.append(tensor)
    return pb_utils.InferenceResponse(tensors)
