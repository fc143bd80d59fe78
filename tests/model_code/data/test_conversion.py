"""Older tokenizers are made by the libraries that people made them with, and converted."""

import io
import json
from pathlib import Path

import pytest
import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from model_code.data.conversion import SAMPLES
from model_code.data.vocabulary import load_tokenizer, vocabulary_of
from model_code.errors import TrainingError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def folder(path: Path, model_type: str, **described: object) -> Path:
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"model_type": model_type}), encoding="utf-8")
    (path / "tokenizer_config.json").write_text(json.dumps(described), encoding="utf-8")
    return path


def word_pieces(path: Path) -> Path:
    letters = sorted({letter for text in SAMPLES for letter in text.lower() if not letter.isspace()})
    entries = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters), "quick", "##ox"]
    (path / "vocab.txt").write_text("\n".join(entries) + "\n", encoding="utf-8")
    return path


def test_a_vocabulary_of_word_pieces_reads_as_before(tmp_path: Path) -> None:
    found = load_tokenizer(word_pieces(folder(tmp_path / "bert", "bert", do_lower_case=True)))
    assert found.encode("Quick fox").tokens == ["[CLS]", "quick", "f", "##ox", "[SEP]"]
    roles = vocabulary_of(tmp_path / "bert")
    assert (roles.pad, roles.unk, roles.cls, roles.sep, roles.mask) == (0, 1, 2, 3, 4)


def test_a_conversion_that_reads_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.bert import tokenization_bert_legacy

    word_pieces(folder(tmp_path / "bert", "bert"))
    monkeypatch.setattr(tokenization_bert_legacy.BertTokenizerLegacy, "encode", lambda *given, **options: [0])
    with pytest.raises(TrainingError, match=r"vocab\.txt: converted .* it would read .The quick brown fox"):
        load_tokenizer(tmp_path / "bert")


def test_code_of_a_tokenizer_is_never_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even where somebody says yes to transformers, which asks."""
    monkeypatch.setattr("builtins.input", lambda *asked: "y")
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    named = {"AutoTokenizer": ["own.OwnTokenizer", None]}
    word_pieces(folder(tmp_path / "own", "bert", auto_map=named, tokenizer_class="OwnTokenizer"))
    trace = tmp_path / "was-run"
    (tmp_path / "own" / "own.py").write_text(
        f"open({str(trace)!r}, 'w').close()\nfrom transformers import BertTokenizer as OwnTokenizer\n",
        encoding="utf-8",
    )
    with pytest.raises(TrainingError, match=r"own: its tokenizer needs code of its own \(auto_map\)"):
        load_tokenizer(tmp_path / "own")
    assert not trace.exists()


def test_bytes_and_merges_give_back_what_was_written(tmp_path: Path) -> None:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        SAMPLES,
        trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<|endoftext|>"]),
    )
    made.model.save(str(folder(tmp_path / "gpt2", "gpt2")))
    for text in SAMPLES:
        assert load_tokenizer(tmp_path / "gpt2").encode(text).ids == made.encode(text).ids
    assert vocabulary_of(tmp_path / "gpt2").eos == 0


def test_a_sentencepiece_model_reads_as_before(tmp_path: Path) -> None:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SAMPLES * 4),
        model_writer=model,
        vocab_size=400,
        hard_vocab_limit=False,
        character_coverage=1.0,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (folder(tmp_path / "t5", "t5", extra_ids=0) / "spiece.model").write_bytes(model.getvalue())
    before = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    found = load_tokenizer(tmp_path / "t5")
    for text in SAMPLES:
        assert found.encode(text).ids == [*before.encode(text), 1]


def test_what_has_no_conversion_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (folder(tmp_path / "odd", "bert") / "spiece.model").write_bytes(b"nonsense")
    with pytest.raises(TrainingError, match=r"spiece\.model: .*put the tokenizer\.json that"):
        load_tokenizer(tmp_path / "odd")
