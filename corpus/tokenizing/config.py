"""The tokenizer and the division of the corpus, as a recipe says them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from corpus.tokenizing.special_tokens import FAMILIES, Conventions, FamilyName
from model_code.config.strict import Config

BYTES = 256
LEAST_VOCABULARY = 300


class TokenizeConfig(Config):
    """The tokenizer, and which part of the corpus is held out."""

    model: Literal["bpe", "wordpiece", "unigram"] = Field(
        "bpe",
        description="What is trained: byte-level BPE, WordPiece (as in BERT; loses white space and unseen "
        "characters) or Unigram with bytes for unseen characters (as in T5).",
    )
    pretrained: str = Field(
        "",
        description="An existing tokenizer instead: a `tokenizer.json`, the folder of one, or what "
        "`start_from` may be, whose own it is when this is empty; without `model` and `vocabulary`.",
    )
    family: FamilyName = Field(
        "bert",
        description="Whose special tokens, and what surrounds a document: bert, gpt, t5 or llama; own: as "
        "an existing tokenizer does it, which is usual with `start_from`.",
    )
    vocabulary: int = Field(8192, ge=LEAST_VOCABULARY, le=262_144, description="Entries of the vocabulary.")
    group_by: str = Field(
        "",
        description="Key of `meta` whose values are never divided between training and held-out documents; "
        "empty: the document itself.",
    )
    validation: float = Field(0.08, gt=0, lt=0.5, description="Share of the groups for validation.")
    test: float = Field(0.12, gt=0, lt=0.5, description="Share of the groups for the test.")
    seed: int = Field(0, ge=0, lt=2**32, description="Another seed gives another division.")

    @property
    def conventions(self) -> Conventions:
        """The special tokens of the recipe's family."""
        return FAMILIES[self.family]

    def _taken_as_it_is(self) -> Self:
        usual = type(self).model_fields
        for name in ("model", "vocabulary"):
            if (value := getattr(self, name)) != usual[name].default:
                raise ValueError(
                    f"{name} {value} is for a tokenizer that is trained here, and one is taken over as it is "
                    f"(pretrained {self.pretrained}; with start_from that of the checkpoint): leave {name} "
                    "out, or name no pretrained and no start_from"
                )
        return self

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.pretrained:
            return self._taken_as_it_is()
        if self.family == "own":
            raise ValueError(
                "family own is that of an existing tokenizer: name it in pretrained, or set family to "
                f"{', '.join(FAMILIES)}"
            )
        if self.model == "wordpiece" and self.family != "bert":
            raise ValueError(
                f"wordpiece is BERT's: it can't write every text, which family {self.family} needs; "
                "use model bpe or unigram, or family bert"
            )
        if self.model == "unigram" and "unk" not in self.conventions.tokens:
            raise ValueError(
                f"unigram needs a token for the unknown, which family {self.family} lacks; use model bpe, or "
                "family bert, t5 or llama"
            )
        alphabet = 0 if self.model == "wordpiece" else BYTES
        if self.vocabulary <= (least := alphabet + self.conventions.specials):
            raise ValueError(
                f"a vocabulary of {self.vocabulary} leaves no room for words: {least} entries are bytes and "
                f"special tokens of family {self.family}; raise vocabulary"
            )
        return self
