"""Become Triton in its container: which endpoints it serves, and who may command it.

The standard library alone, since it runs in NVIDIA's image. Every endpoint that the model repository has is
loaded; the versions behind them come along. The control API stays closed: its key is in a mounted file, and
where there is none, nobody knows it.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from deploy import access

MODELS = Path("/models")
KEY = Path("/run/secrets/triton")
SERVER = "tritonserver"
# Parts of endpoints as deploy/repository.py names them, and an endpoint that is not live yet.
PART = re.compile(r"-v[1-9][0-9]*-(?:model|tokenizer|encoder|labels)$|-candidate$")


def endpoints(models: Path) -> list[str]:
    """What clients may ask for in a model repository, sorted."""
    folders = (folder for folder in models.iterdir() if (folder / "config.pbtxt").is_file())
    return sorted(folder.name for folder in folders if not PART.search(folder.name))


def arguments(models: Path, key: str) -> list[str]:
    """Triton's arguments; they hold the key, which other containers don't see.

    Raises SystemExit when there is nothing to serve.
    """
    if not (names := endpoints(models)):
        sys.exit(
            f"{models} has no endpoint; mount the folder triton/models of a home in which a run deployed"
        )
    return [
        f"--model-repository={models}",
        "--model-control-mode=explicit",
        *(f"--load-model={name}" for name in names),
        "--disable-auto-complete-config",
        "--exit-timeout-secs=30",
        *access.flags(key),
    ]


def control_key(file: Path) -> str:
    """What is in the file, or a key that is made now and told to nobody."""
    return (file.read_text(encoding="utf-8").strip() if file.is_file() else "") or access.new_key()


if __name__ == "__main__":
    os.execvp(SERVER, [SERVER, *arguments(MODELS, control_key(KEY))])
