"""Times as file systems and archives state them, which may be any number."""

from __future__ import annotations

from datetime import UTC, datetime


def utc(seconds: float) -> datetime | None:
    """The time so many whole seconds after 1970; None for one that the calendar does not have."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, ValueError, OSError):
        return None
