"""The stage alone: a build that answers differently is refused, one that does not joins the version."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch
from onnx import numpy_helper
from pydantic import ValidationError
from tokenizers import Tokenizer
from transformers import BertForSequenceClassification

import tasks.export
from model_code.served import code_files
from tasks.contract.artifact import Artifact
from tasks.contract.errors import ParityError
from tasks.contract.run import Run
from tasks.contract.workspace import Workspace
from tasks.deployment.parity import BATCH_SIZES, form_in
from tasks.deployment.variants import VariantConfig, choose
from tasks.export import ExportConfig, export, still_in_registry
from tasks.register import registered_version
from tasks.tracking.registry import logged_model
from tasks.tracking.version_files import EXPORTED, loaded
from tests.release_artifacts import LABELS, TEXTS, Release

ONNX = "onnx/model.onnx"


class Exported:
    """A home whose model is registered, and what the real stage made of it."""

    def __init__(self, release: Release) -> None:
        self.release, self.registered = release, release.register()
        self.artifact = self.export(release.home)
        self.place = release.store.path(self.artifact)

    def export(self, home: Path, **config: Any) -> Artifact:
        """Run the stage."""
        made = self.release.made
        inputs = (made["examples"], made["fine_tune"], self.registered)
        return export.fn(*inputs, ExportConfig(**config), Run(home, refresh=["export"]))

    def loaded(self) -> Any:
        """The version as its users load it."""
        return loaded(self.version, self.release.store)

    @property
    def version(self) -> Any:
        """The version in MLflow."""
        return registered_version(
            self.registered, Workspace("export", "k", self.release.store, self.release.home)
        )


@pytest.fixture(scope="module")
def made(mlflow_address: str, classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", mlflow_address)
        return Exported(Release(tmp_path_factory.mktemp("home"), "exported", checkpoint=classifier))


@pytest.fixture
def exported(made: Exported, mlflow: Any) -> Iterator[Exported]:
    """The same, and the version's files as they were when the test is over."""
    yield made
    mlflow.log_model_artifacts(logged_model(mlflow, made.version), str(made.place / "onnx"), EXPORTED.folder)
    digest = made.release.manifest(made.artifact).files[EXPORTED.sums].sha256
    mlflow.set_model_version_tag("exported", "1", EXPORTED.tag, digest)


@pytest.mark.parametrize("tolerance", [0, -1, 0.2, "much"])
def test_a_tolerance_that_tolerates_all_or_nothing_is_refused(tolerance: Any) -> None:
    with pytest.raises(ValidationError, match="tolerance"):
        ExportConfig(tolerance=tolerance)


def _cut(source: Path, build: Path) -> None:
    build.write_bytes(source.read_bytes()[:-1000])


def _empty(source: Path, build: Path) -> None:
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "", [], [])), build)


def _misfit(source: Path, build: Path) -> None:
    """Every node is well formed, but their shapes do not fit together."""
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [2, 3]) for name in "abc"]
    product = onnx.helper.make_node("MatMul", ["a", "b"], ["c"])
    graph = onnx.helper.make_graph([product], "misfit", ends[:2], ends[2:])
    onnx.save(onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)]), build)


def _permuted(source: Path, build: Path) -> None:
    """The labels in another order than the logits."""
    settings = json.loads((build.parent / "settings.json").read_text(encoding="utf-8"))
    settings["labels"] = settings["labels"][1:] + settings["labels"][:1]
    (build.parent / "settings.json").write_text(json.dumps(settings), encoding="utf-8")


def _stale(source: Path, build: Path) -> None:
    """A tokenizer whose entries have other numbers, as one of another training."""
    described = json.loads((build.parent / "tokenizer.json").read_text(encoding="utf-8"))
    vocabulary = described["model"]["vocab"]
    text = sorted(number for number in vocabulary.values() if number > 4)
    turned = dict(zip(text, reversed(text), strict=True))
    described["model"]["vocab"] = {token: turned.get(number, number) for token, number in vocabulary.items()}
    (build.parent / "tokenizer.json").write_text(json.dumps(described), encoding="utf-8")


