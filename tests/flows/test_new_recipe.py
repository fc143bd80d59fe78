"""`textmill new`: the recipe that it writes is one that a run can use, and no text stands in it."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from corpus.examples.config import FilesExamples
from corpus.examples.from_files import read_examples
from flows.new_recipe import fault_of, name_of, new
from flows.recipe import load_recipe
from flows.recipe_file import read
from tasks.contract.errors import CorpusError, RecipeError
from tests.flows.brought_files import FILES, NUMBERS, ROWS, TASKS, TOPICS, text


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the command is given in."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(files: dict[str, str]) -> list[str]:
    """Write files; what a person would name of them."""
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(content, encoding="utf-8")
    return sorted({name.partition("/")[0] for name in files})


def written(files: dict[str, str], **options: Any) -> Path:
    """The recipe about files, nothing asked."""
    return new(put(files), **{"start_from": "", "yes": True, "force": False, **options})


@pytest.fixture
def checkpoint(here: Path) -> str:
    """A folder that looks like a checkpoint."""
    put({"checkpoints/minilm/config.json": "{}"})
    return "checkpoints/minilm"


@pytest.mark.parametrize("kind", FILES)
def test_the_examples_of_the_written_recipe_are_read_and_none_stands_in_it(
    kind: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(FILES[kind])
    assert "secret" not in path.read_text(encoding="utf-8") + capsys.readouterr().out
    values = read(path)
    assert values["examples"]["task"] == TASKS.get(kind, kind)
    splits = read_examples(FilesExamples.model_validate(values["examples"]))
    assert sum(map(len, splits.examples.values())) == len(NUMBERS)


@pytest.mark.parametrize("kind", FILES)
def test_the_written_recipe_loads(kind: str, checkpoint: str) -> None:
    recipe = load_recipe(str(written(FILES[kind], start_from=checkpoint)))
    assert recipe.examples is not None
    assert recipe.examples.task == TASKS.get(kind, kind)


def test_it_is_the_recipe_that_a_person_would_write(checkpoint: str) -> None:
    path = written(FILES["classification"], start_from=checkpoint)
    assert read(path) == {
        "name": "tickets",
        "examples": {
            "kind": "files",
            "task": "classification",
            "train": "tickets.csv",
            "columns": {"label": "topic"},
        },
        "fine_tune": {"start_from": checkpoint},
    }
    lines = [line.split("  #")[0].rstrip() for line in path.read_text(encoding="utf-8").splitlines()]
    assert lines[lines.index("name: tickets") :] == [
        *(
            "name: tickets",
            "",
            "examples:",
            "  kind: files",
            "  task: classification",
            "  train: tickets.csv",
        ),
        *("  columns:", "    label: topic", "", "fine_tune:", "  start_from: checkpoints/minilm"),
    ]


@pytest.mark.parametrize("kind", ["classification", "question_answering", "matching"])
def test_no_text_of_a_short_file_is_told(kind: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """There a column of texts has as few values as one of labels."""
    files = {name: content[:1600] for name, content in FILES[kind].items()}
    whole = {name: content[: content.rindex("\n") + 1] for name, content in files.items() if "\n" in content}
    path = written(whole or FILES[kind])
    assert "secret" not in path.read_text(encoding="utf-8") + capsys.readouterr().out


def test_what_was_seen_stands_in_the_recipe_and_on_the_terminal(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "train.csv": "text;label;note\n"
        + "".join(f"{'long ' * 200}{n};common;\n" for n in range(50))
        + "".join(f"short {n};rare;\n" for n in range(5))
        + "short 1;common;\nshort 2;rare;\n;rare;\nshort 9;;x\n",
        "dev.csv": "text;label;note\nshort;common;\nlast;other;\n",
    }
    text = new(put(files)[1:], start_from="", yes=True, force=False).read_text(encoding="utf-8")
    said = capsys.readouterr().out
    for line in (
        'train: train.csv: CSV, UTF-8, ";" between columns, 59 examples',
        "validation: dev.csv, found beside it: CSV",
        "labels: common (51), rare (6)",
        "labels for validation that no training example has: other",
        "rows without a text: 1",
        "rows without a label that can be used: 1",
        "examples with the same texts as another one: 2",
        "texts that come with different answers: 1",
        "labels with fewer than 10 examples: rare",
        "nearly empty: note (1 rows)",
    ):
        assert line in said
        assert f"# {line}" in text
    values = yaml.safe_load(text)
    assert values["fine_tune"] == {"max_length": 512}
    assert values["examples"]["validation"] == "dev.csv"


def test_a_lopsided_set_gets_class_weights(here: Path) -> None:
    rows = "".join(f"{text(n)};{'rare' if n % 20 == 0 else 'common'}\n" for n in NUMBERS)
    assert read(written({"a.csv": f"text;label\n{rows}"}))["fine_tune"] == {"class_weights": True}


def test_without_a_checkpoint_the_recipe_says_how_to_get_one(here: Path) -> None:
    path = written(FILES["classification"])
    assert "fine_tune" not in read(path)
    said = path.read_text(encoding="utf-8")
    assert "hf download sentence-transformers/all-MiniLM-L6-v2 --local-dir checkpoints/all-minilm" in said
    assert "`collect` and `pretrain`" in said


def test_tables_that_are_no_text_are_read_too(here: Path) -> None:
    table = pa.table({"body": [one for one, _ in ROWS], "label": [topic for _, topic in ROWS]})
    pq.write_table(table, "tickets.parquet")
    values = read(new(["tickets.parquet"], start_from="", yes=True, force=False))
    assert values["examples"]["columns"] == {"text": "body"}
    splits = read_examples(FilesExamples.model_validate(values["examples"]))
    assert splits.labels == sorted(TOPICS)
    assert not [remark for remark in splits.remarks if remark.startswith("files of examples in")]


def test_folders_of_texts_are_labels(here: Path) -> None:
    files = {f"films/{label}/{n}.txt": f"{text(n)} {label}" for n in range(20) for label in ("pos", "neg")}
    values = read(written(files))["examples"]
    assert values == {
        "kind": "files",
        "task": "classification",
        "train": "films",
        "format": "text",
        "label_from": "folder",
    }


@pytest.mark.parametrize("suffix", [".zip", ".tar.gz"])
def test_folders_of_texts_in_an_archive_are_labels(suffix: str, here: Path) -> None:
    put({f"films/{label}/{n}.txt": f"{text(n)}, {label}, so" for n in range(20) for label in ("pos", "neg")})
    shutil.make_archive("films", {".zip": "zip", ".tar.gz": "gztar"}[suffix], ".", "films")
    path = new([f"films{suffix}"], start_from="", yes=True, force=False)
    assert "labels: neg (20), pos (20)" in path.read_text(encoding="utf-8")
    values = read(path)["examples"]
    told = {"kind": "files", "task": "classification", "format": "text", "label_from": "folder"}
    assert values == told | {"train": f"films{suffix}"}
    assert read_examples(FilesExamples.model_validate(values)).labels == ["neg", "pos"]


def test_an_archive_of_a_table_stays_a_table(here: Path) -> None:
    put({"set/a/tickets.csv": next(iter(FILES["classification"].values()))})
    shutil.make_archive("tickets", "zip", "set")
    values = read(new(["tickets.zip"], start_from="", yes=True, force=False))["examples"]
    assert (values["task"], values["columns"]) == ("classification", {"label": "topic"})


def test_a_title_and_its_text_are_joined_and_that_is_a_question(here: Path) -> None:
    rows = "".join(f'"Order {n}","{one}",{topic}\n' for n, (one, topic) in enumerate(ROWS))
    path = written({"news.csv": f"title,description,topic\n{rows}"})
    assert read(path)["examples"]["columns"] == {"text": ["title", "description"], "label": "topic"}
    said = path.read_text(encoding="utf-8")
    assert "? joined into one text; or description, title, title + description" in said
    assert "texts: 14 words" in said  # of both
    found = read_examples(FilesExamples.model_validate(read(path)["examples"]))
    assert found.examples["train"][0]["text"].startswith("Order ")


def test_a_name_that_means_something_to_yaml_stays_a_name(here: Path) -> None:
    columns = {"text": "a: b", "label": "on"}
    path = written({"y.csv": "a: b,on\n" + "".join(f'"{one}",{topic}\n' for one, topic in ROWS)})
    assert read(path)["examples"]["columns"] == columns
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["examples"]["columns"] == columns


def test_labels_in_comments_stay_in_their_line(here: Path) -> None:
    labels = ["x\u2028name: stolen", "y\u0007" + "z" * 60]
    rows = "".join(json.dumps({"text": text(n), "label": labels[n % 2]}) + "\n" for n in NUMBERS)
    path = written({"a.jsonl": rows})
    assert read(path)["name"] == "a"
    assert "z" * 40 not in path.read_text(encoding="utf-8")


def test_a_recipe_is_never_written_over_unless_that_is_asked_for(here: Path) -> None:
    path = written(FILES["classification"])
    path.write_text("mine", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"tickets\.yaml is there already; give --force"):
        written(FILES["classification"])
    assert path.read_text(encoding="utf-8") == "mine"
    assert read(written(FILES["classification"], force=True))["name"] == "tickets"


def test_the_same_files_give_the_same_bytes(here: Path) -> None:
    first = written(FILES["nested"]).read_bytes()
    assert written(FILES["nested"], force=True).read_bytes() == first


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/Reviews 2026.csv", "reviews-2026"),
        ("data/sst2/train.tsv", "sst2"),
        ("data/sst2/", "sst2"),
        ("corpora/评论.csv", "corpora"),
        ("x/tickets-adapter.jsonl", "tickets"),
    ],
)
def test_a_recipe_is_named_after_its_file_or_folder(path: str, name: str) -> None:
    assert name_of([path]) == name


def test_a_checkpoint_is_a_folder_or_an_address(checkpoint: str) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    hub = (f"google/t5@{commit}", f"bert-base-uncased@{commit}")
    for address in (checkpoint, *hub, "models:/reviews@champion", "models:/reviews/3"):
        assert not fault_of(address)
    assert "without config.json" in fault_of("checkpoints")
    for other in ("google/t5", "minilm", "models:/reviews"):
        assert "no folder here" in fault_of(other)
    with pytest.raises(RecipeError, match=r"--start-from google/t5: no folder here"):
        written(FILES["classification"], start_from="google/t5")


def test_what_is_no_set_of_examples_is_one_error(here: Path) -> None:
    with pytest.raises(CorpusError, match="lines of text without columns"):
        written({"a.txt": "some words\nand some more\n"})
    with pytest.raises(CorpusError, match="no task fits"):
        written({"b.csv": "text,id\n" + "".join(f'"{text(n)}",{n}\n' for n in NUMBERS)})
    with pytest.raises(CorpusError, match="there is no such file"):
        new(["missing.csv"], start_from="", yes=True, force=False)
    assert not list(here.glob("*.yaml"))


def test_on_a_terminal_it_asks_what_is_not_sure(checkpoint: str, here: Path) -> None:
    rows = [{"title": text(n), "body": text(n + 99), "label": n % 2} for n in NUMBERS]
    put({"mail.jsonl": "".join(f"{json.dumps(row)}\n" for row in rows)})
    answers = ["9", "4", "minilm", checkpoint]
    said = "".join(_talk(["new", "mail.jsonl"], answers))
    assert "Which column holds the text?" in said
    assert "minilm: no folder here" in said
    values = read(here / "mail.yaml")
    assert values["examples"]["columns"] == {"text": "title", "second": "body"}
    assert values["fine_tune"] == {"start_from": checkpoint}


def _talk(arguments: list[str], answers: list[str]) -> Iterator[str]:
    """What the command says on a terminal where these lines are typed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "flows", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "TERM": "dumb"},
    )
    os.close(theirs)
    os.write(ours, "".join(f"{answer}\n" for answer in answers).encode())
    try:
        while block := os.read(ours, 4096):
            yield block.decode(errors="replace")
    except OSError:  # the other end was closed
        pass
    finally:
        os.close(ours)
        assert process.wait(timeout=60) == 0
