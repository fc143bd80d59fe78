"""The labelled set: no name gives a label away, and what is too small is left out and named."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.documents import Document, document_id, to_batches, write_shards
from tasks.errors import StageError
from tasks.labels import LabelledSet, LabelsConfig, first_sentence, label_documents, names_pattern

ALIASES = {"numpy": ("np",), "torch": ("pytorch",), "sklearn": ("scikit-learn", "hugging face")}
TEXTS = {
    "numpy": "Use np.mean of NumPy number {}. It is numpy_like, not an input of torch.nn or pandas.",
    "torch": "Train with PyTorch number {}. See TorchScript, is_torch_available and Hugging\n  Face.",
    "sklearn": "Fit Scikit-Learn number {}. It needs sklearn.svm and numpy.",
    "tiny": "Only numpy number {} knows tiny.",
}


def labelled(folder: Path, counts: dict[str, int], **config: Any) -> LabelledSet:
    """The set from that many documents per label; in tens, 6 train, 2 validation and 2 test."""
    documents = [
        Document(TEXTS[label].format(n), "s", f"u{label}{n}", meta={"library": label, "n": str(n)})
        for label, count in counts.items()
        for n in range(count)
    ]
    documents.append(Document("A text without a label.", "s", "u"))
    write_shards(to_batches(documents), folder / "documents")
    splits = [["train", "train", "train", "validation", "test"][n // 2 % 5] for n in range(len(documents))]
    ids = [document_id(document.text) for document in documents]
    pq.write_table(pa.table({"id": ids, "split": splits}), folder / "splits.parquet")
    defaults: dict[str, Any] = {"field": "library", "min_documents": 10, "min_held_out": 2}
    return label_documents(
        folder / "documents", folder / "splits.parquet", LabelsConfig(**(defaults | config))
    )


def texts(found: LabelledSet) -> list[str]:
    return [example["text"] for examples in found.examples.values() for example in examples]


def test_examples_follow_the_division_of_the_corpus(tmp_path: Path) -> None:
    found = labelled(tmp_path, {"numpy": 20, "torch": 10})
    assert found.labels == ["numpy", "torch"]
    assert found.counts() == {
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


def test_names_are_found_in_compounds_and_broken_lines_but_not_inside_words() -> None:
    pattern = names_pattern({"numpy", "np", "hugging face", "C++"})
    hidden = "NumPyArray, my_numpy2, np.sum, np2, NpArray, 使用np计算, Hugging\n    face, c++"
    kept = "input, snp, npm, hugging a face, C+"
    assert pattern.sub("*", hidden) == "*Array, my_*2, *.sum, *2, *Array, 使用*计算, *, *"
    assert pattern.sub("*", kept) == kept


def test_small_labels_are_left_out_and_named(tmp_path: Path) -> None:
    found = labelled(tmp_path, {"numpy": 10, "torch": 20, "tiny": 9})
    assert found.labels == ["numpy", "torch"]
    assert found.left_out == {"tiny": "9 documents, fewer than 10"}


def test_labels_that_can_not_be_judged_are_named(tmp_path: Path) -> None:
    found = labelled(tmp_path, {"numpy": 20, "torch": 20, "sklearn": 10}, min_held_out=3)
    assert found.left_out == {"sklearn": "2 documents in validation, fewer than 3"}


def test_missing_label_and_too_few_labels_are_errors(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"label 'tiny' has 3 documents, fewer than 10; collect more"):
        labelled(tmp_path / "a", {"numpy": 10, "torch": 10, "tiny": 3}, only=("numpy", "torch", "tiny"))
    with pytest.raises(StageError, match=r"label 'jax' has no documents; .*fine_tune\.labels\.only"):
        labelled(tmp_path / "b", {"numpy": 10, "torch": 10}, only=("numpy", "torch", "jax"))
    with pytest.raises(StageError, match=r"1 of meta\.library is large enough.*torch: 9 documents"):
        labelled(tmp_path / "c", {"numpy": 10, "torch": 9})
    with pytest.raises(StageError, match=r"0 of meta\.topic is large enough\. Left out: none"):
        labelled(tmp_path / "d", {"numpy": 10, "torch": 10}, field="topic")


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
    assert sum(first.counts()["numpy"].values()) == 15


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
