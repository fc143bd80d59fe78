"""Entries that a task adds to a vocabulary, and the rows of the embedding table that they read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken

from model_code.data.vocabulary import load_tokenizer, size_of

SEED = 19_060_315  # of the rows alone: they are the same in every model from a checkpoint


def add_entries(model: Any, directory: Path, entries: Sequence[AddedToken]) -> list[str]:
    """Give the model a row for each entry that its checkpoint's tokenizer lacks; these are returned and said.

    A row begins at random around the mean of the others, as far from it as they are (Hewitt 2021,
    "Initializing new word embeddings"). At the mean itself all entries would be one and the same to a model
    whose embeddings rest: with adapters, with privacy, frozen.
    """
    tokenizer = load_tokenizer(directory)
    known = size_of(tokenizer)
    new = [str(entry.content) for entry in entries if tokenizer.token_to_id(entry.content) is None]
    if not new:
        return []
    tokenizer.add_special_tokens(list(entries))
    table = model.get_input_embeddings()
    if (rows := size_of(tokenizer)) > table.num_embeddings:
        model.resize_token_embeddings(rows, mean_resizing=False)
        table = model.get_input_embeddings()
    with torch.no_grad():
        others = table.weight[:known]
        drawn = torch.randn(len(new), others.shape[1], generator=torch.Generator().manual_seed(SEED))
        begun = others.mean(0) + others.std(0) * drawn.to(others.device)
        table.weight[[tokenizer.token_to_id(name) for name in new]] = begun
    print(
        f"{directory}: new in the vocabulary are {', '.join(new)}; their rows begin at random",
        file=sys.stderr,
    )
    model.new_rows = new
    return new
