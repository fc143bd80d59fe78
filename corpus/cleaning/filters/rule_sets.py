"""The rule sets by name, and every threshold of every language: this table is meant to be read.

A document passes a rule when the measured value (see `measures.py`) is at least (`>=`) or at most (`<=`) the
threshold. Shares are between 0 and 1. A word is a run of letters, digits and underscores, or a run of
other visible characters such as `->`; in Chinese, Japanese and other scripts that put no spaces between
words every character is one.

Sources: Gopher (Rae et al. 2021, arXiv:2112.11446, A.1.1), C4 (Raffel et al. 2020, arXiv:1910.10683, 2.2),
FineWeb (Penedo et al. 2024, arXiv:2406.17557), in the readings of datatrove 0.10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

RULE_TABLE = """
set                rule                            measure                         threshold

basic              too_short                       size                            >= 40
basic              too_long                        size                            <= 200000
basic              unreadable                      unreadable                      <= 0.01
basic              few_letters                     letters                         >= 0.5
basic              symbols                         symbols                         <= 0.25
basic              repeated_lines                  repeated_text                   <= 0.5
basic              bullets                         listed_lines                    <= 0.9
basic              ellipses                        broken_lines                    <= 0.5
basic              code                            code                            <= 0.8
basic              repeated_phrases                repeated_phrases                <= 0.5

gopher_quality     gopher_few_words                content_words                   >= 50
gopher_quality     gopher_many_words               content_words                   <= 100000
gopher_quality     gopher_short_words              word_length                     >= 3
gopher_quality     gopher_long_words               word_length                     <= 10
gopher_quality     gopher_hashes                   hashes                          <= 0.1
gopher_quality     gopher_ellipses                 ellipses                        <= 0.1
gopher_quality     gopher_bullet_lines             bullet_lines                    <= 0.9
gopher_quality     gopher_ellipsis_lines           ellipsis_lines                  <= 0.3
gopher_quality     gopher_alphabetic_words         alphabetic_words                >= 0.8
gopher_quality     gopher_stop_words               stop_words                      >= 2

gopher_repetition  gopher_repeated_paragraphs      repeated_paragraphs             <= 0.3
gopher_repetition  gopher_repeated_paragraph_text  repeated_paragraph_text         <= 0.2
gopher_repetition  gopher_repeated_lines           repeated_lines                  <= 0.3
gopher_repetition  gopher_repeated_line_text       repeated_line_text              <= 0.2
gopher_repetition  gopher_top_2_grams              top_2_grams                     <= 0.2
gopher_repetition  gopher_top_3_grams              top_3_grams                     <= 0.18
gopher_repetition  gopher_top_4_grams              top_4_grams                     <= 0.16
gopher_repetition  gopher_repeated_5_grams         repeated_5_grams                <= 0.15
gopher_repetition  gopher_repeated_6_grams         repeated_6_grams                <= 0.14
gopher_repetition  gopher_repeated_7_grams         repeated_7_grams                <= 0.13
gopher_repetition  gopher_repeated_8_grams         repeated_8_grams                <= 0.12
gopher_repetition  gopher_repeated_9_grams         repeated_9_grams                <= 0.11
gopher_repetition  gopher_repeated_10_grams        repeated_10_grams               <= 0.1

c4                 c4_lorem_ipsum                  lorem_ipsum                     <= 0
c4                 c4_curly_brackets               curly_brackets                  <= 0
c4                 c4_few_sentences                sentences                       >= 5

