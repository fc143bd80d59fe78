"""Corpora of tokens, as people would have written them."""

import pytest

from corpus.reading.skipped import Skipped
from corpus.reading.text_styles import styled


def test_tagged_text() -> None:
    text = "\n\n\tuntagged ``/`` Only/rb a/at war/nn ;/. ;/.\n\n\the/pps 's/x said/vbd ''/'' 1/2/cd ?/. ?/.\n"
    assert styled(text, "tagged") == ('untagged "Only a war;\nhe\'s said" 1/2?', {})
    with pytest.raises(Skipped, match="another text style"):
        styled("ca01 news\nca02 news", "tagged")


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("It is 0 @.@ 7 – 2 @.@ 2 kg ( 1 @,@ 500 lb ) .", "It is 0.7 – 2.2 kg (1,500 lb)."),
        ("I wo n't , it 's state @-@ run", "I won't, it's state-run"),
        ('the " lobster red " , he said : " yes . "', 'the "lobster red", he said: "yes."'),
        (" = = History = = ", "History"),
        ("costs $ 5 , or 3 % ; -LRB- roughly -RRB-", "costs $5, or 3%; (roughly)"),
    ],
)
def test_tokenized_text(tokens: str, text: str) -> None:
    assert styled(tokens, "tokenized")[0] == text


def test_unknown_words_are_counted_and_limited() -> None:
    assert styled("a <unk> b " + "c " * 20, "tokenized")[1] == {"unknown_words": "1"}
    with pytest.raises(Skipped, match="2 of 4 words"):
        styled("a <unk> b <unk>", "tokenized")


def test_columns() -> None:
    text = "en:St.\tB-ORG\nen:Lawrence\tI-ORG\nen:,\tO\n\nen:River\tO\n"
    assert styled(text, "columns")[0] == "St. Lawrence,\nRiver"


@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u3000", "\x85"])
def test_a_space_inside_a_word_parts_no_columns(space: str) -> None:
    assert styled(f"10{space}000\tO\r\npeople O\r\n", "columns")[0] == f"10{space}000 people"
    assert styled(f"10{space}000/cd people/nns\r\n", "tagged")[0] == f"10{space}000 people"


def test_plain_text_stays_as_it_is() -> None:
    assert styled(" a  , b ", "plain") == (" a  , b ", {})
