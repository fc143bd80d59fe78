"""What a run can't go on with is one message of the command: values, files, ports, a missing server."""

from __future__ import annotations

import gzip
import json
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from flows.login import client_environment


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("pretrain.stepz=3", 2, "pretrain.stepz: unknown key; did you mean 'steps'?"),
        (
            "clean.filters.thresholds.all.too_short=90000",
            1,
            "631 of them by too_short; relax clean.filters.thresholds.all.too_short",
        ),
        (
            "pretrain.learning_rate=5",
            2,
            "pretrain.learning_rate: found 5; Input should be less than or equal to 1",
        ),
    ],
)
def test_a_bad_value_is_one_message(
    mill: Any, recipe: Path, first: dict[str, str], override: str, code: int, message: str
) -> None:
    output = mill("run", recipe, "--set", override, code=code)
    assert output.count("error: ") == 1
    assert message in output


@pytest.mark.parametrize(
    ("stage", "override", "message"),
    [
        ("validate_clean", "validate.clean.max_characters=50", "topics.jsonl#"),
        ("examples", "examples.min_documents=500", "two labels are needed, 0 of topic is large enough"),
    ],
)
def test_what_a_stage_refuses_is_one_message(
    mill: Any, recipe: Path, first: dict[str, str], stage: str, override: str, message: str
) -> None:
    output = mill("run", recipe, "--only", stage, "--set", override, code=1)
    assert output.count("error: ") == 1
    assert message in output


def test_a_corpus_without_text_is_one_message(
    mill: Any, recipe: Path, first: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "empty.txt").write_text(" \n", encoding="utf-8")
    path = f"collect.sources.0.path={tmp_path}"
    output = mill("run", recipe, "--only", "collect", "--set", path, code=1)
    assert "no document in files (left out: 1 empty)" in output


def test_files_that_cannot_be_read_are_left_out_and_counted(mill: Any, recipe: Path, tmp_path: Path) -> None:
    good = recipe.with_name("topics.jsonl").read_bytes()
    (tmp_path / "good.jsonl").write_bytes(good)
    (tmp_path / "binary.txt").write_bytes(bytes(range(256)))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(good)[:-100])
    (tmp_path / "long.jsonl").write_text(json.dumps({"text": "tide " * 10_000}) + "\n", encoding="utf-8")
    source = f"collect.sources.0={{kind: files, path: {tmp_path}, max_document_bytes: 20000}}"
    output = mill("run", recipe, "--only", "collect", "--set", source)
    assert "3 records left out (left out: 1 binary, 1 damaged, 1 too large)" in output
    collected = mill.home / "artifacts" / "collect" / mill.outcomes("key")["collect"][:32]
    skipped = pq.read_table(collected / "skipped.parquet").to_pylist()
    assert {Path(row["uri"]).name: row["reason"] for row in skipped} == {
        "binary.txt": "binary",
        "cut.jsonl.gz": "damaged",
        "long.jsonl#1": "too large",
    }


def test_a_taken_port_is_named_with_its_owner(
    recipe: Path, open_mill: Callable[..., Any], tmp_path: Path
) -> None:
    with open_mill(tmp_path / "home") as mill, socket.socket() as taken:
        port = int(mill.environment["TEXTMILL_PREFECT_PORT"])
        taken.bind(("127.0.0.1", port))
        taken.listen()
        output = mill("run", recipe, code=1)
        assert f"port {port} is taken by" in output
        assert f"(pid {os.getpid()})" in output
        assert "TEXTMILL_PREFECT_PORT" in output


def test_a_missing_triton_is_named_with_the_way_out(
    mill: Any, recipe: Path, open_mill: Callable[..., Any], tmp_path: Path
) -> None:
    others = {"PREFECT_API_URL": f"{mill.url('PREFECT')}/api", "MLFLOW_TRACKING_URI": mill.url("MLFLOW")}
    for server in ("prefect", "mlflow"):
        others |= client_environment(server, mill.home)
    with open_mill(tmp_path / "home", TEXTMILL_TRITON_ENV=str(tmp_path), **others) as bare:
        output = bare("run", recipe, code=1)
    assert f"the Triton server is not installed: no {tmp_path}; run `make install`" in output
