"""The training loop that pretraining and fine-tuning share.

Everything random in a step is drawn from the seed and the place in the data, and everything else that
matters is in the checkpoint; hence a run killed anywhere and started again ends with the same bytes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from model_code.data.noise import step_seed
from model_code.errors import TrainingError
from model_code.job import Reporter
from model_code.objectives.objective import Batch
from model_code.training.average import Average
from model_code.training.checkpoint import Checkpoint, Checkpoints, copy_weights, trained
from model_code.training.guard import IN_A_ROW, Guard
from model_code.training.meter import Meter
from model_code.training.ranks import Ranks
from model_code.training.step import Measured, Step

TERMINATED = 143
SECONDS_BETWEEN_EVENTS = 0.5


@dataclass(frozen=True)
class Plan:
    """How long a run is and what stays the same in each of its steps.

    `evaluate_every` and `checkpoint_every` count steps; `factor` is the learning rate of a
    step (0-based) as a share of the peak; `spikes` says whether a leap of the loss is trouble; `goes_back`
    whether several steps in trouble are answered by other data from the last checkpoint on, or end the run.
    """

    total_steps: int
    steps_per_epoch: int
    learning_rate: float
    factor: Callable[[int], float]
    evaluate_every: int
    checkpoint_every: int
    seed: int
    spikes: bool = True
    goes_back: bool = True


class Loop:
    """Steps from wherever the last checkpoint of this run stands.

    `history` is the loss curve, one row a step. `notes` (JSON) and `kept` (tensors) are what the caller
    wants to find again after an interruption; the loop ends early when `notes["finished"]` is set, and
    keeps the checkpoint of the step `notes["best"]`.
    """

    def __init__(
        self,
        plan: Plan,
        model: nn.Module,
        step: Step,
        checkpoints: Checkpoints,
        meter: Meter,
        reporter: Reporter,
        ranks: Ranks,
        average: Average | None = None,
    ) -> None:
        """`model` holds the weights that `step` moves; with `average` one is kept of them."""
        self.plan, self.model, self.reporter, self.average = plan, model, reporter, average
        self.step = 0
        self.history: list[dict[str, Any]] = []
        self.notes: dict[str, Any] = {}
        self.kept: dict[str, torch.Tensor] = {}
        self.guard = Guard(plan.spikes)
        self._step, self._checkpoints, self._meter, self._ranks = step, checkpoints, meter, ranks
        self._saved_step, self._reported_at = 0, 0.0
        if found := checkpoints.latest():
            self._restore(found)
            reporter.event("resumed", step=self.step, total=plan.total_steps)

    def run(self, batches_of: Callable[[int], Sequence[Batch]], evaluate: Callable[[], None]) -> None:
        """Train to the end of the plan; `evaluate` is called every so many steps and after the last one.

        `batches_of(place)` are this rank's micro-batches of the place in the data, which is the number of
        the step but for data that was passed over. Raises TrainingError when training can't go on, and
        SystemExit(143) after a checkpoint when a stop was asked for.
        """
        while self.step < self.plan.total_steps and not self.notes.get("finished"):
            self.model.train()
            if not self._took_step(batches_of):
                continue
            if self.step % self.plan.evaluate_every == 0 or self.step == self.plan.total_steps:
                evaluate()
            stop = self._ranks.sum_of([self.reporter.stop_requested])[0] > 0
            # While steps are in trouble the checkpoint before is the better one to go on from.
            if not self.guard.in_a_row and (stop or self._checkpoint_is_due()):
                self._checkpoint()
            if stop:
                self._checkpoints.finish()
                raise SystemExit(TERMINATED)
        self._checkpoints.finish()

    def timings(self) -> dict[str, float]:
        """Seconds, tokens per second and so on since this process began to train."""
        return self._meter.totals()

    def _took_step(self, batches_of: Callable[[int], Sequence[Batch]]) -> bool:
        """Take one step, pass it over when it is in trouble; False after going back to a checkpoint."""
        started, place = time.monotonic(), self.step + self.guard.passed_over
        batches = batches_of(place)
        torch.manual_seed(step_seed(self.plan.seed, place) + self._ranks.rank)
        measured = self._step.gradients(batches)
        trouble = self.guard.trouble(measured.loss, measured.gradient_norm)
        self.step += 1
        if trouble:
            self._step.discard()
            return self._passed_over(trouble)
        self._step.apply(self._rate(self.step))
        if self.average:
            self.average.update(self.step)
        self._meter.count(measured.tokens, time.monotonic() - started)
        self._record(measured)
        return True

    def _rate(self, step: int) -> float:
        """The learning rate of step `step` (from 1) as a share of the peak."""
        return self.plan.factor(step - 1) * self.guard.rate

    def _record(self, measured: Measured) -> None:
        norm = round(measured.gradient_norm, 4)
        row = {"step": self.step, "loss": round(measured.loss, 6), "gradient_norm": norm}
        if len(measured.terms) > 1:
            row |= {name: round(loss, 6) for name, loss in measured.terms.items()}
        self.history.append(row)
        now, total = time.monotonic(), self.plan.total_steps
        if now - self._reported_at < SECONDS_BETWEEN_EVENTS and self.step < total:
            return
        self._reported_at = now
        self.reporter.event(
            "progress",
            **row,
            total=total,
            learning_rate=self.plan.learning_rate * self._rate(self.step),
            epoch=round(self.step / self.plan.steps_per_epoch, 3),
            **self._meter.figures(total - self.step),
        )

    def _passed_over(self, trouble: str) -> bool:
        """Answer trouble in the step just finished: go on (True), go back (False), or stop the run."""
        if self.guard.must_stop or (self.guard.must_rewind and not self.plan.goes_back):
            raise TrainingError(f"{trouble} at step {self.step} of {self.plan.total_steps}{self._way_out()}")
        if not self.guard.must_rewind:
            self._tell({"step": self.step, "trouble": trouble, "action": "the step is passed over"})
            return True
        found = self._checkpoints.latest()
        if found is None:
            raise TrainingError(
                f"{trouble} at step {self.step} of {self.plan.total_steps}, the {IN_A_ROW}th step in a row "
                f"in trouble, and there is no checkpoint to go back to{self._way_out()}"
            )
        self._rewind(found, trouble)
        return False

    def _rewind(self, found: Checkpoint, trouble: str) -> None:
        step, guard, history = self.step, self.guard, self.history
        self._restore(found)
        self.guard = guard.rewound(found.state["guard"], step - found.step)
        self.history += [row for row in history if "trouble" in row and row not in self.history]
        action = (
            f"{IN_A_ROW} steps in a row were in trouble: back to step {found.step}, "
            f"on with other data and {self.guard.rate:g} times the learning rate"
        )
        self._tell({"step": step, "trouble": trouble, "action": action})

    def _tell(self, row: dict[str, Any]) -> None:
        self.history.append(row)
        message = f"step {row['step']}: {row['trouble']}; {row['action']}"
        self.reporter.event("trouble", message=message, **row)

    def _way_out(self) -> str:
        after = f" after going back {self.guard.rewinds} times" if self.guard.rewinds else ""
        last = (
            f"the last healthy checkpoint, of step {self._saved_step}, is in {self._checkpoints.directory}"
            if self._saved_step
            else "no checkpoint was written"
        )
        return f"{after}; lower the learning rate or lengthen the warm-up and start again ({last})"

    def _checkpoint_is_due(self) -> bool:
        every = self.plan.checkpoint_every
        return self.notes.get("best") == self.step or self.step // every > self._saved_step // every

    def _checkpoint(self) -> None:
        """Write down everything that the rest of the run depends on."""
        parts: dict[str, Mapping[str, torch.Tensor]] = {
            "model": trained(self.model),
            "optimizer": self._step.optimizer.state(),
            "average": self.average.state() if self.average else {},
            "kept": self.kept,
        }
        tensors = {f"{part}/{name}": t for part, named in parts.items() for name, t in named.items()}
        state = {"history": self.history, "notes": self.notes, "guard": self.guard.state()}
        self._checkpoints.save(Checkpoint(self.step, tensors, state), self.notes.get("best"))
        self._saved_step = self.step

    def _restore(self, found: Checkpoint) -> None:
        parts: dict[str, dict[str, torch.Tensor]] = {"model": {}, "optimizer": {}, "average": {}, "kept": {}}
        for name, tensor in found.tensors.items():
            part, rest = name.split("/", 1)
            parts[part][rest] = tensor
        copy_weights(parts["model"], self.model)
        self._step.optimizer.load_state(parts["optimizer"])
        if self.average:
            self.average.load_state(parts["average"])
        self.step = self._saved_step = found.step
        self.kept, self.history = parts["kept"], found.state["history"]
        self.notes, self.guard = found.state["notes"], Guard(**found.state["guard"])
