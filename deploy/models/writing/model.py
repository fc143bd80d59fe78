"""Triton model of a task that writes: a question in, its text out, at once or in pieces as it is written.

Texts are written together, a token at a time; a request joins at any token, and leaves when it is answered or
its client has gone. It runs inside the server and imports nothing of ours but the code that was exported with
the model, `served/` beside this file. What NVIDIA's image needs besides is said in `docs/serving.md`.
"""

import json
import os
import queue
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import triton_python_backend_utils as pb_utils
from served import form_of

MOST_THREADS = 4  # of one run, where nothing is said: models are small, and other endpoints want to run too
FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL
SWITCHES = ("stream", "return_num_input_tokens", "return_num_output_tokens")
LISTS = ("stop_words",)
SIGN_OF_LIFE = 0.5  # seconds after which a stream without a new piece gets an empty one
OF_TRITON = "triton_"  # parameters that the server adds by itself


class Waiting:
    """A request: its texts, and where its answers go."""

    def __init__(self, request: Any, texts: Sequence[Any], asked: Mapping[str, Any], seconds: float) -> None:
        self._request, self.texts, self._asked = request, list(texts), asked
        self._sender = request.get_response_sender()
        self.streams = bool(asked.get("stream"))
        self._until, self._seconds = time.monotonic() + seconds, seconds
        self._said_at = time.monotonic()

    def has_left(self) -> bool:
        """Whether nobody waits for the answer any more."""
        gone: bool = self._sender.is_cancelled()
        return gone

    def is_late(self) -> bool:
        """Whether it took longer than a request may."""
        return time.monotonic() > self._until

    def say(self, form: Any) -> None:
        """Send what is new: a piece as it is written, or the whole when all of it is."""
        if self.streams:
            [text] = self.texts
            # Triton notices that a client has gone when it writes to it: an empty piece is a sign of life.
            is_due = time.monotonic() - self._said_at > SIGN_OF_LIFE
            if (piece := text.piece()) or text.reason or is_due:
                answer = {**form.answer(text), "text_output": piece}
                self._send([answer], form, is_last=bool(text.reason))
        elif all(text.reason for text in self.texts):
            self._send([form.answer(text) for text in self.texts], form, is_last=True)

    def _send(self, answers: Sequence[Mapping[str, Any]], form: Any, *, is_last: bool) -> None:
        hidden = {name.removeprefix("return_") for name in SWITCHES[1:] if not self._asked.get(name)}
        tensors = [
            pb_utils.Tensor(name, array)
            for name, array in form.tensors(answers).items()
            if name not in hidden and (is_last or name == "text_output")
        ]
        self._sender.send(pb_utils.InferenceResponse(tensors), flags=FINAL if is_last else 0)
        self._said_at = time.monotonic()

    def refuse(self, reason: str) -> None:
        """Answer with an error."""
        for text in self.texts:
            text.leave()
        response = pb_utils.InferenceResponse(error=pb_utils.TritonError(reason))
        self._sender.send(response, flags=FINAL)

    def refuse_late(self) -> None:
        self.refuse(f"the answer took more than {self._seconds:g} s; ask for fewer max_tokens")

    def close(self) -> None:
        """End the answer to a client that has gone."""
        for text in self.texts:
            text.leave()
        self._sender.send(flags=FINAL)