def _changed(change: Callable[[Any], Any]) -> Callable[[Path, Path], None]:
    """The build with another bias of the labels."""

    def write(source: Path, build: Path) -> None:
        model = onnx.load(source)
        (bias,) = [one for one in model.graph.initializer if one.name.endswith("classifier.bias")]
        bias.CopyFrom(numpy_helper.from_array(change(numpy_helper.to_array(bias)), bias.name))
        onnx.save(model, build)

    return write


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_cut, "export: the ONNX build is not valid: "),
        (_empty, "export: the ONNX build is not valid: "),
        (_misfit, "export: the ONNX build is not valid: "),
        (
            _changed(lambda bias: bias + 1),
            r"export: at batch 1, length \d+ the ONNX build differs from PyTorch by 1\.00e\+00 \(allowed "
            r"1e-04\); it will not be deployed",
        ),
        (_permuted, r"5 of 5 test examples get another answer from the ONNX build than from PyTorch"),
        (_stale, r"[1-5] of 5 test examples get another answer from the ONNX build than from PyTorch"),
        (_changed(lambda bias: bias * math.nan), "export: the ONNX build can't be used: .* not finite"),
    ],
)
def test_a_build_that_is_not_the_model_is_refused(
    exported: Exported,
    mlflow: Any,
    monkeypatch: pytest.MonkeyPatch,
    spoil: Callable[[Path, Path], None],
    said: str,
) -> None:
    source, tags = exported.place / ONNX, mlflow.get_model_version("exported", "1").tags

    def export_child(module: str, job: Any, what: str, workspace: Any) -> Any:
        shutil.copytree(source.parent, job["output"], dirs_exist_ok=True)
        spoil(source, job["output"] / "model.onnx")
        return {"metrics": {"opset": 20}}

    monkeypatch.setattr(tasks.export, "run_child", export_child)
    with pytest.raises(ParityError, match=said):
        exported.export(exported.release.home)
    assert exported.release.made_by("export") == [exported.release.manifest(exported.artifact)]
    assert mlflow.get_model_version("exported", "1").tags == tags


def test_an_answer_may_not_differ_however_near_the_numbers_are() -> None:
    case, answers = {"max_abs_difference": 1e-6}, {"compared": 9, "different": 1, "max_abs_difference": 0.0}
    parity = {"cases": [case], "tolerance": 1e-4, "answers": answers}
    with pytest.raises(ParityError, match="1 of 9 test examples get another answer"):
        tasks.export._demand_parity(parity)
    tasks.export._demand_parity(parity | {"answers": answers | {"different": 0}})


def test_the_build_is_all_that_serving_needs_and_proved(exported: Exported) -> None:
    manifest = exported.release.manifest(exported.artifact)
    code = {f"onnx/served/{path.name}" for path in code_files()}
    assert set(manifest.files) == code | {
        *("onnx/SHA256SUMS", ONNX, "onnx/settings.json", "onnx/signature.json", "onnx/tokenizer.json"),
        "parity.json",
    }
    settings = json.loads((exported.place / "onnx/settings.json").read_text(encoding="utf-8"))
    assert settings == {
        **{"task": "classification", "labels": list(LABELS), "max_length": 48, "options": {}, "pad_id": 0},
        **{"pairs": False, "words": "", "alone": False},
        "frame": {"before": [2], "between": [], "after": [3], "types": [0, 0, 0, 0, 0]},
    }
    signature = json.loads((exported.place / "onnx/signature.json").read_text(encoding="utf-8"))
    assert signature == {
        "inputs": ["text"],
        "outputs": {"labels": ["STRING", 3], "probabilities": ["FP32", 3]},
        "reads_whole": False,
        "writes": False,
    }
    told = {one.key: one.value for one in onnx.load(exported.place / ONNX).metadata_props}
    assert told == {"model": exported.release.made["fine_tune"].digest, "task": "classification"}
    parity = json.loads((exported.place / "parity.json").read_text(encoding="utf-8"))
    assert parity["max_abs_difference"] == max(case["max_abs_difference"] for case in parity["cases"])
    assert 0 <= parity["max_abs_difference"] <= parity["tolerance"] == 1e-4
    assert {case["batch"] for case in parity["cases"]} == {min(size, len(TEXTS)) for size in BATCH_SIZES}
    assert len({case["length"] for case in parity["cases"]}) > 2
    assert parity["onnx_bytes"] == (exported.place / ONNX).stat().st_size
    assert manifest.external.items() >= {"model": "exported", "version": "1"}.items()


