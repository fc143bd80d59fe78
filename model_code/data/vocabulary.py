"""The tokenizer on the training side: `tokenizer.json` and the ids that have a meaning of their own."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from model_code.data.conversion import converted, older_files
from model_code.data.shards import TokenSplit
from model_code.errors import TrainingError
from model_code.job import write_json

# What a description says that its `tokenizer.json` doesn't.
_KEPT = (
    "padding_side",
    "model_max_length",
    "clean_up_tokenization_spaces",
    "additional_special_tokens",
    "extra_special_tokens",
    "chat_template",
)
TEMPLATE = "chat_template.jinja"
_SENTINEL = re.compile(r"<extra_id_(\d+)>")
# The names that tokenizers usually give to roles, for directories without a description.
_USUAL = {
    "pad": ("[PAD]", "<pad>"),
    "unk": ("[UNK]", "<unk>"),
    "cls": ("[CLS]",),
    "sep": ("[SEP]",),
    "mask": ("[MASK]", "<mask>"),
    "bos": ("<s>", "<bos>"),
    "eos": ("</s>", "<|endoftext|>", "<eos>"),
}


ROLES = tuple(_USUAL)


@dataclass(frozen=True)
class Vocabulary:
    """Size of a vocabulary and the ids of its special tokens; None where it has no such token.

    `sentinels` are the ids of `<extra_id_0>`, `<extra_id_1>`, ... in this order. `template` is the chat
    template that comes with it, "" where there is none.
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
    template: str = ""

    def special(self) -> npt.NDArray[np.int64]:
        """The ids of all special tokens but the unknown one, which stands for text; int64 [n], sorted."""
        single = [getattr(self, role) for role in ROLES if role != "unk"]
        present = {token for token in single if token is not None} | set(self.sentinels)
        return np.array(sorted(present), np.int64)

    @property
    def filler(self) -> int:
        """What fills up a row; it is never looked at, so the end token does where there is no other.

        Raises TrainingError when there is neither.
        """
        token = self.eos if self.pad is None else self.pad
        if token is None:
            self.need("pad", why="a batch of texts of different length")
        assert token is not None
        return token

    def need(self, *roles: str, why: str) -> None:
        """Raise TrainingError when the vocabulary lacks a token for one of the roles."""
        if missing := [role for role in roles if getattr(self, role) in (None, ())]:
            raise TrainingError(
                f"the tokenizer has no token for {', '.join(missing)}, which {why} needs; "
                "change tokenize.family or tokenize.pretrained"
            )


def load_tokenizer(directory: Path) -> Tokenizer:
    """Read `tokenizer.json` of a tokenizer or model directory. Raise TrainingError when there is none.

    What some published ones do besides, pad and cut each text to a fixed length, is switched off.
    """
    path = directory / "tokenizer.json"
    if path.is_file():
        try:
            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # the Rust side raises plain Exception
            raise TrainingError(f"{path}: not a tokenizer ({error}); run the tokenize stage again") from error
    elif older := older_files(directory):
        tokenizer = converted(directory, older)
    else:
        raise TrainingError(f"{path}: no such file; name a directory that the tokenize stage wrote")
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def size_of(tokenizer: Tokenizer) -> int:
    """Rows that an embedding needs: the largest id and one; some tokenizers leave ids out."""
    return max(tokenizer.get_vocab().values()) + 1


def vocabulary_of(directory: Path) -> Vocabulary:
    """Size and special ids of the tokenizer in a directory.

    The roles are those that its description names; a role that it doesn't name goes to a token of the usual
    name. Raises TrainingError when there is no tokenizer.
    """
    tokenizer, names = load_tokenizer(directory), described(directory)
    roles = {}
    for role, usual in _USUAL.items():
        named = names.get(f"{role}_token")
        named = named.get("content") if isinstance(named, dict) else named
        candidates = usual if f"{role}_token" not in names else [named] if named else []
        found = (tokenizer.token_to_id(name) for name in candidates)
        roles[role] = next((token for token in found if token is not None), None)
    entries = tokenizer.get_vocab().items()
    sentinels = sorted(
        (int(match[1]), token) for name, token in entries if (match := _SENTINEL.fullmatch(name))
    )
    return Vocabulary(
        size_of(tokenizer),
        **roles,
        sentinels=tuple(token for _, token in sentinels),
        template=_template_in(directory, names),
    )


def _template_in(directory: Path, names: dict[str, Any]) -> str:
    """The chat template of a folder: a file of its own, or part of the description, the one by default."""
    if (file := directory / TEMPLATE).is_file():
        return file.read_text(encoding="utf-8")
    found = names.get("chat_template") or ""
    if isinstance(found, list):
        found = {one["name"]: one["template"] for one in found}.get("default", "")
    return str(found)


def save_described(
    tokenizer: Tokenizer, source: Path, vocabulary: Vocabulary, directory: Path, inputs: Sequence[str]
) -> None:
    """Write the description by which transformers reads the tokenizer as it is, whatever `source` called it.

    A class of its own, such as BertTokenizer, would be built anew from settings beside the `tokenizer.json`.
    `inputs` are what the model reads.
    """
    theirs = described(source)
    kept: dict[str, Any] = {name: theirs[name] for name in _KEPT if name in theirs}
    for role in (*_USUAL, "pad"):
        token = vocabulary.filler if role == "pad" else getattr(vocabulary, role)
        kept[f"{role}_token"] = None if token is None else tokenizer.id_to_token(token)
    kept |= {"tokenizer_class": "PreTrainedTokenizerFast", "model_input_names": list(inputs)}
    write_json(directory / "tokenizer_config.json", kept)


def described(directory: Path) -> dict[str, Any]:
    """What a folder says of its tokenizer, beside the `tokenizer.json`."""
    stated: dict[str, Any] = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (directory / name).is_file():
            stated |= json.loads((directory / name).read_text(encoding="utf-8"))
    return stated


def require_vocabulary(split: TokenSplit, vocabulary: Vocabulary) -> None:
    """Raise TrainingError when a split was encoded with a vocabulary of another size."""
    if split.info.vocabulary != vocabulary.size:
        raise TrainingError(
            f"{split.path}: encoded with {split.info.vocabulary} entries, the tokenizer has "
            f"{vocabulary.size}; run the tokenize stage again"
        )
