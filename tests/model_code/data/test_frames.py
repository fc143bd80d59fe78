from pathlib import Path

import pytest
from tokenizers import Tokenizer

from model_code.data.frames import frame_of
from model_code.data.vocabulary import Vocabulary, load_tokenizer, vocabulary_of
from tests.model_code.checkpoints import STYLES, tokenizer_of
from tests.model_code.conftest import WORDS


@pytest.fixture(params=STYLES)
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return tokenizer_of(request.param)


def test_a_framed_text_is_what_the_tokenizer_makes_of_it(tokenizer: Tokenizer) -> None:
    single = frame_of(tokenizer, Vocabulary(1))
    pair = frame_of(tokenizer, Vocabulary(1), pair=True)
    first, second = " ".join(WORDS[:3]), " ".join(WORDS[4:9])
    ids, other = (tokenizer.encode(text, add_special_tokens=False).ids for text in (first, second))
    whole, both = tokenizer.encode(first), tokenizer.encode(first, second)
    assert single.around(ids) == (whole.ids, whole.type_ids)
    assert pair.around(ids, other) == (both.ids, both.type_ids)
    assert single.size == len(whole.ids) - 3
    assert pair.size == len(both.ids) - 8


def test_a_tokenizer_that_puts_nothing_in_between_gets_the_vocabularys_separators(corpus: Path) -> None:
    tokenizer, vocabulary = (read(corpus / "tokenizer") for read in (load_tokenizer, vocabulary_of))
    assert frame_of(tokenizer, vocabulary, pair=True).around([9], [8]) == ([2, 9, 3, 8, 3], [0, 0, 0, 1, 1])
    assert frame_of(tokenizer, vocabulary).around([9])[0] == [2, 9, 3]
