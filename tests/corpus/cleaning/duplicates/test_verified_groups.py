"""Planted duplicates, English and Chinese, are found; the right one of a cluster is kept."""

import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest

from corpus.cleaning.config import DuplicatesConfig
from corpus.cleaning.duplicates import candidates, verified_groups
from corpus.cleaning.duplicates.candidates import bands_and_rows
from corpus.cleaning.duplicates.document_features import write_features
from corpus.cleaning.duplicates.minhash import shingle_sets, signatures
from corpus.cleaning.duplicates.verified_groups import Clusters, find_clusters
from corpus.cleaning.text.text_units import unit_hashes
from corpus.documents import document_id
from corpus.errors import CorpusError

HAN = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
WORDS = [f"{a}{b}{c}{d}" for a in "bdfgklmn" for b in "aeiou" for c in "lmnrstxz" for d in "aeiou"]

Search = Callable[..., Clusters]


@pytest.fixture
def search(tmp_path: Path) -> Search:
    """Writes the features of texts, cut into shards, and finds their clusters."""

    def run(
        texts: Sequence[str],
        uris: Sequence[str] | None = None,
        trust: Sequence[int] | None = None,
        shards: int = 3,
        **config: float,
    ) -> Clusters:
        settings = DuplicatesConfig.model_validate(config)
        uris, trust = uris or [f"u{row:05}" for row in range(len(texts))], trust or [0] * len(texts)
        paths, held = [], []
        for shard, rows in enumerate(np.array_split(np.arange(len(texts)), shards)):
            part = pa.array([texts[row] for row in rows], pa.string())
            # Every other row of the stored shard is a document that a filter dropped.
            held.append(pa.array([text for row in rows for text in ("dropped", texts[row])], pa.string()))
            paths.append(tmp_path / f"part-{shard:05}.arrow")
            write_features(
                paths[-1],
                rows=2 * np.arange(len(rows)) + 1,
                ids=[document_id(texts[row]) for row in rows],
                uris=pa.array([uris[row] for row in rows], pa.string()),
                lengths=np.array([len(texts[row]) for row in rows], np.int64),
                trust=np.array([trust[row] for row in rows], np.int32),
                signatures=signatures(*unit_hashes(part), settings),
            )

        def read_texts(shard: int, rows: npt.NDArray[np.int64]) -> pa.StringArray:
            assert (np.diff(rows) > 0).all()
            return held[shard].take(pa.array(rows))

        clusters = find_clusters(paths, read_texts, settings, tmp_path)
        assert sorted(tmp_path.iterdir()) == paths  # nothing is left behind
        return clusters

    return run


def planted(alphabet: list[str], joint: str, pairs: int) -> tuple[list[str], npt.NDArray[np.float64]]:
    """Originals, then a changed copy of each, and the true similarity of each pair: 0.7 to 1."""
    rng = random.Random(1)
    originals = [rng.choices(alphabet, k=rng.choice((60, 150, 400))) for _ in range(pairs)]
    copies = [list(original) for original in originals]
    for copy in copies:
        for place in rng.sample(range(len(copy)), rng.randrange(1, max(2, round(0.04 * len(copy))))):
            copy[place] = rng.choice(alphabet)
    texts = [joint.join(text) for text in originals + copies]
    sets, bounds = shingle_sets(*unit_hashes(pa.array(texts)))
    sizes = np.diff(bounds)
    common = [
        len(np.intersect1d(*(sets[bounds[row] : bounds[row + 1]] for row in (first, first + pairs))))
        for first in range(pairs)
    ]
    return texts, common / (sizes[:pairs] + sizes[pairs:] - common)


@pytest.mark.parametrize(("alphabet", "joint"), [(WORDS, " "), (HAN, "")])
@pytest.mark.parametrize("near", [0.8, 0.9])
def test_planted_pairs_are_found_and_no_others(
    search: Search, alphabet: list[str], joint: str, near: float
) -> None:
    texts, true = planted(alphabet, joint, pairs=1500)
    clusters = search(texts, near=near)
    found = clusters.representative[:1500] == clusters.representative[1500:]
    assert (found & (true >= near)).sum() / (true >= near).sum() >= 0.99  # recall
    assert (found & (true >= near)).sum() / found.sum() >= 0.995  # precision
    assert ((true > near - 0.1) & (true < near)).sum() > 50  # there was something to be mistaken about
    stated = np.minimum(clusters.similarity[:1500], clusters.similarity[1500:])[found]
    assert np.abs(stated - true[found]).max() < 0.15  # four standard deviations
    assert len(set(clusters.representative[:1500].tolist())) == 1500  # no two originals became one


