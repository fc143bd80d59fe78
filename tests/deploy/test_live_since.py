"""Since when a version is live: by a note that a failed or a killed switch does not make wrong."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from deploy.live_since import live_since, noted


def move(home, version):
    with noted(home, "router", version):
        pass


@pytest.fixture
def monday(tmp_path):
    """Version 1 is live since 2026-01-05."""
    move(tmp_path, 1)
    note = {"version": 1, "since": "2026-01-05T08:00:00+00:00"}
    (tmp_path / "live" / "router.json").write_text(json.dumps(note), encoding="utf-8")
    return datetime(2026, 1, 5, 8, tzinfo=UTC)


def test_a_switch_is_noted(tmp_path):
    before = datetime.now(UTC)
    move(tmp_path, 3)
    found = live_since(tmp_path, "router", 3)
    assert before - timedelta(seconds=1) <= found <= datetime.now(UTC)
    assert live_since(tmp_path, "router", 2) is None
    assert live_since(tmp_path, "router", None) is None
    assert live_since(tmp_path, "tickets", 3) is None


def test_a_switch_that_failed_leaves_the_note_before(tmp_path, monday):
    with pytest.raises(RuntimeError), noted(tmp_path, "router", 2):
        raise RuntimeError
    assert live_since(tmp_path, "router", 1) == monday


def test_the_first_switch_that_failed_leaves_none(tmp_path):
    with pytest.raises(RuntimeError), noted(tmp_path, "router", 1):
        raise RuntimeError
    assert list((tmp_path / "live").iterdir()) == []


def test_of_a_switch_that_was_killed_nothing_is_said(tmp_path, monday):
    killed = noted(tmp_path, "router", 2)
    killed.__enter__()  # and version 1 still answers
    assert live_since(tmp_path, "router", 1) is None


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"version": 1}', b'{"version": 1, "since": 5}', b"\xff"]
)
def test_a_damaged_note_says_nothing(tmp_path, monday, content):
    (tmp_path / "live" / "router.json").write_bytes(content)
    assert live_since(tmp_path, "router", 1) is None
