"""Words of many scripts, and the figures that rest on them."""

import unicodedata

import pytest
from rouge_score.tokenizers import DefaultTokenizer

from model_code.task_types import question_answering, seq2seq
from model_code.task_types.question_answering import normalized
from model_code.task_types.task import Settings
from model_code.task_types.words import first_words, words

SEQ2SEQ = Settings("seq2seq", options=seq2seq.Options())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("किताब का रंग", ["किताब", "का", "रंग"]),  # Hindi: vowel signs
        ("বাংলা ভাষা", ["বাংলা", "ভাষা"]),  # Bengali
        ("தமிழ் மொழி", ["தமிழ்", "மொழி"]),  # Tamil
        ("كِتَاب جَدِيد", ["كِتَاب", "جَدِيد"]),  # Arabic with its points
        ("שָׁלוֹם עֲלֵיכֶם", ["שָׁלוֹם", "עֲלֵיכֶם"]),  # Hebrew
        ("क्‍ष", ["क्‍ष"]),  # a joiner within
        ("我去看看。", ["我", "去", "看", "看"]),
        ("สวัสดี", ["ส", "วั", "ส", "ดี"]),
        ("e\u0301te\u0301 a_b 3rd", ["e\u0301te\u0301", "a", "b", "3rd"]),
        ("🙂 …", []),
    ],
)
def test_words_keep_their_marks(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_english_words_are_those_of_rouge_score() -> None:
    text = "Don't re-read 3.5% of the U.S. file_name (v2), 'quoted' -- it's 1,000 x!"
    assert words(text.lower()) == DefaultTokenizer(use_stemmer=False).tokenize(text)


def test_the_first_words_end_with_their_marks() -> None:
    assert first_words("किताब का रंग", 2) == "किताब का"


@pytest.mark.parametrize(("right", "said"), [("किताब का रंग", "किताबें की रंगो"), ("पानी", "पिन"), ("মা", "মি")])
def test_a_wrong_word_is_not_right(right: str, said: str) -> None:
    def figures(text: str) -> dict[str, float]:
        return seq2seq.metrics([{"target": right}], [text], SEQ2SEQ)

    assert figures(said)["rouge_l"] < 40
    assert figures(right)["rouge_l"] == figures(unicodedata.normalize("NFD", right))["chrf"] == 100


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_answers_are_compared_in_one_form_and_keep_their_letters(form: str) -> None:
    assert normalized(unicodedata.normalize(form, "à Ärger, the é")) == "à ärger é"


def test_a_sentence_ends_where_its_script_says() -> None:
    context = "पहला वाक्य। दूसरा वाक्य।"
    said = question_answering.baselines([], [{"question": "?", "context": context}], SEQ2SEQ)
    assert said["first_sentence"] == [{"text": "पहला वाक्य।", "start": 0}]
