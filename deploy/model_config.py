"""What Triton is told of a model: its tensors, how requests come together, and how much may be asked."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from deploy.client import MAX_BATCH, MAX_REQUEST_BYTES

# What may be said of a text that is to be written, as NVIDIA's own generators name it, with type and size.
SAID_BESIDES = {
    "max_tokens": ("INT32", 1),
    "temperature": ("FP32", 1),
    "top_k": ("INT32", 1),
    "top_p": ("FP32", 1),
    "repetition_penalty": ("FP32", 1),
    "seed": ("UINT64", 1),
    "stop_words": ("STRING", -1),
    "stream": ("BOOL", 1),
    "return_num_input_tokens": ("BOOL", 1),
    "return_num_output_tokens": ("BOOL", 1),
}
MAX_WRITTEN, MAX_WAITING = 32, 256  # texts that are written together, and that are being written or wait
MAX_PAST_BYTES = 1 << 30  # of keys and values, of all texts that are written together
MAX_SECONDS = 300  # that a request may take, its waiting included
COLLECTION = "collection"  # the folder of what is searched, where something is
# Requests of any length are answered together; a delay would be added in full to each of a lone client.
TOGETHER = "dynamic_batching { max_queue_delay_microseconds: 0 }"
ON_TRIAL = ('backend: "python"', TOGETHER, "instance_group [ { count: 1 } ]")
IN_PIECES = "model_transaction_policy { decoupled: true }"
BACKEND = (
    'backend: "python"',
    # No kind: CPU machines and GPU machines serve the same file.
    "instance_group [ { count: 1 } ]",
    # As many as there are cores, four at most.
    'parameters { key: "intra_op_thread_count" value: { string_value: "0" } }',
)


def limits_of(exported: Path) -> dict[str, int]:
    """The bytes that a text and that all texts of a request may have; of a model that writes also how many
    texts are written together, how many wait besides, and the seconds that a request may take."""
    settings = json.loads((exported / "settings.json").read_text("utf-8"))
    text_bytes = max_text_bytes(settings["max_length"])
    # Where nothing is cut, all that is sent is computed.
    whole = text_bytes if signature(exported).get("reads_whole") else max(MAX_REQUEST_BYTES, text_bytes)
    limits = {"text_bytes": text_bytes, "request_bytes": whole}
    if signature(exported).get("writes"):
        row = 4 * math.prod(settings.get("past", [1])) * settings["max_length"]
        rows = max(1, min(MAX_WRITTEN, MAX_PAST_BYTES // row))
        limits |= {"rows": rows, "waiting": MAX_WAITING, "seconds": MAX_SECONDS}
    return limits


def max_text_bytes(max_length: int) -> int:
    """Bytes of UTF-8 that a text may have: 64 KiB, or more where a model reads so many tokens.

    Tokenizing takes about 1.5 s for a megabyte, during which nobody else is answered.
    """
    return max(64 * 1024, 8 * max_length)


def tensor_lines(folder: Path) -> list[str]:
    """Batch size, inputs and outputs of an exported model, as `config.pbtxt` has them.

    Every answer is in `json` too, whatever its tensors are.
    """
    said = signature(folder)
    inputs = [_tensor(name, "STRING", 1) for name in said["inputs"]]
    outputs = [_tensor(name, *of) for name, of in [*said["outputs"].items(), ("json", ("STRING", 1))]]
    if said.get("writes"):
        inputs = [_tensor(name, "STRING", 1, is_optional=True) for name in said["inputs"]]
        inputs += [_tensor(name, *of, is_optional=True) for name, of in SAID_BESIDES.items()]
        outputs = outputs[:-1]
    return [f"max_batch_size: {MAX_BATCH}", f"input [{', '.join(inputs)}]", f"output [{', '.join(outputs)}]"]


def model_lines(folder: Path) -> list[str]:
    """What a model that answers as this exported one is, but for its name."""
    how = IN_PIECES if signature(folder).get("writes") else TOGETHER
    return [*tensor_lines(folder), how, *BACKEND]


def _tensor(name: str, kind: str, size: int, *, is_optional: bool = False) -> str:
    optional = " optional: true" if is_optional else ""
    return f'{{ name: "{name}" data_type: TYPE_{kind} dims: [{size}]{optional} }}'


def step_line(model: str, version: int, folder: Path) -> str:
    """The one step of an ensemble. It names a fixed version, so it never changes by itself."""
    said = signature(folder)
    inputs = [f'input_map {{ key: "{name}" value: "{name}" }}' for name in said["inputs"]]
    outputs = [f'output_map {{ key: "{name}" value: "{name}" }}' for name in [*said["outputs"], "json"]]
    named = f'model_name: "{model}" model_version: {version}'
    return f"ensemble_scheduling {{ step [{{ {' '.join([named, *inputs, *outputs])} }}] }}"


def signature(folder: Path) -> dict[str, Any]:
    """Strings of a question and tensors of an answer; a model that searches answers with more of them."""
    with_hits = folder / COLLECTION / "signature.json"
    place = with_hits if with_hits.is_file() else folder / "signature.json"
    said: dict[str, Any] = json.loads(place.read_text("utf-8"))
    return said
