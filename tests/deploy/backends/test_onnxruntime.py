"""The stand-in ONNX Runtime backend, asked directly and in parallel."""

import json
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from deploy import client
from deploy import repository as models
from deploy.errors import TritonError
from tests.deploy.conftest import MAX_LENGTH


@pytest.fixture
def encoder(server, bundle, request):
    """Write one encoder with extra configuration, load it, and return its name."""

    def load(extra="", edit=lambda config: config):
        name = request.node.name[:40]
        repository = Path(server.repository)
        models.add_version(repository, name, 1, **bundle(1).files)
        config = repository / f"{name}-v1-encoder" / "config.pbtxt"
        config.write_text(edit(config.read_text(encoding="utf-8")) + extra, encoding="utf-8")
        client.load(f"{name}-v1-encoder", server)
        return f"{name}-v1-encoder"

    return load


def infer(server, model, ids):
    """The logits as an array, or the error's text."""
    tensors = [
        {"name": name, "shape": list(ids.shape), "datatype": "INT64", "data": data.reshape(-1).tolist()}
        for name, data in (("input_ids", ids), ("attention_mask", np.ones_like(ids)))
    ]
    url = f"{server.url}/v2/models/{model}/infer"
    request = urllib.request.Request(url, json.dumps({"inputs": tensors}).encode())
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            (output,) = json.load(response)["outputs"]
    except urllib.error.HTTPError as error:
        return json.load(error)["error"]
    return np.array(output["data"], dtype=np.float32).reshape(output["shape"])


def direct(bundle, ids):
    session = ort.InferenceSession(str(bundle(1).onnx), providers=["CPUExecutionProvider"])
    return session.run(["logits"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0]


def test_parallel_requests_of_mixed_shapes_and_one_bad_one(server, bundle, encoder):
    # A delay makes the batcher merge what arrives together, also when the machine is slow.
    delay = "max_queue_delay_microseconds: 200000"
    model = encoder(edit=lambda text: text.replace("max_queue_delay_microseconds: 0", delay))
    random = np.random.default_rng(0)
    requests = [random.integers(0, 200, (1 + index % 3, 4 * (1 + index % 2))) for index in range(24)]
    requests[5] = np.full_like(requests[5], 10**6)  # no such token
    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(lambda ids: infer(server, model, ids), requests))
    for index, (ids, answer) in enumerate(zip(requests, answers, strict=True)):
        if index == 5:
            assert "onnxruntime" in answer
            assert "out of data bounds" in answer
        else:
            np.testing.assert_allclose(answer, direct(bundle, ids), atol=1e-5)


def test_a_sequence_beyond_the_bound_is_refused_by_name(server, bundle, encoder):
    model = encoder()
    for rows in (1, 64):
        whole = np.ones((rows, MAX_LENGTH), dtype=np.int64)
        np.testing.assert_allclose(infer(server, model, whole), direct(bundle, whole), atol=1e-5)
    too_long = np.ones((1, MAX_LENGTH + 1), dtype=np.int64)
    reason = f"input_ids has {MAX_LENGTH + 1} tokens in a row, at most {MAX_LENGTH} are taken"
    assert infer(server, model, too_long) == reason
    assert "must be <= 64" in infer(server, model, np.ones((65, 2), dtype=np.int64))


def test_rows_are_run_in_parts_that_fit_into_memory(server, bundle, encoder):
    """64 rows of 400 tokens are more than one run takes."""
    model = encoder(edit=lambda text: text.replace(f'string_value: "{MAX_LENGTH}"', 'string_value: "400"'))
    ids = np.random.default_rng(0).integers(0, 200, (64, 400))
    np.testing.assert_allclose(infer(server, model, ids), direct(bundle, ids), atol=1e-4)


def test_session_parameters_are_read(server, bundle, encoder):
    parameters = {
        "intra_op_thread_count": 1,
        "inter_op_thread_count": 2,
        "execution_mode": 1,
        "enable_mem_arena": 0,
    }
    extra = "".join(
        f'parameters {{ key: "{key}" value: {{ string_value: "{value}" }} }}\n'
        for key, value in parameters.items()
    )
    model = encoder(extra)
    ids = np.arange(8).reshape(2, 4)
    np.testing.assert_allclose(infer(server, model, ids), direct(bundle, ids), atol=1e-5)


def test_bad_session_parameter_is_refused(encoder):
    with pytest.raises(TritonError, match="invalid literal for int"):
        encoder('parameters { key: "intra_op_thread_count" value: { string_value: "many" } }')


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ('"logits"', '"scores"', "model.onnx has no output 'scores'"),
        ("TYPE_FP32 dims: [3]", "TYPE_FP32 dims: [4]", "output 'logits' has shape"),
        ("TYPE_INT64 dims: [-1]", "TYPE_INT64 dims: [-1, 2]", "input 'input_ids' has shape"),
    ],
    ids=["name", "size", "rank"],
)
def test_configuration_that_does_not_fit_the_file_is_refused(encoder, right, wrong, message):
    with pytest.raises(TritonError, match=message):
        encoder(edit=lambda text: text.replace(right, wrong))
