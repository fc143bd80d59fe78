"""Where words begin and end in a row of tokens, as the pieces of a tokenizer tell it."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer, decoders

from model_code.data.vocabulary import size_of
from model_code.errors import TrainingError

# Scripts that are written without spaces: Thai, Lao, Burmese, Khmer, kana and Chinese characters.
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_BYTE = re.compile("<0x[0-9A-F]{2}>")
_PART_OF_A_CHARACTER = "\ufffd"
_SPACE = "▁"  # what Metaspace writes for it


@dataclass(frozen=True)
class Words:
    """Which ids begin a word and which ones end it, bool [vocabulary] each.

    A word is a run of letters, marks and digits with the space before it. Whatever is neither of these, and
    every character of a script without spaces, is a word of its own.
    """

    begins: npt.NDArray[np.bool_]
    ends: npt.NDArray[np.bool_]

    def first_columns(
        self, ids: npt.NDArray[np.integer], documents: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.int64]:
        """For every token of packed rows [R, S], the column of the first token of its word, int64 [R, S]."""
        first = np.ones(ids.shape, np.bool_)
        left, right = slice(None, -1), slice(1, None)
        first[:, 1:] = self.begins[ids[:, right]] | self.ends[ids[:, left]]
        first[:, 1:] |= documents[:, right] != documents[:, left]
        return np.maximum.accumulate(np.where(first, np.arange(ids.shape[1]), 0), axis=1)


def words_of(tokenizer: Tokenizer) -> Words:
    """The words of a tokenizer that marks them: "##" (WordPiece), "Ġ" (byte-level) or "▁" (Metaspace).

    Raises TrainingError when its tokens carry none of these marks.
    """
    described = json.loads(tokenizer.to_str())
    spelling = json.dumps([described[part] for part in ("normalizer", "pre_tokenizer", "decoder")])
    prefix = described["model"].get("continuing_subword_prefix")
    bytes_of = decoders.ByteLevel()
    begins, ends = np.ones((2, size_of(tokenizer)), np.bool_)
    for piece, token in tokenizer.get_vocab().items():
        if described["model"]["type"] == "WordPiece":
            text = piece.removeprefix(prefix)
        elif '"ByteLevel"' in spelling:
            text = bytes_of.decode([piece])
        elif json.dumps(_SPACE)[1:-1] in spelling:
            text = _BYTE.sub(_PART_OF_A_CHARACTER, piece).replace(_SPACE, " ")
        else:
            raise TrainingError(
                "the tokens of this tokenizer don't tell where words begin (by ##, Ġ or ▁); "
                "set pretrain.whole_words to false or choose another tokenize.model"
            )
        goes_on = described["model"]["type"] != "WordPiece" or text != piece
        begins[token] = not (goes_on and _joins(text[:1]))
        ends[token] = not (_joins(text[-1:]) or text.endswith(" "))
    return Words(begins, ends)


def _joins(character: str) -> bool:
    """Whether a character continues a word that its neighbour belongs to."""
    if character == _PART_OF_A_CHARACTER:
        return True
    category = unicodedata.category(character)[0] if character else ""
    return category in ("L", "M", "N") and not _WITHOUT_SPACES.match(character)
