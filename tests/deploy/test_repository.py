"""What lies on disk after each step."""

from dataclasses import replace

import pytest

from deploy import repository as models
from deploy.errors import TritonError


@pytest.fixture
def add(tmp_path, bundle):
    def add(version, **changed):
        models.add_version(tmp_path, "router", version, **(bundle(version).files | changed))

    return add


def policy(tmp_path, model):
    lines = (tmp_path / model / "config.pbtxt").read_text().splitlines()
    return next(line for line in lines if line.startswith("version_policy"))


def test_each_version_is_complete_and_named_in_the_policy(tmp_path, add):
    add(1)
    add(2)
    assert models.versions(tmp_path, "router") == [1, 2]
    files = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    for version in (1, 2):
        assert f"router-tokenizer/{version}/tokenizer.json" in files
        assert f"router-encoder/{version}/model.onnx" in files
        assert f"router-labels/{version}/labels.json" in files
    assert not [file for file in files if ".new" in file]
    for part in models.PARTS:
        assert "versions: [1, 2]" in policy(tmp_path, f"router-{part}")


def test_weights_outside_the_graph_come_along(tmp_path, add, bundle):
    source = tmp_path / "source"
    source.mkdir()
    onnx = source / "encoder.onnx"
    onnx.write_bytes(bundle(1).onnx.read_bytes())
    (source / "encoder.onnx.data").write_bytes(b"weights")
    add(1, onnx=onnx)
    assert (tmp_path / "router-encoder/1/encoder.onnx.data").read_bytes() == b"weights"


def test_same_version_is_replaced_whole(tmp_path, add, bundle):
    add(1)
    add(1, onnx=bundle(5).onnx, max_length=12)
    assert (tmp_path / "router-encoder/1/model.onnx").read_bytes() == bundle(5).onnx.read_bytes()
    assert '"max_length": 12' in (tmp_path / "router-tokenizer/1/settings.json").read_text()
    assert sorted(path.name for path in (tmp_path / "router-encoder").iterdir()) == ["1", "config.pbtxt"]


def test_ensemble_points_at_one_version(tmp_path, add):
    add(1)
    add(2)
    for version in (1, 2, 1):
        models.write_ensemble(tmp_path, "router", "router", version)
        assert models.pinned_version(tmp_path, "router") == version
        config = (tmp_path / "router" / "config.pbtxt").read_text()
        assert config.count(f"model_version: {version}") == 3
        assert [path.name for path in (tmp_path / "router").iterdir() if path.is_dir()] == [str(version)]
    assert models.ensembles(tmp_path) == ["router"]
    models.remove_ensemble(tmp_path, "router")
    assert models.pinned_version(tmp_path, "router") is None
    with pytest.raises(TritonError, match="no version 3 of router"):
        models.write_ensemble(tmp_path, "router", "router", 3)


def test_prune_keeps_what_it_is_told(tmp_path, add):
    for version in (1, 2, 3):
        add(version)
    models.prune(tmp_path, "router", keep={1, 3, 9})
    assert models.versions(tmp_path, "router") == [1, 3]
    assert "versions: [1, 3]" in policy(tmp_path, "router-encoder")
    models.prune(tmp_path, "router", keep=set())
    assert list(tmp_path.iterdir()) == []


def test_recovery_keeps_what_was_proven(tmp_path, add):
    for version in (1, 2, 3, 4):
        add(version)
    models.write_ensemble(tmp_path, "router", "router", 2)
    models.write_ensemble(tmp_path, "router-candidate", "router", 3)
    models.recover(tmp_path)
    assert models.versions(tmp_path, "router") == [1, 2, 3]
    models.remove_ensemble(tmp_path, "router-candidate")
    models.recover(tmp_path)
    assert models.versions(tmp_path, "router") == [1, 2]


def test_another_number_of_labels_needs_another_name(add):
    add(1)
    with pytest.raises(TritonError, match="version 2 has 2 labels, version 1 on the server has 3"):
        add(2, labels=["a", "b"])
    add(1, labels=["a", "b"])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": []}, "labels must be distinct"),
        ({"labels": ["a", "a"]}, "labels must be distinct"),
        ({"max_length": 0}, "max_length 0"),
    ],
)
def test_bad_arguments_are_refused_before_anything_is_written(tmp_path, add, changed, message):
    with pytest.raises(TritonError, match=message):
        add(1, **changed)
    assert list(tmp_path.iterdir()) == []


def test_missing_file_and_bad_name_are_named(tmp_path, bundle):
    lost = replace(bundle(1), onnx=tmp_path / "lost.onnx")
    with pytest.raises(TritonError, match=r"there is no file .*lost\.onnx"):
        models.add_version(tmp_path, "router", 1, **lost.files)
    with pytest.raises(TritonError, match=r"model name '\.\./up'"):
        models.add_version(tmp_path, "../up", 1, **bundle(1).files)
    with pytest.raises(TritonError, match="version 0"):
        models.add_version(tmp_path, "router", 0, **bundle(1).files)
