"""Search in a collection: what is nearest, of equals the first, and what is no collection."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from model_code.served import collection
from model_code.served.collection import LINES, MOST_HITS, PASSAGES, STARTS, VECTORS, Collection

DIMENSIONS = 24


def written(folder: Path, vectors: np.ndarray, sizes: list[int]) -> Path:
    """A collection of documents with so many passages each."""
    folder.mkdir(exist_ok=True)
    vectors.astype("<f4").tofile(folder / VECTORS)
    lines, of = [], [number for number, size in enumerate(sizes) for _ in range(size)]
    for place, number in enumerate(of):
        told = {"id": f"d{number}", "source": "s", "uri": f"/d/{number}", "license": None}
        line = {**told, "start": place, "end": place + 1, "text": f"看 {place}"}
        lines.append(json.dumps(line, ensure_ascii=False).encode() + b"\n")
    (folder / PASSAGES).write_bytes(b"".join(lines))
    np.save(folder / LINES, np.cumsum([0, *map(len, lines)], dtype="<i8"))
    np.save(folder / STARTS, np.cumsum([0, *sizes], dtype="<i8"))
    return folder


def units(rng: np.random.Generator, count: int) -> np.ndarray:
    vectors = rng.standard_normal((count, DIMENSIONS)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("rows", [1, 7, 64, 100_000])
def test_it_finds_what_a_look_at_every_passage_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(collection, "ROWS", rows)
    rng = np.random.default_rng(rows)
    sizes = [int(size) for size in rng.integers(1, 9, 150)] + [300, 1]
    vectors, questions = units(rng, sum(sizes)), units(rng, 5)
    made = Collection(written(tmp_path / "c", vectors, sizes), DIMENSIONS)
    assert made.documents == len(sizes)
    ends, counts = np.cumsum(sizes), [1, 3, 10, 99, 100]
    for question, hits, count in zip(questions, made.nearest(questions, counts), counts, strict=True):
        cosines = vectors.astype(np.float64) @ question
        best = [
            end - size + np.argmax(cosines[end - size : end]) for size, end in zip(sizes, ends, strict=True)
        ]
        wanted = sorted(range(len(sizes)), key=lambda number: -cosines[best[number]])[:count]
        assert [hit["id"] for hit in hits] == [f"d{number}" for number in wanted]
        assert [hit["start"] for hit in hits] == [best[number] for number in wanted]
        assert [hit["score"] for hit in hits] == pytest.approx([cosines[best[n]] for n in wanted], abs=1e-6)
        assert list(hits[0]) == ["id", "score", "source", "uri", "license", "start", "end", "text"]
        assert hits[0]["text"] == f"看 {hits[0]['start']}"


def test_of_equals_the_first_come_and_there_are_no_more_than_documents(tmp_path: Path) -> None:
    one = units(np.random.default_rng(1), 1)
    made = Collection(written(tmp_path / "c", np.repeat(one, 40, axis=0), [2] * 20), DIMENSIONS)
    (few, all_of_them) = made.nearest(np.repeat(one, 2, axis=0), [3, MOST_HITS])
    assert [(hit["id"], hit["start"]) for hit in few] == [("d0", 0), ("d1", 2), ("d2", 4)]
    assert [hit["id"] for hit in all_of_them] == [f"d{number}" for number in range(20)]
    assert few[0]["score"] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("of_vectors", [np.zeros((4, DIMENSIONS)), np.full((4, DIMENSIONS), np.nan)])
def test_what_is_no_vector_is_refused(tmp_path: Path, of_vectors: np.ndarray) -> None:
    with pytest.raises(ValueError, match="f32: vectors that are not of length 1"):
        Collection(written(tmp_path / "c", of_vectors, [2, 2]), DIMENSIONS)


@pytest.mark.parametrize("file", [VECTORS, PASSAGES])
def test_files_that_do_not_belong_together_are_refused(tmp_path: Path, file: str) -> None:
    folder = written(tmp_path / "c", units(np.random.default_rng(2), 4), [2, 2])
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: -4 * DIMENSIONS])
    with pytest.raises(ValueError, match="its files don't belong together"):
        Collection(folder, DIMENSIONS)


def test_vectors_of_another_model_are_refused(tmp_path: Path) -> None:
    folder = written(tmp_path / "c", units(np.random.default_rng(3), 4), [2, 2])
    with pytest.raises(ValueError, match="its rows have not 25 numbers each"):
        Collection(folder, DIMENSIONS + 1)
