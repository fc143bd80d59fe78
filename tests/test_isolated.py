"""A whole run where nothing beyond loopback can be reached: what it asked for, wrote, and kept.

One run for all that must hold of every run: nothing reports home, nothing is written outside the home, and
no page, log or database keeps text of the corpus or a credential.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
# Root makes a network at once; others need a user namespace, which some machines refuse.
UNSHARE = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"])]
# Processes of its own: all of them, the servers too, end with the first.
UNSHARE += ["--net", "--mount", "--mount-proc", "--pid", "--fork", "--kill-child"]
OUTSIDE = ("HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "TMPDIR")
# In every document; the number differs.
TEXT = (
    " They whispered purple thunder {0}. Write to jane.doe{0}@secretmail.org, key sk-Zz9Planted{0:04d}KEYabc"
    "dEFGH1234567890, password hunter2-planted-{0}, card 4111 1111 1111 1111."
)
PLANTED = ("whispered purple", "jane.doe", "sk-Zz9Planted", "hunter2-planted", "4111 1111")
CREDENTIALS = {
    "HTTPS_PROXY": "http://me:pr0xy-planted@127.0.0.1:9",
    "AWS_SECRET_ACCESS_KEY": "4ws-planted-key",
    "HF_TOKEN": "hf_0planted0token",
}
USED = "s3rver-planted"  # the password in the servers' addresses
# The corpus itself, and what a person reads of it on this machine: all below the home, and on no page.
TEXT_BELONGS = ("collected/*", "artifacts/collect/*", "artifacts/clean/*", "artifacts/examples/*")
TEXT_BELONGS += ("artifacts/evaluate/*/samples.json", "artifacts/pretrain/*/samples.json")
TEXT_BELONGS += ("artifacts/deploy/*/canaries.json",)
LOAD = "import mlflow, sys; print(mlflow.pyfunc.load_model(sys.argv[1]).predict(['the roses']).label[0])"
SCRIPT = f"""
set -e
textmill up
export PREFECT_API_URL=http://mill:{USED}@127.0.0.1:$TEXTMILL_PREFECT_PORT/api
export MLFLOW_TRACKING_URI=http://mill:{USED}@127.0.0.1:$TEXTMILL_MLFLOW_PORT
textmill run "$1"
unset ORT_DISABLE_TELEMETRY
python -c "{LOAD}" models:/topics/1
unset PREFECT_API_URL MLFLOW_TRACKING_URI
textmill down
"""


@dataclass(frozen=True)
class Kept:
    """What is there after the run: the home, the folders outside it, and what was looked for beyond."""

    home: Path
    outside: Path
    output: str
    sought: dict[str, list[str]]


@pytest.fixture(scope="module")
def kept(recipe: Path, open_mill: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """A run of planted documents with planted credentials."""
    folder = tmp_path_factory.mktemp("isolated")
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("unshare (util-linux) and ip (iproute2) are needed for a network of its own")
    if (tried := subprocess.run([*UNSHARE, "true"], capture_output=True, check=False)).returncode:
        pytest.skip(f"no network of its own on this machine: {tried.stderr.decode().strip()}")
    rows = map(json.loads, recipe.with_name("topics.jsonl").read_text(encoding="utf-8").splitlines())
    planted = [row | {"text": row["text"] + TEXT.format(number)} for number, row in enumerate(rows)]
    (folder / "topics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in planted), encoding="utf-8")
    settings = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    settings["collect"]["sources"][0]["path"] = str(folder / "topics.jsonl")
    (folder / "topics.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    outside = {name: str(folder / "outside" / name) for name in OUTSIDE}
    for place in outside.values():
        Path(place).mkdir(parents=True)
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TEXTMILL_LOGIN": "off"}
    (folder / "outside" / "here").mkdir()
    with open_mill(folder / "home", **outside, **CREDENTIALS, **path) as mill:
        record = folder / "sought.json"
        command = [*UNSHARE, sys.executable, ROOT / "tests" / "isolated_network.py", record]
        done = subprocess.run(
            [*command, "sh", "-c", SCRIPT, "sh", folder / "topics.yaml"],
            env=mill.environment,
            cwd=folder / "outside" / "here",
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
            encoding="utf-8",
        )
    assert done.returncode == 0, done.stdout + done.stderr
    sought = json.loads(record.read_text(encoding="utf-8"))
    return Kept(folder / "home", folder / "outside", done.stdout + done.stderr, sought)


def test_nothing_beyond_loopback_is_looked_up_or_reached(kept: Kept) -> None:
    assert kept.sought == {"names": [], "addresses": []}


def test_nothing_is_written_outside_the_home(kept: Kept) -> None:
    """But what `mlflow.pyfunc.load_model` itself leaves of a model that is not told where to go.

    Nor in the folder where the command is given; servers have ended.
    """
    fetched = [model.parent for model in kept.outside.glob("TMPDIR/*/MLmodel")]
    assert len(fetched) == 1
    files = [path for path in kept.outside.rglob("*") if path.is_file() and fetched[0] not in path.parents]
    assert files == []
    assert "ended door, triton, mlflow, prefect" in kept.output


def test_mlflow_has_no_advice(kept: Kept) -> None:
    assert "hint" not in kept.output


def test_no_page_log_or_database_keeps_text(kept: Kept) -> None:
    assert _files_with(PLANTED, kept.home, TEXT_BELONGS) == {}
    for pattern in TEXT_BELONGS[1:4]:
        assert any(kept.home.glob(pattern)), pattern


def test_no_page_log_or_database_keeps_a_credential(kept: Kept) -> None:
    secrets = ("pr0xy-planted", *list(CREDENTIALS.values())[1:], USED)
    assert _files_with(secrets, kept.home, ()) == {}
    assert not any(secret in kept.output for secret in secrets)


def _files_with(texts: tuple[str, ...], home: Path, but: tuple[str, ...]) -> dict[str, list[str]]:
    allowed = {path for pattern in but for path in home.glob(pattern)}
    found = {}
    for path in home.rglob("*"):
        if path.is_file() and not allowed & {path, *path.parents}:
            content = path.read_bytes()
            if there := [text for text in texts if text.encode() in content]:
                found[str(path.relative_to(home))] = there
    return found
