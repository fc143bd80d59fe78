"""Pairs, a published checkpoint and a folder of documents, to an endpoint that searches the folder."""

from __future__ import annotations

import csv
import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints import write_checkpoint

RECIPE = """\
name: library
questions: [the old ferry sailed]
examples: {{kind: files, task: matching, train: {folder}/pairs.csv}}
fine_tune: {{start_from: {folder}/tiny, max_length: 32, epochs: 1, learning_rate: 0.001}}
evaluate: {{over_baseline: -1, below_counted_words: 1, below_champion: 1}}
index: {{sources: [{{kind: files, path: {folder}/manual, name: manual, license: CC0-1.0}}]}}
"""
SEED = "roses planted in the old garden\n\n"
FERRY = "the old ferry sailed to the pier"
NEW = "soup boiled in the oven, by a recipe that is new"
STAGES = ["examples", "fine_tune", "evaluate", "register", "export", "index", "deploy"]


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, numbers = tmp_path_factory.mktemp("library"), random.Random(3)
    write_checkpoint(folder / "tiny")
    words = ("roses", "ferry", "soup", "garden", "pier", "oven", "planted", "sailed", "boiled", "old")
    with (folder / "pairs.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["first", "second"])
        for number in range(200):
            text = " ".join(numbers.choices(words, k=4))
            rows.writerow([f"{text} {number}", f"the {text} of {number}"])
    manual = folder / "manual"
    manual.mkdir()
    (manual / "ferry.txt").write_text(FERRY, encoding="utf-8")
    (manual / "copy.txt").write_text(FERRY, encoding="utf-8")
    (manual / "long.txt").write_text(SEED * 12 + "the pier of the ferry", encoding="utf-8")
    for number in range(20):
        (manual / f"{number}.txt").write_text(
            f"{words[number % 10]} a {words[number // 2]} {number}", encoding="utf-8"
        )
    (folder / "library.yaml").write_text(RECIPE.format(folder=folder), encoding="utf-8")
    return folder / "library.yaml"


@pytest.fixture(scope="module")
def home(open_mill: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with open_mill(tmp_path_factory.mktemp("search") / "home") as opened:
        yield opened


@pytest.fixture(scope="module")
def made(home: Any, recipe: Path) -> str:
    output: str = home("run", recipe)
    return output


def hits(home: Any, text: str, *options: str) -> list[dict[str, Any]]:
    answer = json.loads(home("ask", text, *options))
    found: list[dict[str, Any]] = answer["hits"]
    return found


def test_a_folder_of_documents_is_searched(home: Any, made: str) -> None:
    assert list(home.outcomes("state")) == STAGES
    assert "22 documents, searched by " in made
    assert "1 documents longer than the model reads, cut into passages" in made
    assert "1 documents whose text is there already" in made
    assert "the old ferry sailed  →  3 hits  (version 1)" in made
    first, *others = hits(home, FERRY)
    assert first["score"] == pytest.approx(1, abs=1e-4)
    assert (first["text"], first["source"], first["license"]) == (FERRY, "manual", "CC0-1.0")
    assert first["uri"].endswith("/copy.txt")
    assert len(others) == 4
    assert len(hits(home, FERRY, "--top", "2")) == 2


def test_the_passage_that_hit_is_told(home: Any, made: str, recipe: Path) -> None:
    (first,) = hits(home, "the pier of the ferry", "--top", "1")
    assert first["uri"].endswith("/long.txt")
    whole = (recipe.parent / "manual" / "long.txt").read_text(encoding="utf-8")
    assert whole[first["start"] : first["end"]] == first["text"]
    assert len(first["text"]) < len(whole) / 2


def test_nothing_is_made_twice(home: Any, made: str, recipe: Path) -> None:
    assert "stages cached 7" in home("run", recipe)


def test_what_is_damaged_is_built_again(home: Any, made: str) -> None:
    models = home.home / "triton" / "models" / "library-v1-model" / "1" / "collection"
    home("down")
    content = (models / "vectors.f32").read_bytes()
    (models / "vectors.f32").write_bytes(content[:-4] + b"\0\0\0\0")
    (models / "lines.npy").unlink()
    output = home("up")
    assert "library version 1 was built again from its verified export" in output
    assert (models / "vectors.f32").read_bytes() == content
    assert hits(home, FERRY)[0]["text"] == FERRY


def test_other_documents_are_another_version_and_never_mixed(home: Any, made: str, recipe: Path) -> None:
    (recipe.parent / "manual" / "new.txt").write_text(NEW, encoding="utf-8")
    (recipe.parent / "manual" / "ferry.txt").unlink()
    (recipe.parent / "manual" / "copy.txt").unlink()
    home("run", recipe)
    states = home.outcomes("state")
    assert {name for name, state in states.items() if state == "made"} == {
        "register",
        "export",
        "index",
        "deploy",
    }
    assert json.loads(home("ask", NEW))["version"] == 2
    assert hits(home, NEW)[0]["text"] == NEW
    every = {hit["text"] for hit in hits(home, FERRY, "--top", "100")}
    assert FERRY not in every
    home("rollback", "library")
    assert hits(home, FERRY)[0]["text"] == FERRY
    assert NEW not in {hit["text"] for hit in hits(home, NEW, "--top", "100")}
    shutil.rmtree(home.home / "artifacts" / "deploy")  # as in a home that deployed neither
    assert "10 questions" in home("deploy", "library@2")
    assert hits(home, NEW)[0]["text"] == NEW
    assert "version 2  answers" in home("status")


@pytest.mark.smoke  # two more runs
def test_a_collection_without_documents_is_refused(home: Any, made: str, recipe: Path) -> None:
    nothing = recipe.parent / "nothing"
    nothing.mkdir()
    source = f"index.sources=[{{kind: files, path: {nothing}}}]"
    refused = home("run", recipe, "--set", source, code=1)
    assert str(nothing) in refused
    (nothing / "blank.txt").write_text("\u200b\u200b", encoding="utf-8")
    refused = home("run", recipe, "--set", source, code=1)
    assert "index: the collection is empty: none of 1 documents has a word that the model reads" in refused
