from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from model_code.errors import TrainingError
from model_code.shards import open_split, write_split
from model_code.vocabulary import load_tokenizer, require_vocabulary, vocabulary_of


def test_a_missing_damaged_or_incomplete_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such file"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(TrainingError, match="not a tokenizer"):
        load_tokenizer(tmp_path)
    with pytest.raises(
        TrainingError, match=r"lacks \[CLS\], \[MASK\], \[SEP\]; masked language modelling needs"
    ):
        vocabulary_of(Tokenizer(models.WordLevel({"[PAD]": 0, "[UNK]": 1}, unk_token="[UNK]")))


def test_a_split_of_another_vocabulary_is_refused(corpus: Path, tmp_path: Path) -> None:
    write_split(tmp_path, "train", [range(20)], 77)
    vocabulary = vocabulary_of(load_tokenizer(corpus / "tokenizer"))
    with pytest.raises(TrainingError, match="encoded with 77 entries"):
        require_vocabulary(open_split(tmp_path, "train"), vocabulary)
