"""A field that a recipe wants in `meta` and no record has is named before anything is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.collect import CollectConfig, collect, snapshot
from tasks.contract.errors import SourceError
from tasks.contract.run import Run


@pytest.mark.parametrize(
    ("name", "content", "have"),
    [
        ("a.jsonl", '{"text": "one", "topic": "x"}\n{"text": "two", "kind": "y"}\n', "text, topic"),
        ("a.json", '[{"text": "one", "topic": null}]', "text, topic"),
        ("a.txt", "one", "no fields"),
    ],
)
def test_a_meta_field_that_no_document_has_is_named(
    tmp_path: Path, name: str, content: str, have: str
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_text(content, encoding="utf-8")
    source = {"kind": "files", "path": str(tmp_path / "in"), "meta_fields": ["label"]}
    config = CollectConfig.model_validate({"sources": [source]})
    with pytest.raises(SourceError) as error:
        collect.fn(snapshot(config, tmp_path / "home"), config, Run(tmp_path / "home"))
    assert f"has the field 'label' that meta_fields names; its records have {have}. " in str(error.value)
