"""Signatures estimate the similarity of shingle sets as well as theory says, the same on every machine."""

import random

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from corpus.cleaning.config import DuplicatesConfig
from corpus.cleaning.duplicates.minhash import EMPTY, SHINGLE_UNITS, shingle_sets, signatures
from corpus.cleaning.text.text_units import unit_hashes, units

WORDS = [f"{a}{b}{c}" for a in "bdfgklmn" for b in "aeiou" for c in "lmnrstxz"]
HAN = [chr(code) for code in range(0x4E00, 0x4E00 + 2000)]


def signed(texts: list[str], **config: int) -> npt.NDArray[np.uint32]:
    return signatures(*unit_hashes(pa.array(texts, pa.string())), DuplicatesConfig(**config))


def jaccard(first: str, second: str) -> float:
    sets = []
    for text in (first, second):
        found = units(text)
        sets.append(
            {tuple(found[i : i + SHINGLE_UNITS]) for i in range(max(len(found) - SHINGLE_UNITS + 1, 1))}
        )
    return len(sets[0] & sets[1]) / len(sets[0] | sets[1])


@pytest.mark.parametrize(("alphabet", "joint"), [(WORDS, " "), (HAN, "")])
@pytest.mark.parametrize("changed", [0.02, 0.1])
def test_estimates_have_the_mean_and_spread_of_theory(
    alphabet: list[str], joint: str, changed: float
) -> None:
    rng = random.Random(1)
    originals = [rng.choices(alphabet, k=150) for _ in range(400)]
    copies = [[rng.choice(alphabet) if rng.random() < changed else unit for unit in o] for o in originals]
    first, second = ([joint.join(text) for text in side] for side in (originals, copies))
    true = np.array([jaccard(*pair) for pair in zip(first, second, strict=True)])
    error = (signed(first) == signed(second)).mean(axis=1) - true
    expected = np.sqrt((true * (1 - true) / 128).mean())
    # A multiplication that overflowed into 64 bits would leave the minima in the lowest permutations.
    assert abs(error.mean()) < 4 * expected / np.sqrt(len(true))
    assert 0.85 * expected < error.std() < 1.15 * expected


def test_places_are_spread_over_all_of_32_bits() -> None:
    least = signed([" ".join(random.Random(n).choices(WORDS, k=5)) for n in range(500)])
    assert least.dtype == np.uint32
    assert 0.48 < least.mean() / 2**32 < 0.52  # one shingle each: uniform
    assert np.unique(least).size > 0.99 * least.size


def test_signatures_are_those_of_every_machine() -> None:
    assert signed(["one two three four five six", "中文文本去重测试"], permutations=16)[:, :2].tolist() == [
        [1084764526, 1841249298],
        [97618323, 2334033929],
    ]


def test_a_short_text_is_one_shingle_and_an_empty_one_none() -> None:
    sets, bounds = shingle_sets(
        *unit_hashes(pa.array(["", "a", "a b c d e", "a b c d e f", "a a a a a a a"]))
    )
    assert np.diff(bounds).tolist() == [0, 1, 1, 2, 1]
    assert sets[2] < sets[3]  # both of one text, sorted
    assert (signed(["..."]) == EMPTY).all()
    assert not (signed(["a"]) == signed(["b"])).any()


def test_the_seed_draws_other_permutations_and_more_extend_fewer() -> None:
    text = [" ".join(WORDS[:50])]
    assert not (signed(text, seed=1) == signed(text, seed=2)).any()
    assert (signed(text, permutations=64) == signed(text)[:, :64]).all()
