"""Triton model: questions as strings in, answers out. It runs inside the server and imports nothing of ours
but the code that was exported with the model, `served/` beside this file.

NVIDIA's stock image has neither `onnxruntime` nor `tokenizers`; install both in the image, or unpack their
wheels beside this file (`pip install --target <version directory> --no-deps onnxruntime tokenizers`).
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils
from served import form_of

Asked = Mapping[str, Any]
MOST_THREADS = 4  # of one run, where nothing is said: models are small, and other endpoints want to run too
OF_TRITON = "triton_"  # parameters that the server adds by itself
FIRST = "<e1>a</e1> first <e2>question</e2>"  # which every task can answer


class TritonPythonModel:
    """One version of an endpoint. Requests that wait are answered together, whatever their lengths."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the graph and try it; raising makes Triton refuse the version."""
        here = Path(args["model_repository"]) / args["model_version"]
        config = json.loads(args["model_config"])
        self.inputs = [tensor["name"] for tensor in config["input"]]
        self.outputs = [tensor["name"] for tensor in config["output"]]
        self.limits = json.loads((here / "limits.json").read_text(encoding="utf-8"))
        task = json.loads((here / "settings.json").read_text(encoding="utf-8"))["task"]
        threads = int(config["parameters"]["intra_op_thread_count"]["string_value"])
        threads = threads or min(MOST_THREADS, len(os.sched_getaffinity(0)))
        self.form = form_of(task)(here, threads)
        if list(self.form.inputs) != self.inputs or {*self.form.outputs, "json"} != {*self.outputs}:
            raise pb_utils.TritonModelException("config.pbtxt has other tensors than the exported model")
        self.form.answers([dict.fromkeys(self.inputs, FIRST)])  # the graph is opened, and warm

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer each request: BYTES [B, 1] of each input -> the tensors of the answers, and `json`."""
        asked = [self._read(request) for request in requests]
        sound = {
            number: questions for number, questions in enumerate(asked) if not isinstance(questions, str)
        }
        answers = dict(zip(sound, self._answers([*sound.values()]), strict=True))
        return [
            answers[number] if number in answers else failed(str(fault)) for number, fault in enumerate(asked)
        ]

    def _read(self, request: Any) -> list[Asked] | str:
        """The questions of a request, or why they are not answered."""
        try:
            rows = [
                pb_utils.get_input_tensor_by_name(request, name).as_numpy().reshape(-1)
                for name in self.inputs
            ]
            said = json.loads(request.parameters() or "{}")
            chosen = {name: value for name, value in said.items() if not name.startswith(OF_TRITON)}
            if unknown := sorted(chosen.keys() - {*self.form.parameters}):
                known = ", ".join([*self.inputs, *self.form.parameters])
                return f"a question has no {unknown[0]}; there are {known}"
            if not len(rows[0]):
                return "this request has no question"
            if excess := self._excess([[len(text) for text in row] for row in rows]):
                return excess
            texts = ([text.decode("utf-8", errors="replace") for text in row] for row in rows)
            strings = [dict(zip(self.inputs, row, strict=True)) for row in zip(*texts, strict=True)]
            questions: list[Asked] = [{**row, **chosen} for row in strings]
            for number, question in enumerate(questions, 1):
                if fault := self.form.fault(question):
                    return f"question {number} can't be answered: {fault}"
            return questions
        except Exception as error:  # one request must not fail those that wait with it
            return f"the request can't be read: {error}"

    def _excess(self, sizes: Sequence[Sequence[int]]) -> str:
        """What of the texts is too long, by input and question: they are tokenized whole, and others wait."""
        for name, of_input in zip(self.inputs, sizes, strict=True):
            for number, size in enumerate(of_input, 1):
                if size > self.limits["text_bytes"]:
                    return (
                        f"{name} {number} has {size} bytes, at most {self.limits['text_bytes']} are taken; "
                        f"shorten it (the model reads {self.form.graph.max_length} tokens at once)"
                    )
        if (whole := sum(map(sum, sizes))) > self.limits["request_bytes"]:
            return (
                f"the texts of this request have {whole} bytes together, at most "
                f"{self.limits['request_bytes']} are taken; send several requests"
            )
        return ""

    def _answers(self, requests: Sequence[Sequence[Asked]]) -> Iterator[Any]:
        """A response to each request; those whose answers fail together are tried one by one."""
        try:
            answers = iter(self.form.answers([question for request in requests for question in request]))
            responses = [self._response([next(answers) for _ in request]) for request in requests]
        except Exception as error:
            if len(requests) > 1:
                for request in requests:
                    yield from self._answers([request])
            else:
                yield failed(f"the model can't answer: {error}")
            return
        yield from responses

    def _response(self, answers: Sequence[Mapping[str, Any]]) -> Any:
        texts = [[json.dumps(answer, ensure_ascii=False).encode("utf-8")] for answer in answers]
        tensors = {**self.form.tensors(answers), "json": np.array(texts, np.object_)}
        return pb_utils.InferenceResponse(
            [pb_utils.Tensor(name, np.ascontiguousarray(array)) for name, array in tensors.items()]
        )


def failed(reason: str) -> Any:
    """The response to a request that is not answered."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(reason))
