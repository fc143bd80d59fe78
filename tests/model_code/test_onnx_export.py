from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from transformers import ModernBertForSequenceClassification

from deploy import repository
from model_code import onnx_export
from model_code.onnx_export import OPSET, export_model
from model_code.onnx_quantization import quantize
from model_code.served import code_in

CONFIG = {"pairs": False, "words": "", "metadata": {"model": "a digest"}}


@pytest.fixture(scope="module")
def exported(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("onnx")
    export_model(classifier, folder, CONFIG)
    return folder / "model.onnx"


@pytest.mark.parametrize(("batch", "length"), [(1, 1), (1, 5), (2, 16), (3, 17), (1, 40), (64, 33), (5, 64)])
def test_the_graph_answers_like_the_model(classifier: Path, exported: Path, batch: int, length: int) -> None:
    random = np.random.default_rng(batch * 100 + length)
    ids = random.integers(5, 60, (batch, length))
    mask = (np.arange(length) < random.integers(1, length + 1, (batch, 1))).astype(np.int64)
    model = ModernBertForSequenceClassification.from_pretrained(classifier).eval()
    with torch.inference_mode():
        expected = model(input_ids=torch.from_numpy(ids), attention_mask=torch.from_numpy(mask)).logits
    session = onnxruntime.InferenceSession(exported, providers=["CPUExecutionProvider"])
    (logits,) = session.run(["logits"], {"input_ids": ids, "attention_mask": mask})
    assert logits.dtype == np.float32
    np.testing.assert_allclose(logits, expected.numpy(), atol=1e-4)


def test_the_interface_is_as_documented(exported: Path) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model)
    assert {opset.version for opset in model.opset_import if opset.domain == ""} == {OPSET}
    shapes = {
        v.name: [d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in model.graph.input
    }
    assert shapes == {"input_ids": ["batch", "sequence"], "attention_mask": ["batch", "sequence"]}
    assert [d.dim_param or d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim] == [
        "batch",
        3,
    ]


def test_the_same_weights_are_the_same_bytes_without_paths(
    classifier: Path, exported: Path, tmp_path: Path
) -> None:
    export_model(classifier, tmp_path / "again", CONFIG)
    data = (tmp_path / "again" / "model.onnx").read_bytes()
    assert data == exported.read_bytes()
    assert b"site-packages" not in data
    assert b".py" not in data


def test_weights_beside_a_large_graph_answer_as_those_in_it(
    classifier: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_export, "MOST_BYTES", 1000)
    folder = tmp_path / "large"
    export_model(classifier, folder, CONFIG)
    onnx.checker.check_model(folder / "model.onnx", full_check=True)
    assert (folder / "model.onnx.data").stat().st_size > exported.stat().st_size / 2
    quantize(folder, tmp_path / "int8")
    repository.add_version(tmp_path, "large", 1, folder)
    asked = [{"text": text} for text in ("a", "b c", "d e f g")]
    expected = code_in(exported.parent).form_of("classification")(exported.parent, threads=1).answers(asked)
    for place in (folder, tmp_path / "large-v1-model" / "1"):
        form = code_in(place).form_of("classification")(place, threads=1)
        assert form.answers(asked) == expected
    rounded = code_in(tmp_path / "int8").form_of("classification")(tmp_path / "int8", threads=1)
    for answer, known in zip(rounded.answers(asked), expected, strict=True):
        assert answer["probability"] == pytest.approx(known["probability"], abs=0.1)
