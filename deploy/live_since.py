"""Since when an endpoint answers from its version: a note in Triton's home, beside the model repository.

The time of a file would lie: a repair and a switch that failed write the same files anew. The note is written
before the switch, is put back when it fails, and counts for the version that it names alone: one that is left
by a kill before the endpoint was moved says nothing.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

FOLDER = "live"


@contextlib.contextmanager
def noted(triton_home: Path, name: str, version: int) -> Iterator[None]:
    """Note that the endpoint answers from this version from now on, which the block brings about.

    Raises:
        OSError: the note can't be written; the block was not entered.
    """
    place = _place(triton_home, name)
    before = place.read_bytes() if place.is_file() else None
    now = datetime.now(UTC).isoformat(timespec="seconds")
    _write(place, json.dumps({"version": version, "since": now}).encode())
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):
            if before is None:
                place.unlink()
            else:
                _write(place, before)
        raise


def live_since(triton_home: Path, name: str, version: int | None) -> datetime | None:
    """When the endpoint moved to this version (UTC), None where nothing reliable says so."""
    try:
        note = json.loads(_place(triton_home, name).read_text(encoding="utf-8"))
        return datetime.fromisoformat(note["since"]) if note["version"] == version else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _place(triton_home: Path, name: str) -> Path:
    return triton_home / FOLDER / f"{name}.json"


def _write(place: Path, content: bytes) -> None:
    place.parent.mkdir(exist_ok=True)
    fresh = place.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.replace(place)
