"""Planted duplicates, English and Chinese, are found; texts that differ are left alone."""

import random

import numpy as np
import numpy.typing as npt
import pytest

from tasks.cleaning.duplicates import Duplicates, find_duplicates
from tasks.cleaning.kernel import minhash
from tasks.cleaning.words import shingles, units
from tasks.documents import document_id

HAN = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
WORDS = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in "lmnrstxz"]


def search(texts: list[str], threshold: float = 0.8, uris: list[str] | None = None) -> Duplicates:
    signatures: npt.NDArray[np.uint32] = minhash(
        [np.unique(s) for s in shingles([units(t) for t in texts])], seed=0
    )
    uris = uris or [f"u{number:05}" for number in range(len(texts))]
    return find_duplicates(
        [document_id(t) for t in texts], uris, [len(t) for t in texts], signatures, threshold
    )


@pytest.mark.parametrize(("alphabet", "joint"), [(WORDS, " "), (HAN, "")])
def test_planted_near_duplicates(alphabet: list[str], joint: str) -> None:
    rng = random.Random(1)
    originals = [rng.choices(alphabet, k=200) for _ in range(150)]
    copies = [[*original[:100], rng.choice(alphabet), *original[101:], "x"] for original in originals]
    found = search([joint.join(text) for text in originals + copies])
    planted = [(found.kept[row], found.kept[row + 150]) for row in range(150)]
    recall = sum(first == second for first, second in planted) / 150
    assert recall >= 0.99
    assert len({first for first, _ in planted}) == 150  # no two originals became one
    assert all(kept >= 150 for kept, second in planted if kept == second)  # the copy is longer


def test_exact_duplicates_ignore_white_space_and_keep_the_first_uri() -> None:
    found = search(["one text of its own", "some  shared\ntext here", "some shared text here"], threshold=1)
    assert found.kept.tolist() == [0, 1, 1]  # the longer spelling
    assert found.exact.all()
    assert search(["same text", "same text"]).kept.tolist() == [0, 0]
    assert search(["same text", "same text", "same text", "b"]).cluster_sizes() == {3: 1}


def test_the_answer_does_not_depend_on_order() -> None:
    rng = random.Random(2)
    base = rng.choices(WORDS, k=120)
    texts = [" ".join([*base[:cut], *rng.choices(WORDS, k=4), *base[cut + 4 :]]) for cut in range(0, 110, 10)]
    uris = [f"u{number}" for number in range(len(texts))]
    kept = {texts[row] for row in search(texts, uris=uris).kept}
    shuffled = rng.sample(range(len(texts)), len(texts))
    other = search([texts[i] for i in shuffled], uris=[uris[i] for i in shuffled])
    assert {texts[shuffled[row]] for row in other.kept} == kept
    assert len(kept) < len(texts)


def test_nothing_to_compare() -> None:
    empty = find_duplicates([], [], [], np.empty((0, 128), np.uint32), 0.8)
    assert empty.kept.tolist() == []
