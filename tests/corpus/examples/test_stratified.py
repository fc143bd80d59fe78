"""The division that the pipeline makes: exact shares, stratified, by group, and the same next month."""

from collections import Counter

from corpus.examples.splits import Split
from corpus.examples.stratified import apportioned, limited, strata_of, stratified_splits

SHARES: dict[Split, float] = {"validation": 0.1, "test": 0.2}


def numbered(**sizes: int) -> tuple[list[str], list[str]]:
    """The stratum and the content of so many examples of each stratum."""
    strata = [name for name, size in sizes.items() for _ in range(size)]
    return strata, [f"{name} {number}" for number, name in enumerate(strata)]


def test_shares_are_exact_in_every_stratum() -> None:
    strata, keys = numbered(common=700, rare=300)
    splits = stratified_splits(strata, keys, SHARES, seed=0)
    assert Counter(zip(strata, splits, strict=True)) == {
        ("common", "train"): 490,
        ("common", "validation"): 70,
        ("common", "test"): 140,
        ("rare", "train"): 210,
        ("rare", "validation"): 30,
        ("rare", "test"): 60,
    }


def test_a_rare_label_is_in_each_split_from_three_examples_on() -> None:
    strata, keys = numbered(common=97, rare=3, rarer=2)
    splits = stratified_splits(strata, keys, SHARES, seed=0)
    assert sorted(splits[97:100]) == ["test", "train", "validation"]
    assert splits[100:] == ["train", "train"]
    assert Counter(splits)["test"] == 20
    assert Counter(splits)["validation"] == 10


def test_the_same_examples_are_held_out_when_others_come() -> None:
    strata, keys = numbered(a=500, b=500)
    before = dict(zip(keys, stratified_splits(strata, keys, SHARES, seed=0), strict=True))
    more_keys = [*(f"new {n}" for n in range(100)), *keys]
    more_strata = [*["a"] * 100, *strata]
    after = dict(zip(more_keys, stratified_splits(more_strata, more_keys, SHARES, seed=0), strict=True))
    moved = Counter((before[key], after[key]) for key in keys if before[key] != after[key])
    # Held-out parts of the larger stratum are a sample of it, so some give way; none changes sides.
    assert sum(moved.values()) <= 30
    assert not moved[("validation", "test")]
    assert not moved[("test", "validation")]
    assert before == dict(zip(keys, stratified_splits(strata, keys, SHARES, seed=0), strict=True))
    assert before != dict(zip(keys, stratified_splits(strata, keys, SHARES, seed=1), strict=True))


def test_the_division_is_the_same_for_ever() -> None:
    # Noted once: another one would test on what was trained on.
    keys = [f"{number}" for number in range(20)]
    splits = stratified_splits(["a"] * 20, keys, SHARES, seed=0)
    held_out = {split: [n for n in range(20) if splits[n] == split] for split in SHARES}
    assert held_out == {"validation": [3, 18], "test": [0, 1, 6, 15]}
    assert limited(["a"] * 20, keys, 4, seed=0) == [3, 7, 9, 18]
    assert limited(["a"] * 20, keys, 20, seed=0) == list(range(20))


def test_a_share_that_grows_takes_from_training_alone() -> None:
    strata, keys = numbered(a=50, b=50)
    before, after = (
        stratified_splits(strata, keys, {"validation": validation, "test": test}, seed=0)
        for validation, test in ((0.1, 0.2), (0.3, 0.3))
    )
    assert {(one, other) for one, other in zip(before, after, strict=True) if one != other} == {
        ("train", "validation"),
        ("train", "test"),
    }


def test_a_group_is_on_one_side() -> None:
    strata, _ = numbered(a=300, b=300)
    groups = [f"group {index % 60}" for index in range(600)]
    splits = stratified_splits(strata, groups, SHARES, seed=0)
    sides = {group: {s for g, s in zip(groups, splits, strict=True) if g == group} for group in set(groups)}
    assert all(len(side) == 1 for side in sides.values())
    assert Counter(splits) == {"train": 420, "validation": 60, "test": 120}


def test_a_group_that_is_too_large_stays_in_training() -> None:
    groups = ["large"] * 800 + ["a"] * 100 + ["b"] * 100
    for seed in range(20):
        splits = stratified_splits([""] * 1000, groups, {"validation": 0.1, "test": 0.1}, seed)
        assert splits[:800] == ["train"] * 800
        assert Counter(splits) == {"train": 800, "validation": 100, "test": 100}


def test_the_only_group_with_a_label_stays_in_training() -> None:
    strata = ["common", "common", "rare"] + ["common"] * 27
    groups = [f"group {index // 3}" for index in range(30)]
    for seed in range(20):
        splits = stratified_splits(strata, groups, SHARES, seed)
        assert splits[2] == "train"
        assert len(set(splits)) == 3


def test_the_stratum_is_the_rarest_label() -> None:
    labels = [["O", "B-PER"], ["O"], ["B-LOC", "B-PER", "O"], []]
    assert strata_of(labels) == ["B-PER", "O", "B-LOC", ""]


def test_a_choice_keeps_the_strata_and_every_label() -> None:
    strata, keys = numbered(common=900, rare=99, single=1)
    chosen = limited(strata, keys, 100, seed=0)
    assert Counter(strata[index] for index in chosen) == {"common": 89, "rare": 10, "single": 1}
    assert chosen == sorted(chosen) == limited(strata, keys, 100, seed=0)
    assert set(chosen) < set(limited(strata, keys, 200, seed=0))
    assert limited(strata, keys, 0, seed=0) == limited(strata, keys, 5000, seed=0) == list(range(1000))


def test_seats_go_by_largest_remainder() -> None:
    assert apportioned({"a": 50, "b": 30, "c": 20}, 11, enough=99) == {"a": 6, "b": 3, "c": 2}
    assert apportioned({"a": 98, "b": 1, "c": 1}, 10, enough=1) == {"a": 8, "b": 1, "c": 1}
    assert apportioned({"a": 9, "b": 1}, 2, enough=1) == {"a": 1, "b": 1}
    assert apportioned({"a": 98, "b": 1, "c": 1}, 10, enough=2) == {"a": 10, "b": 0, "c": 0}
