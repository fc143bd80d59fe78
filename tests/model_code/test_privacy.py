from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opacus.accountants import PRVAccountant

from model_code.config.fine_tuning import PrivacyConfig
from model_code.errors import TrainingError
from model_code.fine_tuning import fine_tune
from model_code.privacy import Mechanism, key_of, mechanism_of
from model_code.task_types import classification, matching, similarity
from tests.model_code.conftest import fine_tune_job, quiet_reporter


def mechanism(**changes: Any) -> Mechanism:
    values: dict[str, Any] = {"examples": 1000, "batch_size": 50, "delta": 1e-4, "clip": 2.0}
    return Mechanism(**values | {"noise_multiplier": 0.5, "key": b"secret"} | changes)


def test_every_example_is_drawn_by_itself_at_the_promised_rate() -> None:
    drawn = [mechanism().sample(place) for place in range(400)]
    sizes = np.array([len(items) for items in drawn])
    # binomial: mean 50, variance 47.5
    assert abs(sizes.mean() - 50) < 5 * np.sqrt(47.5 / 400)
    assert 35 < sizes.var() < 61
    times = np.bincount(np.concatenate(drawn), minlength=1000)
    assert 10 < times.var() < 28  # each example: binomial, variance 19


def test_noise_is_gaussian_of_the_promised_size_and_differs_by_place_and_key() -> None:
    found = mechanism().noise(3, 100_001)
    assert found.dtype == np.float32
    assert abs(found.mean()) < 0.02
    assert abs(found.std() - 1) < 0.02  # noise_multiplier times clip
    assert abs(np.mean(np.abs(found) < 1) - 0.6827) < 0.01
    assert abs(np.mean(np.abs(found) > 3) - 0.0027) < 0.001
    assert abs(np.corrcoef(found[:50_000], found[50_001:])[0, 1]) < 0.02
    for other in (mechanism().noise(4, 100_001), mechanism(key=b"another").noise(3, 100_001)):
        assert abs(np.corrcoef(found, other)[0, 1]) < 0.02
    assert np.array_equal(found, mechanism().noise(3, 100_001))


def test_the_noise_keeps_the_promise_as_opacus_counts() -> None:
    made = mechanism_of(PrivacyConfig(epsilon=3.0, delta=1e-4), 1000, 100, 20, b"")
    accountant = PRVAccountant()
    for _ in range(20):
        accountant.step(noise_multiplier=made.noise_multiplier, sample_rate=0.1)
    figures = made.figures(20)
    assert figures["epsilon"] == pytest.approx(accountant.get_epsilon(1e-4))
    assert 2.9 < figures["epsilon"] <= 3.0
    assert figures["delta"] == 1e-4
    assert made.figures(5)["epsilon"] < figures["epsilon"]
    assert made.figures(0)["epsilon"] == 0


@pytest.mark.parametrize(
    ("privacy", "batch_size", "message"),
    [
        (PrivacyConfig(epsilon=8, delta=0.001), 50, "privacy.delta 0.001 is not below 1/1000"),
        (PrivacyConfig(epsilon=8), 1001, "batch_size 1001 is more than the 1000 training examples"),
    ],
)
def test_a_promise_without_meaning_is_refused(privacy: PrivacyConfig, batch_size: int, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        mechanism_of(privacy, 1000, batch_size, 20, b"")


def test_the_key_is_secret_unless_asked_otherwise_and_found_again(tmp_path: Path) -> None:
    private, open_ = PrivacyConfig(epsilon=8), PrivacyConfig(epsilon=8, reproducible=True)
    first = key_of(private, 0, tmp_path / "a", "run")
    assert key_of(private, 0, tmp_path / "a", "run") == first
    assert (tmp_path / "a" / "privacy.key").stat().st_mode & 0o777 == 0o600
    assert key_of(private, 0, tmp_path / "b", "run") != first
    assert key_of(private, 0, tmp_path / "a", "another run") != first
    assert key_of(open_, 0, tmp_path / "c", "run") == key_of(open_, 0, tmp_path / "d", "run")
    assert not (tmp_path / "c").exists()


def private_job(pretrained: Path, home: Path, **config: Any) -> Any:
    privacy = {"epsilon": 8.0, "reproducible": True} | config.pop("privacy", {})
    return fine_tune_job(pretrained, home, privacy=privacy, **config)


def test_a_private_run_stopped_after_every_step_ends_with_the_same_bytes(
    pretrained: Path, tmp_path: Path
) -> None:
    options = {"train": 64, "epochs": 2, "checkpoint_every": 1}
    metrics = fine_tune(private_job(pretrained, tmp_path / "whole", **options), quiet_reporter())
    assert metrics["epsilon"] <= 8.0
    assert metrics["best_epoch"] == metrics["epochs"] == 2
    job, stops = private_job(pretrained, tmp_path / "torn", **options), 0
    while not (tmp_path / "torn" / "output").exists():
        reporter = quiet_reporter()
        reporter.stop_requested = True
        with pytest.raises(SystemExit, match="143") if stops < 8 else nullcontext():
            fine_tune(job, reporter)
        stops += 1
    for name in ("model/model.safetensors", "metrics.json", "history.jsonl"):
        outputs = [tmp_path / run / "output" / name for run in ("whole", "torn")]
        assert outputs[0].read_bytes() == outputs[1].read_bytes()


def test_two_runs_of_one_seed_get_different_noise(pretrained: Path, tmp_path: Path) -> None:
    found = set()
    for home in (tmp_path / "one", tmp_path / "other"):
        options: dict[str, Any] = {"train": 64, "epochs": 2, "privacy": {"reproducible": False}}
        fine_tune(private_job(pretrained, home, **options), quiet_reporter())
        found.add((home / "output" / "model" / "model.safetensors").read_bytes())
        key = (home / "scratch" / "privacy.key").read_bytes()
        written = [path for path in (home / "output").rglob("*") if path.is_file()]
        assert not any(key in path.read_bytes() or key.hex() in path.read_text("latin1") for path in written)
    assert len(found) == 2


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"class_weights": True}, "with class_weights, which counts labels of the examples"),
        ({"optimizer": "muon"}, "with optimizer muon, which makes the noise as large as the gradient"),
        ({"privacy": {"sigma": 1}}, "privacy.sigma: Extra inputs are not permitted"),
    ],
)
def test_what_would_break_the_promise_is_refused(
    pretrained: Path, tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        fine_tune(private_job(pretrained, tmp_path, train=48, **config), quiet_reporter())


def test_a_task_that_compares_examples_is_refused(
    pretrained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert matching.UNBOUNDED == similarity.UNBOUNDED
    monkeypatch.setattr(classification, "UNBOUNDED", matching.UNBOUNDED, raising=False)
    with pytest.raises(TrainingError, match="task classification compares examples with each other"):
        fine_tune(private_job(pretrained, tmp_path, train=48), quiet_reporter())
