"""How alike two texts are, learnt from scores: the encoder of `matching`, trained on graded pairs.

Only the order of the scores counts (CoSENT: Su 2022, kexue.fm/archives/8847; in English as the first term
of Li & Li 2023, arXiv 2309.12871), as it does for Spearman's correlation; their scale is free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer

from model_code.data.vocabulary import Vocabulary
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.task_types import matching
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.bootstrap_metrics import Resampled
from model_code.task_types.matching import FAMILIES, Options, files, graph, labels_of, load, options_in
from model_code.task_types.pairs import SIDES, TextPairs
from model_code.task_types.pairs import encode as encode_pairs
from model_code.task_types.task import Example, Field, Settings
from model_code.task_types.texts import outputs

__all__ = ["FAMILIES", "Options", "files", "graph", "labels_of", "load", "options_in"]

FIELDS = {"first": Field("text"), "second": Field("text"), "score": Field("score", target=True)}
METRIC = SELECTION = "spearman"
METRICS = ("spearman", "pearson")
UNBOUNDED = "compares examples with each other"


def fault(example: Example) -> str:
    """Nothing can be wrong with two texts and a number."""
    return ""


@dataclass(frozen=True)
class GradedPairs:
    """Pairs, and their scores, float32 [pairs], where they are known."""

    pairs: TextPairs
    grades: np.ndarray | None

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of the longer text of each pair, int64 [pairs]."""
        return self.pairs.lengths

    def batch(self, items: np.ndarray) -> Batch:
        """The tensors of `TextPairs`, and `grades` [B]."""
        batch = self.pairs.batch(items)
        if self.grades is None:
            return batch
        return replace(batch, tensors={**batch.tensors, "grades": torch.from_numpy(self.grades[items])})


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> GradedPairs:
    """Both texts, each with its special tokens and of `max_length` tokens at most."""
    pairs = encode_pairs(examples, tokenizer, vocabulary, settings)
    graded = "score" in examples[0]
    return GradedPairs(pairs, np.array([e["score"] for e in examples], np.float32) if graded else None)


def cosines(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> list[torch.Tensor]:
    """The cosine of the two texts of each pair, float32 [B], by each dimension where some are named."""
    both = (matching.vectors(model, tensors, side, settings) for side in SIDES)
    return [
        (first * second).sum(dim=-1)
        for first, second in zip(*(matching.cut(side, settings) for side in both), strict=True)
    ]


def scores(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
    """CoSENT: no pair should be closer than one with a higher score; added up over the dimensions."""
    losses = [_cosent(found, tensors["grades"], settings) for found in cosines(model, tensors, settings)]
    loss = sum(losses[1:], losses[0])
    return {"pair": Score(loss, torch.zeros_like(loss), torch.zeros_like(loss))}


def _cosent(cosine: torch.Tensor, grades: torch.Tensor, settings: Settings) -> torch.Tensor:
    closer = (cosine[:, None] - cosine[None, :]) / settings.options.temperature
    lower = grades[:, None] < grades[None, :]
    wrong = closer.masked_fill(~lower, -torch.inf).flatten()
    # The loss is one for the whole batch, and counts once for each of its pairs.
    return len(cosine) * torch.logsumexp(torch.cat([wrong.new_zeros(1), wrong]), dim=0)


def predict(
    model: Any, data: GradedPairs, runtime: Runtime, batch_size: int, settings: Settings
) -> list[float]:
    """The cosine of the two texts of each example, from -1 to 1."""
    nearness = np.zeros(len(data.lengths), np.float32)
    whole = replace(settings, options=replace(settings.options, dimensions=()))
    for items, (near,) in outputs(
        lambda b: cosines(model, b.tensors, whole), model, data, runtime, batch_size
    ):
        nearness[items] = near.cpu().numpy()
    return [float(cosine) for cosine in nearness]


def figures(
    examples: Sequence[Example], predictions: Sequence[float], settings: Settings
) -> dict[str, float]:
    """Spearman's correlation: Pearson's of the ranks. 0 where either side is all equal."""
    columns = [example["score"] for example in examples], predictions
    truth, found = (_ranks(np.array(column, np.float64)) for column in columns)
    spread = truth.std() * found.std()
    covariance = ((truth - truth.mean()) * (found - found.mean())).mean()
    return {"spearman": float(covariance / spread) if spread else 0.0}


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, float64 [N]; equal values share the mean of theirs."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]


def metrics(
    examples: Sequence[Example], predictions: Sequence[float], settings: Settings
) -> dict[str, float]:
    """Spearman's and Pearson's correlation; 0 where either side is all equal."""
    from scipy.stats import pearsonr, spearmanr

    truth = [example["score"] for example in examples]
    if min(len(set(truth)), len(set(predictions))) < 2:
        return {"spearman": 0.0, "pearson": 0.0}
    return {
        "spearman": float(spearmanr(truth, predictions).statistic),
        "pearson": float(pearsonr(truth, predictions).statistic),
    }


def resampled(examples: Sequence[Example], predictions: Sequence[float], settings: Settings) -> Resampled:
    """Spearman's correlation of samples of the examples."""
    columns = ([example["score"] for example in examples], predictions)
    values = [np.unique(np.array(column, np.float64), return_inverse=True)[1] for column in columns]

    def figure(counts: np.ndarray) -> np.ndarray:
        shares = counts / counts.sum(axis=1, keepdims=True)
        ranks = [_ranks_within(which, counts) for which in values]
        truth, found = (rank - (shares * rank).sum(axis=1, keepdims=True) for rank in ranks)
        covariance = (shares * truth * found).sum(axis=1)
        spread = np.sqrt((shares * truth**2).sum(axis=1) * (shares * found**2).sum(axis=1))
        correlation: np.ndarray = np.divide(covariance, spread, out=np.zeros_like(spread), where=spread > 0)
        return correlation

    return figure


def _ranks_within(which: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """The ranks of the values number `which`, [examples], in each sample, [samples, examples]."""
    from scipy.sparse import csr_array

    having = csr_array((np.ones(len(which)), (np.arange(len(which)), which)))
    holders = counts @ having
    ranks: np.ndarray = (np.cumsum(holders, axis=1) - (holders - 1) / 2)[:, which]
    return ranks


def baselines(train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
    """All pairs alike; and the words that two texts share, weighted by how rare they are."""
    return attempted({"constant": lambda: [0.0] * len(test), "tfidf": lambda: _shared_words(train, test)})


def _shared_words(train: Sequence[Example], test: Sequence[Example]) -> list[float]:
    first, second = matching.in_words(train, test)
    cosines: list[float] = np.asarray(first.multiply(second).sum(axis=1)).ravel().tolist()
    return cosines
