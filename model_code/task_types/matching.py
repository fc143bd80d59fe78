"""Texts that belong together: a question and its answer, a sentence and its translation.

An encoder gives each text a vector, close to those of the texts that it belongs to (a bi-encoder: Reimers &
Gurevych 2019, arXiv 1908.10084), so that a collection is encoded once and searched by dot products. It is
trained on pairs alone: what does not belong to a text are the other texts of its batch (InfoNCE: van den Oord
et al. 2018, arXiv 1807.03748), and the larger the batch, the better. An example may name texts that seem to
belong to its first one and don't, `negative`: hard negatives, or the third text of a triplet.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy, normalize
from transformers import AutoModel, PreTrainedModel

from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.architectures import encoder_of, text_models
from model_code.models.checkpoints import load_model
from model_code.models.pooling import pooled, poolings_in
from model_code.models.sentence_folder import files_for, options_in, tell_new_length
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.bootstrap_metrics import Resampled, mean
from model_code.task_types.pairs import ALONE, SIDES, TextPairs, encode
from model_code.task_types.task import Example, Field, Settings
from model_code.task_types.texts import outputs
from model_code.task_types.tfidf import tfidf

__all__ = ["encode", "options_in"]

FAMILIES = text_models()
# Only one text is given where its vector is asked for.
FIELDS = {
    "first": Field("text"),
    "second": Field("text", required=False),
    "negative": Field("texts", required=False, named=True),
}
METRIC = "recall_at_10"
SELECTION = "mrr"
METRICS = ("recall_at_1", "recall_at_5", "recall_at_10", "mrr")
BY_DIMENSION = ("recall_at_10", "mrr")
UNBOUNDED = "compares examples with each other"

Vectors = Mapping[str, Sequence[float] | np.ndarray]
"""The vector of each text of an example by its field, of length 1: the dot product is the cosine."""

MOST_BY_WORDS = 10_000  # test examples: each with each they take 1.6 GB, as cosines and as axes
ROWS = 1024  # texts that are compared with all candidates at once


@dataclass(frozen=True)
class Options:
    """How vectors are made and compared.

    Cosines are divided by the `temperature`: the smaller, the more the closest wrong texts count. `pooling`
    is how the states of tokens become one vector, `cls+mean` both next to each other; the prompts stand
    before each first and each second text. All three are the checkpoint's own where a recipe leaves them out.
    The first numbers of a vector, as many as one of the `dimensions`, are a good vector too (Matryoshka:
    Kusupati et al. 2022, arXiv 2205.13147).
    """

    temperature: float = 0.05
    pooling: str = "mean"
    first_prompt: str = ""
    second_prompt: str = ""
    dimensions: Sequence[int] = ()

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise TrainingError(f"the temperature is {self.temperature}, but cosines are divided by it")
        try:
            poolings_in(self.pooling)
        except ValueError as error:
            raise TrainingError(f"pooling is {error}") from error
        sizes = self.dimensions
        is_list = isinstance(sizes, list | tuple) and all(type(size) is int and size > 0 for size in sizes)
        if not is_list or len(set(sizes)) < len(sizes):
            raise TrainingError(f"dimensions is {sizes!r}; give different sizes, such as [384, 128, 64]")
        object.__setattr__(self, "dimensions", tuple(sizes))  # JSON has lists


def fault(example: Example) -> str:
    """A text alone teaches nothing."""
    return "" if "second" in example else ALONE


def truth(example: Example) -> dict[str, str]:
    """The second text: equal ones are one candidate."""
    return {"second": example["second"]}


def labels_of(examples: Sequence[Example]) -> list[str]:
    """None: what is learnt are the pairs."""
    return []


def load(directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
    """The encoder alone, which nothing is added to.

    Raises TrainingError when its vectors are shorter than one of the `dimensions`.
    """
    model = load_model(directory, AutoModel)
    if hasattr(model, "pooler"):
        model.pooler = None  # BERT's reads the first token, and would get no gradient here
    if model.config.is_encoder_decoder:
        model.requires_grad_(False)
        encoder_of(model).requires_grad_(True)
    size = model.config.hidden_size * len(poolings_in(settings.options.pooling))
    if (largest := max(settings.options.dimensions, default=0)) > size:
        raise TrainingError(f"dimensions names {largest}, and the vectors of the model have {size}; lower it")
    tell_new_length(directory)
    encoder: PreTrainedModel = model
    return encoder


def files(model: PreTrainedModel, settings: Settings, source: Path) -> dict[str, str]:
    """What sentence-transformers reads beside the model, by path."""
    options = settings.options
    prompts = options.first_prompt, options.second_prompt
    return files_for(model.config, options.pooling, *prompts, settings.max_length, source)


def vectors(model: Any, tensors: Mapping[str, torch.Tensor], side: str, settings: Settings) -> torch.Tensor:
    """The direction of what is pooled of the last hidden states, float32 [B, D], of length 1."""
    mask = tensors[f"{side}_mask"]
    states = encoder_of(model)(input_ids=tensors[f"{side}_ids"], attention_mask=mask).last_hidden_state
    return normalize(pooled(states.float(), mask, settings.options.pooling), dim=-1)


def graph(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, torch.Tensor]:
    """What is served of the model: the `text_vector`, float32 [B, D], of length 1."""
    text = {"text_ids": tensors["input_ids"], "text_mask": tensors["attention_mask"]}
    return {"text_vector": vectors(model, text, "text", settings)}


def cut(whole: torch.Tensor, settings: Settings) -> list[torch.Tensor]:
    """Vectors cut to each of the `dimensions` and of length 1 again; as they are where none is named."""
    sizes = settings.options.dimensions
    return [normalize(whole[:, :size], dim=-1) for size in sizes] if sizes else [whole]


def scores(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
    """InfoNCE: which second text belongs to each first one, and which first one to each second.

    Negatives are further wrong answers of every first text of the batch. The losses of several dimensions are
    added up, and the hits are those of the one that is named first.
    """
    sides = [*SIDES, "negative"] if "negative_ids" in tensors else SIDES
    embedded = [cut(vectors(model, tensors, side, settings), settings) for side in sides]
    losses, hits = zip(
        *(_info_nce(each, tensors, settings) for each in zip(*embedded, strict=True)), strict=True
    )
    loss = sum(losses[1:], losses[0])
    return {"pair": Score(loss, torch.zeros_like(loss), hits[0])}


def _info_nce(
    sides: Sequence[torch.Tensor], tensors: Mapping[str, torch.Tensor], settings: Settings
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss and the hits of vectors [B, D] of both sides, and of negatives [N, D] where there are any."""
    first, second, *negatives = sides
    with torch.autocast(first.device.type, enabled=False):
        cosines = (first @ second.T).masked_fill(tensors["excluded"], -torch.inf)
        answers = backwards = cosines / settings.options.temperature
        for wrong in negatives:
            further = (first @ wrong.T).masked_fill(tensors["excluded_negatives"], -torch.inf)
            answers = torch.cat([answers, further / settings.options.temperature], dim=1)
    own = torch.arange(len(first), device=first.device)
    loss = sum(cross_entropy(each, own, reduction="sum") for each in (answers, backwards.T)) / 2
    assert isinstance(loss, torch.Tensor)
    return loss, (answers.argmax(-1) == own).sum()


