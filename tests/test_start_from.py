"""A file of labels and a published checkpoint, and nothing else, to an answering endpoint."""

from __future__ import annotations

import csv
import json
import random
from pathlib import Path
from typing import Any

import pytest

from tests.checkpoints import WORDS, write_checkpoint
from tests.topics import registry

RECIPE = """\
name: published
questions: [they boiled the soup]
examples: {{kind: files, task: classification, train: {train}}}
fine_tune: {{start_from: {start}, max_length: 32, epochs: 3, learning_rate: 0.02}}
"""
FURTHER = """\
name: further
collect: {{sources: [{{kind: files, path: {text}, format: text, document: line}}]}}
clean: {{filters: none, languages: any}}
pretrain: {{start_from: {start}, steps: 20, sequence_length: 32, batch_size: 8}}
examples: {{kind: files, task: classification, train: {train}}}
fine_tune: {{max_length: 32, epochs: 3, learning_rate: 0.02}}
"""
TOPICS = {"garden": ("planted", "roses"), "harbour": ("sailed", "ferry"), "kitchen": ("boiled", "soup")}
STAGES = ["examples", "fine_tune", "evaluate", "register", "export", "deploy"]


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recipe, beside its file and its checkpoint, whose tokenizer knows few words."""
    folder, numbers = tmp_path_factory.mktemp("published"), random.Random(3)
    write_checkpoint(folder / "tiny")
    with (folder / "reviews.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        for number in range(300):
            topic = numbers.choice(sorted(TOPICS))
            verb, thing = TOPICS[topic]
            rows.writerow([f"the old {thing} {verb} a {chr(97 + number % 26)}{number}", topic])
    recipe = folder / "published.yaml"
    recipe.write_text(RECIPE.format(train=folder / "reviews.csv", start=folder / "tiny"), encoding="utf-8")
    return recipe


@pytest.fixture(scope="module")
def home(cold_mill: Any) -> Any:
    """Not the home of the lifecycle: one endpoint more would make questions there ambiguous."""
    return cold_mill


@pytest.fixture(scope="module")
def made(home: Any, published: Path) -> str:
    output: str = home("run", published)
    assert "starting prefect" in output.partition("examples")[0]
    return output


def test_ten_lines_end_with_an_answering_endpoint(home: Any, made: str) -> None:
    assert list(home.outcomes("state")) == STAGES
    assert set(home.outcomes("state").values()) == {"made"}
    assert "they boiled the soup  →  kitchen  (version 1)" in made
    assert "(bert, 21,440 parameters)" in made
    answer = json.loads(home("ask", "the old ferry sailed"))
    assert answer["label"] == "harbour"


def test_what_is_no_part_of_it_is_nowhere(home: Any, made: str, published: Path) -> None:
    planned = home("plan", published)
    assert [line.split()[:2] for line in planned.splitlines()] == [[stage, "cached"] for stage in STAGES]
    run = home.last_run()
    assert run["stages"] == STAGES
    report = (run["folder"] / "report.html").read_text(encoding="utf-8")
    for words in ("not reached", "tokenize", "held-out perplexity", "collect"):
        assert words not in report
    assert f"started from the published checkpoint\n  <code>{published.parent / 'tiny'}</code>" in report
    version = registry(home, "model-versions/get", name="published", version="1")["model_version"]
    logged = registry(home, "runs/get", run_id=version["run_id"])["run"]
    params = {param["key"]: param["value"] for param in logged["data"]["params"]}
    assert {name.partition(".")[0] for name in params} == {"examples", "fine_tune", "evaluate"}
    assert params["fine_tune.start_from"] == str(published.parent / "tiny")
    assert [given["dataset"]["name"] for given in logged["inputs"]["dataset_inputs"]] == ["examples"]
    assert "pretraining" not in version["description"]


def test_another_model_in_the_folder_is_another_training(home: Any, made: str, published: Path) -> None:
    output = home("run", published)
    assert set(home.outcomes("state").values()) == {"cached"}
    assert "stages cached 6" in output
    vocabulary = published.parent / "tiny" / "vocab.txt"
    before = vocabulary.read_bytes()
    vocabulary.write_bytes(before + b"\nanother")
    planned = home("plan", published)
    vocabulary.write_bytes(before)
    assert [line.split()[1] for line in planned.splitlines()][:2] == ["cached", "would"]


def test_a_version_of_the_registry_is_a_start(home: Any, made: str, published: Path) -> None:
    start = ("--set", "fine_tune.start_from=models:/published@champion", "--until", "fine_tune")
    output = home("run", published, *start, "--set", "fine_tune.epochs=1")
    assert "from models:/published/1 (bert," in output
    assert home.outcomes("state") == {"examples": "cached", "fine_tune": "made", "evaluate": "skipped"}
    (kept,) = (home.home / "checkpoints" / "registry").glob("published-1-*")
    (kept / "config.json").write_text("{}", encoding="utf-8")  # what was changed here comes again
    home("run", published, *start, "--set", "fine_tune.epochs=1")
    assert home.outcomes("state") == {"examples": "cached", "fine_tune": "cached", "evaluate": "skipped"}
    assert "model_type" in (kept / "config.json").read_text(encoding="utf-8")
    refused = home("run", published, "--set", "fine_tune.start_from=models:/published@gold", code=2)
    assert "models:/published@gold: there is no such version in MLflow; the registered models are" in refused


def test_a_bad_checkpoint_is_refused_before_the_first_stage(
    home: Any, made: str, published: Path, tmp_path: Path
) -> None:
    (write_checkpoint(tmp_path / "tiny") / "model.safetensors").rename(
        tmp_path / "tiny" / "pytorch_model.bin"
    )
    start = ("--set", f"fine_tune.start_from={tmp_path / 'tiny'}", "--set", "examples.seed=9")
    for command in ("plan", "run"):
        output = home(command, published, *start, code=2)
        assert output.count("error: ") == 1
        assert "its weights are pytorch_model.bin alone, and no pickle is read here" in output
    assert set(home.outcomes("state").values()) <= {"failed"}


def test_a_corpus_before_the_task_ends_with_a_version(home: Any, published: Path) -> None:
    """The checkpoint reads more text first; what was made of it is judged on that corpus, too."""
    folder = published.parent
    text, recipe = folder / "corpus.txt", folder / "further.yaml"
    lines = (f"{one} {verb} the {thing}" for one in "abcdefghij" for verb, thing in TOPICS.values())
    text.write_text("\n".join(f"{line} {end}" for line in lines for end in WORDS), encoding="utf-8")
    recipe.write_text(
        FURTHER.format(text=text, start=folder / "tiny", train=folder / "reviews.csv"), encoding="utf-8"
    )
    output = home("run", recipe, "--until", "register")
    assert "further version 1, alias" in output
    assert "perplexity" in output.partition("evaluate")[0]
    states = home.outcomes("state")
    assert {states.pop("export"), states.pop("deploy")} == {"skipped"}
    assert states.pop("examples") in ("made", "cached")  # the tests before may have made the same
    assert set(states.values()) == {"made"}
    assert (
        "pretrained further"
        in registry(home, "model-versions/get", name="further", version="1")["model_version"]["description"]
    )
