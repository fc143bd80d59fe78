"""Which version is champion, asked in milliseconds: MLflow's own client takes seconds to import.

For `textmill status`, which must answer at once. Everything that changes the registry goes through
`registry.py`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from tasks.tracking import own_servers
from tasks.tracking.registry import CHAMPION, MISSING

PAGE = "api/2.0/mlflow/registered-models/alias"


def champions(models: Iterable[str]) -> dict[str, int | None]:
    """The champion of each model at the server in MLFLOW_TRACKING_URI, None where there is none.

    A model of which the server does not tell it is left out.
    """
    import requests

    page = f"{os.environ['MLFLOW_TRACKING_URI'].rstrip('/')}/{PAGE}"
    found: dict[str, int | None] = {}
    with requests.Session() as session:
        for model in models:
            asked = {"name": model, "alias": CHAMPION}
            try:
                known: dict[str, Any] = own_servers.as_client("mlflow")
                answer = session.get(page, params=asked, timeout=own_servers.SECONDS, **known).json()
                if "model_version" in answer:
                    found[model] = int(answer["model_version"]["version"])
                elif answer.get("error_code") in MISSING:
                    found[model] = None
            except (requests.RequestException, OSError, ValueError, KeyError, TypeError, AttributeError):
                break  # it would say no more of the others
    return found