def predict(
    model: Any, data: TextPairs, runtime: Runtime, batch_size: int, settings: Settings
) -> list[Vectors]:
    """The vectors of the texts of each example."""
    by_item: dict[int, Vectors] = {}

    def of_sides(batch: Batch) -> list[torch.Tensor]:
        return [vectors(model, batch.tensors, side, settings) for side in data.ids]

    for items, sides in outputs(of_sides, model, data, runtime, batch_size):
        for item, *both in zip(items.tolist(), *(side.tolist() for side in sides), strict=True):
            by_item[item] = dict(zip(data.ids, both, strict=True))
    return [by_item[item] for item in range(len(by_item))]


def figures(
    examples: Sequence[Example], predictions: Sequence[Vectors], settings: Settings
) -> dict[str, float]:
    """Recall at 1, 5 and 10 and the mean reciprocal rank, as `ranks` counts; some of each dimension.

    A baseline's vectors are arrays with axes of their own, which can't be cut.
    """
    values = _figures(ranks(examples, predictions))
    sizes = settings.options.dimensions if isinstance(predictions[0]["first"], list) else ()
    for size in sizes:
        of_size = _figures(ranks(examples, [_shortened(vectors, size) for vectors in predictions]))
        values |= {f"{name}_{size}": of_size[name] for name in BY_DIMENSION}
    return values


def _figures(places: np.ndarray) -> dict[str, float]:
    recalls = {f"recall_at_{k}": float((places <= k).mean()) for k in (1, 5, 10)}
    return recalls | {"mrr": float((1 / places).mean())}


def _shortened(whole: Vectors, size: int) -> Vectors:
    """The first `size` numbers of each vector, of length 1 again."""
    parts = {side: np.array(vector[:size]) for side, vector in whole.items()}
    return {side: part / max(float(np.linalg.norm(part)), 1e-12) for side, part in parts.items()}


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
    ranks_of_rows = []
    for start in range(0, len(examples), ROWS):
        rows = np.array([p["first"] for p in predictions[start : start + ROWS]], np.float32)
        own = [places[e["second"]] for e in examples[start : start + ROWS]]
        cosines = rows @ columns
        ranks_of_rows.append((cosines >= cosines[np.arange(len(rows)), own, None]).sum(axis=1))
    return np.concatenate(ranks_of_rows)


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
