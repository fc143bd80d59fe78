"""Models of the hub come whole or not at all, by the real client from a hub on loopback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub.file_download
import pytest

from tasks.checkpoints.hub import HubModel, look
from tasks.checkpoints.kept import forget_unused
from tasks.checkpoints.start import Known, known_start, start_of
from tasks.contract.artifact import Artifact
from tasks.contract.errors import RecipeError, StageError
from tasks.contract.run import PENDING
from tasks.contract.store import Store
from tests.checkpoints import COMMIT, Hub, serve_hub, write_checkpoint
from tests.published import publish

TINY = f"someone/tiny@{COMMIT}"
BY_HAND = f"hf download someone/tiny --revision {COMMIT} --local-dir FOLDER` and set start_from to FOLDER"
USED = [
    *("1_Pooling/config.json", "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"),
    "vocab.txt",
]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model beside what is never fetched: code, pickles, other builds, papers."""
    folder = write_checkpoint(tmp_path_factory.mktemp("published") / "tiny")
    for name in ("modeling.py", "pytorch_model.bin", "README.md", "onnx/model.onnx", "onnx/config.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"never asked for")
    (folder / "consolidated.safetensors").write_bytes(b"the same weights once more")
    return folder


@pytest.fixture
def hub(published: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    # The client's pauses before it tries again.
    monkeypatch.setattr(huggingface_hub.file_download.time, "sleep", lambda seconds: None)
    with serve_hub(published) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "home")


def brought(store: Store) -> Any:
    store.home.mkdir(exist_ok=True)
    return start_of(TINY, "fine_tune.start_from", store, fetch=True)


def test_weights_json_and_vocabularies_come_and_nothing_else(hub: Hub, store: Store, published: Path) -> None:
    start = brought(store)
    assert start.name == TINY
    assert sorted(hub.fetched()) == USED
    here = sorted(
        path.relative_to(start.folder).as_posix() for path in start.folder.rglob("*") if path.is_file()
    )
    assert here == [".kept", *USED]
    assert all((start.folder / name).read_bytes() == (published / name).read_bytes() for name in USED)
    by_hand = start_of(str(published), "fine_tune.start_from", store, fetch=False)
    assert by_hand
    assert by_hand.digest == start.digest  # the same model, however it came


def test_what_is_here_needs_no_hub(hub: Hub, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    first = brought(store)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert brought(store) == first
    assert start_of(TINY, "key", store, fetch=False) == first
    (first.folder / "config.json").write_text(
        "{}", encoding="utf-8"
    )  # changed since: neither used nor trusted
    with pytest.raises(StageError, match="the hub can't be reached"):
        brought(store)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    assert brought(store) == first


def test_gc_keeps_what_an_artifact_started_from(hub: Hub, store: Store, tmp_path: Path) -> None:
    start = brought(store)
    directory = store.begin("fine_tune", "a" * 64)
    artifact = Artifact(stage="start", key="", digest=start.digest)
    publish(store, directory, "fine_tune", "a" * 64, inputs={"start": artifact})
    assert forget_unused(store) == 0
    assert start.folder.is_dir()
    store.collect_garbage(set())
    assert forget_unused(store) > 80_000
    assert not start.folder.exists()


def test_a_plan_asks_and_fetches_nothing(hub: Hub, store: Store) -> None:
    start = start_of(TINY, "fine_tune.start_from", store, fetch=False)
    assert start
    assert (start.digest, start.folder) == (PENDING, None)
    assert hub.asked == []
    known = known_start(TINY, "fine_tune.start_from", store, fetch=False)
    assert known == Known(None, None, None)
    assert hub.fetched() == []
    assert not store.home.exists()


@pytest.mark.parametrize("gated", ["manual", False])
@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_model_says_how_to_get_it(hub: Hub, store: Store, status: int, gated: Any) -> None:
    hub.gated, hub.refused = gated, (status, "GatedRepo")
    with pytest.raises(
        RecipeError, match=r"start_from: someone/tiny@.*accept the terms .* `hf auth login`"
    ) as said:
        brought(store)
    assert BY_HAND in str(said.value)
    if gated:
        with pytest.raises(RecipeError, match="accept the terms"):
            look(HubModel("someone/tiny", COMMIT), "fine_tune.start_from")


def test_another_commit_and_another_model(hub: Hub, store: Store) -> None:
    with pytest.raises(RecipeError, match="the model someone/tiny of the hub has no commit fff"):
        known_start(f"someone/tiny@{'f' * 40}", "fine_tune.start_from", store, fetch=False)
    with pytest.raises(RecipeError, match="the hub has no model someone/large, or it is private"):
        known_start(f"someone/large@{COMMIT}", "fine_tune.start_from", store, fetch=False)


def test_a_hub_out_of_reach_says_how_to_bring_a_folder(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(StageError, match="can't be reached") as said:
        brought(store)
    assert BY_HAND in str(said.value)
    assert "\n" not in str(said.value)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(StageError, match="can't be reached"):
        brought(store)


def test_a_file_that_was_cut_short_goes_on_where_it_ended(
    hub: Hub, store: Store, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    whole = (published / "model.safetensors").read_bytes()
    hub.sent["model.safetensors"] = lambda content: content[:5000]
    with pytest.raises(StageError, match=r"model\.safetensors did not arrive whole"):
        brought(store)
    hub.sent.clear()
    hub.asked.clear()
    start = brought(store)
    [asked] = [(span, path) for span, path in hub.asked if "/resolve/" in path]  # the others were whole
    assert asked == ("bytes=5000-", f"/someone/tiny/resolve/{COMMIT}/model.safetensors")
    assert (start.folder / "model.safetensors").read_bytes() == whole


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_other_bytes_of_the_same_length_are_refused(hub: Hub, store: Store, name: str) -> None:
    hub.sent[name] = lambda content: content[:-1] + b"?"
    with pytest.raises(StageError, match=f"{name} did not arrive as the hub states it"):
        brought(store)
    assert not list(store.home.rglob(".kept"))
    hub.sent.clear()
    assert brought(store).digest != PENDING  # the wrong bytes are not gone on with


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "novel", "auto_map": {}}, "novel brings code of its own"),
        ({"model_type": "bert", "quantization_config": {"quant_method": "gptq"}}, r"quantised \(gptq\)"),
    ],
)
def test_what_the_configuration_rules_out_is_refused_before_the_weights_come(
    tmp_path: Path, published: Path, monkeypatch: pytest.MonkeyPatch, store: Store, config: Any, said: str
) -> None:
    changed = shutil.copytree(published, tmp_path / "changed")
    (changed / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with serve_hub(changed) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(RecipeError, match=said):
            brought(store)
    assert "model.safetensors" not in hub.fetched()


def test_a_model_of_pickles_is_refused_by_the_names_of_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, store: Store
) -> None:
    for name in ("config.json", "pytorch_model.bin", "vocab.txt"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    with serve_hub(tmp_path) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        with pytest.raises(RecipeError, match=r"pytorch_model\.bin alone, and no pickle is read here"):
            known_start(TINY, "fine_tune.start_from", store, fetch=False)
    assert hub.fetched() == []


def test_no_space_for_the_download(hub: Hub, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 10})())
        with pytest.raises(
            StageError, match=r"0 MB are to be fetched, and 0 MB are free below .*TEXTMILL_HOME"
        ):
            brought(store)
    assert "model.safetensors" not in hub.fetched()
    unfinished = _part(store) / "model.safetensors.unfinished"
    unfinished.symlink_to("/dev/full")
    with pytest.raises(StageError, match=r"the disk is full while writing .*TEXTMILL_HOME"):
        brought(store)
    unfinished.unlink()
    assert brought(store).folder


def _part(store: Store) -> Path:
    (part,) = store.home.glob("checkpoints/hub/.*.part")
    return part
