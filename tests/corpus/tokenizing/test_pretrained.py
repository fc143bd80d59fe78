"""Existing tokenizers: found where the recipe says, and refused when they lack what the family needs."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, models

from corpus.errors import CorpusError
from corpus.tokenizing import pretrained
from corpus.tokenizing.config import TokenizeConfig
from expectations.tokens import read_tokenizer_ids
from tests.checkpoints import write_checkpoint
from tests.model_code.checkpoints import tokenizer_of


def saved(folder: Path, tokens: list[str], **settings: Any) -> Path:
    folder.mkdir(exist_ok=True)
    tokenizer = Tokenizer(models.BPE({"a": 0}, []))
    tokenizer.add_special_tokens(tokens)
    tokenizer.save(str(folder / "tokenizer.json"))
    if settings:
        (folder / "tokenizer_config.json").write_text(json.dumps(settings), encoding="utf-8")
    return folder


def test_roles_are_those_of_its_configuration(tmp_path: Path) -> None:
    names = {"cls_token": "<s>", "sep_token": {"content": "</s>"}, "mask_token": "<mask>"}
    folder = saved(
        tmp_path, ["<s>", "</s>", "<mask>", "<pad>", "<unk>"], pad_token="<pad>", unk_token="<unk>", **names
    )
    for name in (folder, folder / "tokenizer.json"):
        _, roles = pretrained.load(TokenizeConfig(pretrained=str(name)))
        assert roles == {"cls": "<s>", "sep": "</s>", "mask": "<mask>", "pad": "<pad>", "unk": "<unk>"}


@pytest.mark.parametrize(
    ("family", "tokens", "said"),
    [
        ("bert", ["[CLS]", "[SEP]", "[PAD]", "[UNK]"], r"no special token for mask \(\[MASK\]\)"),
        ("gpt", ["</s>"], r"no special token for eos \(<\|endoftext\|>\), which family gpt needs"),
        ("t5", ["<pad>", "</s>", "<unk>"], r"no special token for sentinels \(<extra_id_0>"),
        ("llama", ["<|endoftext|>"], r"no special token for bos \(<s>\), eos \(</s>\)"),
    ],
)
def test_a_missing_special_token_is_named(tmp_path: Path, family: Any, tokens: list[str], said: str) -> None:
    config = TokenizeConfig(family=family, pretrained=str(saved(tmp_path, tokens)))
    with pytest.raises(CorpusError, match=said):
        pretrained.load(config)


def test_what_is_no_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"holds no tokenizer\.json; save it there"):
        pretrained.load(TokenizeConfig(pretrained=str(tmp_path)))
    said = "'meta/llama' is no file or folder here. Of the hub write id@commit with all 40 digits, or fetch"
    with pytest.raises(CorpusError, match=said):
        pretrained.load(TokenizeConfig(pretrained="meta/llama"))
    (tmp_path / "tokenizer.json").write_text("[]", encoding="utf-8")
    with pytest.raises(CorpusError, match="is no tokenizer of the `tokenizers` library"):
        pretrained.load(TokenizeConfig(pretrained=str(tmp_path)))
    (saved(tmp_path, ["</s>"]) / "tokenizer_config.json").write_text('{"eos_token": 3}', encoding="utf-8")
    with pytest.raises(CorpusError, match="is no tokenizer configuration"):
        pretrained.load(TokenizeConfig(pretrained=str(tmp_path)))


def test_its_digest_follows_its_content(tmp_path: Path) -> None:
    folder = saved(tmp_path, ["</s>"])
    before = pretrained.digest(str(folder))
    assert before == pretrained.digest(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text("{}", encoding="utf-8")
    assert pretrained.digest(str(folder)) != before
    assert pretrained.digest(str(folder / "nowhere")) == ""


@pytest.mark.parametrize(
    ("style", "before", "after"),
    [
        ("bert", ["[CLS]"], ["[SEP]"]),
        ("roberta", ["<s>"], ["</s>"]),
        ("gpt2", [], ["<|endoftext|>"]),
        ("llama", ["<s>"], ["</s>"]),
        ("t5", [], ["</s>"]),
    ],
)
def test_a_checkpoint_frames_documents_as_its_tokenizer_does(
    style: str, before: list[str], after: list[str], tmp_path: Path
) -> None:
    tokenizer_of(style).save(str(tmp_path / "tokenizer.json"))  # it pads and cuts
    tokenizer, vocabulary = pretrained.load_own(str(tmp_path))
    around = pretrained.around_own(tokenizer, vocabulary, str(tmp_path))
    assert [[tokenizer.id_to_token(id) for id in ids] for ids in around] == [before, after]
    pretrained.save_own(tokenizer, vocabulary, str(tmp_path), tmp_path / "saved")
    saved = tmp_path / "saved" / "tokenizer.json"
    assert {json.loads(saved.read_text(encoding="utf-8"))[key] for key in ("padding", "truncation")} == {None}
    for file in (saved, tmp_path / "tokenizer.json"):
        assert read_tokenizer_ids(file).before == around[0]


def test_an_older_tokenizer_is_a_checkpoints_own(tmp_path: Path) -> None:
    folder = write_checkpoint(tmp_path / "older")
    modern = pretrained.digest(str(folder))
    (folder / "tokenizer.json").unlink()
    _, vocabulary = pretrained.load_own(str(folder))
    assert vocabulary.mask == 4
    assert pretrained.digest(str(folder)) not in ("", modern)
    with pytest.raises(CorpusError, match="'nowhere' is no file or folder here"):
        pretrained.load_own("nowhere")
