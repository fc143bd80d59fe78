"""The libraries that decide about a text are found where they are imported."""

import importlib.util
from importlib.metadata import version
from pathlib import Path

import pytest

from corpus.reading.formats import formats, library_versions
from corpus.reading.libraries import versions


@pytest.mark.parametrize(
    ("name", "library"),
    [
        ("html", "trafilatura"),  # imported in a function
        ("parquet", "pyarrow"),
        ("warc", "trafilatura"),  # by way of another format
        ("csv", "webencodings"),  # by way of what decodes
    ],
)
def test_a_library_counts_wherever_it_is_imported(name: str, library: str) -> None:
    module = formats()[name]
    assert f"{library} {version(library)}" in versions([module])  # type: ignore[list-item]
    assert f"{library} {version(library)}" in library_versions()


def test_what_makes_no_text_does_not_count() -> None:
    assert "warcio" not in versions([formats()["csv"]])  # type: ignore[list-item]
    assert "pydantic" not in library_versions()


def test_a_distribution_may_have_another_name(tmp_path: Path) -> None:
    path = tmp_path / "own.py"
    path.write_text("import json\n\n\ndef read():\n    from yaml import safe_load\n", encoding="utf-8")
    spec = importlib.util.spec_from_file_location("own", path)
    assert spec is not None
    assert versions([importlib.util.module_from_spec(spec)]) == f"PyYAML {version('PyYAML')}"
