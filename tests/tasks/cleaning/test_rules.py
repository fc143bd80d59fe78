"""Each filter by an example that fails it and one, as near as can be, that does not."""

import pytest

from tasks.cleaning import rules
from tasks.cleaning.config import CleanConfig
from tasks.cleaning.repair import repair
from tasks.cleaning.rules import first_failure

PROSE = "Return the weighted mean of the values along the given axis, ignoring missing entries."
CHINESE = "这个耳机的音质非常好，佩戴也很舒服，推荐大家购买。"
DOCTEST = "\n".join(f">>> frame.rolling({i}).mean()[{i}:]" for i in range(6))
TABLE = "+-----+-----+\n| one | two |\n+=====+=====+\n" + "\n".join(f"| {i} | {i} |" for i in range(9))


@pytest.mark.parametrize(
    "text", [PROSE, CHINESE, f"{PROSE}\n{DOCTEST[:120]}", f"{PROSE}\n\n- one thing\n- another"]
)
def test_true_text_passes(text: str) -> None:
    assert first_failure(text, CleanConfig()) is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("Return the mean.", "too_short"),
        ("很好，谢谢你！", "too_short"),
        ("word " * 50_000, "too_long"),
        ("2024-08-14 15:01:11.152219 97429116795e 7495a5013e7e -- 9 9 9", "few_letters"),
        (r"\frac{a^{b}}{c_{d}} + \sqrt{x} * \left{y\right} = {alpha_{beta}} + Delta", "symbols"),
        ("the same line once more\n" * 5, "repeated_lines"),
        ("- first of the points\n- second of the points\n- third point", "bullets"),
        ("The story begins...\nThen it goes on...\nAnd never ends...", "ellipses"),
        (DOCTEST.replace("[", "").replace("]:", ""), "code"),
    ],
)
def test_each_rule_drops_what_it_is_for(text: str, rule: str) -> None:
    failure = first_failure(text, CleanConfig())
    assert failure is not None
    assert failure[0] == rule


def test_measured_values() -> None:
    assert rules.size("ab中文") == 8
    assert rules.letters("ab 12\n") == 0.5
    assert rules.letters("中文，！") == 0.5
    assert rules.symbols("a=b c") == 0.25
    assert rules.repeated_lines("ab\nab\n\ncd") == pytest.approx(2 / 6)
    assert rules.bullet_lines("1. a\n* b\nc\n2) d") == 0.75
    assert rules.ellipsis_lines("a bc...\n...\nd ef…\ne") == 0.5
    assert rules.code(TABLE) == 1.0
    assert rules.code(f"{'x' * 30} y\n>>> 1\n") == pytest.approx(5 / 37)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("filler", [" ", "\t \t", "a.", "1 ", "f(", ") ", "= ", "-", "\u3000x "])
def test_no_text_takes_quadratic_time(filler: str) -> None:
    text = repair(f"start {filler * 60_000} end\n" + filler * 60_000 + "x")
    failure = first_failure(text, CleanConfig(max_characters=10**7))
    assert failure is None or failure[1] >= 0


def test_a_bound_is_met_by_equality() -> None:
    assert first_failure("a" * 40, CleanConfig()) is None
    assert first_failure("a" * 39, CleanConfig()) == ("too_short", 39.0)


def test_bounds_outside_their_range_are_refused() -> None:
    for bad in (
        {"min_letters": 1.1},
        {"languages": ()},
        {"languages": ("xx",)},
        {"near_duplicate": 0.1},
        {"typo": 1},
    ):
        with pytest.raises(ValueError, match=next(iter(bad))):
            CleanConfig.model_validate(bad)
