"""The tokenizer on the training side: `tokenizer.json` and the ids that have a meaning of their own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from model_code.data.shards import Split
from model_code.errors import TrainingError

_SENTINEL = re.compile(r"<extra_id_(\d+)>")
# The names that tokenizers trained here give to roles, for directories without a description.
_USUAL = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]",),
    "sep": ("[SEP]",),
    "mask": ("[MASK]", "<mask>"),
    "bos": ("<s>",),
    "eos": ("</s>", "<|endoftext|>"),
}


@dataclass(frozen=True)
class Vocabulary:
    """Size of a vocabulary and the ids of its special tokens; None where it has no such token.

    `sentinels` are the ids of `<extra_id_0>`, `<extra_id_1>`, ... in this order.
    """

    size: int
    pad: int | None = None
    unk: int | None = None
    cls: int | None = None
    sep: int | None = None
    mask: int | None = None
    bos: int | None = None
    eos: int | None = None
    sentinels: tuple[int, ...] = ()

    def special(self) -> npt.NDArray[np.int64]:
        """The ids of all special tokens but the unknown one, which stands for text; int64 [n], sorted."""
        single = [getattr(self, field.name) for field in fields(self)[1:-1] if field.name != "unk"]
        found = {token for token in single if token is not None} | set(self.sentinels)
        return np.array(sorted(found), np.int64)

    def need(self, *roles: str, why: str) -> None:
        """Raise TrainingError when the vocabulary lacks a token for one of the roles."""
        if missing := [role for role in roles if getattr(self, role) in (None, ())]:
            raise TrainingError(
                f"the tokenizer has no token for {', '.join(missing)}, which {why} needs; "
                "change tokenize.family or tokenize.pretrained"
            )


def load_tokenizer(directory: Path) -> Tokenizer:
    """Read `tokenizer.json` of a tokenizer or model directory. Raise TrainingError when there is none."""
    path = directory / "tokenizer.json"
    if not path.is_file():
        raise TrainingError(f"{path}: no such file; name a directory that the tokenize stage wrote")
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the Rust side raises plain Exception
        raise TrainingError(f"{path}: not a tokenizer ({error}); run the tokenize stage again") from error


def size_of(tokenizer: Tokenizer) -> int:
    """Rows that an embedding needs: the largest id and one; some tokenizers leave ids out."""
    return max(tokenizer.get_vocab().values()) + 1


def vocabulary_of(directory: Path) -> Vocabulary:
    """Size and special ids of the tokenizer in a directory.

    The roles are those of `tokenizer_config.json`; a role that it doesn't name goes to a token of the usual
    name. Raises TrainingError when there is no tokenizer.
    """
    tokenizer = load_tokenizer(directory)
    described = directory / "tokenizer_config.json"
    names = json.loads(described.read_text(encoding="utf-8")) if described.is_file() else {}
    roles = {}
    for role, usual in _USUAL.items():
        named = names.get(f"{role}_token")
        named = named.get("content") if isinstance(named, dict) else named
        found = (tokenizer.token_to_id(name) for name in ([named] if named else usual))
        roles[role] = next((token for token in found if token is not None), None)
    entries = tokenizer.get_vocab().items()
    sentinels = sorted(
        (int(match[1]), token) for name, token in entries if (match := _SENTINEL.fullmatch(name))
    )
    return Vocabulary(size_of(tokenizer), **roles, sentinels=tuple(token for _, token in sentinels))


def require_vocabulary(split: Split, vocabulary: Vocabulary) -> None:
    """Raise TrainingError when a split was encoded with a vocabulary of another size."""
    if split.info.vocabulary != vocabulary.size:
        raise TrainingError(
            f"{split.path}: encoded with {split.info.vocabulary} entries, the tokenizer has "
            f"{vocabulary.size}; run the tokenize stage again"
        )
