"""Stage 4: divide the corpus, train a tokenizer on the training part, write packed token shards."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field

from tasks.artifact import Artifact
from tasks.documents import read_documents
from tasks.errors import StageError
from tasks.stage import Config, Workspace, stage

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


class TokenizeConfig(Config):
    """The tokenizer, and which part of the corpus is held out."""

    vocabulary: int = Field(8192, ge=300, le=65_536, description="Entries of the vocabulary.")
    group_by: str = Field(
        "",
        description="Key of `meta` whose values are never divided between training and held-out documents; "
        "empty: the document itself.",
    )
    validation: float = Field(0.08, gt=0, lt=0.5, description="Share of the groups for validation.")
    test: float = Field(0.12, gt=0, lt=0.5, description="Share of the groups for the test.")
    seed: int = Field(0, ge=0, description="Another seed gives another division.")


@stage()
def tokenize(cleaned: Artifact, config: TokenizeConfig, workspace: Workspace) -> None:
    """Write `tokenizer/`, `tokens/` (train, validation, test) and `splits.parquet` (id, split).

    The division is made once, here: the tokenizer and the pretrained model never see a test document.

    Raises:
        StageError: a split is empty, or documents lack the key to group by.
    """
    from model_code.shards import write_split

    documents = workspace.path(cleaned) / "documents"
    total = workspace.manifest(cleaned).counts["kept"]
    splits = _divide(documents, config)
    _write_splits(splits, workspace.directory / "splits.parquet")
    with workspace.progress("training the tokenizer", total) as advance:
        tokenizer = _train(_texts(documents, splits, "train"), config, advance)
    _save(tokenizer, workspace.directory / "tokenizer")
    tokens, characters, unknown = 0, 0, 0
    with workspace.progress("encoding", total) as advance:
        for split in SPLITS:
            encoded = _Encoder(
                tokenizer, _texts(documents, splits, split), advance, done=sum(_sizes(splits, split))
            )
            info = write_split(workspace.directory / "tokens", split, encoded, tokenizer.get_vocab_size())
            workspace.counts |= {f"{split} documents": info.documents, f"{split} tokens": info.tokens}
            tokens, characters, unknown = (
                tokens + info.tokens,
                characters + encoded.characters,
                unknown + encoded.unknown,
            )
    workspace.metrics |= {"characters per token": characters / tokens, "unknown share": unknown / tokens}
    workspace.say(
        f"{tokens:,} tokens in a vocabulary of {tokenizer.get_vocab_size():,}, "
        f"{characters / tokens:.2f} characters per token"
    )


def split_of(group: str, config: TokenizeConfig) -> Split:
    """The split of a group: a pure function of its name and the seed, so it is the same next month."""
    digest = blake2b(f"{config.seed}:{group}".encode(), digest_size=8).digest()
    position = int.from_bytes(digest, "big") / 2**64
    if position < config.test:
        return "test"
    return "validation" if position < config.test + config.validation else "train"


def _divide(documents: Path, config: TokenizeConfig) -> dict[str, Split]:
    splits: dict[str, Split] = {}
    for batch in read_documents(documents):
        for id, meta in zip(batch["id"].to_pylist(), batch["meta"].to_pylist(), strict=True):
            fields = json.loads(meta)
            if config.group_by and config.group_by not in fields:
                raise StageError(
                    f"tokenize: document {id} has no {config.group_by!r} in its meta to group by (it has "
                    f"{', '.join(sorted(fields)) or 'none'}); correct tokenize.group_by in the recipe"
                )
            splits[id] = split_of(fields[config.group_by] if config.group_by else id, config)
    counts = Counter(splits.values())
    if empty := [split for split in SPLITS if not counts[split]]:
        raise StageError(
            f"tokenize: no document falls into {empty[0]} ({len(splits)} documents); collect more text, "
            "change tokenize.seed, or raise the held-out shares"
        )
    return splits


def _sizes(splits: dict[str, Split], before: Split) -> Iterator[int]:
    counts = Counter(splits.values())
    for split in SPLITS[: SPLITS.index(before)]:
        yield counts[split]


def _write_splits(splits: dict[str, Split], path: Path) -> None:
    pq.write_table(pa.table({"id": list(splits), "split": list(splits.values())}), path, compression="zstd")


def _texts(documents: Path, splits: dict[str, Split], wanted: Split) -> Iterator[list[str]]:
    for batch in read_documents(documents):
        rows = zip(batch["id"].to_pylist(), batch["text"].to_pylist(), strict=True)
        yield [text for id, text in rows if splits[id] == wanted]


def _train(texts: Iterator[list[str]], config: TokenizeConfig, advance: Any) -> Any:
    """A byte-level BPE: it can write every text of every script, so nothing is ever unknown to it."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()

    def observed() -> Iterator[list[str]]:
        done = 0
        for batch in texts:
            yield batch
            done += len(batch)
            advance(done)

    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(observed(), trainer)
    cls, sep = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[("[CLS]", cls), ("[SEP]", sep)],
    )
    return tokenizer


def _save(tokenizer: Any, directory: Path) -> None:
    """Save in the layout that `AutoTokenizer.from_pretrained` reads."""
    from transformers import PreTrainedTokenizerFast

    names = {f"{name[1:-1].lower()}_token": name for name in SPECIAL_TOKENS}
    tokens: Any = PreTrainedTokenizerFast
    tokens(tokenizer_object=tokenizer, **names).save_pretrained(directory)


class _Encoder:
    """Iterates over the token ids of each document, and counts as it goes."""

    def __init__(self, tokenizer: Any, texts: Iterator[list[str]], advance: Any, done: int) -> None:
        self.tokenizer, self.texts, self.advance, self.done = tokenizer, texts, advance, done
        self.characters = self.unknown = 0

    def __iter__(self) -> Iterator[list[int]]:
        unknown = self.tokenizer.token_to_id("[UNK]")
        for batch in self.texts:
            for encoding in self.tokenizer.encode_batch_fast(batch):
                self.unknown += encoding.ids.count(unknown)
                yield encoding.ids
            self.characters += sum(map(len, batch))
            self.done += len(batch)
            self.advance(self.done)
