"""What is kept of a judgement is all that a later one needs, and no more of the texts than that."""

import math
import random
from pathlib import Path
from typing import Any

import pytest

from model_code.task_types import relations, seq2seq
from model_code.task_types.task import Settings, task_named
from tasks.evaluation import kept_predictions
from tests.model_code.task_types.test_bootstrap_metrics import LABELS, MAKERS, SETTINGS

SAID: dict[str, Any] = {"text": "a secret text", "second": "another", "first": "the first"}


def test_a_file_says_what_was_written_and_the_same_bytes(tmp_path: Path) -> None:
    settings = Settings("relations", ("none", "体育"), options=relations.Options("none"))
    examples = [{"id": "1", "text": "…", "label": "体育", "group": "g"}, {"id": "2", "label": "none"}]
    for name in ("one", "other"):
        kept_predictions.write(tmp_path / name, examples, ["none", "体育"], settings)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    kept = kept_predictions.read(tmp_path / "one")
    assert kept.settings == settings
    assert kept.said == ["none", "体育"]
    assert kept.truths == [{"id": "1", "group": "g", "label": "体育"}, {"id": "2", "label": "none"}]
    assert kept.examples == kept_predictions.examples_in(tmp_path / "one")
    assert kept.examples == kept_predictions.digest_of(examples)
    assert kept.examples != kept_predictions.digest_of([examples[0] | {"text": "changed"}, examples[1]])


@pytest.mark.parametrize("name", [*MAKERS, "matching"])
def test_every_task_gives_the_same_figures_of_what_was_kept(name: str, tmp_path: Path) -> None:
    rng, task = random.Random(3), task_named(name)
    vectors = {"first": [0.1, 0.7], "second": [0.3, 1 / 3]}
    make = MAKERS.get(name, lambda r: ({"second": r.choice("xyz")}, vectors))
    made = [make(rng) for _ in range(20)]
    examples = [{"id": str(n)} | SAID | example for n, (example, _) in enumerate(made)]
    said = [prediction for _, prediction in made]
    settings = SETTINGS.get(name, Settings(name, LABELS, options=task.Options()))
    kept_predictions.write(tmp_path / "kept", examples, said, settings)
    kept = kept_predictions.read(tmp_path / "kept")
    assert kept.said == said
    assert task.metrics(kept.truths, kept.said, kept.settings) == task.metrics(examples, said, settings)
    assert all("secret" not in str(truth) for truth in kept.truths)


def test_a_number_that_is_none_is_kept_too(tmp_path: Path) -> None:
    settings = Settings("seq2seq", options=seq2seq.Options())
    kept_predictions.write(tmp_path / "kept", [{"id": "1", "target": "x"}], [math.nan], settings)
    assert math.isnan(kept_predictions.read(tmp_path / "kept").said[0])
