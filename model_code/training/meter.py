"""How fast a run is, how much of the device it uses, and how long it will take."""

from __future__ import annotations

import resource
from collections import deque

import torch

from model_code.runtime import Runtime

RECENT = 50  # steps whose speed is reported: neither the first, slow ones nor a single one


class Meter:
    """Counts tokens and seconds of training steps; evaluation and checkpoints are not in them."""

    def __init__(self, runtime: Runtime, flops_per_token: float = 0.0, peak_flops: float = 0.0) -> None:
        """`peak_flops` are those per second of all devices together; 0: utilisation is not reported."""
        self._runtime, self._flops_per_token, self._peak = runtime, flops_per_token, peak_flops
        self._tokens, self._seconds = 0.0, 0.0
        self._recent: deque[tuple[float, float]] = deque(maxlen=RECENT)

    def count(self, tokens: float, seconds: float) -> None:
        """Note one step over the tokens of all ranks."""
        self._tokens, self._seconds = self._tokens + tokens, self._seconds + seconds
        self._recent.append((tokens, seconds))

    def figures(self, steps_left: int) -> dict[str, float]:
        """Speed of the last steps, the largest memory so far, the time that is left."""
        tokens, seconds = (sum(column) for column in zip(*self._recent, strict=True))
        rate = tokens / max(seconds, 1e-9)
        figures = {
            "tokens_per_second": round(rate),
            "eta_seconds": round(seconds / len(self._recent) * steps_left, 1),
            "memory_bytes": self._peak_memory(),
        }
        return figures | self._utilisation(rate)

    def totals(self) -> dict[str, float]:
        """Seconds and speed since this process began to train."""
        rate = self._tokens / max(self._seconds, 1e-9)
        totals = {"train_seconds": round(self._seconds, 2), "tokens_per_second": round(rate)}
        return totals | self._utilisation(rate)

    def _utilisation(self, tokens_per_second: float) -> dict[str, float]:
        """Model FLOPs utilisation (Chowdhery et al. 2022, arXiv 2204.02311, appendix B), where known."""
        if not self._peak:
            return {}
        return {"mfu": round(tokens_per_second * self._flops_per_token / self._peak, 4)}

    def _peak_memory(self) -> int:
        if self._runtime.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self._runtime.device)
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
