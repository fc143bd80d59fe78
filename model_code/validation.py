"""How well a model does its task on the validation examples, after each epoch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from model_code.errors import TrainingError
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.task_types.task import Data, Example, Settings, TaskType
from model_code.task_types.texts import outputs
from model_code.training.checkpoint import trained
from model_code.training.loop import Loop


class Validation:
    """The validation examples of a task, and the model that is measured on them."""

    def __init__(
        self,
        task: TaskType,
        settings: Settings,
        model: nn.Module,
        examples: Sequence[Example],
        data: Data,
        batch_size: int,
    ) -> None:
        """`data` are the encoded `examples`; `settings` smooth and weigh nothing."""
        self.task, self.settings, self.model = task, settings, model
        self.examples, self._data, self._batch_size = examples, data, batch_size

    def figures(self, runtime: Runtime) -> dict[str, float]:
        """The loss in nats, and the task's own figures where one of them chooses the epoch."""
        predictions = []
        if self.task.SELECTION != "loss":
            predictions = self.task.predict(self.model, self._data, runtime, self._batch_size, self.settings)
        own = self.task.figures(self.examples, predictions, self.settings)
        return {"loss": self._loss(runtime)} | own

    def score(self, figures: Mapping[str, Any]) -> float:
        """The figure by which epochs are compared; higher is better."""
        figure = float(figures[self.task.SELECTION])
        return -figure if self.task.SELECTION == "loss" else figure

    def keep_if_best(self, loop: Loop, runtime: Runtime, patience: int, *, always: bool = False) -> None:
        """Measure an epoch; keep the best weights (or `always` the last), and end when patience is over.

        Raises TrainingError when the figure that chooses is not a finite number.
        """
        figures = self.figures(runtime)
        epoch, score = loop.step // loop.plan.steps_per_epoch, self.score(figures)
        if not math.isfinite(score):
            raise TrainingError(
                f"the {self.task.SELECTION} on the validation examples is {score} after epoch {epoch}; lower "
                "the learning rate or lengthen the warm-up"
            )
        loop.history[-1] |= {"epoch": epoch, "validation": figures}
        self._tell(loop, loop.history[-1])
        if always or score > loop.notes.get("best_score", -float("inf")):
            loop.notes |= {"best_score": score, "best_epoch": epoch}
            loop.kept = {name: p.detach().clone() for name, p in trained(loop.model).items()}
        loop.notes |= {"epochs": epoch, "finished": epoch - loop.notes["best_epoch"] >= patience}

    def tell_again(self, loop: Loop) -> None:
        """Report the epochs before an interruption: who listens may not have heard of the last one."""
        for row in loop.history:
            if "validation" in row:
                self._tell(loop, row)

    def _tell(self, loop: Loop, row: Mapping[str, Any]) -> None:
        figures = row["validation"]
        score = self.score(figures)
        loop.reporter.event("evaluation", step=row["step"], epoch=row["epoch"], score=score, **figures)

    def _loss(self, runtime: Runtime) -> float:
        """The mean loss, all terms together."""
        losses, targets = Counter[str](), Counter[str]()

        def scored(batch: Batch) -> tuple[Batch, dict[str, Score]]:
            return batch, self.task.scores(self.model, batch.tensors, self.settings)

        for _, (batch, scores) in outputs(scored, self.model, self._data, runtime, self._batch_size):
            targets.update(batch.targets)
            losses.update({name: score.loss.item() for name, score in scores.items()})
        return float(sum(losses[name] / max(1, targets[name]) for name in targets))