fineweb            fineweb_line_ends               punctuated_lines                >= 0.12
fineweb            fineweb_short_lines             short_lines                     <= 0.67
fineweb            fineweb_repeated_lines          repeated_line_share             <= 0.01
fineweb            fineweb_newlines                newlines                        <= 0.3
"""

# FineWeb-2's thresholds (github.com/huggingface/fineweb-2, configs/*.yml and fineweb-2-pipeline.py, commit
# d0defb2). Theirs for Chinese are for a segmenter's words of 1.6 characters, hence 80 single ones for 50;
# what that changes is in docs/decisions.md. 1 switches a share off: FineWeb-2 leaves these rules out.
# The two basic rules come from reading: ten Chinese characters say what forty Latin ones do (each counts
# three in `size`), and a sentence of a few characters with a price or full stops in it is still one.
LANGUAGE_TABLE = """
rule                              ar   de   es   fr   it   ja   ko   nl   pl   pt   ru   tr   uk   zh

too_short                         40   40   40   40   40   30   40   40   40   40   40   40   40   30
few_letters                       .5   .5   .5   .5   .5   .3   .5   .5   .5   .5   .5   .5   .5   .3

gopher_few_words                  50   50   50   50   50   50   50   50   50   50   50   50   50   80
gopher_short_words                 2    0    3    2    3    1    1    3    3    3    3    3    3    1
gopher_long_words                  9   15   14   11   21    6    6   17   12   13   11   21   11    5
gopher_alphabetic_words         .787 .774 .825 .812 .807 .759 .791 .828 .726 .814 .713 .773 .694 .735
gopher_stop_words                  2    2    2    2    2    2    0    2    2    2    2    2    2    2

gopher_repeated_paragraphs         1    1    1    1    1    1    1    1    1    1    1    1    1    1
gopher_repeated_paragraph_text     1    1    1    1    1    1    1    1    1    1    1    1    1    1
gopher_repeated_lines           .304 .263 .252 .264 .246 .328 .374 .296  .32 .287 .322 .272   .3 .287
gopher_repeated_line_text          1    1    1    1    1    1    1    1    1    1    1    1    1    1
gopher_top_2_grams              .197 .169 .156 .161 .198 .239 .282 .213 .222 .371 .184 .214 .189 .256
gopher_top_3_grams              .172 .153  .14 .149 .156 .196 .228 .182 .198 .191 .164 .168 .172 .201
gopher_top_4_grams              .146 .137 .125 .134 .133 .172 .185 .158 .176 .163 .146 .147 .153 .171
gopher_repeated_5_grams         .165 .141 .145  .15 .144 .243 .201 .156 .172 .163 .168 .154  .16 .198
gopher_repeated_6_grams         .153 .134 .136 .141 .136 .225 .184 .146  .16 .153 .156 .144 .148 .182
gopher_repeated_7_grams         .142 .126 .127 .131 .127 .207 .168 .136 .148 .141 .145 .134 .136 .167
gopher_repeated_8_grams         .131 .117 .117 .121 .118  .19 .154 .126 .136  .13 .133 .124 .124 .154
gopher_repeated_9_grams          .12 .108 .108 .111 .109 .175  .14 .115 .123 .119 .121 .113 .113  .14
gopher_repeated_10_grams        .109 .098 .099   .1   .1 .159 .127 .104 .111 .108 .109 .103 .102 .127

