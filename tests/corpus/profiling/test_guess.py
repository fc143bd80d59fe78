"""What task a table is of, and which columns are meant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from corpus.errors import CorpusError
from corpus.profiling.column import columns_of
from corpus.profiling.guess import Guess, guessed

WORDS = ("the parcel i ordered last week has still not arrived", "your invoice of may has a mistake in it")


def text(number: int) -> str:
    """A text of some words that no other number has."""
    return f"{WORDS[number % 2]} {number}"


def guess(told: Mapping[str, str] | None = None, **columns: Sequence[Any]) -> Guess:
    """The guess about a table of these columns."""
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return guessed(columns_of(rows), told or {})


TEXTS = [text(number) for number in range(40)]
OTHERS = [text(number + 100) for number in range(40)]
LABELS = ["billing", "parcel"] * 20


def test_a_text_and_a_column_of_few_values_are_a_classification() -> None:
    found = guess(ticket=TEXTS, kind=LABELS, id=list(range(40)))
    assert (found.task, found.columns) == ("classification", {"text": "ticket", "label": "kind"})
    assert not found.doubts


def test_names_decide_between_columns_that_could_both_be_the_label() -> None:
    found = guess(shop=["north", "south"] * 20, body=TEXTS, label=["1", "2", "3", "4"] * 10)
    assert found.columns == {"text": "body", "label": "label"}


def test_names_of_labels_are_taken_rather_than_their_numbers() -> None:
    found = guess(text=TEXTS, label=[0, 1] * 20, label_name=LABELS)
    assert found.columns["label"] == "label_name"
    assert [(one.key, set(one.choices)) for one in found.doubts] == [("label", {"label_name", "label"})]
    assert (
        guess({"label": "label"}, text=TEXTS, label=[0, 1] * 20, label_name=LABELS).columns["label"]
        == "label"
    )


def test_an_answer_settles_the_doubt() -> None:
    columns = {"title": TEXTS, "body": OTHERS, "label": LABELS}
    doubts = guess(**columns).doubts
    assert [one.key for one in doubts] == ["text"]
    assert doubts[0].taken == "title and body"
    assert guess(**columns).columns == {"text": ["title", "body"], "label": "label"}
    assert guess({"text": "body"}, **columns).columns == {"text": "body", "label": "label"}
    told = {"text": "title + body"}
    assert told["text"] in doubts[0].choices
    both = guess(told, **columns)
    assert both.columns == {"text": "title", "second": "body", "label": "label"}
    assert not both.doubts


@pytest.mark.parametrize(
    "names",
    [("sentence1", "sentence2"), ("#1 String", "#2 String"), ("text_a", "text_b"), ("premise", "hypothesis")],
)
def test_two_texts_that_are_called_alike_are_a_pair(names: tuple[str, str]) -> None:
    found = guess(**{names[0]: TEXTS, names[1]: OTHERS, "Quality": [0, 1] * 20})
    assert found.columns == {"text": names[0], "second": names[1], "label": "Quality"}
    assert not found.doubts


def test_two_texts_and_a_fraction_are_a_similarity() -> None:
    found = guess(sentence1=TEXTS, sentence2=OTHERS, score=[number / 10 for number in range(40)])
    assert (found.task, found.columns["score"]) == ("similarity", "score")


def test_whole_grades_of_pairs_are_a_similarity_by_their_name() -> None:
    assert guess(sentence1=TEXTS, sentence2=OTHERS, similarity=[0, 1, 2, 3, 4] * 8).task == "similarity"
    assert guess(sentence1=TEXTS, sentence2=OTHERS, label=[0, 1, 2, 3, 4] * 8).task == "classification"


@pytest.mark.parametrize("labels", [[["a", "b"], ["b"]] * 20, ["['a', 'b']", '["b"]'] * 20])
def test_lists_are_several_labels(labels: list[Any]) -> None:
    found = guess(text=TEXTS, topics=labels)
    assert (found.task, found.columns) == ("multi_label", {"text": "text", "labels": "topics"})


def test_labels_with_something_between_them_are_several() -> None:
    found = guess(text=TEXTS, labels=["a;b", "b;c", "a;c", "b"] * 10)
    assert (found.task, found.separator) == ("multi_label", ";")


def test_columns_of_zeros_and_ones_are_labels() -> None:
    found = guess(comment=TEXTS, toxic=[0, 1] * 20, insult=["1", "0"] * 20)
    assert (found.task, found.columns["labels"]) == ("multi_label", ["toxic", "insult"])


def test_words_and_tags_are_found_by_what_they_hold() -> None:
    found = guess(pieces=[["In", "Rome"], ["Ada", "slept"]] * 5, ner=[["O", "B-LOC"], ["B-PER", "O"]] * 5)
    assert (found.task, found.columns) == ("token_classification", {"words": "pieces", "tags": "ner"})


def test_a_question_a_context_and_answers() -> None:
    answers = [{"text": ["parcel"], "answer_start": [4]}] * 40
    found = guess(id=TEXTS, context=OTHERS, question=TEXTS, answers=answers)
    assert found.task == "question_answering"


def test_conversations() -> None:
    messages = [[{"role": "user", "content": one}, {"role": "assistant", "content": "yes"}] for one in TEXTS]
    assert guess(messages=messages).columns == {"messages": "messages"}
    assert guess(instruction=TEXTS, response=OTHERS).columns == {
        "prompt": "instruction",
        "response": "response",
    }


def test_a_text_is_joined_to_its_heading_alone() -> None:
    longer = [f"{one} and it is long and longer" for one in TEXTS]
    found = guess(review=longer, description=OTHERS, title=TEXTS, label=LABELS)
    assert found.columns == {"text": ["review", "title"], "label": "label"}
    unnamed = guess({}, one=TEXTS, two=longer, label=LABELS)
    assert unnamed.columns == {"text": "two", "label": "label"}
    assert "one and two" in unnamed.doubts[0].choices


def test_two_replies_to_one_prompt_are_a_preference() -> None:
    found = guess(prompt=TEXTS, chosen=OTHERS, rejected=[text(n + 200) for n in range(40)])
    assert (found.task, set(found.columns)) == ("preference", {"prompt", "chosen", "rejected"})
    said = [[{"role": "user", "content": one}, {"role": "assistant", "content": "yes"}] for one in TEXTS]
    found = guess(prompt_id=TEXTS, messages=said, chosen=said, rejected=said[::-1])
    assert (found.task, set(found.columns)) == ("preference", {"chosen", "rejected"})
    assert not found.doubts


def test_two_texts_alone_may_be_written_or_found() -> None:
    found = guess(a=TEXTS, b=OTHERS)
    assert [(one.key, set(one.choices)) for one in found.doubts] == [("task", {"seq2seq", "matching"})]
    assert guess({"task": "matching"}, a=TEXTS, b=OTHERS).columns == {"first": "a", "second": "b"}
    assert guess(article=TEXTS, summary=OTHERS).task == "seq2seq"
    assert guess(query=TEXTS, passage=OTHERS).task == "matching"


def test_keys_in_objects_are_columns() -> None:
    body = [{"text": one, "lines": 3} for one in TEXTS]
    assert guess(body=body, label=LABELS).columns == {"text": "body.text", "label": "label"}


def test_texts_without_labels_are_no_examples() -> None:
    with pytest.raises(CorpusError, match=r"no task fits the columns 'text', 'id'.*collect"):
        guess(text=TEXTS, id=list(range(40)))
