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


def test_each_version_has_models_of_its_own(tmp_path, add):
    add(1)
    add(2)
    assert models.versions(tmp_path, "router") == [1, 2]
    wanted = [model for version in (1, 2) for model in models.composing_models("router", version)]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(wanted)
    for version in (1, 2):
        tokenizer, encoder, labels = (
            tmp_path / model for model in models.composing_models("router", version)
        )
        assert (tokenizer / str(version) / "tokenizer.json").is_file()
        assert (encoder / str(version) / "model.onnx").is_file()
        assert (labels / str(version) / "labels.json").is_file()
        for model in (tokenizer, encoder, labels):
            assert sorted(path.name for path in model.iterdir()) == [str(version), "config.pbtxt"]
            assert f'name: "{model.name}"' in (model / "config.pbtxt").read_text(encoding="utf-8")


def test_weights_outside_the_graph_come_along(tmp_path, add, bundle):
    source = tmp_path / "source"
    source.mkdir()
    onnx = source / "encoder.onnx"
    onnx.write_bytes(bundle(1).onnx.read_bytes())
    (source / "encoder.onnx.data").write_bytes(b"weights")
    add(1, onnx=onnx)
    assert (tmp_path / "router-v1-encoder/1/encoder.onnx.data").read_bytes() == b"weights"


def test_same_version_is_replaced_whole(tmp_path, add, bundle):
    add(1)
    add(1, onnx=bundle(5).onnx, max_length=12)
    assert (tmp_path / "router-v1-encoder/1/model.onnx").read_bytes() == bundle(5).onnx.read_bytes()
    assert '"max_length": 12' in (tmp_path / "router-v1-tokenizer/1/settings.json").read_text(
        encoding="utf-8"
    )
    assert sorted(path.name for path in (tmp_path / "router-v1-encoder").iterdir()) == ["1", "config.pbtxt"]


def test_ensemble_points_at_one_version(tmp_path, add):
    add(1)
    add(2)
    for version in (1, 2, 1):
        models.write_ensemble(tmp_path, "router", "router", version)
        assert models.pinned_version(tmp_path, "router") == version
        config = (tmp_path / "router" / "config.pbtxt").read_text(encoding="utf-8")
        for model in models.composing_models("router", version):
            assert f'model_name: "{model}"\n      model_version: {version}' in config
        assert [path.name for path in (tmp_path / "router").iterdir() if path.is_dir()] == [str(version)]
    assert models.ensembles(tmp_path) == ["router"]
    models.remove_ensemble(tmp_path, "router")
    assert models.pinned_version(tmp_path, "router") is None
    with pytest.raises(TritonError, match="no version 3 of router"):
        models.write_ensemble(tmp_path, "router", "router", 3)


def test_prune_keeps_what_it_is_told(tmp_path, add):
    for version in (1, 2, 3):
        add(version)
    (tmp_path / "router-v3-labels").rename(
        tmp_path / "lost"
    )  # as after a deployment killed between two models
    assert models.versions(tmp_path, "router") == [1, 2]
    removed = models.prune(tmp_path, "router", keep={1, 9})
    assert sorted(removed) == sorted(
        [*models.composing_models("router", 2), "router-v3-encoder", "router-v3-tokenizer"]
    )
    assert models.versions(tmp_path, "router") == [1]


def test_what_a_killed_deployment_left_is_cleared(tmp_path, add):
    (tmp_path / ".router.new" / "1").mkdir(parents=True)
    (tmp_path / ".router.new" / "1" / "half").touch()
    add(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(models.composing_models("router", 1))


def test_names_that_look_like_versions_are_not_confused(tmp_path, bundle):
    for name, version in (("a", 1), ("a-v2", 1), ("a-v2", 3), ("b-a", 4)):
        models.add_version(tmp_path, name, version, **bundle(1).files)
    models.write_ensemble(tmp_path, "a-v2", "a-v2", 3)
    assert models.versions(tmp_path, "a") == [1]
    assert models.versions(tmp_path, "a-v2") == [1, 3]
    assert sorted(models.prune(tmp_path, "a", keep=set())) == sorted(models.composing_models("a", 1))
    assert models.versions(tmp_path, "a-v2") == [1, 3]
    assert models.pinned_version(tmp_path, "a-v2") == 3


@pytest.mark.parametrize("name", ["a-candidate", "a-v2-tokenizer", "a-v10-labels"])
def test_names_of_parts_are_refused(tmp_path, bundle, name):
    with pytest.raises(TritonError, match=f"model name '{name}'"):
        models.add_version(tmp_path, name, 1, **bundle(1).files)


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
