"""Word lists: what counts as a word of a list, and when a list filters."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from corpus.cleaning.config import WordListsConfig
from corpus.cleaning.filters.word_lists import WordLists
from corpus.cleaning.text.text_units import unit_hashes


def counts(texts: list[str], config: WordListsConfig) -> dict[str, list[int]]:
    found = WordLists(config).count(*unit_hashes(pa.array(texts)))
    return {name: column.tolist() for name, column in found.items()}


def test_counts_whole_words_in_any_case_and_characters_of_chinese() -> None:
    texts = ["Bullshit! assess the class", "这个人是王八蛋，王八", "a woman and two MEN", ""]
    assert counts(texts, WordListsConfig()) == {"groups": [0, 0, 2, 0], "toxicity": [1, 1, 0, 0]}


def test_of_entries_that_begin_alike_the_longest_counts_once() -> None:
    config = WordListsConfig(lists={"drugs": ("acetyl", "acetyl salicylic acid", "阿司匹林", "阿司")})
    assert counts(["Acetyl salicylic acid, acetyl", "阿司匹林和阿司"], config)["drugs"] == [2, 2]


def test_a_limit_filters_and_names_the_list() -> None:
    lists = WordLists(WordListsConfig(max_share={"toxicity": 0.2}))
    hashes, offsets = unit_hashes(pa.array(["shit happens", "shit happens to all of us here"]))
    names, values = lists.failures(lists.count(hashes, offsets), np.diff(offsets))
    assert names == ["words_toxicity", None]
    assert values.tolist() == [0.5, 0.0]


def test_a_file_gives_its_entries_to_the_config(tmp_path: Path) -> None:
    (tmp_path / "terms.txt").write_text("\ufeff# a comment\nalpha beta\n\n甲乙\n", encoding="utf-8")
    config = WordListsConfig.model_validate({"lists": {"terms": str(tmp_path / "terms.txt")}})
    assert config.lists == {"terms": ("alpha beta", "甲乙")}
    assert WordListsConfig.model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), (b"# nothing\n", "has no entry"), (b"\xff\xfea", "not UTF-8")],
)
def test_a_file_that_is_no_list(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "terms.txt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValidationError, match=message):
        WordListsConfig.model_validate({"lists": {"terms": str(path)}})


def test_a_limit_for_a_list_that_is_not_there() -> None:
    with pytest.raises(ValidationError, match="the lists are groups, toxicity"):
        WordListsConfig(max_share={"toxic": 0.1})
