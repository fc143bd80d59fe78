"""Division of examples where no file is named, and a choice of some of them: stratified, and the same next
month.

What decides is a hash of an example's content, not its place in the file: examples that are added later
leave the others where they are, but for the few by which the held-out parts grow.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from corpus.examples.splits import Split

ENOUGH = 3  # groups of a stratum, from which each split gets one


def strata_of(labels: Sequence[Sequence[str]]) -> list[str]:
    """The stratum of each example: the rarest of its labels, "" without any.

    So no label is in one split alone because the common ones decided; for one label it is the label.
    """
    counts = Counter(label for own in labels for label in own)
    return [min(own, key=lambda label: (counts[label], label), default="") for own in labels]


def stratified_splits(
    strata: Sequence[str], groups: Sequence[str], shares: Mapping[Split, float], seed: int
) -> list[Split]:
    """The split of each example: held-out ones in their shares of every stratum, the others for training.

    Args:
        strata: of each example; a group's is that of most of its examples.
        groups: of each example; those of one group are in one split.
        shares: of the examples, by held-out split. A stratum of at least `ENOUGH` groups is in each.

    A group of more than twice the examples that are wanted of its stratum is for training, and so is one of
    those that have a stratum's only examples.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(groups):
        members[group].append(index)
    by_stratum: dict[str, list[str]] = defaultdict(list)
    for group in sorted(members, key=lambda group: _position(group, seed)):
        by_stratum[_commonest(strata[index] for index in members[group])].append(group)

    holding: dict[str, set[str]] = defaultdict(set)
    for stratum, group in zip(strata, groups, strict=True):
        holding[stratum].add(group)
    only = {next(iter(owners)) for owners in holding.values() if len(owners) == 1}

    split_of: dict[str, Split] = {}
    sizes = {name: sum(len(members[group]) for group in ordered) for name, ordered in by_stratum.items()}
    by_stratum = {
        name: [group for group in ordered if group not in only] for name, ordered in by_stratum.items()
    }
    # One end of the order is for each held-out split, so that one that grows takes from training alone.
    for (split, share), end in zip(shares.items(), (0, -1), strict=False):
        wanted = apportioned(sizes, round(share * len(strata)), ENOUGH)
        for name, waiting in by_stratum.items():
            taken, too_large = 0, list[str]()
            while taken < wanted[name] and waiting and len(waiting) + len(too_large) > 1:
                group = waiting.pop(end)
                if taken + len(members[group]) > 2 * wanted[name]:
                    too_large.append(group)
                    continue
                split_of[group] = split
                taken += len(members[group])
            waiting += too_large
    # A stratum that is nowhere the commonest of a group was not asked about.
    for stratum in sorted(holding):
        if holding[stratum] <= split_of.keys():
            del split_of[min(holding[stratum], key=lambda group: _position(group, seed))]
    return [split_of.get(group, "train") for group in groups]


def limited(strata: Sequence[str], keys: Sequence[str], limit: int, seed: int) -> list[int]:
    """The numbers of `limit` examples (0: of all), ascending; of every stratum its share and at least one."""
    if not 0 < limit < len(keys):
        return list(range(len(keys)))
    wanted = apportioned(Counter(strata), limit, 1)
    chosen: list[int] = []
    for index in sorted(range(len(keys)), key=lambda index: (_position(keys[index], seed), index)):
        if wanted[strata[index]] > 0:
            wanted[strata[index]] -= 1
            chosen.append(index)
    return sorted(chosen)


def apportioned(sizes: Mapping[str, int], total: int, enough: int) -> dict[str, int]:
    """`total` divided in proportion to the sizes, by largest remainders.

    A size of `enough` gets at least one, at the cost of the largest.
    """
    exact = {name: total * size / sum(sizes.values()) for name, size in sizes.items()}
    shares = {name: min(int(exact[name]), sizes[name]) for name in sizes}
    by_remainder = sorted(sizes, key=lambda name: (shares[name] - exact[name], name))
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += shares[name] < sizes[name]
    for name in sorted(sizes):
        if not shares[name] and sizes[name] >= enough:
            largest = max(shares, key=lambda other: (shares[other], other))
            shares[largest] -= shares[largest] > 1
            shares[name] = 1
    return shares


def _position(key: str, seed: int) -> bytes:
    return blake2b(f"{seed}:{key}".encode(errors="surrogatepass"), digest_size=8).digest()


def _commonest(names: object) -> str:
    counts = Counter(names)  # type: ignore[call-overload]
    return str(min(counts, key=lambda name: (-counts[name], name)))