fineweb_line_ends               .143    0 .182   .1 .025 .096 .062 .102 .087 .077 .231 .091 .167 .106
fineweb_short_lines                1    1    1    1    1    1    1    1    1    1    1    1    1    1
fineweb_repeated_lines            .1   .1   .1   .1   .1   .1   .1   .1   .1   .1   .1   .1   .1   .1
fineweb_newlines                .189 .152 .138 .185   .2  .13 .196 .154 .158 .186 .139 .222 .175 .178
"""

# Gopher's for English, FineWeb-2's for the others. Korean ones are endings, which words cut at spaces never
# equal: the table above asks for none.
STOP_WORDS: Mapping[str, tuple[str, ...]] = {
    language: tuple(words.split())
    for language, words in {
        "ar": "، في من على إلى عام أن مع أو هو عن التي كان بين ما كانت هي المتحدة بعد",
        "de": "der und die in von im den des mit das er dem als wurde für",
        "en": "the be to of and that have with",
        "es": "de la en el y a que del los se por un con una las su",
        "fr": "de la le et à en l des du les est d un une il dans par au",
        "it": "di e il la in a del che è della un per nel l con da i una",
        "ja": "の に を は た て が と で 年 し ・ 月 れ さ",
        "ko": "",
        "nl": "de van in het een en is op voor met door zijn werd hij uit",
        "pl": "w i na z do się roku od a jest przez po jako oraz o został był nie",
        "pt": "de a e o em do da que um no uma com para na é foi",
        "ru": "в и на с года по году из был к не от что за для его как а он также до после",
        "tr": "ve bir olarak bu ile için olan da de tarafından yılında sonra en daha ilk the",
        "uk": "у в на і з та до року за що",
        "zh": "的 年 在 月 是 和 日 了 於 · 為 有 被 人 中 为 他 與 後 也 而 由",
    }.items()
}

ALL = "all"


@dataclass(frozen=True, slots=True)
class FilterRule:
    """A demand on one measure; `thresholds` holds `all` and the languages that differ from it."""

    name: str
    measure: str
    bound: Literal[">=", "<="]
    thresholds: Mapping[str, float]

    def threshold(self, language: str) -> float:
        """The threshold for documents in `language` (ISO 639-1, or `und`)."""
        return self.thresholds.get(language, self.thresholds[ALL])


def rules_of(
    sets: Sequence[str], changes: Mapping[str, Mapping[str, float]] | None = None
) -> list[FilterRule]:
    """The rules of `sets` in the order in which they apply, with a recipe's changes to the table.

    Args:
        sets: names of rule sets; unknown ones are a KeyError, as the config's type allows none.
        changes: language (or `all`) -> rule -> threshold. A change for `all` holds for every language
            that isn't changed itself.

    Raises:
        ValueError: `changes` names a language or rule that doesn't exist.
    """
    check_thresholds(changes or {})
    return [_changed(rule, changes or {}) for name in dict.fromkeys(sets) for rule in RULE_SETS[name]]


def check_thresholds(changes: Mapping[str, Mapping[str, float]]) -> None:
    """Refuse changes to languages or rules that don't exist; raises ValueError with the names there are."""
    rules = [rule.name for members in RULE_SETS.values() for rule in members]
    languages = (ALL, *STOP_WORDS)
    for language, thresholds in changes.items():
        if language not in languages:
            raise ValueError(f"thresholds: no language {language!r}; there are {', '.join(languages)}")
        for name in thresholds:
            if name not in rules:
                raise ValueError(f"thresholds: {language}: no rule {name!r}; there are {', '.join(rules)}")


def _changed(rule: FilterRule, changes: Mapping[str, Mapping[str, float]]) -> FilterRule:
    found = {language: values[rule.name] for language, values in changes.items() if rule.name in values}
    kept = {} if ALL in found else rule.thresholds
    return FilterRule(rule.name, rule.measure, rule.bound, {**kept, **found})


def _read_tables() -> dict[str, tuple[FilterRule, ...]]:
    languages, by_language = _rows(LANGUAGE_TABLE)
    _, rules = _rows(RULE_TABLE)
    overrides = {
        name: dict(zip(languages[1:], map(float, values), strict=True)) for name, *values in by_language
    }
    sets: dict[str, tuple[FilterRule, ...]] = {}
    for set_name, name, measure, bound, value in rules:
        thresholds = {ALL: float(value), **overrides.pop(name, {})}
        rule = FilterRule(name, measure, ">=" if bound == ">=" else "<=", thresholds)
        sets[set_name] = (*sets.get(set_name, ()), rule)
    assert not overrides, f"thresholds without a rule: {list(overrides)}"
    return sets


def _rows(table: str) -> tuple[list[str], list[list[str]]]:
    head, *rows = [line.split() for line in table.splitlines() if line]
    return head, rows


RULE_SETS: Mapping[str, tuple[FilterRule, ...]] = _read_tables()
