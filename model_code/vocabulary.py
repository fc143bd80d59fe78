"""The tokenizer on the training side: `tokenizer.json` and the ids that have a meaning of their own."""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from model_code.errors import TrainingError
from model_code.shards import Split


@dataclass(frozen=True)
class Vocabulary:
    """Size of a vocabulary and the ids of its special tokens."""

    size: int
    pad: int
    cls: int
    sep: int
    mask: int
    unk: int


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


def vocabulary_of(tokenizer: Tokenizer) -> Vocabulary:
    """Size and special ids. Raise TrainingError when one of the five special tokens is missing."""
    found = {
        name: tokenizer.token_to_id(f"[{name.upper()}]") for name in ("pad", "cls", "sep", "mask", "unk")
    }
    special = {name: token_id for name, token_id in found.items() if token_id is not None}
    if missing := [f"[{name.upper()}]" for name in found.keys() - special.keys()]:
        raise TrainingError(
            f"the tokenizer lacks {', '.join(sorted(missing))}; masked language modelling needs "
            "one of `tokenize.family: bert`"
        )
    return Vocabulary(size_of(tokenizer), **special)


def require_vocabulary(split: Split, vocabulary: Vocabulary) -> None:
    """Raise TrainingError when a split was encoded with a vocabulary of another size."""
    if split.info.vocabulary != vocabulary.size:
        raise TrainingError(
            f"{split.path}: encoded with {split.info.vocabulary} entries, the tokenizer has "
            f"{vocabulary.size}; run the tokenize stage again"
        )
