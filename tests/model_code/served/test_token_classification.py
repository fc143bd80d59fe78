"""Words of a text in any script, and where they are."""

from __future__ import annotations

import pytest

from model_code.served.token_classification import Form, entities, usual_words, words_of

MULLER = "Mu\u0308ller"  # in NFD: the dots are a character of their own


@pytest.mark.parametrize(
    ("text", "divided", "words"),
    [
        ("Ada lives in London.", "spaces", ["Ada", "lives", "in", "London."]),
        ("10\u00a0000 Euro\tnet", "spaces", ["10\u00a0000", "Euro", "net"]),
        ("Ada lives in London.", "signs", ["Ada", "lives", "in", "London", "."]),
        (f"{MULLER}, it's U.S", "signs", [MULLER, ",", "it's", "U.S"]),
        ("हिन्दी में", "signs", ["हिन्दी", "में"]),
        ("安倍晋三 in Tokyo", "characters", ["安", "倍", "晋", "三", "in", "Tokyo"]),
        ("☔ \x00", "signs", ["☔", "\x00"]),
        ("", "signs", []),
    ],
)
def test_a_text_is_divided(text: str, divided: str, words: list[str]) -> None:
    found, places = words_of(text, divided)
    assert found == words
    assert [text[start:end] for start, end in places] == words


@pytest.mark.parametrize(
    ("sentences", "divided"),
    [
        ([["Ada", "lives", "in", "London", "."], ["No", ",", "she", "left", "."]], "signs"),
        ([["Ada", "lives", "in", "London."], ["No,", "she", "left."]], "spaces"),
        ([["Ada", "lives"]], "spaces"),
        ([list("安倍晋三在东京")], "characters"),
        ([["安倍晋三", "在", "东京都"]], "spaces"),
    ],
)
def test_texts_are_divided_as_the_examples_were(sentences: list[list[str]], divided: str) -> None:
    assert usual_words(sentences) == divided


def test_words_that_are_given_have_their_places_also_with_a_blank_in_them() -> None:
    form = Form.__new__(Form)
    words = ["Es", "kostet", "10\u00a0000", "New York", "in", "Berlin"]
    text, same, places = form._words({"words": words})
    assert same == words
    assert [text[start:end] for start, end in places] == words
    assert form.questions({"words": words}) == []  # no text is divided into these
    assert form.questions({"words": words[:3]}) == [{"text": "Es kostet 10\u00a0000", "divided": "spaces"}]


def test_entities_are_runs_of_their_tags() -> None:
    assert entities(["B-A", "I-A", "O", "B-B", "B-A"]) == [("A", 0, 2), ("B", 3, 4), ("A", 4, 5)]
