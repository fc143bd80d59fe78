"""Differential privacy: how much noise a promise costs, and the randomness that it rests on.

DP-SGD (Abadi et al. 2016, arXiv 1607.00133): every step draws each training example with the same
probability, clips the gradient of each, and adds Gaussian noise to their sum. What is promised holds for
whoever adds or removes one training example and sees the weights of every step. It is kept only as long as
nobody can compute the noise again, so it comes from a key of the operating system's randomness, not from the
seed that stands in every manifest.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from model_code.config.fine_tuning import PrivacyConfig
from model_code.errors import TrainingError

KEY_BYTES = 32


@dataclass(frozen=True)
class Mechanism:
    """The subsampled Gaussian mechanism of one run; all of its chance is a function of `key` and place."""

    examples: int
    batch_size: int
    delta: float
    clip: float
    noise_multiplier: float
    key: bytes

    def sample(self, place: int) -> np.ndarray:
        """The examples of one step, int64 [about batch_size]: each with probability batch_size/examples."""
        chance = np.frombuffer(self._random(place, "sample", 8 * self.examples), "<u8") * 2.0**-64
        return np.flatnonzero(chance < self.batch_size / self.examples)

    def noise(self, place: int, count: int) -> np.ndarray:
        """What is added to the sum of the clipped gradients of one step, float32 [count]."""
        half = -(-count // 2)
        first, second = np.frombuffer(self._random(place, "noise", 16 * half), "<u8").reshape(2, half)
        # Box and Muller 1958; one is added, since the logarithm of nothing is not a number.
        radius = np.sqrt(-2 * np.log((first + 1.0) * 2.0**-64))
        angle = second * (2 * np.pi * 2.0**-64)
        normal = np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
        return (normal * (self.noise_multiplier * self.clip)).astype(np.float32)

    def figures(self, steps: int) -> dict[str, float]:
        """What was spent after `steps`, for the metrics of the run."""
        return {
            "epsilon": spent(self.noise_multiplier, self.batch_size / self.examples, steps, self.delta),
            "delta": self.delta,
            "noise_multiplier": self.noise_multiplier,
            "clip": self.clip,
        }

    def _random(self, place: int, purpose: str, count: int) -> bytes:
        # SHAKE128 (FIPS 202) of a secret: 128 bits of security, at 0.5 GB a second.
        return hashlib.shake_128(self.key + f"{purpose} {place}".encode()).digest(count)


def mechanism_of(privacy: PrivacyConfig, examples: int, batch_size: int, steps: int, key: bytes) -> Mechanism:
    """The mechanism that spends what `privacy` allows in `steps` of `batch_size` examples on average.

    Raises TrainingError for a promise that means nothing or can't be kept.
    """
    delta = privacy.delta or examples**-1.1
    if not 0 < delta < 1 / examples:
        raise TrainingError(
            f"privacy.delta {delta:g} is not below 1/{examples}, the share of one training example: "
            "publishing one of them whole would be allowed; lower it, or leave it out"
        )
    if batch_size > examples:
        raise TrainingError(
            f"batch_size {batch_size} is more than the {examples} training examples, and privacy draws each "
            "of them at most once a step; lower it"
        )
    noise = _noise_multiplier(privacy.epsilon, delta, batch_size / examples, steps)
    return Mechanism(examples, batch_size, delta, privacy.clip, noise, key)


def key_of(privacy: PrivacyConfig, seed: int, scratch: Path, run: str) -> bytes:
    """The key of a run that is named `run`, 32 bytes; the same again when it goes on after an interruption.

    What the operating system gave is kept in `scratch` until the run is over, and never written elsewhere.
    """
    if privacy.reproducible:
        return hashlib.sha256(f"{seed} {run}".encode()).digest()
    file = scratch / "privacy.key"
    if not file.is_file() or len(file.read_bytes()) != KEY_BYTES:
        scratch.mkdir(parents=True, exist_ok=True)
        file.touch(mode=0o600)
        file.write_bytes(secrets.token_bytes(KEY_BYTES))
    return hashlib.sha256(file.read_bytes() + run.encode()).digest()


def spent(noise_multiplier: float, sample_rate: float, steps: int, delta: float) -> float:
    """Epsilon after `steps`: an upper bound by numerical composition (Gopi et al. 2021, arXiv 2106.02848)."""
    from opacus.accountants import PRVAccountant

    accountant = PRVAccountant()
    accountant.history = [(noise_multiplier, sample_rate, steps)]
    return float(accountant.get_epsilon(delta)) if steps else 0.0


@cache
def _noise_multiplier(epsilon: float, delta: float, sample_rate: float, steps: int) -> float:
    from opacus.accountants.utils import get_noise_multiplier

    try:
        return float(
            get_noise_multiplier(
                target_epsilon=epsilon,
                target_delta=delta,
                sample_rate=sample_rate,
                steps=steps,
                accountant="prv",
            )
        )
    except (ValueError, RuntimeError) as error:
        raise TrainingError(
            f"no noise gives privacy.epsilon {epsilon:g} at delta {delta:g} in {steps} steps ({error}); "
            "raise epsilon, or take fewer epochs"
        ) from error
