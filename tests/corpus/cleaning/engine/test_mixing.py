"""Mixing: rates, caps and temperature, and documents that stay where they are when others come."""

import numpy as np
import pytest

from corpus.cleaning.config import MixConfig
from corpus.cleaning.engine.mixing import check_sources, draws, left_out, rates
from corpus.errors import CorpusError

SOURCES = ("books", "web")


def ids(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, 16), np.uint8)


def kept(documents: np.ndarray, ranks: np.ndarray, **config: object) -> np.ndarray:
    candidates = np.ones(len(documents), bool)
    return ~left_out(documents, ranks, candidates, SOURCES, MixConfig.model_validate(config))


def test_draws_are_even_and_depend_on_the_seed() -> None:
    documents = ids(20_000)
    drawn = draws(documents, 0)
    counts, _ = np.histogram(drawn, 10, (0, 1))
    assert abs(counts - 2000).max() < 5 * 2000**0.5
    assert abs(np.corrcoef(drawn, draws(documents, 1))[0, 1]) < 0.05
    assert drawn[7] == draws(documents[7:8], 0)[0]


def test_nothing_is_left_out_by_default() -> None:
    assert kept(ids(100), np.zeros(100, np.int32)).all()


def test_a_weight_keeps_a_share_and_the_same_documents_in_a_larger_corpus() -> None:
    documents, ranks = ids(10_000), np.arange(10_000) % 2
    stay = kept(documents, ranks, weights={"web": 0.3})
    assert stay[ranks == 0].all()
    assert abs(stay[ranks == 1].mean() - 0.3) < 0.03
    more = kept(
        np.concatenate([ids(5_000, 1), documents]), np.r_[np.ones(5_000, int), ranks], weights={"web": 0.3}
    )
    assert (more[5_000:] == stay).all()


def test_a_cap_is_exact_and_moves_few_documents() -> None:
    documents, ranks = ids(4_000), np.zeros(4_000, int)
    stay = kept(documents, ranks, caps={"books": 1_000})
    assert stay.sum() == 1_000
    more = kept(np.concatenate([documents, ids(40, 1)]), np.zeros(4_040, int), caps={"books": 1_000})
    assert more.sum() == 1_000
    assert (stay & ~more[:4_000]).sum() <= 40
    assert kept(documents, ranks, caps={"books": 0}).sum() == 0
    assert kept(documents, ranks, caps={"books": 9_999}).all()


def test_temperature_thins_the_larger_source() -> None:
    assert rates({"a": 100, "b": 10_000}, MixConfig(temperature=0.5)) == {"a": 1.0, "b": pytest.approx(0.1)}
    assert rates({"a": 100, "b": 10_000}, MixConfig(temperature=0)) == {"a": 1.0, "b": pytest.approx(0.01)}
    assert rates({"a": 0, "b": 50}, MixConfig(temperature=0, weights={"b": 0.5})) == {"a": 1.0, "b": 0.5}
    documents, ranks = ids(10_100), np.r_[np.zeros(100, int), np.ones(10_000, int)]
    stay = kept(documents, ranks, temperature=0.5)
    assert stay[:100].all()
    assert abs(stay[100:].mean() - 0.1) < 0.02


def test_only_candidates_count_and_are_left_out() -> None:
    documents, ranks = ids(2_000), np.zeros(2_000, int)
    candidates = np.arange(2_000) < 1_000
    out = left_out(documents, ranks, candidates, SOURCES, MixConfig(caps={"books": 400}))
    assert out.sum() == 600
    assert not out[~candidates].any()


def test_a_source_that_does_not_exist_is_an_error_and_a_weight_above_one_too() -> None:
    with pytest.raises(CorpusError, match=r"clean\.mix names the source 'wbe', .* 'books', 'web'"):
        check_sources(SOURCES, MixConfig(weights={"wbe": 0.5}))
    with pytest.raises(ValueError, match="less than or equal to 1"):
        MixConfig(weights={"web": 1.5})
