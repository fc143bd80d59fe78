"""Each rule by an example that fails it and one, as near as can be, that does not."""

import math

import pyarrow as pa
import pytest

from corpus.cleaning.config import FiltersConfig
from corpus.cleaning.filters.first_failure import first_failures

PROSE = "Return the weighted mean of the values along the given axis, ignoring missing entries."
CHINESE = "这个耳机的音质非常好，佩戴也很舒服，推荐大家购买。"
DOCTEST = "\n".join(f">>> frame.rolling({i}).mean()[{i}:]" for i in range(6))

ARTICLE = """The harbour was built in the year of the great flood, and the town that grew around it has
never forgotten why. Every spring the people of the old quarter carry lanterns to the sea wall.
They walk in silence until they reach the tower, where the names of the lost are read aloud.
Visitors often ask whether the custom will survive, since the young have mostly moved away.
Those who stay answer that the sea has a longer memory than any of them."""
CHINESE_ARTICLE = """这座港口建于大洪水那一年，后来围绕它兴起的小镇从未忘记建港的原因。
每年春天，老城区的居民都会提着灯笼走到海堤上，默默地走向那座灯塔，听人宣读遇难者的名字。
游客常常问起这个习俗能不能延续下去，因为年轻人大多已经离开了家乡。
留下来的人说，大海的记忆比他们每一个人都要长久。我们也愿意相信这一点，并且每年都回来。"""
ALL_SETS = ("basic", "gopher_repetition", "gopher_quality", "fineweb", "c4")


def first_failure(text: str, language: str = "en", *sets: str, **thresholds: float) -> str | None:
    config = FiltersConfig.model_validate({"sets": sets or ("basic",), "thresholds": {"all": thresholds}})
    [name], _ = first_failures(pa.array([text]), [language], config)
    return name


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (PROSE, "en"),
        (CHINESE, "zh"),
        (f"{PROSE}\n{DOCTEST[:120]}", "en"),
        (f"{PROSE}\n\n- one thing\n- another", "en"),
        ("Atoms of expressions.\nSymbol, Number, ...\nbut not Add, Mul, ...", "en"),
        (f"Means\n=====\n\n{PROSE}\n\n{'=' * 30}\nnone  skip them\n{'=' * 30}", "en"),
        (f"{PROSE} Undecodable bytes become \ufffd here.", "en"),
    ],
)
def test_true_text_passes(text: str, language: str) -> None:
    assert first_failure(text, language) is None


@pytest.mark.parametrize(("text", "language"), [(ARTICLE, "en"), (CHINESE_ARTICLE, "zh")])
def test_an_article_passes_every_rule_of_every_set(text: str, language: str) -> None:
    assert first_failure(text, language, *ALL_SETS) is None


def test_english_thresholds_would_drop_the_chinese_article() -> None:
    assert first_failure(CHINESE_ARTICLE, "en", "gopher_quality") == "gopher_short_words"


NUMBERS = ("first", "second", "third", "fourth", "fifth")
BASIC = [
    ("Return the mean.", "too_short"),
    ("很好，谢谢你！", "too_short"),
    ("word " * 50_000, "too_long"),
    ("Die sch\ufffdnen K\ufffdhe stehen vor den gro\ufffden Toren", "unreadable"),
    ("2024-08-14 15:01:11.152219 97429116795e 7495a5013e7e -- 9 9 9", "few_letters"),
    (r"\frac{a^{b}}{c_{d}} + \sqrt{x} * \left{y\right} = {alpha_{beta}} + Delta", "symbols"),
    ("the same line once more\n" * 5, "repeated_lines"),
    ("\n".join(f"- the {place} of the points" for place in NUMBERS), "bullets"),
    ("\n".join(f"The {place} story breaks off..." for place in NUMBERS), "ellipses"),
    (DOCTEST.replace("[", "").replace("]:", ""), "code"),
    ("again and again we say " * 9, "repeated_phrases"),
    ("重要的事情说三遍" * 9, "repeated_phrases"),
]


@pytest.mark.parametrize(("text", "rule"), BASIC)
def test_each_basic_rule_drops_what_it_is_for(text: str, rule: str) -> None:
    assert first_failure(text.strip()) == rule


