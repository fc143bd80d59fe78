"""The stage: what it writes and says, and when it runs anew."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.documents import Document, document_id, to_batches, write_shards
from corpus.errors import CorpusError
from corpus.examples.config import DocumentsExamples, FilesExamples
from tasks.contract.artifact import Artifact
from tasks.contract.run import Run
from tasks.contract.store import Store
from tasks.examples import example_files, examples
from tests.model_code.checkpoints import tokenizer_of
from tests.published import publish

CONFIG = FilesExamples(
    task="classification", train="train.tsv", header=False, columns={"text": 1, "label": 2}
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "train.tsv").write_text(
        "".join(f"第{n}个文本\t{n % 2}\n" for n in range(40)), encoding="utf-8"
    )


def made(config: FilesExamples, run: Run) -> Artifact:
    return examples.fn(example_files(config), None, None, config, run)


def test_files_become_splits_and_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = Run(tmp_path / "home")
    folder = run.store.path(made(CONFIG, run))
    lines = [
        (folder / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
        for split in ("train", "validation", "test")
    ]
    assert [len(split) for split in lines] == [32, 4, 4]
    assert lines[0][0] == '{"id": "train.tsv:1", "text": "第0个文本", "label": "0"}'
    assert json.loads((folder / "report.json").read_text(encoding="utf-8")) == {
        "task": "classification",
        "labels": ["0", "1"],
        "counts": {"train": 32, "validation": 4, "test": 4},
        "label_counts": {
            "0": {"train": 16, "validation": 2, "test": 2},
            "1": {"train": 16, "validation": 2, "test": 2},
        },
        "remarks": {
            "training examples that repeat another": 0,
            "training inputs with several answers": 0,
            "validation examples whose input is in training": 0,
            "test examples whose input is in training": 0,
            "labels that no test example has": 0,
        },
        "left_out": {},
    }
    said = capsys.readouterr().out
    assert "32 train examples, 4 validation examples, 4 test examples; labels: 0 (20), 1 (20)" in said
    assert "repeat" not in said


def test_tags_are_counted_by_word_and_entities_by_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "New B-LOC\nYork I-LOC\nmet O\nAnn B-PER\nin O\nRome B-LOC\n{n} O\n\n"
    (tmp_path / "train.conll").write_text("".join(sentence.format(n=n) for n in range(10)), encoding="utf-8")
    run = Run(tmp_path / "home")
    made_of_tags = made(FilesExamples(task="token_classification", train="train.conll"), run)
    report = json.loads((run.store.path(made_of_tags) / "report.json").read_text(encoding="utf-8"))
    assert {tag: sum(of.values()) for tag, of in report["label_counts"].items()} == {
        "B-LOC": 20,
        "B-PER": 10,
        "I-LOC": 10,
        "I-PER": 0,
        "O": 30,
    }
    assert report["entity_counts"]["LOC"] == {"train": 16, "validation": 2, "test": 2}
    assert report["remarks"]["labels that no test example has"] == 1
    manifest = run.store.manifest("examples", made_of_tags.key)
    assert manifest is not None
    assert (manifest.counts["train entities"], manifest.counts["test entities"]) == (24, 3)
    assert "1 test examples; entities: LOC (20), PER (10)" in capsys.readouterr().out


def test_a_changed_file_makes_it_run_anew(tmp_path: Path) -> None:
    run = Run(tmp_path / "home")
    first = made(CONFIG, run)
    assert made(CONFIG, run) == first
    with (tmp_path / "train.tsv").open("a", encoding="utf-8") as file:
        file.write("第0个文本\t1\n")
    second = made(CONFIG, run)
    assert second.key != first.key
    report = json.loads((run.store.path(second) / "report.json").read_text(encoding="utf-8"))
    assert report["remarks"]["training inputs with several answers"] == 1


def test_a_file_that_is_gone_is_said_before_anything_runs() -> None:
    with pytest.raises(CorpusError, match=r"examples: nothing matches 'no\.tsv'; give an existing file"):
        example_files(CONFIG.model_copy(update={"test": "no.tsv"}))


def corpus_of(documents: list[Document], splits: list[str], store: Store) -> tuple[Artifact, Artifact]:
    """A cleaned corpus, and its division with RoBERTa's tokenizer."""
    directory = store.begin("clean", "c" * 64)
    write_shards(to_batches(documents), directory / "documents")
    cleaned = publish(store, directory, "clean", "c" * 64)
    directory = store.begin("tokenize", "d" * 64)
    ids = [document_id(document.text) for document in documents]
    (directory / "tokenizer").mkdir()
    tokenizer_of("roberta").save(str(directory / "tokenizer" / "tokenizer.json"))
    pq.write_table(pa.table({"id": ids, "split": splits}), directory / "splits.parquet")
    return cleaned, publish(store, directory, "tokenize", "d" * 64)


def test_documents_become_examples_in_the_division_of_the_corpus(tmp_path: Path) -> None:
    run = Run(tmp_path / "home")
    documents = [Document(f"Return the mean of {n}. Then take it.", "s", f"u{n}") for n in range(10)]
    cleaned, tokens = corpus_of(documents, [*["train"] * 8, "validation", "test"], Store(tmp_path / "home"))
    columns = {"source": "rest", "target": "first_sentence"}
    config = DocumentsExamples(task="seq2seq", columns=columns)
    assert example_files(config) is None
    folder = run.store.path(examples.fn(None, cleaned, tokens, config, run))
    assert json.loads((folder / "test.jsonl").read_text(encoding="utf-8")) == {
        "id": document_id(documents[9].text),
        "source": "Then take it.",
        "target": "Return the mean of 9.",
    }


def test_names_are_hidden_by_the_mask_token_of_the_corpus_tokenizer(tmp_path: Path) -> None:
    run, names = Run(tmp_path / "home"), ["numpy", "torch"]
    documents = [
        Document(f"Take {n} of {names[n % 2]}.", "s", "u", meta={"of": names[n % 2]}) for n in range(12)
    ]
    cleaned, tokens = corpus_of(
        documents, [*["train"] * 8, *["validation"] * 2, *["test"] * 2], Store(tmp_path / "home")
    )
    config = DocumentsExamples(
        task="classification", columns={"label": "of"}, mask_names=True, min_documents=4, min_held_out=1
    )
    folder = run.store.path(examples.fn(None, cleaned, tokens, config, run))
    lines = (folder / "test.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(line)["text"] for line in lines) == ["Take 10 of <mask>.", "Take 11 of <mask>."]
