"""Model families: which special tokens a tokenizer needs, and which of them surround a document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FamilyName = Literal["bert", "gpt", "t5", "llama", "own"]
Role = Literal["pad", "unk", "cls", "sep", "mask", "bos", "eos"]


@dataclass(frozen=True)
class Conventions:
    """The conventions of one family.

    `tokens` gives a tokenizer that is trained here its special tokens, in the order of their ids. `needed`
    are the roles that an existing tokenizer must have too. `begin` and `end` surround every document of the
    packed shards, so that a model sees where texts begin and end; `template` is what the tokenizer itself
    adds to a text: a causal model is prompted without its end token. `sentinels` mark the gaps of span
    corruption; they have the last ids, `<extra_id_0>` the very last.
    """

    tokens: Mapping[Role, str]
    needed: tuple[Role, ...]
    begin: Role | None
    end: Role
    template: tuple[Role | None, Role | None]
    sentinels: int = 0

    @property
    def specials(self) -> int:
        """Entries of the vocabulary that are no text."""
        return len(self.tokens) + self.sentinels


FAMILIES: Mapping[FamilyName, Conventions] = {
    # Devlin et al. 2019, arXiv 1810.04805
    "bert": Conventions(
        tokens={"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"},
        needed=("pad", "unk", "cls", "sep", "mask"),
        begin="cls",
        end="sep",
        template=("cls", "sep"),
    ),
    # Radford et al. 2019: documents are only divided, one token does everything
    "gpt": Conventions(
        tokens={"eos": "<|endoftext|>"}, needed=("eos",), begin=None, end="eos", template=(None, None)
    ),
    # Raffel et al. 2020, arXiv 1910.10683
    "t5": Conventions(
        tokens={"pad": "<pad>", "eos": "</s>", "unk": "<unk>"},
        needed=("pad", "eos", "unk"),
        begin=None,
        end="eos",
        template=(None, "eos"),
        sentinels=100,
    ),
    # Touvron et al. 2023, arXiv 2302.13971; the padding token is ours, for fine-tuning in batches
    "llama": Conventions(
        tokens={"unk": "<unk>", "bos": "<s>", "eos": "</s>", "pad": "<pad>"},
        needed=("bos", "eos"),
        begin="bos",
        end="eos",
        template=("bos", None),
    ),
}


# Whose special tokens a model family reads.
TOKENS_OF: Mapping[str, FamilyName] = {
    "modernbert": "bert",
    "bert": "bert",
    "gpt2": "gpt",
    "llama": "llama",
    "t5": "t5",
    "marian": "t5",
}


def sentinel_names(family: Conventions) -> list[str]:
    """`<extra_id_99>` … `<extra_id_0>`, in the order of their ids."""
    return [f"<extra_id_{number}>" for number in reversed(range(family.sentinels))]
