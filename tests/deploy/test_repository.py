"""What lies on disk after each step."""

import json
import shutil
import subprocess
import sys

import pytest

from deploy import repository as models
from deploy.errors import TritonError


@pytest.fixture
def add(tmp_path, bundle):
    def add(version, folder=None):
        models.add_version(tmp_path / "models", "router", version, folder or bundle(version).folder)

    (tmp_path / "models").mkdir()
    return add


@pytest.fixture
def repository(tmp_path, add):
    return tmp_path / "models"


@pytest.fixture
def changed(tmp_path, bundle):
    """A copy of an exported folder, to be changed."""
    return shutil.copytree(bundle(1).folder, tmp_path / "changed")


def test_each_version_is_a_model_of_its_own(repository, add, bundle):
    add(1)
    add(2)
    assert models.versions(repository, "router") == [1, 2]
    assert sorted(path.name for path in repository.iterdir()) == ["router-v1-model", "router-v2-model"]
    for version in (1, 2):
        model = repository / f"router-v{version}-model"
        assert sorted(path.name for path in model.iterdir()) == [str(version), "config.pbtxt"]
        assert f'name: "{model.name}"' in (model / "config.pbtxt").read_text(encoding="utf-8")
        for path in bundle(version).folder.rglob("*.*"):
            place = model / str(version) / path.relative_to(bundle(version).folder)
            assert place.read_bytes() == path.read_bytes()
        assert (model / str(version) / "model.py").read_bytes() == (
            models.CODE / "served" / "model.py"
        ).read_bytes()


def test_the_second_graph_of_a_model_that_writes_comes_along(repository, add, changed):
    (changed / "next.onnx").write_bytes(b"graph")
    add(1, changed)
    assert (repository / "router-v1-model/1/next.onnx").read_bytes() == b"graph"


def test_byte_code_is_the_same_from_every_process_and_python_reads_it(repository, add, changed):
    """Any process that repairs a version must write the files that were deployed."""
    rare = "\x02"  # no module has it
    (changed / "served" / "named.py").write_text(f"rare = {rare!r}\n", encoding="utf-8")
    served = repository / "router-v1-model/1/served"

    def written():
        add(1, changed)
        return [file.read_bytes() for file in sorted(served.glob("__pycache__/*.pyc"))]

    before = written()
    assert len(before) == len(list(served.glob("*.py")))
    sys.intern(rare)  # as modules do that a run has imported
    assert written() == before
    command = [sys.executable, "-v", "-c", "import named; print(len(named.rare))"]
    done = subprocess.run(command, cwd=served, capture_output=True, check=True, encoding="utf-8")
    assert done.stdout == "1\n"
    assert f"code object from '{served}/__pycache__/named.cpython-" in done.stderr


def test_same_version_is_replaced_whole(repository, add, bundle, changed):
    (changed / "next.onnx").write_bytes(b"graph")
    add(1, changed)
    add(1, bundle(5).folder)
    place = repository / "router-v1-model/1"
    assert (place / "model.onnx").read_bytes() == (bundle(5).folder / "model.onnx").read_bytes()
    assert not (place / "next.onnx").exists()
    assert sorted(path.name for path in place.parent.iterdir()) == ["1", "config.pbtxt"]


def test_the_bounds_of_a_text_follow_the_model(repository, add, changed):
    for length, text, request in ((48, 65536, 524288), (100_000, 800_000, 800_000)):
        settings = json.loads((changed / "settings.json").read_text(encoding="utf-8"))
        settings["max_length"] = length
        (changed / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        signature = json.loads((changed / "signature.json").read_text(encoding="utf-8"))
        for reads_whole, together in ((False, request), (True, text)):
            signature["reads_whole"] = reads_whole
            (changed / "signature.json").write_text(json.dumps(signature), encoding="utf-8")
            add(1, changed)
            limits = json.loads((repository / "router-v1-model/1/limits.json").read_text(encoding="utf-8"))
            assert limits == {"text_bytes": text, "request_bytes": together}


def test_ensemble_points_at_one_version(repository, add):
    add(1)
    add(2)
    for version in (1, 2, 1):
        models.write_endpoint(repository, "router", "router", version)
        assert models.pinned_version(repository, "router") == version
        config = (repository / "router" / "config.pbtxt").read_text(encoding="utf-8")
        assert f'model_name: "router-v{version}-model" model_version: {version}' in config
        assert [path.name for path in (repository / "router").iterdir() if path.is_dir()] == [str(version)]
    assert models.endpoints(repository) == ["router"]
    models.remove_endpoint(repository, "router")
    assert models.pinned_version(repository, "router") is None
    with pytest.raises(TritonError, match="no version 3 of router"):
        models.write_endpoint(repository, "router", "router", 3)


def test_prune_keeps_what_it_is_told_and_clears_what_older_versions_left(repository, add):
    for version in (2, 3):
        add(version)
    for part in models.OLD_PARTS:
        (repository / f"router-v1-{part}").mkdir()
    assert models.versions(repository, "router") == [2, 3]
    removed = models.prune(repository, "router", keep={3, 9})
    old = [f"router-v1-{part}" for part in models.OLD_PARTS]
    assert sorted(removed) == sorted(["router-v2-model", *old])
    assert [path.name for path in repository.iterdir()] == ["router-v3-model"]


def test_what_a_killed_deployment_left_is_cleared(repository, add):
    (repository / ".router.new" / "1").mkdir(parents=True)
    (repository / ".router.new" / "1" / "half").touch()
    add(1)
    assert [path.name for path in repository.iterdir()] == ["router-v1-model"]
    assert not list(repository.rglob("half"))


def test_names_that_look_like_versions_are_not_confused(tmp_path, bundle):
    for name, version in (("a", 1), ("a-v2", 1), ("a-v2", 3), ("b-a", 4)):
        models.add_version(tmp_path, name, version, bundle(1).folder)
    models.write_endpoint(tmp_path, "a-v2", "a-v2", 3)
    assert models.versions(tmp_path, "a") == [1]
    assert models.versions(tmp_path, "a-v2") == [1, 3]
    assert models.prune(tmp_path, "a", keep=set()) == ["a-v1-model"]
    assert models.versions(tmp_path, "a-v2") == [1, 3]
    assert models.pinned_version(tmp_path, "a-v2") == 3


@pytest.mark.parametrize("name", ["a-candidate", "a-v2-tokenizer", "a-v10-labels", "a-v3-model"])
def test_names_of_parts_are_refused(tmp_path, bundle, name):
    with pytest.raises(TritonError, match=f"model name '{name}'"):
        models.add_version(tmp_path, name, 1, bundle(1).folder)


@pytest.mark.parametrize("file", models.EXPORTED)
def test_missing_file_and_bad_name_are_named(repository, add, changed, bundle, file):
    (changed / file).unlink()
    with pytest.raises(TritonError, match=rf"there is no file .*{file}"):
        add(1, changed)
    with pytest.raises(TritonError, match=r"model name '\.\./up'"):
        models.add_version(repository, "../up", 1, bundle(1).folder)
    with pytest.raises(TritonError, match="version 0"):
        add(0, bundle(1).folder)
    assert list(repository.iterdir()) == []
