"""Decontamination: what counts as a piece of an evaluation text, in words and in characters."""

import random
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from corpus.cleaning.config import DecontaminateConfig
from corpus.cleaning.duplicates.decontamination import Index
from corpus.cleaning.text.text_units import unit_hashes, units
from tests.linear_time import takes_linear_time

ENGLISH = (
    "In the autumn of that year the river rose above the old stone bridge, and the miller moved his "
    "family to the upper village until the water went down."
)
CHINESE = "那年秋天河水漫过了旧石桥，磨坊主把家人搬到了上面的村子里，一直住到水退了才回来继续磨面。"
SENTENCE = "The ferry leaves the northern harbour at nine o'clock"  # 9 words and a letter
TINY = "Thank you very much indeed"
EVALUATION = [ENGLISH, CHINESE, SENTENCE, TINY, "渡轮每天早上九点从北边的港口出发"]
URIS = [f"test-set#{row}" for row in range(len(EVALUATION))]


@pytest.fixture(scope="module")
def index() -> Index:
    return Index.build(pa.array(EVALUATION), URIS, DecontaminateConfig())


def found(index: Index, text: str) -> tuple[int, str | None]:
    rows, runs = index.matches(pa.array([text]))
    assert rows.dtype == np.int32
    return int(rows[0]), runs[0]


def words(first: int, last: int) -> str:
    return " ".join(units(ENGLISH)[first:last])


@pytest.mark.parametrize(
    ("text", "row"),
    [
        (f"As they say: {words(4, 17)} or so.", 0),
        (f"As they say: {words(4, 17).upper().replace(' ', ' -- ')}!", 0),
        (f"As they say: {words(4, 16)} or so.", -1),
        (f"{words(4, 10)} then {words(10, 17)}", -1),
        (f"有人说{CHINESE[5:27]}吧", 1),
        (f"有人说{CHINESE[5:20]}吧", -1),
        (f"Note: {SENTENCE}, daily.", 2),
        ("Note: the ferry leaves the northern harbour at ten.", -1),
        ("Note: the ferry leaves the northern harbour at nine o", -1),
        ("听说渡轮每天早上九点从北边的港口出发，不晚点", 4),
        (f"{TINY} for all.", -1),
        (f"{TINY}, my friend", -1),
        ("", -1),
    ],
)
def test_a_shared_run_of_enough_units_is_a_match(index: Index, text: str, row: int) -> None:
    assert found(index, text)[0] == row


def test_the_shared_run_can_be_read(index: Index) -> None:
    assert found(index, f"x {ENGLISH} y") == (0, words(0, 13))
    assert found(index, f"前面{CHINESE}后面") == (1, "".join(units(CHINESE)[:20]))


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (TINY.upper() + "!", (0, "thank you very much indeed")),
        (f"{TINY}, she said.", (-1, None)),
        ("恶人和坏人有什么区别", (1, "恶人和坏人有什么区别")),
        ("请问恶人和坏人有什么区别？", (-1, None)),
        ("", (-1, None)),
    ],
)
def test_a_very_short_text_is_matched_by_a_document_that_is_nothing_else(
    text: str, match: tuple[int, str | None]
) -> None:
    index = Index.build(
        pa.array([TINY, "恶人和坏人有什么区别？", ""]), ["a", "b", "c"], DecontaminateConfig()
    )
    assert found(index, text) == match


def test_a_text_that_begins_like_a_short_one_does_not_hide_another() -> None:
    beginning = "one two three four five six seven eight"
    index = Index.build(
        pa.array([f"{beginning} nine", f"{beginning} ten"]), ["a", "b"], DecontaminateConfig()
    )
    assert found(index, f"{beginning} ten")[0] == 1


def test_all_pieces_are_found_and_none_that_is_not_there() -> None:
    rng = random.Random(1)
    vocabulary = [f"w{number}" for number in range(50)] + list("天地玄黄宇宙洪荒日月盈昃")
    texts = [" ".join(rng.choices(vocabulary[:50], k=rng.randint(1, 60))) for _ in range(60)]
    texts += ["".join(rng.choices(vocabulary[50:], k=rng.randint(1, 60))) for _ in range(60)]
    config = DecontaminateConfig(ngram=6, ngram_characters=8)
    index = Index.build(pa.array(texts), list(map(str, range(120))), config)
    documents = []
    for _ in range(400):
        source = units(rng.choice(texts))
        start = rng.randrange(len(source))
        piece = source[start : start + rng.randint(2, 9)]
        separator = " " if piece[0].startswith("w") else ""
        documents.append(f"zz {separator.join(piece)} qq")
    rows, _ = index.matches(pa.array(documents))
    for document, row in zip(documents, rows.tolist(), strict=True):
        assert (row >= 0) == any(_shares(units(document), units(text), config) for text in texts), document
    cut = [index.matches(pa.array(documents[start : start + 7]))[0] for start in range(0, 400, 7)]
    assert np.array_equal(np.concatenate(cut), rows)


def _shares(document: list[str], text: list[str], config: DecontaminateConfig) -> bool:
    """The rule, said plainly."""
    width = config.ngram if text[0].startswith("w") else config.ngram_characters
    if len(text) < width * 8 // 13:
        return False
    width = min(width, len(text))
    windows = {tuple(text[start : start + width]) for start in range(len(text) - width + 1)}
    return any(tuple(document[start : start + width]) in windows for start in range(len(document)))


def test_it_is_saved_and_loaded(index: Index, tmp_path: Path) -> None:
    index.save(tmp_path / "evaluation.unfinished")
    loaded = Index.load(tmp_path / "evaluation.unfinished")
    documents = pa.array([ENGLISH, CHINESE, "nothing"])
    assert loaded.uris == URIS
    assert loaded.matches(documents)[1] == index.matches(documents)[1]
    assert loaded.matches(documents, unit_hashes(documents))[1] == index.matches(documents)[1]


def test_equal_hashes_are_not_believed(index: Index) -> None:
    """Texts whose hashes are said to be those of an evaluation text, but which hold other words."""
    other = pa.array(["some words that stand in no evaluation text " * 5])
    rows, runs = index.matches(other, unit_hashes(pa.array([ENGLISH])))
    assert rows.tolist() == [-1]
    assert runs == [None]


def test_empty_index_and_empty_batch(index: Index, tmp_path: Path) -> None:
    nothing = Index.build(pa.array([], pa.string()), [], DecontaminateConfig())
    nothing.save(tmp_path / "nothing.npz")
    assert Index.load(tmp_path / "nothing.npz").matches(pa.array([ENGLISH]))[0].tolist() == [-1]
    assert index.matches(pa.array([], pa.string()))[1] == []


def test_a_text_that_repeats_the_beginning_of_evaluation_texts_does_not_stall() -> None:
    # Many evaluation texts that begin alike, and a document that begins like them at every unit.
    config = DecontaminateConfig(ngram=13)
    texts = ["a " * 8 + f"b{number}" for number in range(300)]
    index = Index.build(pa.array(texts), texts, config)
    assert found(index, "a " * 1000)[0] == -1
    assert takes_linear_time(lambda size: found(index, "a " * size), 30_000)
