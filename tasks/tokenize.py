"""Stage: divide the corpus, train a tokenizer on the training part, write packed token shards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from corpus.documents import shard_paths
from corpus.tokenizing import pretrained
from corpus.tokenizing.config import TokenizeConfig
from corpus.tokenizing.document_splits import SPLITS, SplitOfDocuments, divide
from corpus.tokenizing.fertility import Integers, words_of
from corpus.tokenizing.packing import SpecialIds
from corpus.tokenizing.special_tokens import Role
from tasks.contract.artifact import Artifact, Manifest
from tasks.contract.run import Run
from tasks.contract.stage import stage
from tasks.contract.workspace import Workspace

__all__ = ["TokenizeConfig", "tokenize"]

# A vocabulary does not get better by more text than this; training takes some ten times it in memory.
TRAINING_BYTES = 2**28


def _same_tokenizer(manifest: Manifest, config: TokenizeConfig, run: Run) -> bool:
    """Whether the existing tokenizer that the recipe names is the one the artifact was made with."""
    return not config.pretrained or manifest.external["pretrained"] == pretrained.digest(config.pretrained)


@stage(libraries=("sentencepiece", "tokenizers"), is_current=_same_tokenizer)
def tokenize(cleaned: Artifact, config: TokenizeConfig, workspace: Workspace) -> None:
    """Write `tokenizer/`, `tokens/` (a shard per split), `splits.parquet` and `fertility.parquet`.

    The division is made once, here: the tokenizer and the pretrained model never see a test document.

    Raises:
        CorpusError: a split is empty, documents lack the key to group by, or the tokenizer can't be trained
            or read.
    """
    corpus = workspace.path(cleaned)
    division = divide(corpus / "documents", config, workspace.directory / "splits.parquet")
    tokenizer, special = _tokenizer(division, config, workspace)
    _encode(division, words_of(corpus / "statistics"), tokenizer, special, workspace)
    _show_scripts(tokenizer, workspace)


def _tokenizer(
    division: SplitOfDocuments, config: TokenizeConfig, workspace: Workspace
) -> tuple[Any, SpecialIds]:
    """The tokenizer and the ids around a document; its files are in `tokenizer/` afterwards."""
    from corpus.tokenizing.training import train

    directory = workspace.directory / "tokenizer"
    if config.pretrained and config.family == "own":
        tokenizer, vocabulary = pretrained.load_own(config.pretrained)
        workspace.external["pretrained"] = pretrained.digest(config.pretrained)
        pretrained.save_own(tokenizer, vocabulary, config.pretrained, directory)
        unknown = vocabulary.unk if vocabulary.unk != vocabulary.eos else None
        return tokenizer, SpecialIds(
            *pretrained.around_own(tokenizer, vocabulary, config.pretrained), unknown
        )
    if config.pretrained:
        tokenizer, roles = pretrained.load(config)
        workspace.external["pretrained"] = pretrained.digest(config.pretrained)
        if not pretrained.copy(config.pretrained, directory):
            _save(tokenizer, roles, directory)
        return tokenizer, _special(tokenizer, roles, config)
    size = sum(map(_text_bytes, shard_paths(division.documents)))
    stride = max(1, -(-size // TRAINING_BYTES))
    if stride > 1:
        workspace.say(
            f"trained on every {stride}th training document: {size / 2**20:,.0f} MiB are more than enough"
        )
    with workspace.progress("training the tokenizer", sum(division.sizes().values())) as advance:
        tokenizer = train(lambda: _training_texts(division, stride, advance), config)
    _save(tokenizer, config.conventions.tokens, directory)
    return tokenizer, _special(tokenizer, config.conventions.tokens, config)


def _special(tokenizer: Any, roles: Mapping[Role, str], config: TokenizeConfig) -> SpecialIds:
    """The ids around a document as the family has them."""

    def ids(role: Role | None) -> tuple[int, ...]:
        return (tokenizer.token_to_id(roles[role]),) if role is not None and role in roles else ()

    # In GPT-2 one token is both the end and the unknown, and it never stands for the unknown.
    unknown = next(iter(ids("unk")), None) if roles.get("unk") != roles.get("eos") else None
    return SpecialIds(ids(config.conventions.begin), ids(config.conventions.end), unknown)


def _text_bytes(shard: Path) -> int:
    metadata = pq.read_metadata(shard)
    column = metadata.schema.names.index("text")
    return sum(
        metadata.row_group(group).column(column).total_uncompressed_size
        for group in range(metadata.num_row_groups)
    )


def _training_texts(division: SplitOfDocuments, stride: int, advance: Any) -> Iterator[list[str]]:
    """The text of every `stride`th document of the training split."""
    done = seen = 0
    for documents, codes in division.batches(["text"]):
        texts = documents["text"].filter(codes == SPLITS.index("train")).to_pylist()
        yield texts[-seen % stride :: stride]
        seen, done = seen + len(texts), done + len(codes)
        advance(done)


def _save(tokenizer: Any, roles: Mapping[Role, str], directory: Path) -> None:
    """Save in the layout that `AutoTokenizer.from_pretrained` reads."""
    from transformers import PreTrainedTokenizerFast

    tokens: Any = PreTrainedTokenizerFast
    named = {f"{role}_token": token for role, token in roles.items()}
    tokens(tokenizer_object=tokenizer, **named).save_pretrained(directory)


def _encode(
    division: SplitOfDocuments,
    words: Integers,
    tokenizer: Any,
    special: SpecialIds,
    workspace: Workspace,
) -> None:
    from corpus.tokenizing.encoding import Encoder, EncodingDiffers
    from corpus.tokenizing.packing import pack
    from model_code.data.vocabulary import size_of

    size = size_of(tokenizer)

    def packed(encoder: Encoder) -> Any:
        with workspace.progress("encoding", len(words)) as advance:
            return pack(division, words, encoder, special, size, workspace.directory / "tokens", advance)

    encoder = Encoder(tokenizer)
    try:
        splits, fertility = packed(encoder)
    except EncodingDiffers as error:
        workspace.say(f"{encoder.name} does not agree with tokenizers ({error}); encoding again without it")
        encoder = Encoder(tokenizer, fast=False)
        splits, fertility = packed(encoder)
    for split, info in splits.items():
        workspace.counts |= {f"{split} documents": info.documents, f"{split} tokens": info.tokens}
    table = fertility.table()
    pq.write_table(table, workspace.directory / "fertility.parquet", compression="zstd")
    tokens = sum(info.tokens for info in splits.values())
    per_token = pc.sum(table["characters"]).as_py() / tokens
    workspace.metrics |= {
        "characters per token": per_token,
        "unknown share": pc.sum(table["unknown"]).as_py() / tokens,
    }
    workspace.table(
        "Tokens by language and source",
        ["language", "source", "documents", "tokens", "tokens per word", "characters per token"],
        [
            [
                row["language"],
                row["source"],
                f"{row['documents']:,}",
                f"{row['tokens']:,}",
                f"{row['tokens_per_word'] or 0:.2f}",
                f"{row['characters_per_token'] or 0:.2f}",
            ]
            for row in table.to_pylist()
        ],
    )
    workspace.say(
        f"{tokens:,} tokens in a vocabulary of {size:,}, {per_token:.2f} characters per token, "
        f"encoded by {encoder.name}"
    )


def _show_scripts(tokenizer: Any, workspace: Workspace) -> None:
    """Which scripts the tokenizer gives back as they were."""
    from corpus.tokenizing.encoding import round_trips

    changed, lines = round_trips(tokenizer)
    workspace.table(
        "Scripts",
        ["sample", "characters", "tokens", "given back"],
        [[name, characters, tokens, "yes" if same else "no"] for name, characters, tokens, same in lines],
    )
    if changed:
        workspace.say(f"by design the tokenizer does not keep {', '.join(changed)}")
    if lost := [name for name, _, _, same in lines if not same]:
        workspace.say(f"the tokenizer does not give back exactly: {', '.join(lost)}")
