"""Pairs of texts as tokens, with the texts that seem to belong to the first of a pair and don't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.objectives.objective import Batch
from model_code.task_types.task import Example, Settings
from model_code.task_types.texts import padded

SIDES = ("first", "second")
ALONE = "it has no second text that belongs to the first"


@dataclass(frozen=True)
class TextPairs:
    """Token ids of the texts by field, and numbers that are equal where texts are, int64 [pairs].

    `negatives` are the number, as of second texts, and the ids of each of the negatives of each pair.
    """

    ids: Mapping[str, Sequence[Sequence[int]]]
    texts: Mapping[str, np.ndarray]
    pad: int
    negatives: Sequence[Sequence[tuple[int, Sequence[int]]]] = ()

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of the longest text of each pair, int64 [pairs]."""
        counts = [[len(ids) for ids in side] for side in self.ids.values()]
        if self.negatives:
            counts.append([max((len(ids) for _, ids in found), default=0) for found in self.negatives])
        longest: np.ndarray = np.array(counts, np.int64).max(axis=0)
        return longest

    def batch(self, items: np.ndarray) -> Batch:
        """`first_ids`, `first_mask`, `second_ids` and `second_mask` [B, S]; `excluded` [B, B].

        Excluded are the combinations that nobody chose but that belong together, since one of the two texts
        is the same as in a pair. With negatives also `negative_ids` and `negative_mask` [N, S], and
        `excluded_negatives` [B, N], those that a pair of the batch has as the second text of the same first.
        """
        tensors = {}
        for side, ids in self.ids.items():
            tensors[f"{side}_ids"], tensors[f"{side}_mask"] = padded([ids[i] for i in items], self.pad)
        tokens = sum(int(tensors[f"{side}_mask"].sum()) for side in self.ids)
        numbers = np.stack([side[items] for side in self.texts.values()])
        same = (numbers[:, :, None] == numbers[:, None, :]).any(axis=0)
        np.fill_diagonal(same, False)
        tensors["excluded"] = torch.from_numpy(same)
        if negatives := [one for i in items for one in self.negatives[i]] if self.negatives else []:
            tensors["negative_ids"], tensors["negative_mask"] = padded(
                [ids for _, ids in negatives], self.pad
            )
            tokens += int(tensors["negative_mask"].sum())
            first, second = numbers
            belongs = second[:, None] == np.array([number for number, _ in negatives])
            of_same_first = (first[:, None] == first).astype(np.float32) @ belongs.astype(np.float32)
            tensors["excluded_negatives"] = torch.from_numpy(of_same_first > 0)
        return Batch(tensors, {"pair": len(items)}, tokens)


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> TextPairs:
    """Both texts, each with its special tokens and of `max_length` tokens at most.

    Raises TrainingError when some examples have a second text and others don't.
    """
    sides = [side for side in SIDES if any(side in example for example in examples)]
    if alone := [example for example in examples if any(side not in example for side in sides)]:
        raise TrainingError(f"example {alone[0].get('id')}: {ALONE}, as others have")
    tokenizer.enable_truncation(settings.max_length)
    prompts = {"first": settings.options.first_prompt, "second": settings.options.second_prompt}
    texts = {side: [example[side] for example in examples] for side in sides}
    hard = [example.get("negative", []) if "second" in sides else [] for example in examples]
    flat = [text for found in hard for text in found]

    def ids(found: Sequence[str], side: str) -> list[list[int]]:
        return [encoding.ids for encoding in tokenizer.encode_batch([prompts[side] + one for one in found])]

    numbers = {side: _numbers(found) for side, found in texts.items()}
    encoded = {side: ids(found, side) for side, found in texts.items()}
    if not flat:
        return TextPairs(encoded, numbers, vocabulary.filler)
    of_negatives = iter(
        zip(_numbers([*texts["second"], *flat])[len(examples) :], ids(flat, "second"), strict=True)
    )
    negatives = [[next(of_negatives) for _ in found] for found in hard]
    return TextPairs(encoded, numbers, vocabulary.filler, negatives)


def _numbers(texts: Sequence[str]) -> np.ndarray:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts])
