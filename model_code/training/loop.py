"""The training loop that pretraining and fine-tuning share.

Everything random in a step is drawn from (seed, step), and everything else that matters is in
the checkpoint; hence a run killed anywhere and started again ends with the same bytes.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model_code.data.noise import step_seed
from model_code.errors import TrainingError
from model_code.job import Reporter
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.training.checkpoint import Checkpoint, copy_weights, latest_checkpoint, save_checkpoint
from model_code.training.optimizer import MixedOptimizer

TERMINATED = 143
SECONDS_BETWEEN_EVENTS = 0.5


@dataclass(frozen=True)
class Plan:
    """How long a run is and what stays the same in each of its steps."""

    total_steps: int
    steps_per_epoch: int
    learning_rate: float
    clip: float
    checkpoint_every: int
    seed: int
    fingerprint: str


class Loop:
    """Steps from wherever the last checkpoint of this run stands.

    `history` is the loss curve, `notes` (JSON) and `kept` (tensors) are what the caller wants
    to find again after an interruption.
    """

    def __init__(
        self,
        plan: Plan,
        model: nn.Module,
        scores: Callable[[Mapping[str, torch.Tensor]], dict[str, Score]],
        optimizer: MixedOptimizer,
        factor: Callable[[int], float],
        runtime: Runtime,
        scratch: Path,
        reporter: Reporter,
    ) -> None:
        self.plan, self.model, self.optimizer, self.reporter = plan, model, optimizer, reporter
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self.notes: dict[str, Any] = {}
        self.kept: dict[str, torch.Tensor] = {}
        self._scores, self._factor, self._runtime, self._scratch = scores, factor, runtime, scratch
        self._resume()
        self._started_at, self._reported_at = time.monotonic(), 0.0
        self._first_step, self._tokens = self.step, 0

    def run_to(self, stop: int, batches_of: Callable[[int], Sequence[Batch]]) -> None:
        """Train until `stop` steps are done; `batches_of(step)` are the micro-batches of one step.

        Raises TrainingError when the loss or its gradient is not finite, SystemExit(143) after
        a checkpoint when a stop was asked for.
        """
        self.model.train()
        while self.step < stop:
            torch.manual_seed(step_seed(self.plan.seed, self.step))
            batches = batches_of(self.step)
            value = self._backward(batches)
            self._refuse_unless_finite("loss", value)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.plan.clip).item()
            self._refuse_unless_finite("gradient norm", norm)
            self.optimizer.step(self._factor(self.step))
            self.step += 1
            self._tokens += sum(batch.tokens for batch in batches)
            self.history.append({"step": self.step, "loss": round(value, 6)})
            self._report(value)
            if self.reporter.stop_requested:
                self.checkpoint()
                raise SystemExit(TERMINATED)
            if self.step % self.plan.checkpoint_every == 0:
                self.checkpoint()

    def _backward(self, batches: Sequence[Batch]) -> float:
        """Add up the gradients of the micro-batches; returns the mean loss over all of their targets."""
        targets: Counter[str] = Counter()
        for batch in batches:
            targets.update(batch.targets)
        value = 0.0
        for batch in batches:
            moved = batch.to(self._runtime.device)
            with self._runtime.autocast():
                scores = self._scores(moved.tensors)
            total = sum(
                (score.loss + score.penalty) / max(1, targets[name]) for name, score in scores.items()
            )
            assert isinstance(total, torch.Tensor)
            total.backward()  # type: ignore[no-untyped-call]
            value += sum(score.loss.item() / max(1, targets[name]) for name, score in scores.items())
        return value

    def timings(self) -> dict[str, float]:
        """Seconds and tokens per second since this process began to train."""
        seconds = time.monotonic() - self._started_at
        return {
            "train_seconds": round(seconds, 2),
            "tokens_per_second": round(self._tokens / max(seconds, 1e-9)),
        }

    def checkpoint(self) -> None:
        """Write down everything that the rest of the run depends on."""
        tensors: dict[str, torch.Tensor] = {f"model/{name}": p for name, p in self.model.named_parameters()}
        tensors |= {f"optimizer/{name}": t for name, t in self.optimizer.state().items()}
        tensors |= {f"kept/{name}": t for name, t in self.kept.items()}
        state = {"history": self.history, "notes": self.notes}
        save_checkpoint(self._scratch, Checkpoint(self.step, tensors, state), self.plan.fingerprint)

    def _resume(self) -> None:
        found = latest_checkpoint(self._scratch, self.plan.fingerprint)
        if found is None:
            return
        parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "optimizer": {}, "kept": {}}
        for name, tensor in found.tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = tensor
        copy_weights(parts["model"], self.model)
        self.optimizer.load_state(parts["optimizer"])
        self.step, self.kept = found.step, parts["kept"]
        self.history, self.notes = found.state["history"], found.state["notes"]

    def _refuse_unless_finite(self, what: str, value: float) -> None:
        if not math.isfinite(value):
            raise TrainingError(
                f"the {what} is {value} at step {self.step + 1} of {self.plan.total_steps}; lower the "
                "learning rate or lengthen the warm-up and start again (checkpoints before it are whole)"
            )

    def _report(self, loss: float) -> None:
        now, total = time.monotonic(), self.plan.total_steps
        if now - self._reported_at < SECONDS_BETWEEN_EVENTS and self.step < total:
            return
        self._reported_at = now
        elapsed, done = now - self._started_at, self.step - self._first_step
        self.reporter.event(
            "progress",
            step=self.step,
            total=total,
            loss=round(loss, 4),
            tokens_per_second=round(self._tokens / max(elapsed, 1e-9)),
            eta_seconds=round(elapsed / done * (total - self.step), 1),
            learning_rate=self.plan.learning_rate * self._factor(self.step - 1),
            epoch=round(self.step / self.plan.steps_per_epoch, 3),
        )
