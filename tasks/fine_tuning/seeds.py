"""Several seeds: how far the figures of a training depend on chance."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from statistics import mean, stdev

from tasks.contract.workspace import Workspace
from tasks.fine_tuning.trials import Training


def write_seeds(trained: Sequence[Training], workspace: Workspace) -> None:
    """Keep the model of every seed and say how far their figures on the validation examples lie apart.

    Writes `seeds/<seed>/model`, and `seeds.json` with the seed, the score and the model of each. Means and
    standard deviations (of a sample) go into `metrics.json`.
    """
    directory, listed = workspace.directory, []
    for training in trained:
        seed = training.values["seed"]
        model = f"seeds/{seed}/model"
        shutil.copytree(training.output / "model", directory / model)
        listed.append({"seed": seed, "score": training.score, "model": model})
    (directory / "seeds.json").write_text(json.dumps(listed, indent=2) + "\n", encoding="utf-8")

    metrics = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    names = [name for name, value in metrics.items() if isinstance(value, float) and name != "score"]
    each = {name: [float(training.metrics[name]) for training in trained] for name in names}
    over = {name: {"mean": mean(found), "standard_deviation": stdev(found)} for name, found in each.items()}
    (directory / "metrics.json").write_text(
        json.dumps(metrics | {"seeds": over}, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )
    _show([row["seed"] for row in listed], each, over, metrics["selection"], workspace)


def _show(
    seeds: Sequence[int],
    each: dict[str, list[float]],
    over: dict[str, dict[str, float]],
    selection: str,
    workspace: Workspace,
) -> None:
    rows: list[Sequence[object]] = list(zip(seeds, *each.values(), strict=True))
    for statistic in ("mean", "standard_deviation"):
        rows.append((statistic.replace("_", " "), *(over[name][statistic] for name in each)))
    workspace.table("Seeds, on the validation examples", ["seed", *each], rows)
    chosen = over[selection]
    workspace.metrics |= {f"{selection} over seeds, {name}": value for name, value in chosen.items()}
    workspace.say(
        f"validation {selection.replace('_', ' ')} of {len(seeds)} seeds: {chosen['mean']:.3f} "
        f"\u00b1 {chosen['standard_deviation']:.3f}"
    )
