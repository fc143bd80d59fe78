"""Span corruption (Raffel et al. 2020, arXiv 1910.10683, section 3.1.4): T5 writes what a text has lost.

    text      Thank you for inviting me to your party last week
    encoder   Thank you <extra_id_0> me to your party <extra_id_1> week </s>
    target    <extra_id_0> for inviting <extra_id_1> last </s>

Every part of a document in a row is corrupted by itself. Both sides of the parts of a row lie end to end in
one encoder row and one decoder row, filled up to the longest row of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from model_code.data.batches import NO_DOCUMENT, Rows
from model_code.data.noise import Noise
from model_code.data.padding import padded_length
from model_code.data.vocabulary import Vocabulary
from model_code.models.families import ENCODER_DECODERS
from model_code.models.stock import StockEncoderDecoder
from model_code.objectives.cross_entropy import scored
from model_code.objectives.objective import Batch, Score

Ids = npt.NDArray[np.int64]


def span_counts(length: int, noise_density: float, mean_span: float) -> tuple[int, int]:
    """Tokens cut out of `length` > 1 ones, and spans; of each at least one, and one token stays."""
    tokens = min(max(round(length * noise_density), 1), length - 1)
    spans = max(round(tokens / mean_span), 1)
    return tokens, min(spans, length - tokens)


@dataclass(frozen=True)
class SpanCorruption:
    """Cuts out spans of `mean_span` tokens on average, `noise_density` of all tokens."""

    vocabulary: Vocabulary
    noise_density: float = 0.15
    mean_span: float = 3.0
    z_loss: float = 0.0

    def batch(self, rows: Rows, noise: Noise) -> Batch:
        """Rows of the encoder [R, S'] and the decoder [R, T], flat places [N] in the latter, targets [N]."""
        columns = rows.ids.shape[1]
        cut, kept = noise.uniform("lengths cut", columns), noise.uniform("lengths kept", columns)
        inputs: list[list[Ids]] = [[] for _ in rows.places]
        targets: list[list[Ids]] = [[] for _ in rows.places]
        eos = np.array([self.vocabulary.eos])
        for row, begin, end in rows.parts():
            ids = rows.ids[row, begin:end].numpy()
            ids = ids[ids != self.vocabulary.eos]
            if len(ids) > 1:
                cut_out = self.spans(len(ids), cut[row, begin:end], kept[row, begin:end])
                inputs[row].append(np.concatenate([self._with_sentinels(ids, cut_out), eos]))
                targets[row].append(np.concatenate([self._with_sentinels(ids, ~cut_out), eos]))
        encoder_ids, encoder_documents = self._packed(inputs)
        target_ids, decoder_documents = self._packed(targets)
        # What a document's decoder is given: the padding token, then its targets but the last.
        decoder_ids = np.full_like(target_ids, self.vocabulary.pad)
        same = decoder_documents[:, 1:] == decoder_documents[:, :-1]
        decoder_ids[:, 1:][same] = target_ids[:, :-1][same]
        places = np.flatnonzero(decoder_documents != NO_DOCUMENT)
        tensors = {
            "ids": encoder_ids,
            "documents": encoder_documents,
            "decoder_ids": decoder_ids,
            "decoder_documents": decoder_documents,
            "places": places,
            "targets": target_ids.flatten()[places],
        }
        moved = {name: torch.from_numpy(array) for name, array in tensors.items()}
        return Batch(moved, {"span_corruption": len(places)}, rows.tokens)

    def scores(self, model: PreTrainedModel, tensors: Mapping[str, torch.Tensor]) -> dict[str, Score]:
        """The loss on the targets; padding has no part in it."""
        family = ENCODER_DECODERS.get(model.config.model_type) or StockEncoderDecoder()
        states = family.hidden_states(
            model,
            tensors["ids"],
            tensors["documents"],
            tensors["decoder_ids"],
            tensors["decoder_documents"],
        )
        hidden = states.flatten(0, 1).index_select(0, tensors["places"])
        return {
            "span_corruption": scored(
                hidden, tensors["targets"], lambda h: family.logits(model, h), self.z_loss
            )
        }

    def counts(self, length: int) -> tuple[int, int]:
        """Tokens cut out of `length` > 1 ones, and spans."""
        return span_counts(length, self.noise_density, self.mean_span)

    def spans(
        self, length: int, cut: npt.NDArray[np.float64], kept: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.bool_]:
        """Which of `length` tokens are cut out, bool [length], by as many random numbers for either kind.

        Kept and cut spans take turns, the first is kept, and their lengths are drawn evenly from all ways to
        divide so many tokens into so many spans (`random_spans_noise_mask` in T5's preprocessors.py).
        """
        tokens, spans = self.counts(length)
        lengths = np.stack([_divided(length - tokens, spans, kept), _divided(tokens, spans, cut)], axis=1)
        mask: npt.NDArray[np.bool_] = np.repeat(np.tile([False, True], spans), lengths.flatten())
        return mask

    def _with_sentinels(self, ids: Ids, hidden: npt.NDArray[np.bool_]) -> Ids:
        """Each run of hidden tokens replaced by one sentinel, the first by `<extra_id_0>`."""
        begins = hidden & ~np.concatenate([[False], hidden[:-1]])
        replaced = ids.copy()
        replaced[begins] = self.vocabulary.sentinels[: begins.sum()]
        left: Ids = replaced[~hidden | begins]
        return left

    def _packed(self, rows: Sequence[Sequence[Ids]]) -> tuple[Ids, Ids]:
        """Texts end to end in rows of one length, and the number of each one's document, int64 [R, L]."""
        longest = max(sum(map(len, texts)) for texts in rows)
        shape = (len(rows), padded_length(max(1, longest)))
        ids, documents = np.full(shape, self.vocabulary.pad), np.full(shape, NO_DOCUMENT)
        for row, texts in enumerate(rows):
            if texts:
                packed = np.concatenate(texts)
                ids[row, : len(packed)] = packed
                documents[row, : len(packed)] = np.repeat(np.arange(len(texts)), [len(t) for t in texts])
        return ids, documents


def _divided(items: int, parts: int, random: npt.NDArray[np.float64]) -> Ids:
    """Sizes [parts] > 0 of a division of `items`; each way to divide them is as likely as any other."""
    inner: Ids = np.sort(np.argsort(random[: items - 1])[: parts - 1]) + 1
    sizes: Ids = np.diff(inner, prepend=0, append=items)
    return sizes
