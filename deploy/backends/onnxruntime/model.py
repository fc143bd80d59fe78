"""A Python-based Triton backend that makes repositories with `backend: "onnxruntime"` load on CPU machines.

The server binary from PyPI carries no C++ ONNX Runtime backend. This stands in for it: it reads the same
`config.pbtxt` and the same `<version>/model.onnx`, refuses what the C++ backend refuses, and honours its
session parameters. NVIDIA's image brings the C++ one and never sees this file.
Parameters: https://github.com/triton-inference-server/onnxruntime_backend#model-config-options
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read at import

import onnxruntime as ort
import triton_python_backend_utils as pb_utils

Arrays = dict[str, Any]
TOKENS_PER_RUN = 16384


class TritonPythonModel:
    """One instance of one version: an ONNX Runtime session on the CPU."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the session and check it against the configuration; raising makes Triton refuse the load."""
        config = json.loads(args["model_config"])
        directory = Path(args["model_repository"]) / args["model_version"]
        path = directory / (config.get("default_model_filename") or "model.onnx")
        self.session = ort.InferenceSession(
            str(path), session_options(config.get("parameters", {})), providers=["CPUExecutionProvider"]
        )
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.batches = config["max_batch_size"] > 0
        self.max_length = sequence_bound(config.get("parameters", {}))
        check_tensors("input", config["input"], self.session.get_inputs(), self.batches)
        check_tensors("output", config["output"], self.session.get_outputs(), self.batches)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer a list of requests, those of equal shape in one run."""
        inputs = [self._read(request) for request in requests]
        responses: list[Any] = [self._excess(arrays) for arrays in inputs]
        whole = [index for index, response in enumerate(responses) if response is None]
        for group in self._groups({index: inputs[index] for index in whole}):
            for index, response in zip(group, self._respond([inputs[i] for i in group]), strict=True):
                responses[index] = response
        return responses

    def _excess(self, arrays: Arrays) -> Any:
        """An error for a request with a longer sequence than the model may be given, else None."""
        lengths = {name: array.shape[1] for name, array in arrays.items() if self.batches and array.ndim > 1}
        for name, length in lengths.items():
            if self.max_length and length > self.max_length:
                reason = f"{name} has {length} tokens in a row, at most {self.max_length} are taken"
                return pb_utils.InferenceResponse(error=pb_utils.TritonError(reason))
        return None

    def _read(self, request: Any) -> Arrays:
        return {name: pb_utils.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs}

    def _groups(self, inputs: dict[int, Arrays]) -> list[list[int]]:
        if not self.batches:
            return [[index] for index in inputs]
        groups: dict[tuple[Any, ...], list[int]] = {}
        for index, arrays in inputs.items():
            groups.setdefault(tuple(array.shape[1:] for array in arrays.values()), []).append(index)
        return list(groups.values())

    def _respond(self, group: list[Arrays]) -> list[Any]:
        try:
            return [response(dict(zip(self.outputs, row, strict=True))) for row in self._run(group)]
        except Exception as error:
            # One bad request must not fail the others that happened to share its run.
            if len(group) > 1:
                return [self._respond([arrays])[0] for arrays in group]
            return [pb_utils.InferenceResponse(error=pb_utils.TritonError(f"onnxruntime: {error}"))]

    def _run(self, group: list[Arrays]) -> list[list[Any]]:
        """Run the group as one batch; returns, for each request, its outputs in the configured order."""
        if len(group) == 1:
            return [self._run_rows(group[0])]
        merged = {name: np.concatenate([arrays[name] for arrays in group]) for name in self.inputs}
        ends = np.cumsum([len(arrays[self.inputs[0]]) for arrays in group])[:-1]
        outputs = [np.split(array, ends) for array in self._run_rows(merged)]
        return [list(row) for row in zip(*outputs, strict=True)]

    def _run_rows(self, arrays: Arrays) -> list[Any]:
        """Run so many rows at a time that memory stays bounded, and join their outputs."""
        rows, length = self._extent(arrays)
        step = max(1, TOKENS_PER_RUN // length)
        if not self.max_length or rows <= step:
            return list(self.session.run(self.outputs, arrays))
        parts = [
            self.session.run(self.outputs, {name: a[start : start + step] for name, a in arrays.items()})
            for start in range(0, rows, step)
        ]
        return [np.concatenate(output) for output in zip(*parts, strict=True)]

    def _extent(self, arrays: Arrays) -> tuple[int, int]:
        """Rows, and the longest of their sequences, at least 1."""
        rows = max((len(array) for array in arrays.values() if array.ndim), default=0)
        return rows, max((array.shape[1] for array in arrays.values() if array.ndim > 1), default=1) or 1


def response(arrays: Arrays) -> Any:
    """Wrap named arrays as Triton's answer to one request."""
    tensors = [pb_utils.Tensor(name, np.ascontiguousarray(array)) for name, array in arrays.items()]
    return pb_utils.InferenceResponse(tensors)


def session_options(parameters: dict[str, dict[str, str]]) -> Any:
    """Translate the C++ backend's parameters; absent ones keep ONNX Runtime's defaults."""
    given = {key: int(value["string_value"]) for key, value in parameters.items() if key in PARAMETERS}
    options = ort.SessionOptions()
    for key, value in given.items():
        attribute, convert = PARAMETERS[key]
        setattr(options, attribute, convert(value))
    return options


def sequence_bound(parameters: dict[str, dict[str, str]]) -> int:
    """Tokens that a row may have: our own parameter, 0 where the repository has none."""
    return int(parameters.get("max_sequence_length", {}).get("string_value", 0))


def execution_mode(value: int) -> Any:
    """0 runs the graph's nodes in turn, 1 runs independent ones in parallel."""
    return ort.ExecutionMode.ORT_PARALLEL if value else ort.ExecutionMode.ORT_SEQUENTIAL


PARAMETERS: dict[str, tuple[str, Any]] = {
    "intra_op_thread_count": ("intra_op_num_threads", int),
    "inter_op_thread_count": ("inter_op_num_threads", int),
    "execution_mode": ("execution_mode", execution_mode),
    "enable_mem_arena": ("enable_cpu_mem_arena", bool),
    "enable_mem_pattern": ("enable_mem_pattern", bool),
}


def check_tensors(kind: str, configured: list[dict[str, Any]], actual: Sequence[Any], batches: bool) -> None:
    """Refuse a configuration that names other tensors or sizes than the file, as the C++ backend does.

    Raises:
        pb_utils.TritonModelException: a tensor is missing or has another shape.
    """
    shapes = {tensor.name: list(tensor.shape) for tensor in actual}
    for tensor in configured:
        name, dims = tensor["name"], [int(dim) for dim in tensor["dims"]]
        if name not in shapes:
            raise pb_utils.TritonModelException(f"model.onnx has no {kind} '{name}'; it has {sorted(shapes)}")
        expected = [-1, *dims] if batches else dims
        # A dimension without a number is dynamic: any configured size fits, but the batch must be one.
        found = [dim if isinstance(dim, int) else -1 for dim in shapes[name]]
        fits = len(found) == len(expected) and all(
            there in (-1, wanted) for there, wanted in zip(found, expected, strict=True)
        )
        if not fits:
            raise pb_utils.TritonModelException(
                f"{kind} '{name}' has shape {found} in model.onnx but {expected} in config.pbtxt"
            )
