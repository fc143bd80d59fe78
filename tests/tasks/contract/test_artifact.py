"""Artifacts: what the digest sees, and a manifest that reads back as it was written."""

import math
from pathlib import Path

import pytest

from tasks.contract.artifact import (
    Manifest,
    canonical,
    content_digest,
    describe_files,
    folder_digest,
    sha256_file,
    sha256_text,
)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "plots").mkdir()
    (tmp_path / "weights.bin").write_bytes(b"\x00\x01")
    (tmp_path / "plots" / "loss.png").write_bytes(b"png")
    (tmp_path / "seconds.txt").write_text("3", encoding="utf-8")
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    return tmp_path


def test_files_are_described_without_the_manifest(directory: Path) -> None:
    files = describe_files(directory, frozenset({"seconds.txt", "plots/"}))
    assert {name: file.volatile for name, file in files.items()} == {
        "plots/loss.png": True,
        "seconds.txt": True,
        "weights.bin": False,
    }
    assert files["weights.bin"].bytes == 2
    # FIPS 180-4 says nothing of these bytes; `sha256sum` does.
    assert files["weights.bin"].sha256 == "b413f47d13ee2fe6c845b2ee141af81de858df4ec549a58b7970bb96645bc8d2"


def test_digest_sees_names_and_content_and_stage_but_no_volatile_file(directory: Path) -> None:
    def digest(stage: str = "train") -> str:
        return content_digest(stage, describe_files(directory, frozenset({"seconds.txt"})))

    first = digest()
    (directory / "seconds.txt").write_text("4", encoding="utf-8")
    assert digest() == first
    assert digest("other") != first
    (directory / "weights.bin").write_bytes(b"\x00\x02")
    changed = digest()
    (directory / "weights.bin").rename(directory / "weights2.bin")
    assert len({first, changed, digest()}) == 3


def test_canonical_text_does_not_depend_on_order() -> None:
    assert canonical({"b": [1, "é"], "a": None}) == canonical({"a": None, "b": [1, "é"]})
    assert canonical({"b": [1, "é"], "a": None}) == '{"a":null,"b":[1,"é"]}'


def test_file_and_text_have_the_same_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("abc", encoding="utf-8")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, B.1
    assert sha256_file(tmp_path / "file") == sha256_text("abc") == expected


def test_manifest_survives_json_even_with_numbers_that_json_lacks() -> None:
    manifest = Manifest(
        stage="evaluate",
        key="k",
        digest="d",
        inputs={"tokens": None},
        config={"steps": 3},
        code="c",
        files={},
        counts={"documents": 3},
        metrics={"loss": math.nan, "perplexity": math.inf, "f1": 0.1},
        external={},
        seconds=0.5,
        made_at="2026-01-01T00:00:00+00:00",
    )
    read = Manifest.model_validate_json(manifest.model_dump_json())
    assert math.isnan(read.metrics["loss"])
    assert read.metrics["perplexity"] == math.inf
    assert read.model_copy(update={"metrics": manifest.metrics}) == manifest
    assert read.artifact.model_dump() == {"stage": "evaluate", "key": "k", "digest": "d"}


def test_a_volatile_name_is_that_of_one_file(directory: Path) -> None:
    (directory / "seconds.txt.old").write_text("2", encoding="utf-8")
    files = describe_files(directory, frozenset({"seconds.txt", "plots"}))
    assert {name for name, file in files.items() if file.volatile} == {"seconds.txt"}


def test_a_folder_s_digest_is_that_of_its_files_and_none_is_that_of_no_folder(directory: Path) -> None:
    digest = folder_digest(str(directory))
    assert digest == content_digest("folder", describe_files(directory, frozenset()))
    (directory / "seconds.txt").write_text("4", encoding="utf-8")
    assert folder_digest(str(directory)) != digest
    assert folder_digest("") == folder_digest(str(directory / "gone")) == ""
