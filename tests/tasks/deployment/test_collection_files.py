"""A collection as it is written: what is cut, there twice or too much; and how two lists of hits differ."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors

from model_code.served.collection import PASSAGES, Collection
from tasks.contract.errors import StageError
from tasks.deployment import collection_files
from tasks.deployment.collection_files import MOST_CHARACTERS, CollectionWriter, Searched
from tasks.deployment.parity import difference, difference_of_hits

DIMENSIONS = 4
MAX_LENGTH = 10  # with [CLS], [SEP] and the prompt: seven words


class Form:
    """A model that reads words and whose vectors say how often it was asked."""

    def __init__(self) -> None:
        tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[CLS]": 1, "[SEP]": 2}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        special = [("[CLS]", 1), ("[SEP]", 2)]
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=special
        )
        settings = {"dimensions": DIMENSIONS, "options": {"second_prompt": "passage "}}
        self.graph = SimpleNamespace(settings=settings, max_length=MAX_LENGTH, tokenizer=tokenizer)
        self.asked: list[tuple[str, str]] = []

    def vectors(self, texts: Sequence[tuple[str, str]]) -> list[np.ndarray]:
        self.asked += texts
        return [np.eye(DIMENSIONS, dtype=np.float32)[len(text) % DIMENSIONS] for _, text in texts]


def document(number: int, text: str, license: str | None = None) -> Searched:
    return Searched(f"id{number}", text, "manual", f"/{number}", license)


def test_passages_are_told_by_their_place_and_read_as_second_texts(tmp_path: Path) -> None:
    form = Form()
    paragraphs = [" ".join([word] * 6) for word in ("one", "two", "three")]
    with CollectionWriter(tmp_path / "c", form) as writer:
        writer.add(
            [document(1, "a short one", "CC0"), document(2, "\n\n".join(paragraphs)), document(3, " ")]
        )
        writer.add([document(1, "a short one"), document(4, "x" * (2 * MOST_CHARACTERS))])
    assert (writer.documents, writer.passages) == (3, 5)
    assert {what.split()[1]: count for what, count in writer.remarks.items()} == {
        "longer": 1,
        "whose": 1,
        "without": 1,
    }
    assert form.asked[:4] == [("second", text) for text in ("a short one", *paragraphs)]
    lines = [json.loads(line) for line in (tmp_path / "c" / PASSAGES).read_text("utf-8").splitlines()]
    assert [line["id"] for line in lines] == ["id1", "id2", "id2", "id2", "id4"]
    assert [line["text"] for line in lines[:4]] == ["a short one", *paragraphs]
    assert "\n\n".join(paragraphs)[lines[2]["start"] : lines[2]["end"]] == paragraphs[1]
    assert (lines[0]["license"], lines[1]["license"]) == ("CC0", None)
    assert lines[4]["text"] == "x" * MOST_CHARACTERS + "…"
    assert lines[4]["end"] == 2 * MOST_CHARACTERS
    assert Collection(tmp_path / "c", DIMENSIONS).documents == 3


def test_more_than_an_endpoint_can_search_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collection_files, "MOST_BYTES", 3 * 4 * DIMENSIONS)
    with CollectionWriter(tmp_path / "c", Form()) as writer:
        writer.add([document(n, f"text {n}") for n in range(3)])
        with pytest.raises(
            StageError, match="the collection has more than 3 passages, and an endpoint compares"
        ):
            writer.add([document(3, "one too many")])


def hits(*scores: tuple[str, float], **other: Any) -> list[dict[str, Any]]:
    told = {"source": "s", "uri": "/", "license": None, "start": 0, "end": 1, "text": "t"} | other
    return [{"id": id, "score": score, **told} for id, score in scores]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (hits(("a", 0.9), ("b", 0.5), ("c", 0.4)), 0.0),
        (hits(("a", 0.9), ("c", 0.5), ("b", 0.4)), 0.1),  # in another order
        (hits(("a", 0.9), ("b", 0.5), ("d", 0.3)), 0.1),  # another at the end
        (hits(("z", 0.9), ("b", 0.5), ("c", 0.4)), 0.5),  # another at the beginning
        (hits(("a", 0.9), ("b", 0.5)), None),
        (hits(("a", 0.9), ("b", 0.5), ("c", float("nan"))), None),
        (hits(("a", 0.9), ("b", 0.5), ("c", 0.4), license="MIT"), None),
    ],
)
def test_lists_of_hits_differ_by_what_scores_would_have_to(
    found: list[dict[str, Any]], expected: float | None
) -> None:
    given = hits(("a", 0.9), ("b", 0.5), ("c", 0.4))
    for pair in ((given, found), (found, given)):
        assert difference_of_hits(*pair) == (expected if expected is None else pytest.approx(expected))
        assert (difference(*({"hits": of} for of in pair)) is None) == (expected is None)
