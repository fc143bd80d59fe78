"""What a recipe may name as a start, and that another model at the same place is another input."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.checkpoints.start import Known, Start, asks_registry, known_start, start_of
from tasks.contract.errors import RecipeError
from tasks.contract.run import PENDING
from tasks.contract.store import Store
from tasks.fine_tune import FineTuneConfig, fine_tune
from tests.checkpoints import write_checkpoint


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (
            "nowhere",
            "'nowhere' is neither a folder nor a model of the hub with its commit; write id@commit with",
        ),
        ("someone/tiny", "neither a folder nor a model of the hub with its commit"),
        ("someone/tiny@main", "neither a folder nor a model of the hub with its commit"),
        (f"some/one/tiny@{'a' * 40}", "neither a folder nor"),
        ("models:/reviews", "names no registered version; write models:/NAME@ALIAS or models:/NAME/VERSION"),
        ("models:/reviews/newest", "names no registered version"),
        ("{folder}/weights.gguf", "is a file, and GGUF files are for inference; name the folder"),
        ("{folder}/model.safetensors", "is a file, and a checkpoint is a folder; name the folder"),
    ],
)
def test_what_is_no_checkpoint_is_said_with_the_way_out(tmp_path: Path, reference: str, said: str) -> None:
    for name in ("weights.gguf", "model.safetensors"):
        (tmp_path / name).touch()
    with pytest.raises(RecipeError, match=said) as refused:
        start_of(reference.format(folder=tmp_path), "fine_tune.start_from", Store(tmp_path), fetch=True)
    assert str(refused.value).startswith("fine_tune.start_from: ")


def test_a_folder_is_known_by_what_a_training_reads(tmp_path: Path) -> None:
    folder, store = write_checkpoint(tmp_path / "tiny"), Store(tmp_path / "home")

    def now() -> Start:
        start = start_of(str(folder), "key", store, fetch=False)
        assert start
        return start

    first = now()
    assert (first.folder, first.name) == (folder, str(folder))
    (folder / "README.md").write_text("about it", encoding="utf-8")
    assert now() == first
    config, keys = FineTuneConfig(start_from=str(folder)), set()
    for _ in range(2):
        keys.add(fine_tune.key([None, now(), None], config))
        (folder / "vocab.txt").write_text("another", encoding="utf-8")
    assert now().digest != first.digest
    assert len(keys) == 2
    assert known_start(str(folder), "key", store, fetch=False) == Known(folder, 64, "bert")
    assert known_start("", "key", store, fetch=False) is None
    assert start_of("", "key", store, fetch=True) is None


def test_where_a_checkpoint_lies_is_no_part_of_it(tmp_path: Path) -> None:
    starts = [
        start_of(str(write_checkpoint(tmp_path / name)), "key", Store(tmp_path), fetch=False) for name in "ab"
    ]
    config = FineTuneConfig(start_from="somewhere")
    assert len({fine_tune.key([None, start, None], config) for start in starts}) == 1


def test_a_registry_that_does_not_run_leaves_a_plan_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "")
    start = start_of("models:/reviews@champion", "key", Store(tmp_path), fetch=False)
    assert start
    assert start.digest == PENDING
    assert asks_registry("models:/reviews@champion")
    assert not asks_registry("checkpoints/minilm")