class TritonPythonModel:
    """One version of an endpoint. Requests are read as they come, and answered by a thread that writes."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the graph and try it; raising makes Triton refuse the version."""
        here = Path(args["model_repository"]) / args["model_version"]
        config = json.loads(args["model_config"])
        self._given = {tensor["name"] for tensor in config["input"]}
        self._limits = json.loads((here / "limits.json").read_text(encoding="utf-8"))
        task = json.loads((here / "settings.json").read_text(encoding="utf-8"))["task"]
        threads = int(config["parameters"]["intra_op_thread_count"]["string_value"])
        self._form = form_of(task)(here, threads or min(MOST_THREADS, len(os.sched_getaffinity(0))))
        outputs = {tensor["name"] for tensor in config["output"]}
        known = {*self._form.inputs, *self._form.parameters, *SWITCHES}
        if known != self._given or outputs != {*self._form.outputs}:
            raise pb_utils.TritonModelException("config.pbtxt has other tensors than the exported model")
        self._form.answers([{self._form.inputs[0]: "ready?", "max_tokens": 2}])  # it is opened, and warm
        self._new: queue.SimpleQueue[Waiting | None] = queue.SimpleQueue()
        self._count = 0  # of requests that are not answered yet
        self._counted = threading.Lock()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def finalize(self) -> None:
        """Answer those that wait, and end."""
        self._new.put(None)
        self._thread.join()

    def execute(self, requests: Sequence[Any]) -> None:
        """Hand on each request: BYTES [B, 1] of one of the form's inputs, and what else it says."""
        for request in requests:
            try:
                rows = self._read(request)
                texts = [self._form.text(self._question(row)) for row in rows]
                self._admit(len(texts))
            except Exception as error:  # one request must not fail those that come with it
                response = pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
                request.get_response_sender().send(response, flags=FINAL)
                continue
            self._new.put(Waiting(request, texts, rows[0], self._limits["seconds"]))

    def _admit(self, texts: int) -> None:
        with self._counted:
            if self._count + texts > self._limits["waiting"]:
                raise ValueError(
                    f"{self._count} texts are being written or wait, at most {self._limits['waiting']} may; "
                    "ask again later"
                )
            self._count += texts

    def _read(self, request: Any) -> list[dict[str, Any]]:
        """What each row of a request says: tensors, and besides them parameters of the same names.

        Raises ValueError for what can't be answered.
        """
        besides = json.loads(request.parameters() or "{}")
        besides = {name: value for name, value in besides.items() if not name.startswith(OF_TRITON)}
        if unknown := sorted(besides.keys() - self._given):
            raise ValueError(
                f"there is no parameter {unknown[0]}; there are {', '.join(sorted(self._given))}"
            )
        given = {name: pb_utils.get_input_tensor_by_name(request, name) for name in self._given}
        arrays = {name: tensor.as_numpy() for name, tensor in given.items() if tensor is not None}
        rows = [
            besides | {name: self._value(name, array[number]) for name, array in arrays.items()}
            for number in range(max(map(len, arrays.values()), default=1))
        ]
        if len(rows) > 1 and any(row.get("stream") for row in rows):
            raise ValueError(f"a request that streams has one question, this one has {len(rows)}")
        for number, row in enumerate(rows, 1):
            if fault := self._excess(row) or self._form.fault(self._question(row)):
                raise ValueError(f"question {number} can't be answered: {fault}")
        return rows

    def _value(self, name: str, values: Any) -> Any:
        if name in LISTS:
            return [text.decode("utf-8") for text in values.flat]
        [value] = values.flat
        return value.decode("utf-8") if name in self._form.inputs else value.item()

    def _excess(self, row: Mapping[str, Any]) -> str:
        for name in self._form.inputs:
            if (size := len(str(row.get(name, "")).encode("utf-8", "replace"))) > self._limits["text_bytes"]:
                return (
                    f"its {name} has {size} bytes, at most {self._limits['text_bytes']} are taken; "
                    f"shorten it (the model reads {self._form.graph.max_length} tokens at once)"
                )
        return ""

    def _question(self, row: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in row.items() if name not in SWITCHES}

    def _write(self) -> None:
        """What the thread does: take who waits, write a token of each text, say what is new."""
        writer, waiting = self._form.writer(), list[Waiting]()
        is_open = True
        while is_open or waiting:
            for one in self._arrived(block=not waiting and is_open):
                if one is None:
                    is_open = False
                else:
                    waiting.append(one)
            self._begin(writer, waiting)
            for one in waiting:
                if one.has_left():
                    one.close()
                elif one.is_late():
                    one.refuse_late()
            try:
                writer.step()
            except Exception as error:
                writer.drop()
                for one in waiting:
                    if not _is_over(one):
                        one.refuse(f"the model can't answer: {error}")
            waiting = self._answer(waiting)

    def _arrived(self, *, block: bool) -> Iterator[Waiting | None]:
        try:
            if block:
                yield self._new.get()
            while True:
                yield self._new.get_nowait()
        except queue.Empty:
            return

    def _begin(self, writer: Any, waiting: Sequence[Waiting]) -> None:
        """Begin the texts of those who came first, as many as are written together."""
        begun = {id(text) for text in writer.texts}
        free = self._limits["rows"] - len(begun)
        fresh = [
            text
            for one in waiting
            for text in one.texts
            if id(text) not in begun and not text.reason and not text.ids
        ][: max(0, free)]
        if not fresh:
            return
        try:
            writer.begin(fresh)
        except Exception as error:
            for one in waiting:
                if any(text in fresh for text in one.texts):
                    one.refuse(f"the model can't answer: {error}")

    def _answer(self, waiting: Sequence[Waiting]) -> list[Waiting]:
        """Say what is new to each; those who still wait."""
        still = []
        for one in waiting:
            if not any(text.reason == "left" for text in one.texts):
                one.say(self._form)
            if _is_over(one):
                with self._counted:
                    self._count -= len(one.texts)
            else:
                still.append(one)
        return still


def _is_over(one: Waiting) -> bool:
    return all(text.reason for text in one.texts)
