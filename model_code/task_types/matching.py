"""Texts that belong together: a question and its answer, a sentence and its translation.

An encoder gives each text a vector, close to those of the texts that it belongs to (a bi-encoder: Reimers &
Gurevych 2019, arXiv 1908.10084), so that a collection is encoded once and searched by dot products. It is
trained on pairs alone: what does not belong to a text are the other texts of its batch (InfoNCE: van den Oord
et al. 2018, arXiv 1807.03748), and the larger the batch, the better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy, normalize
from transformers import AutoModel, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.architectures import encoder_of, text_models
from model_code.models.checkpoints import load_model
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.resampling import Resampled, mean
from model_code.task_types.task import Example, Field, Settings
from model_code.task_types.texts import outputs, padded
from model_code.task_types.tfidf import tfidf

FAMILIES = text_models()
SIDES = ("first", "second")
# Only one text is given where its vector is asked for.
FIELDS = {"first": Field("text"), "second": Field("text", required=False)}
METRIC = "recall_at_10"
SELECTION = "mrr"
METRICS = ("recall_at_1", "recall_at_5", "recall_at_10", "mrr")
COMPARES_EXAMPLES = True

Vectors = Mapping[str, Sequence[float] | np.ndarray]
"""The vector of each text of an example by its field, of length 1: the dot product is the cosine."""

MOST_BY_WORDS = 10_000  # test examples: each with each they take 1.6 GB, as cosines and as axes
ROWS = 1024  # texts that are compared with all candidates at once


@dataclass(frozen=True)
class Options:
    """Cosines are divided by the `temperature`: the smaller, the more the closest wrong texts count."""

    temperature: float = 0.05

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise TrainingError(f"the temperature is {self.temperature}, but cosines are divided by it")


def fault(example: Example) -> str:
    """A text alone teaches nothing."""
    return "" if "second" in example else "it has no second text that belongs to the first"


def labels_of(examples: Sequence[Example]) -> list[str]:
    """None: what is learnt are the pairs."""
    return []


def load(directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
    """The encoder alone, which nothing is added to."""
    model = load_model(directory, AutoModel)
    if hasattr(model, "pooler"):
        model.pooler = None  # BERT's reads the first token, and would get no gradient here
    if model.config.is_encoder_decoder:
        model.requires_grad_(False)
        encoder_of(model).requires_grad_(True)
    found: PreTrainedModel = model
    return found


@dataclass(frozen=True)
class Pairs:
    """Token ids of the texts by field, and numbers that are equal where texts are, int64 [pairs]."""

    ids: Mapping[str, Sequence[Sequence[int]]]
    texts: Mapping[str, np.ndarray]
    pad: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of the longer text of each pair, int64 [pairs]."""
        counts = [[len(ids) for ids in side] for side in self.ids.values()]
        longest: np.ndarray = np.array(counts, np.int64).max(axis=0)
        return longest

    def batch(self, items: np.ndarray) -> Batch:
        """`first_ids`, `first_mask`, `second_ids` and `second_mask` [B, S]; `excluded` [B, B].

        Excluded are the combinations that nobody chose but that belong together, since one of the two texts
        is the same as in a pair.
        """
        tensors = {}
        for side, ids in self.ids.items():
            tensors[f"{side}_ids"], tensors[f"{side}_mask"] = padded([ids[i] for i in items], self.pad)
        tokens = sum(int(tensors[f"{side}_mask"].sum()) for side in self.ids)
        numbers = np.stack([side[items] for side in self.texts.values()])
        same = (numbers[:, :, None] == numbers[:, None, :]).any(axis=0)
        np.fill_diagonal(same, False)
        tensors["excluded"] = torch.from_numpy(same)
        return Batch(tensors, {"pair": len(items)}, tokens)


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> Pairs:
    """Both texts, each with its special tokens and of `max_length` tokens at most.

    Raises TrainingError when some examples have a second text and others don't.
    """
    sides = [side for side in SIDES if any(side in example for example in examples)]
    if alone := [example for example in examples if any(side not in example for side in sides)]:
        raise TrainingError(f"example {alone[0].get('id')}: {fault(alone[0])}, as others have")
    tokenizer.no_padding()
    tokenizer.enable_truncation(settings.max_length)
    texts = {side: [example[side] for example in examples] for side in sides}
    return Pairs(
        {side: [encoding.ids for encoding in tokenizer.encode_batch(found)] for side, found in texts.items()},
        {side: _numbers(found) for side, found in texts.items()},
        vocabulary.filler,
    )


def _numbers(texts: Sequence[str]) -> np.ndarray:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts])