def test_the_version_answers_like_the_model(exported: Exported, classifier: Path) -> None:
    reference = BertForSequenceClassification.from_pretrained(classifier).eval()
    tokenizer = Tokenizer.from_file(str(classifier / "tokenizer.json"))
    with exported.loaded() as answering:
        found = answering.predict(TEXTS)
    assert len(set(found["label"])) > 1
    for text, (_, row) in zip(TEXTS, found.iterrows(), strict=True):
        with torch.inference_mode():
            logits = reference(input_ids=torch.tensor([tokenizer.encode(text).ids])).logits[0]
        expected = dict(zip(LABELS, logits.softmax(-1).tolist(), strict=True))
        assert row["probabilities"] == pytest.approx(expected, abs=1e-5)
        assert row["label"] == max(expected, key=lambda label: expected[label])


def _overwrite(mlflow: Any, exported: Exported, folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"other")
    mlflow.log_model_artifacts(logged_model(mlflow, exported.version), str(folder), EXPORTED.folder)


def _other_tag(mlflow: Any, exported: Exported, folder: Path) -> None:
    mlflow.set_model_version_tag("exported", "1", EXPORTED.tag, "other")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_tag, "the tag textmill.onnx_files of version 1 of exported in MLflow was changed since"),
        (_overwrite, "version 1 of exported in MLflow is not what was registered: artifacts/onnx/model.onnx"),
    ],
)
def test_it_runs_anew_when_the_build_in_mlflow_is_another(
    exported: Exported,
    mlflow: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Any, Exported, Path], None],
    said: str,
) -> None:
    manifest, run = exported.release.manifest(exported.artifact), Run(exported.release.home)
    assert still_in_registry(manifest, ExportConfig(), run)
    change(mlflow, exported, tmp_path)
    assert not still_in_registry(manifest, ExportConfig(), run)
    assert f"export: {said}" in capsys.readouterr().out


def test_it_runs_anew_when_the_server_or_the_version_is_gone(
    exported: Exported, mlflow: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, run = exported.release.manifest(exported.artifact), Run(exported.release.home)
    other = {"model": {"stage": "fine_tune", "digest": "other"}}
    assert not still_in_registry(manifest.model_copy(update={"inputs": other}), ExportConfig(), run)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert not still_in_registry(manifest, ExportConfig(), run)


@pytest.fixture
def validated(tmp_path: Path) -> Path:
    """Examples to choose a variant by."""
    rows = (json.dumps({"id": text, "text": text, "label": LABELS[0]}) + "\n" for text in TEXTS)
    (tmp_path / "validation.jsonl").write_text("".join(rows), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(("variant", "most_lost"), [("auto", 1.0), ("auto", 0.0), ("int8", 1.0)])
def test_weights_of_eight_bits_are_served_where_they_lose_little_enough(
    exported: Exported, tmp_path: Path, validated: Path, variant: Any, most_lost: float
) -> None:
    folder = shutil.copytree(exported.place / "onnx", tmp_path / "onnx")
    workspace = Workspace("export", "k", exported.release.store, tmp_path)
    before = (folder / "model.onnx").stat().st_size
    found = choose(VariantConfig(variant=variant, most_lost=most_lost), folder, validated, workspace)
    measured = json.loads((tmp_path / "variants.json").read_text(encoding="utf-8"))
    lost = measured["float32"]["metric"] - measured["int8"]["metric"]
    assert found == ("int8" if lost <= most_lost else "float32")
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    assert settings["alone"] == (found == "int8")
    assert ((folder / "model.onnx").stat().st_size < before) == (found == "int8")
    assert not (tmp_path / "int8").exists()
    # What a text is answered doesn't depend on those beside it.
    form = form_in(folder)
    together = form.answers([{"text": text} for text in TEXTS])
    if found == "int8":
        assert [form.answers([{"text": text}])[0] for text in TEXTS] == together


def test_what_int8_may_not_lose_ends_the_stage(
    exported: Exported, tmp_path: Path, validated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(exported.place / "onnx", tmp_path / "onnx")
    workspace = Workspace("export", "k", exported.release.store, tmp_path)
    figures = {"float32": 0.9, "int8": 0.8}
    monkeypatch.setattr(
        "tasks.deployment.variants._measured",
        lambda place, examples: {
            **{"name": "f1_macro", "milliseconds": 1.0, "bytes": 1},
            "metric": figures["int8" if place.name == "int8" else "float32"],
        },
    )
    said = r"loses 0\.1000 of f1_macro on the validation examples \(allowed 0\.005\)"
    with pytest.raises(ParityError, match=said):
        choose(VariantConfig(variant="int8"), folder, validated, workspace)
    assert choose(VariantConfig(), folder, validated, workspace) == "float32"
