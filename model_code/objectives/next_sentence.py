"""Masked language modelling with next-sentence prediction: BERT as published (arXiv 1810.04805, A.2).

A pair `[CLS] A [SEP] B [SEP]` is made inside every part of a document that lies in a row, in its own place
and length, so rows stay packed: the part is cut at a random token, and in half of the pairs a passage from a
random place of the corpus takes the place of B.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from model_code.data.batches import Rows
from model_code.data.noise import Noise
from model_code.models import bert
from model_code.objectives.cross_entropy import scored
from model_code.objectives.masked import Masked
from model_code.objectives.objective import Batch, Score

# In shorter parts A and B would be a word or two; they are left to the masks alone.
SHORTEST_PAIR = 16


@dataclass(frozen=True)
class SentencePairs:
    """Rows made into pairs: ids and token types [R, S], and of M pairs the place of [CLS] and the label.

    The label is 0 when B followed A in the corpus and 1 when it is from somewhere else.
    """

    ids: npt.NDArray[np.int64]
    token_types: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]


@dataclass(frozen=True)
class MaskedNextSentence:
    """Guess the hidden tokens, and whether B followed A."""

    masked: Masked

    def batch(self, rows: Rows, noise: Noise) -> Batch:
        """What `Masked` makes of the pairs, with their token types, flat places and labels."""
        pairs = self.pairs(rows, noise)
        batch = self.masked.batch(replace(rows, ids=torch.from_numpy(pairs.ids)), noise)
        tensors = {
            "token_types": torch.from_numpy(pairs.token_types),
            "sentence_places": torch.from_numpy(pairs.places),
            "sentence_labels": torch.from_numpy(pairs.labels),
        }
        targets = {**batch.targets, "next_sentence": len(pairs.labels)}
        return Batch({**batch.tensors, **tensors}, targets, batch.tokens)

    def scores(self, model: PreTrainedModel, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        """The loss on the hidden tokens, and on the pairs."""
        states = bert.hidden_states(
            model, tensors["ids"], tensors["documents"], tensors["positions"], tensors["token_types"]
        )
        first = states.flatten(0, 1).index_select(0, tensors["sentence_places"])
        return {
            "masked": self.masked.score(model, states, tensors),
            "next_sentence": scored(
                first, tensors["sentence_labels"], lambda hidden: bert.sentence_logits(model, hidden)
            ),
        }

    def pairs(self, rows: Rows, noise: Noise) -> SentencePairs:
        """Cut every part that is long enough in two.

        [CLS] and [SEP] overwrite the token at the cut, and the first and the last one of a part that the row
        cut out of its document.
        """
        ids = rows.ids.numpy().copy()
        corpus = ids.flatten() if rows.source is None else rows.source
        token_types = np.zeros_like(ids)
        columns = ids.shape[1]
        cuts, labels = noise.uniform("cut", columns), noise.integers("elsewhere", columns, 2)
        elsewhere = noise.integers("passage", columns, len(corpus))
        chosen = []
        for row, begin, end in rows.parts(SHORTEST_PAIR):
            cut = begin + 2 + int(cuts[row, begin] * (end - begin - 4))
            if labels[row, begin]:
                ids[row, cut + 1 : end - 1] = self._passage(corpus, elsewhere[row, begin], end - cut - 2)
            ids[row, begin] = self.masked.vocabulary.cls
            ids[row, [cut, end - 1]] = self.masked.vocabulary.sep
            token_types[row, cut + 1 : end] = 1
            chosen.append((row, begin))
        where = np.array(chosen, np.int64).reshape(-1, 2).T
        return SentencePairs(ids, token_types, where[0] * columns + where[1], labels[where[0], where[1]])

    def _passage(self, corpus: npt.NDArray[np.integer], start: int, length: int) -> npt.NDArray[np.int64]:
        """Ordinary tokens from `start` on, without the marks between documents, which would betray them."""
        tokens = np.take(corpus, np.arange(start, start + 2 * length + 16), mode="wrap").astype(np.int64)
        return np.resize(tokens[~np.isin(tokens, self.masked.vocabulary.special())], length)
