"""Examples of documents: no name gives a label away, and what is too small is left out and named."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.documents import Document, document_id, to_batches, write_shards
from corpus.errors import CorpusError
from corpus.examples.config import DocumentsExamples
from corpus.examples.from_documents import document_examples, first_sentence
from corpus.examples.splits import Splits

ALIASES = {"numpy": ("np",), "torch": ("pytorch",), "sklearn": ("scikit-learn", "hugging face")}
TEXTS = {
    "numpy": "Use np.mean of NumPy number {}. It is numpy_like, not an input of torch.nn or pandas.",
    "torch": "Train with PyTorch number {}. See TorchScript, is_torch_available and Hugging\n  Face.",
    "sklearn": "Fit Scikit-Learn number {}. It needs sklearn.svm and numpy.",
    "tiny": "Only numpy number {} knows tiny.",
}


def made_of(folder: Path, documents: list[Document], **config: Any) -> Splits:
    """Examples of documents; of ten in a row 6 are for training, 2 for validation and 2 for the test."""
    write_shards(to_batches(documents), folder / "documents")
    splits = [["train", "train", "train", "validation", "test"][n // 2 % 5] for n in range(len(documents))]
    ids = [document_id(document.text) for document in documents]
    pq.write_table(pa.table({"id": ids, "split": splits}), folder / "splits.parquet")
    return document_examples(folder / "documents", folder / "splits.parquet", DocumentsExamples(**config))


def labelled(folder: Path, counts: dict[str, int], **config: Any) -> Splits:
    """The set from that many documents per label; in tens, 6 train, 2 validation and 2 test."""
    documents = [
        Document(TEXTS[label].format(n), "s", f"u{label}{n}", meta={"library": label, "n": str(n)})
        for label, count in counts.items()
        for n in range(count)
    ]
    documents.append(Document("A text without a label.", "s", "u"))
    defaults: dict[str, Any] = {"columns": {"label": "library"}, "min_documents": 10, "min_held_out": 2}
    return made_of(folder, documents, task="classification", **(defaults | config))


def sizes(found: Splits) -> dict[str, Counter[str]]:
    """Examples of each label by split."""
    by_label: dict[str, Counter[str]] = {label: Counter() for label in found.labels}
    for split, examples in found.examples.items():
        for example in examples:
            by_label[example["label"]][split] += 1
    return by_label


def texts(found: Splits) -> list[str]:
    return [example["text"] for examples in found.examples.values() for example in examples]


def test_examples_follow_the_division_of_the_corpus(tmp_path: Path) -> None:
    found = labelled(tmp_path, {"numpy": 20, "torch": 10})
    assert found.labels == ["numpy", "torch"]
    assert sizes(found) == {
        "numpy": {"train": 12, "validation": 4, "test": 4},
        "torch": {"train": 6, "validation": 2, "test": 2},
    }
    assert all(set(example) == {"id", "text", "label"} for example in found.examples["train"])
    assert TEXTS["torch"].format(3) in texts(found)


@pytest.mark.parametrize("summaries", [False, True])
def test_no_name_of_any_label_is_left(tmp_path: Path, summaries: bool) -> None:
    counts = {"numpy": 10, "torch": 10, "sklearn": 10, "tiny": 3}
    found = labelled(tmp_path, counts, mask_names=True, aliases=ALIASES, summaries=summaries)
    told = re.compile(r"numpy|\bnp\b|torch|scikit|sklearn|hugging\s+face", re.I)
    assert [text for text in texts(found) if told.search(text)] == []
    assert {text.count("[MASK]") for text in texts(found)} <= {1, 2, 3, 4}
    # "np" is not taken out of "input", and what is no label stays.
    assert any("an input of [MASK].nn or pandas" in text for text in texts(found))


def test_small_labels_are_left_out_and_named(tmp_path: Path) -> None:
    found = labelled(tmp_path, {"numpy": 10, "torch": 20, "tiny": 9})
    assert found.labels == ["numpy", "torch"]
    assert found.left_out == {"tiny": "9 documents, fewer than 10"}


def test_labels_that_can_not_be_judged_are_named(tmp_path: Path) -> None:
    found = labelled(tmp_path, {"numpy": 20, "torch": 20, "sklearn": 10}, min_held_out=3)
    assert found.left_out == {"sklearn": "2 documents in validation, fewer than 3"}


def test_missing_label_and_too_few_labels_are_errors(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"label 'tiny' has 3 documents, fewer than 10; collect more"):
        labelled(tmp_path / "a", {"numpy": 10, "torch": 10, "tiny": 3}, only=("numpy", "torch", "tiny"))
    with pytest.raises(CorpusError, match=r"label 'jax' has no documents; .*examples\.only"):
        labelled(tmp_path / "b", {"numpy": 10, "torch": 10}, only=("numpy", "torch", "jax"))
    with pytest.raises(CorpusError, match=r"1 of library is large enough.*torch: 9 documents"):
        labelled(tmp_path / "c", {"numpy": 10, "torch": 9})
    with pytest.raises(CorpusError, match=r"0 of topic is large enough\. Left out: none"):
        labelled(tmp_path / "d", {"numpy": 10, "torch": 10}, columns={"label": "topic"})


def test_only_the_named_labels_are_used(tmp_path: Path) -> None:
    counts = {"numpy": 10, "torch": 10, "sklearn": 10}
    assert labelled(tmp_path, counts, only=("sklearn", "numpy")).labels == ["numpy", "sklearn"]


def test_large_labels_are_sampled_the_same_way_every_time(tmp_path: Path) -> None:
    counts = {"numpy": 40, "torch": 10}
    first, second, other = (
        labelled(tmp_path / name, counts, max_documents=15, seed=seed)
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == second != other
    assert sum(sizes(first)["numpy"].values()) == 15


def test_first_sentences_are_added_to_train_alone(tmp_path: Path) -> None:
    found = labelled(tmp_path, {"numpy": 10, "torch": 10}, summaries=True)
    assert {split: len(examples) for split, examples in found.examples.items()} == {
        "train": 24,
        "validation": 4,
        "test": 4,
    }
    summaries = [e["text"] for e in found.examples["train"] if e["text"].endswith(("number 1.",))]
    assert sorted(summaries) == ["Train with PyTorch number 1.", "Use np.mean of NumPy number 1."]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Return the mean.  See also: x.", "Return the mean."),
        ("Use np.mean(x, 0.5) here! Then", "Use np.mean(x, 0.5) here!"),
        ("One\n  line\n\nnext paragraph", "One line"),
        ("这个库计算平均值。它也很快。", "这个库计算平均值。"),
        ("  no end", "no end"),
        ("", ""),
    ],
)
def test_first_sentence(text: str, first: str) -> None:
    assert first_sentence(text) == first


PARTS = [
    "Return the mean of an array.  It is taken along an axis, or over all of them.",
    "Short. No",
    "A text of one sentence alone.",
]


def pairs(folder: Path, **config: Any) -> Splits:
    """Pairs from ten documents that are of the shapes of `PARTS`, one after the other."""
    documents = [
        Document(f"{PARTS[n % 3]} Number {n}" if n % 3 == 0 else f"{PARTS[n % 3][:-1]}{n}.", "s", f"u{n}")
        for n in range(30)
    ]
    columns = {"source": "rest", "target": "first_sentence"}
    return made_of(folder, documents, task="seq2seq", **({"columns": columns} | config))


def test_pairs_are_the_first_sentence_and_the_rest(tmp_path: Path) -> None:
    found = pairs(tmp_path, min_words={"source": 3}, max_words={"target": 6})
    assert {split: len(examples) for split, examples in found.examples.items()} == {
        "train": 6,
        "validation": 2,
        "test": 2,
    }
    assert {example["target"] for examples in found.examples.values() for example in examples} == {
        "Return the mean of an array."
    }
    first = min((e for e in found.examples["train"]), key=lambda example: len(example["source"]))
    assert first["source"].startswith("It is taken along an axis, or over all of them. Number ")
    assert {remark: count for remark, count in found.remarks.items() if count} == {
        "documents with fewer than 3 words in rest": 10,
        "documents without rest": 10,
    }
    assert found.labels == []


def test_what_no_document_offers_is_an_error(tmp_path: Path) -> None:
    offered = r"20 documents without summary.*A document offers text, first_sentence"
    with pytest.raises(CorpusError, match=offered):
        pairs(tmp_path / "a", columns={"source": "rest", "target": "summary"})
    with pytest.raises(CorpusError, match=r"columns names 'first', which is no field.*source, target"):
        pairs(tmp_path / "b", columns={"first": "rest", "target": "first_sentence"})


def test_training_examples_can_be_limited(tmp_path: Path) -> None:
    all_of_them, some = (pairs(tmp_path / str(limit), limit=limit).examples for limit in (0, 4))
    assert len(some["train"]) == 4
    assert all(example in all_of_them["train"] for example in some["train"])
    assert some["test"] == all_of_them["test"]


def tagged(folder: Path, values: list[Any], task: str, field: str, **config: Any) -> Splits:
    """Thirty documents whose meta holds the values in turn under `tags`; without it where one is `...`."""
    documents = [
        Document(
            f"Text number {n}",
            "s",
            f"file#{n}",
            meta={} if (value := values[n % len(values)]) is ... else {"tags": value},
        )
        for n in range(30)
    ]
    options = {"columns": {field: "tags"}, "min_documents": 4, "min_held_out": 1} | config
    return made_of(folder, documents, task=task, **options)


def test_values_of_meta_are_labels_as_those_of_files_are(tmp_path: Path) -> None:
    lists = ["billing, urgent", ["billing", "urgent"], [], ..., "['urgent', 'billing']"]
    found = tagged(tmp_path / "a", lists, "multi_label", "labels")
    assert found.labels == ["billing", "urgent"]
    assert found.remarks["documents without tags"] == 6
    assert {tuple(e["labels"]) for e in found.examples["train"]} == {(), ("billing", "urgent")}
    found = tagged(tmp_path / "b", [2.0, 0, float("nan"), "2", 0, ""], "classification", "label")
    assert (found.labels, found.remarks["documents without tags"]) == (["0", "2"], 10)
    found = tagged(tmp_path / "c", [True, False], "classification", "label")
    assert found.labels == ["false", "true"]
    found = tagged(
        tmp_path / "d",
        ["cafe\u0301 ", "th\u00e9", "caf\u00e9"],
        "classification",
        "label",
        only=("cafe\u0301", "thé"),
    )
    assert found.labels == ["café", "thé"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["a", ["b"]], r"file#1 \(document [0-9a-f]{32}\): 'label' holds list, not one label"),
        (["a", {"b": 1}], r"file#1 .*holds dict, not one label"),
        (["a", "nan"], r"file#1 .*holds 'nan', which libraries print"),
        (["a", "2026-01-02"], r"file#1 .*a date and not a label"),
        (["2", "2.0"], r"the label '2.0' \(ASCII\) looks like '2' \(ASCII\) of file#0"),
    ],
)
def test_what_is_no_label_names_its_document(tmp_path: Path, values: list[Any], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        tagged(tmp_path, values, "classification", "label")


def test_a_text_of_several_parts_counts_as_one_and_needs_all(tmp_path: Path) -> None:
    metas = [{"topic": n % 2} | ({"title": "A b"} if n else {}) for n in range(20)]
    found = made_of(
        tmp_path,
        [Document(f"One two {n}.", "s", f"u{n}", meta=meta) for n, meta in enumerate(metas)],
        task="classification",
        columns={"text": ["title", "text"], "label": "topic"},
        label_names={"0": "even", "1": "odd"},
        min_words={"text": 5},
        min_documents=4,
        min_held_out=1,
    )
    assert {text.partition("\n")[0] for text in texts(found)} == {"A b"}
    assert (len(texts(found)), found.labels) == (19, ["even", "odd"])
    assert found.remarks["documents without title"] == 1