def test_parts_pieces_and_shards_do_not_show(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    texts, _ = planted(WORDS, " ", pairs=200)
    texts += texts[:50]
    whole = search(texts)
    monkeypatch.setattr(candidates, "ROWS_AT_ONCE", 37)
    monkeypatch.setattr(verified_groups, "ROWS_AT_ONCE", 37)
    monkeypatch.setattr(verified_groups, "_CHARACTERS_AT_ONCE", 1000)
    parts = search(texts, shards=11)
    for name in ("representative", "similarity", "exact"):
        assert np.array_equal(getattr(whole, name), getattr(parts, name))


def test_the_most_trusted_then_the_longest_then_the_first_uri_is_kept(search: Search) -> None:
    base = WORDS[:100]
    texts = [" ".join(base), " ".join([*base, "x"]), " ".join(base), " ".join([*base, "y"])]
    assert search(texts, trust=[0, 1, 1, 1]).representative.tolist() == [0] * 4
    assert search(texts, uris=["a", "d", "c", "b"]).representative.tolist() == [3] * 4
    clusters = search(texts, uris=["a", "b", "c", "d"])
    assert clusters.representative.tolist() == [1] * 4
    assert clusters.kept.tolist() == [False, True, False, False]


def test_equal_ids_are_exact_duplicates_whatever_the_threshold(search: Search) -> None:
    texts = ["one text of its own", "some  shared\ntext here", "some shared text here", "...", "...", "!!!"]
    clusters = search(texts, near=1)
    assert clusters.representative.tolist() == [0, 1, 1, 3, 3, 5]  # the longer spelling
    assert clusters.exact.tolist() == [False, False, True, False, True, False]
    near = search(texts)  # texts without units resemble nothing
    assert near.representative.tolist() == clusters.representative.tolist()
    assert near.exact.tolist() == clusters.exact.tolist()


def test_an_exact_duplicate_of_a_near_duplicate_is_a_near_one(search: Search) -> None:
    longer, shorter = " ".join([*WORDS[:100], "x"]), " ".join(WORDS[:100])
    clusters = search([shorter, shorter, longer, longer])
    assert clusters.representative.tolist() == [2] * 4
    assert clusters.exact.tolist() == [False, False, False, True]
    assert clusters.similarity.tolist() == pytest.approx([96 / 97, 96 / 97, 1, 1], abs=0.05)


def test_whoever_is_dropped_is_like_its_representative_and_no_two_kept_are_alike(search: Search) -> None:
    rng = random.Random(2)
    text = rng.choices(WORDS, k=150)
    drifting = []
    for _ in range(120):  # each is like the last, the last is nothing like the first
        text[rng.randrange(150)] = rng.choice(WORDS)
        drifting.append(" ".join(text))
    sets, bounds = shingle_sets(*unit_hashes(pa.array(drifting)))
    each = [set(sets[a:b].tolist()) for a, b in pairwise(bounds)]

    def alike(one: int, other: int) -> float:
        return len(each[one] & each[other]) / len(each[one] | each[other])

    clusters = search(drifting)
    kept = np.flatnonzero(clusters.kept).tolist()
    assert 3 < len(kept) < 60
    assert all(alike(row, int(clusters.representative[row])) >= 0.8 for row in range(120))
    assert all(alike(one, other) < 0.8 for one in kept for other in kept if one != other)


def test_the_answer_does_not_depend_on_order(search: Search) -> None:
    texts, _ = planted(HAN, "", pairs=100)
    uris = [f"u{row}" for row in range(len(texts))]
    clusters = search(texts, uris=uris)
    shuffled = random.Random(3).sample(range(len(texts)), len(texts))
    other = search([texts[row] for row in shuffled], uris=[uris[row] for row in shuffled])
    stands_for = {shuffled[row]: shuffled[kept] for row, kept in enumerate(other.representative)}
    assert [stands_for[row] for row in range(len(texts))] == clusters.representative.tolist()


def test_pages_of_one_template_are_told_apart_however_many_share_a_bucket(search: Search) -> None:
    template = WORDS[:100]
    texts = [" ".join([*template, *random.Random(row).choices(WORDS, k=20)]) for row in range(800)]
    clusters = search([*texts, *(f"{text} end" for text in texts)])  # 0.7 between pages, 0.99 within pairs
    assert clusters.representative.tolist() == 2 * list(range(800, 1600))


@pytest.mark.parametrize(
    ("near", "permutations"), [(0.5, 16), (0.8, 128), (0.8, 16), (0.95, 128), (0.8, 1024)]
)
def test_bands_propose_nearly_all_pairs(near: float, permutations: int) -> None:
    bands, rows = bands_and_rows(near, permutations)
    assert bands * rows <= permutations
    assert 1 - (1 - near**rows) ** bands >= 0.995


def test_nothing_to_compare(search: Search) -> None:
    for shards in (0, 2):
        clusters = find_clusters([], None, DuplicatesConfig(), Path()) if not shards else search([], shards=2)
        assert clusters.representative.tolist() == []
    assert search(["only one"]).representative.tolist() == [0]


def test_a_damaged_file_of_features_is_named(tmp_path: Path) -> None:
    (tmp_path / "part-00000.arrow").write_bytes(b"ARROW1 half")
    with pytest.raises(CorpusError, match=r"part-00000\.arrow holds no features"):
        find_clusters(
            [tmp_path / "part-00000.arrow"], lambda s, r: pa.array([]), DuplicatesConfig(), tmp_path
        )


def test_a_bucket_joins_each_document_with_any_that_is_alike_and_with_no_other() -> None:
    rng = np.random.default_rng(0)
    originals = rng.integers(0, 2**32, (30, 16), dtype=np.uint32)
    copies = originals.copy()
    copies[:, 0] += np.uint32(1)
    places = np.concatenate([originals, copies[::-1]])
    parent = np.arange(60, dtype=np.int32)
    keys, taking_part = np.full(60, 7 << 60, np.uint64), np.ones(60, np.bool_)
    taking_part[59] = False  # the copy of the first
    candidates.join(parent, keys, places, 15, taking_part)
    members, bounds = candidates.members_of_groups(parent)
    pairs = sorted(tuple(members[a:b].tolist()) for a, b in pairwise(bounds))
    assert pairs == [(row, 59 - row) for row in range(1, 30)]
