"""The plain measure that CONTRIBUTING.md shows is found, and its rule drops what it says."""

import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus.cleaning.config import FiltersConfig
from corpus.cleaning.filters import plain, rule_sets
from corpus.cleaning.filters.first_failure import first_failures

PAGE = (Path(__file__).parents[4] / "CONTRIBUTING.md").read_text(encoding="utf-8")
CALM = "The harbour was quiet this morning, and nobody in the town had any work to do."
TEXTS = [CALM, CALM.upper()]


@pytest.fixture
def shouting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (code,) = re.findall(r'```python\n("""How much of a text.*?)```', PAGE, re.S)
    (rule,) = re.findall(r"^basic +shouting .*$", PAGE, re.M)
    (tmp_path / "capitals.py").write_text(code, encoding="utf-8")
    monkeypatch.setattr(plain, "__path__", [*plain.__path__, str(tmp_path)])
    monkeypatch.setattr(rule_sets, "RULE_TABLE", f"{rule_sets.RULE_TABLE}{rule}\n")
    monkeypatch.setattr(rule_sets, "RULE_SETS", rule_sets._read_tables())
    plain.plain_measures.cache_clear()
    importlib.invalidate_caches()
    yield
    plain.plain_measures.cache_clear()


def test_a_plain_measure_judges_like_any_other(shouting: None) -> None:
    config = FiltersConfig(sets=("basic",))
    names, values = first_failures(pa.array(TEXTS, pa.string()), ["en", "en"], config)
    assert names == [None, "shouting"]
    assert np.isnan(values[0])
    assert values[1] == 1


def test_a_recipe_changes_its_threshold(shouting: None) -> None:
    config = FiltersConfig(sets=("basic",), thresholds={"all": {"shouting": 1.0}})
    names, _ = first_failures(pa.array(TEXTS, pa.string()), ["en", "en"], config)
    assert names == [None, None]