def vectors(model: Any, tensors: Mapping[str, torch.Tensor], side: str) -> torch.Tensor:
    """The direction of the mean of the last hidden states, float32 [B, D], of length 1."""
    mask = tensors[f"{side}_mask"]
    states = encoder_of(model)(input_ids=tensors[f"{side}_ids"], attention_mask=mask).last_hidden_state
    # The mean points where the sum does.
    return normalize((states.float() * mask[:, :, None]).sum(dim=1), dim=-1)


def scores(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
    """InfoNCE: which second text belongs to each first one, and which first one to each second."""
    first, second = (vectors(model, tensors, side) for side in SIDES)
    with torch.autocast(first.device.type, enabled=False):
        cosines = (first @ second.T).masked_fill(tensors["excluded"], -torch.inf)
    logits = cosines / settings.options.temperature
    own = torch.arange(len(logits), device=logits.device)
    loss = sum(cross_entropy(each, own, reduction="sum") for each in (logits, logits.T)) / 2
    assert isinstance(loss, torch.Tensor)
    return {"pair": Score(loss, torch.zeros_like(loss), (logits.argmax(-1) == own).sum())}


def predict(model: Any, data: Pairs, runtime: Runtime, batch_size: int, settings: Settings) -> list[Vectors]:
    """The vectors of the texts of each example."""
    found: dict[int, Vectors] = {}

    def of_sides(batch: Batch) -> list[torch.Tensor]:
        return [vectors(model, batch.tensors, side) for side in data.ids]

    for items, sides in outputs(of_sides, model, data, runtime, batch_size):
        for item, *both in zip(items.tolist(), *(side.tolist() for side in sides), strict=True):
            found[item] = dict(zip(data.ids, both, strict=True))
    return [found[item] for item in range(len(found))]


def figures(
    examples: Sequence[Example], predictions: Sequence[Vectors], settings: Settings
) -> dict[str, float]:
    """Recall at 1, 5 and 10 and the mean reciprocal rank, as `ranks` counts."""
    found = ranks(examples, predictions)
    recalls = {f"recall_at_{k}": float((found <= k).mean()) for k in (1, 5, 10)}
    return recalls | {"mrr": float((1 / found).mean())}


def metrics(
    examples: Sequence[Example], predictions: Sequence[Vectors], settings: Settings
) -> dict[str, float]:
    """The figures: counting ranks takes no library."""
    return figures(examples, predictions, settings)


def resampled(examples: Sequence[Example], predictions: Sequence[Vectors], settings: Settings) -> Resampled:
    """Recall at 10 of samples of the first texts, each searched for among all second texts."""
    return mean(ranks(examples, predictions) <= 10)


def ranks(examples: Sequence[Example], predictions: Sequence[Vectors]) -> np.ndarray:
    """The rank, from 1, of each first text's own second text among all second texts, int64 [examples].

    Equal texts are one candidate; candidates that are equally close count as if they came before.
    """
    candidates = {e["second"]: p["second"] for e, p in zip(examples, predictions, strict=True)}
    places = {text: place for place, text in enumerate(candidates)}
    columns = np.array(list(candidates.values()), np.float32).T
    found = []
    for start in range(0, len(examples), ROWS):
        rows = np.array([p["first"] for p in predictions[start : start + ROWS]], np.float32)
        own = [places[e["second"]] for e in examples[start : start + ROWS]]
        cosines = rows @ columns
        found.append((cosines >= cosines[np.arange(len(rows)), own, None]).sum(axis=1))
    return np.concatenate(found)


def baselines(train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
    """Any vectors, and the words that two texts share, weighted by how rare they are."""
    by_chance = np.random.default_rng(0).standard_normal((len(test), 2, 16))
    return attempted(
        {
            "random": lambda: [{"first": one, "second": other} for one, other in by_chance],
            "tfidf": lambda: _words_as_vectors(train, test),
        }
    )


def in_words(train: Sequence[Example], test: Sequence[Example]) -> list[Any]:
    """The first and the second texts of `test` as sparse vectors of words, weighed as in `train`."""
    words = tfidf([example["second"] for example in test])
    words.fit([example[side] for side in SIDES for example in train])
    return [words.transform([example[side] for example in test]) for side in SIDES]


def _words_as_vectors(train: Sequence[Example], test: Sequence[Example]) -> list[Vectors]:
    if len(test) > MOST_BY_WORDS:
        raise ValueError(f"{len(test):,} test examples, and only {MOST_BY_WORDS:,} are compared by words")
    first, second = in_words(train, test)
    # Vectors over all words would be large. They are only compared, so each second text may be an axis of
    # its own, along which each first text lies as far as the cosine of the two says.
    cosines = (first @ second.T).toarray()
    return [{"first": one, "second": other} for one, other in zip(cosines, np.eye(len(test)), strict=True)]
