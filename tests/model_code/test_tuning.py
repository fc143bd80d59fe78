import json
from pathlib import Path

import numpy as np
import pytest

from model_code.dry_run import plan
from model_code.job import Job
from model_code.tuning import find, has_diverged, suggested_rate
from tests.model_code.checkpoints import published
from tests.model_code.conftest import TINY, quiet_reporter


def test_the_rate_is_where_the_loss_falls_fastest() -> None:
    rates = np.geomspace(1e-4, 1, 100)
    losses = 6 + 3 / (1 + (rates / 2e-3) ** 2) + 5 * rates
    curve = [{"rate": rate, "loss": loss} for rate, loss in zip(rates, losses, strict=True)]
    assert suggested_rate(curve) == pytest.approx(2e-3, rel=0.1)
    assert suggested_rate(curve[:1]) == rates[0]


def test_a_loss_has_diverged_when_it_rose_again() -> None:
    assert not has_diverged([9.0, 8.0, 7.0, 7.2])
    assert has_diverged([9.0, 8.0, 7.0, 7.6])
    assert not has_diverged([9.0, 9.05])


def test_the_finders_try_sizes_and_rates_on_real_tokens(corpus: Path) -> None:
    paths = {"tokens": corpus / "tokens", "tokenizer": corpus / "tokenizer"}
    found = find(Job(paths, TINY), quiet_reporter())
    assert [size["sequences"] for size in found["sizes"]] == [1, 2, 4, 8]
    assert all(size["tokens_per_second"] > 0 for size in found["sizes"])
    assert found["micro_batch"] in (0, 1, 2, 4)
    losses = [point["loss"] for point in found["curve"]]
    assert min(losses) < losses[0] - 0.3
    assert 2e-4 < found["learning_rate"] < 0.3
    assert found["muon_learning_rate"] == pytest.approx(3 * found["learning_rate"])


def test_the_dry_run_tells_of_corpus_and_time(corpus: Path) -> None:
    paths = {"tokens": corpus / "tokens", "tokenizer": corpus / "tokenizer"}
    found = plan(Job(paths, TINY), quiet_reporter())
    described = json.loads((corpus / "tokens" / "train.json").read_text(encoding="utf-8"))
    assert found["corpus_tokens"] == described["tokens"]
    assert found["tokens"] == 200 * 8 * 32
    assert found["timed"] == "the whole model, 8 sequences"
    assert 0 < found["seconds"] < 600


def test_a_model_too_large_to_be_timed_is_planned_all_the_same() -> None:
    config = {"family": "llama", "preset": "1b", "layers": 6, "sequence_length": 256}
    found = plan(Job({}, {"vocabulary": 1000, **config}), quiet_reporter())
    assert found["timed"] == "one layer, 128 tokens"
    assert found["parameters"] > 3e8
    assert found["seconds"] > 3600
    assert sum(found["memory"].values()) > 5e9


@pytest.mark.parametrize("name", ["bert", "qwen2"])
def test_a_checkpoint_is_planned_with_its_own_vocabulary(name: str, tmp_path: Path) -> None:
    """It has fewer rows than a tokenizer that the recipe would train; its corpus is not there yet."""
    checkpoint = published(name, tmp_path / "published")
    config = {"start_from": str(checkpoint), "sequence_length": 32, "batch_size": 8, "steps": 10}
    found = plan(Job({}, {"vocabulary": 8192, **config}), quiet_reporter())
    assert found["tokens"] == 10 * 8 * 32
    assert found["parameters"] < 200_000
