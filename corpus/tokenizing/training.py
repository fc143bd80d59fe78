"""Train a tokenizer on the training documents: byte-level BPE, WordPiece or Unigram.

The same documents give the same file in every process. That decides by whom each kind is trained:
`tokenizers` numbers the characters inside words in the order of a randomly seeded hash map and breaks ties
by that number, so WordPiece is given them in a fixed order, and Unigram is sentencepiece's.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from corpus.errors import CorpusError
from corpus.tokenizing.config import BYTES, LEAST_VOCABULARY, TokenizeConfig
from corpus.tokenizing.special_tokens import Conventions, sentinel_names

_SPACE = "▁"  # what sentencepiece writes for a space
_THREADS = 4  # of sentencepiece, whose sums depend on it
_BYTE_PIECES = tuple(f"<0x{byte:02X}>" for byte in range(BYTES))

TextBatches = Callable[[], Iterable[list[str]]]
"""Gives the training texts from the start, as often as it is called."""


def train(texts: TextBatches, config: TokenizeConfig) -> Any:
    """A `tokenizers.Tokenizer` of `config.vocabulary` entries with the family's special tokens.

    Raises:
        CorpusError: the texts have too many characters for the vocabulary, or too few words to fill it.
    """
    kinds = {"bpe": _byte_level_bpe, "wordpiece": _wordpiece, "unigram": _unigram}
    tokenizer = kinds[config.model](texts, config)
    family = config.conventions
    tokenizer.add_special_tokens([*family.tokens.values(), *sentinel_names(family)])
    _add_template(tokenizer, family)
    if (size := tokenizer.get_vocab_size()) < config.vocabulary:
        raise CorpusError(
            f"tokenize: the training documents give a vocabulary of {size}, less than the "
            f"{config.vocabulary} asked for; {_way_out(size, config)}"
        )
    return tokenizer


def _way_out(size: int, config: TokenizeConfig) -> str:
    """What to do about too few words; a smaller vocabulary only where a recipe may ask for it."""
    try:
        TokenizeConfig.model_validate(config.model_dump() | {"vocabulary": size})
    except ValidationError:
        other = " or use model bpe, whose bytes fill it" if config.model == "wordpiece" else ""
        return f"the least that a recipe may ask for is {LEAST_VOCABULARY}, so collect more text{other}"
    return f"set tokenize.vocabulary to {size} or collect more text"


def _byte_level_bpe(texts: TextBatches, config: TokenizeConfig) -> Any:
    """Sennrich et al. 2016 over bytes (Radford et al. 2019): it can write every text of every script."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary - config.conventions.sentinels,
        special_tokens=list(config.conventions.tokens.values()),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts(), trainer)
    return tokenizer


def _wordpiece(texts: TextBatches, config: TokenizeConfig) -> Any:
    """Cased BERT (Devlin et al. 2019). Lost: white space, control characters, characters never seen."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    unknown = config.conventions.tokens["unk"]

    def trained(vocabulary: int, first: list[str]) -> Any:
        tokenizer = Tokenizer(models.WordPiece(unk_token=unknown))
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.NFC(), normalizers.BertNormalizer(lowercase=False, strip_accents=False)]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        trainer = trainers.WordPieceTrainer(vocab_size=vocabulary, special_tokens=first, show_progress=False)
        tokenizer.train_from_iterator(texts(), trainer)
        return tokenizer

    specials = list(config.conventions.tokens.values())
    alphabet = sorted(trained(0, specials).get_vocab().keys() - set(specials))
    if (least := len(specials) + len(alphabet)) >= config.vocabulary:
        raise CorpusError(
            f"tokenize: {least} entries are characters and special tokens, so a vocabulary of "
            f"{config.vocabulary} has no room for words; raise tokenize.vocabulary or use model bpe"
        )
    # As special tokens the characters keep this order. Only the model is taken, where they are ordinary.
    tokenizer = trained(config.vocabulary, specials + alphabet)
    vocabulary = tokenizer.get_vocab()
    made = Tokenizer(models.WordPiece(vocabulary, unk_token=unknown))
    made.normalizer, made.pre_tokenizer = tokenizer.normalizer, tokenizer.pre_tokenizer
    made.decoder = tokenizer.decoder
    return made


def _unigram(texts: TextBatches, config: TokenizeConfig) -> Any:
    """Kudo 2018, with bytes for what was never seen. Lost: U+2581, which stands for a space."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

    family = config.conventions
    pieces = _pieces(texts, config)
    # Names of special tokens and bytes are pieces too; no text may be cheaper to spell with them.
    never = 100 * min(score for _, score in pieces)
    names = [*family.tokens.values(), *_BYTE_PIECES]
    vocabulary = [*((name, never) for name in names), *pieces]
    tokenizer = Tokenizer(
        models.Unigram(vocabulary, unk_id=names.index(family.tokens["unk"]), byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="never")
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return tokenizer


def _pieces(texts: TextBatches, config: TokenizeConfig) -> list[tuple[str, float]]:
    """What is no byte and no special token, at most as many as there is room for, with log probabilities."""
    import sentencepiece

    def lines() -> Iterator[str]:
        for batch in texts():
            for text in batch:
                yield from filter(str.strip, text.split("\n"))

    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=lines(),
            model_writer=model,
            model_type="unigram",
            vocab_size=config.vocabulary - config.conventions.specials + 1,
            hard_vocab_limit=False,
            byte_fallback=True,
            character_coverage=0.9995,
            required_chars="".join(map(chr, range(33, 127))),  # special tokens are spelt with these
            normalization_rule_name="identity",
            add_dummy_prefix=False,
            remove_extra_whitespaces=False,
            max_sentence_length=2**20,
            num_threads=_THREADS,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            pad_id=-1,
            minloglevel=2,
        )
    except RuntimeError as error:
        # Its vocabulary has the bytes and one unknown besides the pieces.
        if short := re.search(r"smaller than required_chars\. (\d+) vs (\d+)", str(error)):
            lacking = int(short[2]) - int(short[1])
            raise CorpusError(
                f"tokenize: a vocabulary of {config.vocabulary} has no room for words: the characters of the "
                f"training documents alone need {config.vocabulary + lacking}; raise tokenize.vocabulary"
            ) from error
        raise CorpusError(f"tokenize: sentencepiece can't train on these documents ({error})") from error
    trained = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [
        (trained.id_to_piece(id), trained.get_score(id))
        for id in range(trained.get_piece_size())
        if not (trained.is_byte(id) or trained.is_unknown(id))
    ]


def _add_template(tokenizer: Any, family: Conventions) -> None:
    """What the tokenizer adds to a text by itself."""
    from tokenizers import processors

    begin, end = (None if role is None else family.tokens[role] for role in family.template)
    if begin is None and end is None:
        return
    single = " ".join(filter(None, [begin, "$A", end]))
    # A pair is divided by the end token, which in BERT is the separator.
    pair = f"{single} $B:1 {end}:1" if end else f"{single} $B:1"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single,
        pair=pair,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in (begin, end) if token],
    )
