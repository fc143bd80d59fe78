"""Become a command in a container, with the secrets that were mounted as its environment variables.

`python -m deploy.container.with_secrets COMMAND …`. Secrets are files, so that they stand in no compose file,
no manifest and no image; the programs read variables.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

SECRETS = Path("/run/secrets")
USER = "textmill"


def variables(secrets: Path) -> dict[str, str]:
    """What each secret is called by the programs that need it; those that were not mounted are left out."""
    found = {}
    if password := _read(secrets / "postgres"):
        found["PGPASSWORD"] = password  # for asyncpg and for psycopg
    if password := _read(secrets / "s3"):
        found["AWS_SECRET_ACCESS_KEY"] = password
    if key := _read(secrets / "key"):
        # As flows/login.py tells them: not every client of Prefect sends the first.
        basic = base64.b64encode(f"{USER}:{key}".encode()).decode()
        found["PREFECT_API_AUTH_STRING"] = f"{USER}:{key}"
        found["PREFECT_CLIENT_CUSTOM_HEADERS"] = json.dumps({"Authorization": f"Basic {basic}"})
        found["MLFLOW_TRACKING_USERNAME"], found["MLFLOW_TRACKING_PASSWORD"] = USER, key
    return found


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8").strip() if file.is_file() else ""


if __name__ == "__main__":
    if not sys.argv[1:]:
        sys.exit("give a command")
    os.environ |= variables(SECRETS)
    os.execvp(sys.argv[1], sys.argv[1:])
