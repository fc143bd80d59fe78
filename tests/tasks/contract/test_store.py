"""The store: artifacts appear whole, damage is found, and only what nobody needs is removed."""

import shutil
from pathlib import Path

import pytest

from tasks.contract.artifact import Artifact, Manifest
from tasks.contract.errors import StageError
from tasks.contract.store import Store
from tests.published import publish

KEY = "0123456789abcdef" * 4


def published(store: Store, stage: str = "clean", key: str = KEY, text: str = "kept") -> Artifact:
    """An artifact of two files, one of them volatile."""
    directory = store.begin(stage, key)
    (directory / "documents").mkdir()
    (directory / "documents" / "part.txt").write_text(text, encoding="utf-8")
    (directory / "seconds.txt").write_text("1", encoding="utf-8")
    return publish(store, directory, stage, key, volatile=frozenset({"seconds.txt"}))


def test_published_artifact_is_found_and_sound(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.manifest("clean", KEY) is None
    store.scratch("clean", KEY).mkdir(parents=True)
    artifact = published(store)
    assert (store.path(artifact) / "documents" / "part.txt").read_text(encoding="utf-8") == "kept"
    manifest = store.manifest("clean", KEY)
    assert manifest is not None
    assert manifest.artifact == artifact
    assert store.damage(manifest) == []
    assert not store.scratch("clean", KEY).exists()
    assert [m.artifact for m in store.manifests()] == [artifact]


def test_what_is_being_written_is_not_visible(tmp_path: Path) -> None:
    store = Store(tmp_path)
    (store.begin("clean", KEY) / "half").write_text("half", encoding="utf-8")
    assert store.manifest("clean", KEY) is None
    assert list(store.manifests()) == []
    assert list(store.begin("clean", KEY).iterdir()) == []


@pytest.mark.parametrize("name", ["documents/part.txt", "seconds.txt"])
def test_changed_or_missing_files_are_damage(tmp_path: Path, name: str) -> None:
    store = Store(tmp_path)
    manifest = store.manifest("clean", published(store).key)
    assert manifest is not None
    file = store.place("clean", KEY) / name
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    assert store.damage(manifest) == [name]
    file.unlink()
    assert store.damage(manifest) == [name]


def test_manifest_that_is_no_manifest_or_lies_is_damage(tmp_path: Path) -> None:
    store = Store(tmp_path)
    artifact = published(store)
    path = store.place("clean", KEY) / "manifest.json"
    manifest = Manifest.model_validate_json(path.read_bytes())
    assert store.damage(manifest.model_copy(update={"digest": "0" * 64})) == ["manifest.json"]
    path.write_text(path.read_text(encoding="utf-8")[:40], encoding="utf-8")
    assert store.manifest("clean", KEY) is None
    with pytest.raises(StageError, match=f"{artifact.digest[:12]} is no longer in"):
        store.path(artifact)


def test_another_content_under_the_key_is_not_passed_off_as_the_old_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    old = published(store)
    new = published(store, text="other")
    assert store.path(new).is_dir()
    with pytest.raises(StageError, match="run the recipe again"):
        store.path(old)
    assert [p.name for p in (tmp_path / "artifacts" / "clean").iterdir()] == [KEY[:32]]


def test_lock_is_held_by_one(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.lock("clean", KEY) as held:
        assert held
        with Store(tmp_path).lock("clean", KEY, blocking=False) as free:
            assert not free
        with store.lock("clean", "f" * 64, blocking=False) as free:
            assert free
    with store.lock("clean", KEY, blocking=False) as free:
        assert free


def test_garbage_is_what_nobody_wants_and_nobody_makes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    wanted, unwanted = published(store), published(store, key="a" * 64, text="x" * 1000)
    killed, running = store.begin("clean", "b" * 64), store.begin("fine_tune", "c" * 64)
    scratch, live_scratch = store.scratch("fine_tune", "d" * 64), store.scratch("fine_tune", "c" * 64)
    for folder in (scratch, live_scratch):
        folder.mkdir(parents=True)
    with store.lock("fine_tune", "c" * 64):
        removed, freed = Store(tmp_path).collect_garbage({(wanted.stage, wanted.key)})
    assert removed == 3
    assert freed > 1000
    kept = store.manifest(wanted.stage, wanted.key)
    assert kept is not None
    assert store.damage(kept) == []
    assert store.manifest(unwanted.stage, unwanted.key) is None
    assert [p.exists() for p in (killed, scratch, running, live_scratch)] == [False, False, True, True]
    shutil.rmtree(tmp_path / "artifacts")
    assert Store(tmp_path).collect_garbage(set()) == (1, 0)


def test_places_are_named_by_stage_and_half_of_the_key(tmp_path: Path) -> None:
    store, name = Store(tmp_path), KEY[:32]
    assert store.place("clean", KEY) == tmp_path / "artifacts" / "clean" / name
    assert store.scratch("clean", KEY) == tmp_path / "scratch" / f"clean-{name}"
    assert store.begin("clean", KEY) == tmp_path / "artifacts" / "clean" / f".{name}.tmp"
    with store.lock("clean", KEY):
        assert (tmp_path / "locks" / f"clean-{name}.lock").is_file()


def test_a_manifest_is_text_of_short_lines(tmp_path: Path) -> None:
    published(Store(tmp_path))
    text = (Store(tmp_path).place("clean", KEY) / "manifest.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "stage": "clean",\n')
    assert text.endswith("\n}\n")


def test_all_garbage_goes_whatever_of_it_is_met_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    kept = [published(store, stage=stage) for stage in ("clean", "collect", "tokenize")]
    for stage in ("clean", "collect", "tokenize"):
        published(store, stage=stage, key="a" * 64)
        store.begin(stage, "b" * 64)
    assert store.collect_garbage({(artifact.stage, artifact.key) for artifact in kept})[0] == 6
    assert [manifest.artifact for manifest in store.manifests()] == kept
