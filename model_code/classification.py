"""Labelled texts: reading them, encoding them, and batches of similar length.

Short texts padded to the longest one of a random batch would triple the work; a batch is
therefore cut from texts of similar length, and the batches are visited in random order.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer

from model_code.errors import TrainingError

Encoded = list[list[int]]
MULTIPLE = 8  # lengths are rounded up to it: few shapes, aligned rows
POOL = 50  # batches that are sorted by length together


@dataclass(frozen=True)
class Examples:
    """Texts and the index of each one's label, int64 [texts]."""

    texts: list[str]
    labels: np.ndarray


def read_examples(path: Path, labels: Sequence[str]) -> Examples:
    """Read JSON lines of `{"text": ..., "label": ...}`.

    Raises TrainingError naming file, line and value when something does not fit.
    """
    if not path.is_file():
        raise TrainingError(f"{path}: no such file; it holds one JSON object with text and label per line")
    index = {label: i for i, label in enumerate(labels)}
    texts, targets = [], []
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                row = json.loads(line)
                text, label = row["text"], row["label"]
            except (ValueError, KeyError, TypeError) as error:
                raise TrainingError(
                    f"{path}, line {number}: not an object with text and label ({error})"
                ) from error
            if label not in index:
                raise TrainingError(f"{path}, line {number}: label {label!r} is not one of {sorted(index)}")
            texts.append(text)
            targets.append(index[label])
    if not texts:
        raise TrainingError(f"{path}: no examples; the task needs at least one")
    return Examples(texts, np.array(targets, np.int64))


def encode(tokenizer: Tokenizer, texts: Sequence[str]) -> Encoded:
    """Token ids per text, special tokens included, cut where the tokenizer says."""
    return [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]


def padded(sequences: Sequence[Sequence[int]], pad: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and attention mask, int64 [B, S] each; S is the longest length rounded up to eight."""
    width = -(-max(1, *(len(ids) for ids in sequences)) // MULTIPLE) * MULTIPLE
    ids = torch.full((len(sequences), width), pad)
    mask = torch.zeros((len(sequences), width), dtype=torch.int64)
    for row, sequence in enumerate(sequences):
        ids[row, : len(sequence)] = torch.tensor(sequence, dtype=torch.int64)
        mask[row, : len(sequence)] = 1
    return ids, mask


def bucketed_order(lengths: np.ndarray, batch_size: int, seed: int, epoch: int) -> list[np.ndarray]:
    """Indices of each batch of one epoch; every example once, a pure function of the arguments."""
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(lengths))
    size = batch_size * POOL
    pools = [order[start : start + size] for start in range(0, len(order), size)]
    batches = [
        pool[np.argsort(lengths[pool], kind="stable")][start : start + batch_size]
        for pool in pools
        for start in range(0, len(pool), batch_size)
    ]
    return [batches[i] for i in random.permutation(len(batches))]
