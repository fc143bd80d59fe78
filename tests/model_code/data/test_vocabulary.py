import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer, models

from model_code.data.shards import open_split
from model_code.data.vocabulary import Vocabulary, load_tokenizer, require_vocabulary, vocabulary_of
from model_code.errors import TrainingError
from tests.token_shards import write_split


def test_a_missing_damaged_or_incomplete_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no such file"):
        load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}", encoding="utf-8")
    with pytest.raises(TrainingError, match="not a tokenizer"):
        load_tokenizer(tmp_path)


def test_roles_come_from_the_description_or_the_usual_names(tmp_path: Path) -> None:
    entries = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<extra_id_1>": 4, "<extra_id_0>": 5, "word": 9}
    Tokenizer(models.WordLevel(entries, unk_token="<unk>")).save(str(tmp_path / "tokenizer.json"))
    found = vocabulary_of(tmp_path)
    assert found == Vocabulary(10, pad=1, unk=3, bos=0, eos=2, sentinels=(5, 4))
    assert found.special().tolist() == [0, 1, 2, 4, 5]
    with pytest.raises(TrainingError, match="no token for mask, cls, which masked language modelling needs"):
        found.need("mask", "pad", "cls", why="masked language modelling")
    names = {"cls_token": "<s>", "mask_token": {"content": "word"}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(names), encoding="utf-8")
    assert (vocabulary_of(tmp_path).cls, vocabulary_of(tmp_path).mask) == (0, 9)


def test_a_split_of_another_vocabulary_is_refused(corpus: Path, tmp_path: Path) -> None:
    write_split(tmp_path, "train", [range(20)], 77)
    vocabulary = vocabulary_of(corpus / "tokenizer")
    with pytest.raises(TrainingError, match="encoded with 77 entries"):
        require_vocabulary(open_split(tmp_path, "train"), vocabulary)
