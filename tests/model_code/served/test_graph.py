"""Rows run together where it pays, never more than memory allows, and each gets its own."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

import numpy as np
import pytest

from model_code.served.graph import TOKENS_PER_RUN, WASTE, WASTE_SHARE, OnnxGraph, TokenRow, batches
from tests.deploy.conftest import MAX_LENGTH, SENTENCES, Bundle, bundle  # noqa: F401


@pytest.mark.parametrize("seed", range(20))
def test_every_row_is_in_one_batch_that_is_no_larger_than_it_may_be(seed: int) -> None:
    rng = random.Random(seed)
    lengths = [rng.choice((rng.randint(0, 30), rng.randint(1, 600))) for _ in range(rng.randint(1, 300))]
    made = list(batches(lengths))
    assert sorted(number for batch in made for number in batch) == list(range(len(lengths)))
    for batch in made:
        held = [max(1, lengths[number]) for number in batch]
        whole = len(batch) * max(held)
        assert whole <= max(TOKENS_PER_RUN, max(held))
        assert whole - sum(held) <= WASTE + WASTE_SHARE * sum(held)


def test_a_row_longer_than_a_run_runs_alone() -> None:
    assert list(batches([TOKENS_PER_RUN + 1, 5])) == [[1], [0]]
    assert list(batches([])) == []


def test_each_row_gets_its_own_numbers(bundle: Callable[..., Bundle]) -> None:  # noqa: F811
    graph = OnnxGraph(bundle(1).folder, threads=1)
    rows = graph.cut([*SENTENCES, "word " * 100, ""])
    assert len(rows[-2].ids) == MAX_LENGTH
    together = graph.run(rows)
    for row, [logits] in zip(rows, together, strict=True):
        [[alone]] = graph.run([row])
        np.testing.assert_allclose(logits, alone, atol=1e-5)


def test_numbers_that_are_none_are_refused(bundle: Callable[..., Bundle]) -> None:  # noqa: F811
    graph = OnnxGraph(bundle(1).folder, threads=1)
    graph._session.run = lambda *_: [np.full((1, 3), np.nan, np.float32)]
    with pytest.raises(ValueError, match="not finite"):
        graph.run([TokenRow([2, 3])])


def test_threads_cut_alike(bundle: Callable[..., Bundle]) -> None:  # noqa: F811
    graph, long = OnnxGraph(bundle(1).folder, threads=1), "rain and wind tomorrow " * 50
    lengths: list[int] = []

    def ask() -> None:
        for _ in range(100):
            lengths.append(len(graph.cut([long])[0].ids))
            graph.tokenizer.encode(long)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(lengths) == {MAX_LENGTH}