LINES = ARTICLE.split("\n")
CAPITALS = ("Berlin", "Ankara", "Tokyo", "Madrid", "Warsaw", "Lisbon")
OTHERS = [
    ("gopher_quality", "gopher_few_words", " ".join(LINES[:2])),
    ("gopher_quality", "gopher_short_words", "a b c of and to " * 10),
    ("gopher_quality", "gopher_long_words", f"{'incomprehensibilities ' * 60} the of"),
    ("gopher_quality", "gopher_hashes", ARTICLE.replace("the ", "# the #")),
    ("gopher_quality", "gopher_ellipses", ARTICLE.replace("the ", "the ... ")),
    ("gopher_quality", "gopher_bullet_lines", "\n".join(f"- {line}" for line in LINES)),
    ("gopher_quality", "gopher_ellipsis_lines", "\n".join(f"{line}..." for line in LINES)),
    ("gopher_quality", "gopher_alphabetic_words", ARTICLE.replace(" ", " 2024 ", 60)),
    ("gopher_quality", "gopher_stop_words", "green tea tastes fresh today " * 12),
    ("gopher_repetition", "gopher_repeated_paragraphs", "\n\n".join([LINES[0], *LINES[:2], "x", "x"])),
    ("gopher_repetition", "gopher_repeated_paragraph_text", "\n\n".join([*LINES, LINES[0], LINES[1]])),
    ("gopher_repetition", "gopher_repeated_lines", "\n".join([*LINES, "x", "x", "x", "x", "x"])),
    ("gopher_repetition", "gopher_repeated_line_text", "\n".join([*LINES, LINES[0], LINES[1]])),
    ("gopher_repetition", "gopher_top_2_grams", " very big ".join(ARTICLE.split()[:30])),
    ("gopher_repetition", "gopher_repeated_5_grams", f"{LINES[0]} {LINES[0]} {ARTICLE}"),
    ("c4", "c4_lorem_ipsum", f"{ARTICLE}\nAnd then Lorem Ipsum came."),
    ("c4", "c4_curly_brackets", f"{ARTICLE}\nAnd then a {{ came."),
    ("c4", "c4_few_sentences", "\n".join(line.rstrip(".") for line in LINES)),
    ("fineweb", "fineweb_line_ends", "\n".join(line.rstrip(".") for line in LINES)),
    ("fineweb", "fineweb_short_lines", ARTICLE.replace(" ", "\n", 30)),
    ("fineweb", "fineweb_repeated_lines", f"{ARTICLE}\n{ARTICLE}\n{ARTICLE}"),
    (
        "fineweb",
        "fineweb_newlines",
        "\n".join(f"{word} antidisestablishmentarianism" for word in CAPITALS) + ".",
    ),
]


@pytest.mark.parametrize(("rule_set", "rule", "text"), OTHERS)
def test_each_rule_of_the_other_sets_drops_what_it_is_for(rule_set: str, rule: str, text: str) -> None:
    assert first_failure(text.strip(), "en", rule_set, fineweb_repeated_lines=0.5) == rule


def test_what_c4_would_cut_out_only_counts_no_sentences() -> None:
    cut = "We use Cookies here. So it is.\nPlease enable JavaScript now. Do it.\nToo short.\nNo end of it"
    assert first_failure(f"{ARTICLE}\n{cut}", "en", "c4") is None
    assert first_failure(cut, "en", "c4", c4_few_sentences=1) == "c4_few_sentences"


def test_a_bound_is_met_by_equality() -> None:
    names, values = first_failures(pa.array(["a" * 40, "a" * 39]), ["en", "en"], FiltersConfig())
    assert names == [None, "too_short"]
    assert math.isnan(values[0])
    assert values[1] == 39


def test_the_first_rule_in_the_order_of_the_sets_is_named() -> None:
    assert first_failure("word", "en", "fineweb", "basic") == "fineweb_line_ends"
    assert first_failure("word", "en", "basic", "fineweb") == "too_short"


def test_thresholds_of_one_language_hold_for_its_documents_alone() -> None:
    config = FiltersConfig(thresholds={"zh": {"too_short": 100}})
    assert first_failures(pa.array([PROSE, CHINESE]), ["en", "zh"], config)[0] == [None, "too_short"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("江碧鳥逾白，山青花欲燃。", None),
        ("北京时间是怎么来的？", "too_short"),
        ("5月31日898元，6月1日就是798，怎么办？", None),
        ("东西不错就是有点小贵。。。。。。。。。。。", None),
        ("还行，可以。。。。。。。。。。。。。。。。。。。。。。。。。。", "few_letters"),
    ],
)
def test_short_chinese_sentences_pass(text: str, rule: str | None) -> None:
    assert first_failure(text, "zh") == rule


@pytest.mark.parametrize(
    ("opening", "rule"),
    [("<PHONE>", None), ("<EMAIL_1>", None), ("<div>", "code"), ("</TABLE>", "code"), ("<A HREF=x>", "code")],
)
def test_a_line_between_placeholders_is_no_markup(opening: str, rule: str | None) -> None:
    assert first_failure(f"{opening} is where you reach me on any day of the week {opening}") == rule


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("import or export bookmarks dialog box breaks browser auto-scroll", None),
        ("import numpy as np, scipy.sparse as sp  # what this needs", "code"),
        ("from corpus.cleaning.config import (CleanConfig, FiltersConfig,", "code"),
        ("<col> tag doesn't apply either HTML 3.2 alignment or CSS styles", None),
        ("<p>No tag is told to apply alignment or style to its cells.</p>", "code"),
    ],
)
def test_a_sentence_that_opens_like_code_is_none(text: str, rule: str | None) -> None:
    assert first_failure(text) == rule


def test_no_documents_fail_nothing() -> None:
    names, values = first_failures(pa.array([], pa.string()), [], FiltersConfig())
    assert names == []
    assert len(values) == 0
