"""What a recipe asks its endpoint is looked at before anything starts."""

from __future__ import annotations

from typing import Any

import pytest

from flows.recipe import Recipe
from flows.recipe_questions import check_questions
from tasks.contract.errors import RecipeError

BOTH = {"question": "who?", "context": "Ada."}


def recipe(task: str, *questions: Any, **columns: str) -> Recipe:
    examples = {"kind": "files", "task": task, "train": "a.csv", "columns": columns}
    start = {"start_from": "checkpoints/minilm"}
    return Recipe.model_validate(
        {"name": "small", "questions": questions, "examples": examples, "fine_tune": start}
    )


@pytest.mark.parametrize(
    ("asking", "said"),
    [
        (
            recipe("question_answering", BOTH, "who?"),
            r"questions\[1\]: it is a text alone, .* a question and a context",
        ),
        (
            recipe("question_answering", {"question": "who?"}),
            r"questions\[0\]: it has no context; write {question: …",
        ),
        (recipe("classification", "a", second="other"), r"a text and a second; write {text: …, second: …}"),
        (recipe("classification", {"text": "a", "txet": "b"}), "the endpoint knows no txet"),
        (recipe("similarity", "a"), "a first and a second"),
        (
            recipe("instructions", {"prompt": "a", "messages": "[]"}),
            "it has prompt and messages of prompt, m",
        ),
        (
            recipe("instructions", {"temperature": "1"}),
            "it has none of prompt, messages, text_inpu",
        ),
        (recipe("seq2seq", {"text_input": "a", "beam": "4"}), "the endpoint knows no beam"),
        (recipe("relations", "Ada lives in London"), "its text has no <e1>"),
    ],
)
def test_a_question_that_can_not_be_asked_is_refused(asking: Recipe, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        check_questions(asking)


@pytest.mark.parametrize(
    "asking",
    [
        recipe("question_answering", BOTH),
        recipe("classification", "a", {"text": "b"}),
        recipe("classification", {"text": "a", "second": "b"}, second="other"),
        recipe("token_classification", {"text": "Ada", "divided": "signs"}),
        recipe("relations", "<e1>Ada</e1> lives in <e2>London</e2>"),
        recipe("instructions", "anything", {"text_input": "Once"}, {"prompt": "a", "stop_words": "b"}),
    ],
)
def test_others_are_asked(asking: Recipe) -> None:
    check_questions(asking)
