"""Whatever form a pair is published in, it says what was asked and two replies; or it is refused in words."""

from __future__ import annotations

from typing import Any

import pytest

from model_code.data.reply_pairs import parted


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str) -> dict[str, str]:
    return {"role": "assistant", "content": text}


GOOD, BAD = assistant("It is red."), assistant("Go away.")
WANTED = {"messages": [user("What is a rose?")], "chosen": "It is red.", "rejected": "Go away."}
LISTS = {"chosen": [*WANTED["messages"], GOOD], "rejected": [*WANTED["messages"], BAD]}


@pytest.mark.parametrize(
    "beside",
    [
        {},  # conversations alone
        {"prompt": "What is a rose?"},
        {"prompt": "What is a rose?\n", "messages": LISTS["chosen"]},  # UltraFeedback, binarized
        {"messages": [user("What is a rose?")]},
    ],
)
def test_two_conversations_that_begin_alike_are_a_pair(beside: dict[str, Any]) -> None:
    assert parted(LISTS | beside) == WANTED
    assert parted(parted(LISTS | beside)) == WANTED


def test_what_was_asked_may_stand_beside_two_lists_of_one_reply() -> None:
    replies = {"chosen": [GOOD], "rejected": [BAD]}
    assert parted(replies | {"prompt": [user("What is a rose?")]}) == WANTED
    assert parted(replies | {"prompt": "What is a rose?"}) == WANTED
    assert parted(replies | {"messages": [user("What is a rose?")]}) == WANTED


def test_all_turns_before_the_last_reply_are_what_was_asked() -> None:
    before = [{"role": "system", "content": "Be brief."}, user("A rose?"), assistant("Yes."), user("Red?")]
    pair = {"id": "a", "chosen": [*before, GOOD], "rejected": [*before, BAD]}
    for prompt in ("A rose?", "Red?"):
        found = parted(pair | {"prompt": prompt})
        assert found == WANTED | {"id": "a", "messages": before}


def test_texts_stay_as_they_are() -> None:
    texts = {"prompt": "What is a rose?", "chosen": "It is red.", "rejected": "Go away."}
    assert parted(texts) is texts


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (LISTS | {"rejected": "Go away."}, "one is a text and one a list of messages"),
        (LISTS | {"rejected": [user("What is a tulip?"), BAD]}, "differ before their last message"),
        (
            LISTS | {"chosen": [user("What is a rose?")]},
            "its chosen conversation does not end with a message",
        ),
        (LISTS | {"rejected": [user("What is a rose?"), assistant(" ")]}, "of its rejected .* is empty"),
        (LISTS | {"prompt": "What is a tulip?"}, "its prompt is not what its two conversations begin with"),
        (LISTS | {"messages": [user("What is a tulip?")]}, "its messages are not what its two conversations"),
        ({"chosen": [GOOD], "rejected": [BAD]}, "it has no prompt; add what was asked"),
        (
            {"chosen": [GOOD], "rejected": [BAD], "prompt": "a", "messages": [user("a")]},
            "it has messages and a prompt besides",
        ),
        (LISTS | {"rejected": []}, "its rejected conversation has no message"),
        (LISTS | {"prompt": [user("a")], "messages": [user("a")]}, "and it has messages besides; leave one"),
    ],
)
def test_what_is_not_clear_is_refused(pair: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parted(pair)
