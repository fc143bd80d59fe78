"""A text for a text, by an encoder and a decoder: translation, summarisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import AutoModelForSeq2SeqLM, PreTrainedModel

from model_code.data.frames import frame_of
from model_code.data.padding import padded_length
from model_code.data.vocabulary import Vocabulary, load_tokenizer
from model_code.errors import TrainingError
from model_code.models.architectures import architectures
from model_code.models.checkpoints import described_in, load_model
from model_code.models.families import ENCODER_DECODERS
from model_code.models.steps import first_step
from model_code.objectives.cross_entropy import scored
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.served.rows import Frame
from model_code.served.writing import tidied
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.bootstrap_metrics import Resampled, Sums
from model_code.task_types.task import Example, Field, Settings
from model_code.task_types.texts import outputs, padded
from model_code.task_types.tfidf import tfidf
from model_code.task_types.words import HAN, composed, first_words, is_unspaced, words

FAMILIES = architectures(AutoModelForSeq2SeqLM)
FIELDS = {"source": Field("text"), "target": Field("text", target=True)}
# Of the figures the one that is as good for a summary as for a translation, and for every script.
METRIC = "chrf"
SCALE = 100
SELECTION = "loss"
OUR_OWN = {"dropout": 0.1}
DROPOUT = ("dropout", "dropout_rate", "attention_dropout", "activation_dropout")
METRICS = ("bleu", "chrf", "rouge_1", "rouge_2", "rouge_l")


@dataclass(frozen=True)
class Options:
    """`dropout` is that of every layer in training; None: the checkpoint's own, 0.1 for one made here.

    A target is never longer than `max_target_length` tokens.

    With `beams` > 1 that many continuations are followed at a time, and the likeliest text is taken.
    """

    dropout: float | None = None
    max_target_length: int = 128
    beams: int = 1

    def __post_init__(self) -> None:
        """Raises TrainingError for a value that is no use."""
        if self.dropout is not None and type(self.dropout) not in (int, float):
            raise TrainingError(f"options.dropout is {self.dropout!r}; give a value such as 0.1")
        if self.dropout is not None and self.dropout >= 1:
            raise TrainingError(f"options.dropout is {self.dropout}; it has to be below 1")
        least = {"max_target_length": 2, "beams": 1} | ({} if self.dropout is None else {"dropout": 0})
        if wrong := [name for name, value in least.items() if getattr(self, name) < value]:
            raise TrainingError(
                f"options.{wrong[0]} is {getattr(self, wrong[0])}; the least is {least[wrong[0]]}"
            )


def fault(example: Example) -> str:
    """Nothing can be wrong with a pair of texts."""
    return ""


def labels_of(examples: Sequence[Example]) -> list[str]:
    """A text has no label."""
    return []


def check(settings: Settings, positions: int | None) -> None:
    """Raises TrainingError when the model has no positions for the longest target; None: without end."""
    longest = settings.options.max_target_length
    if positions is not None and (width := padded_length(longest)) > positions:
        raise TrainingError(
            f"options.max_target_length {longest} (rows of up to {width} tokens) is more than the "
            f"{positions} positions of the model; lower it or pretrain with more max_positions"
        )


def load(directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
    """The whole encoder-decoder: it was pretrained with all that the task needs.

    Raises TrainingError when it has no positions for the longest target.
    """
    described = described_in(directory)
    check(settings, getattr(described, "max_position_embeddings", None))
    family, dropout = ENCODER_DECODERS.get(described.model_type), settings.options.dropout
    names = family.DROPOUT if family else [name for name in DROPOUT if hasattr(described, name)]
    dropouts = {} if dropout is None else dict.fromkeys(names, dropout)
    model: Any = load_model(directory, AutoModelForSeq2SeqLM, **dropouts)
    if family is None:  # where a text begins may be in the tokenizer alone, as a language
        row, _ = frame_around(load_tokenizer(directory), vocabulary).around([])
        model.generation_config.decoder_start_token_id = int(_shifted(model, torch.tensor([row]))[0, 0])
    loaded: PreTrainedModel = model
    return loaded


@dataclass(frozen=True)
class SourcesAndTargets:
    """Token ids of each source and, in training, of each target; both have the end token."""

    sources: Sequence[Sequence[int]]
    targets: Sequence[Sequence[int]] | None
    tokenizer: Tokenizer
    pad: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each pair, int64 [pairs]."""
        targets = self.targets or [()] * len(self.sources)
        return np.array([len(s) + len(t) for s, t in zip(self.sources, targets, strict=True)], np.int64)

    def batch(self, items: np.ndarray) -> Batch:
        """`input_ids` and `attention_mask` [B, S], `decoder_ids` and `decoder_mask` [B, T], the rest [N].

        What the decoder is given lags a token behind its targets, and `places` are where these stand among
        its tokens, row after row, without the padding.
        """
        ids, mask = padded([self.sources[i] for i in items], self.pad)
        tensors = {"input_ids": ids, "attention_mask": mask}
        if self.targets is None:
            return Batch(tensors, {}, int(mask.sum()))
        target_ids, decoder_mask = padded([self.targets[i] for i in items], self.pad)
        places = decoder_mask.flatten().nonzero().squeeze(1)
        tensors |= {
            "decoder_ids": target_ids.roll(1, dims=1).index_fill(1, torch.tensor([0]), self.pad),
            "decoder_mask": decoder_mask,
            "places": places,
            "targets": target_ids.flatten()[places],
        }
        return Batch(tensors, {"target": len(places)}, int(mask.sum()) + len(places))


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> SourcesAndTargets:
    """Sources of `max_length` tokens at most, and targets of `max_target_length`, if there are any."""
    vocabulary.need("pad", "eos", why="a model that writes texts")
    assert vocabulary.pad is not None
    frame = frame_around(tokenizer, vocabulary)

    def cut(name: str, length: int) -> list[list[int]]:
        encodings = tokenizer.encode_batch([example[name] for example in examples], add_special_tokens=False)
        return [frame.around(encoding.ids[: length - frame.size])[0] for encoding in encodings]

    sources = cut("source", settings.max_length)
    targets = cut("target", settings.options.max_target_length) if "target" in examples[0] else None
    return SourcesAndTargets(sources, targets, tokenizer, vocabulary.pad)


def frame_around(tokenizer: Tokenizer, vocabulary: Vocabulary) -> Frame:
    """What is around a text; an end token at least, since a model has to know when to stop."""
    frame = frame_of(tokenizer, replace(vocabulary, cls=None, sep=None))
    assert vocabulary.eos is not None
    return frame if vocabulary.eos in frame.after else replace(frame, after=(vocabulary.eos,))


def graph(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, torch.Tensor]:
    """What is served of the model: its first step; the others are `steps.next_step`."""
    return first_step(model, tensors["input_ids"], tensors["attention_mask"])


def scores(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
    """Cross-entropy of each target's tokens, given those before; smoothing is a penalty beside it."""
    family = ENCODER_DECODERS.get(model.config.model_type)
    if family is None:
        return {"target": _by_its_own_forward(model, tensors, settings)}
    # A mask numbers documents, too: 1 is the only text of its row, 0 is padding.
    states = family.hidden_states(
        model,
        tensors["input_ids"],
        tensors["attention_mask"],
        tensors["decoder_ids"],
        tensors["decoder_mask"],
    )
    hidden = states.flatten(0, 1).index_select(0, tensors["places"])
    score = scored(hidden, tensors["targets"], lambda states: family.logits(model, states))
    if settings.label_smoothing and torch.is_grad_enabled():
        penalty = settings.label_smoothing * _overconfidence(model, hidden, tensors["targets"])
        score = score._replace(penalty=score.penalty + penalty)
    return {"target": score}


def _by_its_own_forward(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> Score:
    labels = torch.full_like(tensors["decoder_ids"], -100).flatten()
    labels[tensors["places"]] = tensors["targets"]
    said = model(
        input_ids=tensors["input_ids"],
        attention_mask=tensors["attention_mask"],
        decoder_input_ids=_shifted(model, labels.view_as(tensors["decoder_ids"])),
        use_cache=False,
    )
    logits = said.logits.flatten(0, 1).index_select(0, tensors["places"])
    score = scored(logits, tensors["targets"], lambda logits: logits)
    if settings.label_smoothing and torch.is_grad_enabled():
        own = logits.float().gather(1, tensors["targets"][:, None]).squeeze(1)
        above = (own - logits.float().mean(-1)).sum()
        score = score._replace(penalty=score.penalty + settings.label_smoothing * above)
    return score


def _shifted(model: Any, labels: torch.Tensor) -> torch.Tensor:
    """What the decoder is given for labels [B, T], -100 where there are none: each architecture's own way."""
    if hasattr(model, "prepare_decoder_input_ids_from_labels"):
        ids: torch.Tensor = model.prepare_decoder_input_ids_from_labels(labels)
        return ids
    begin = torch.tensor([0], device=labels.device)
    filled = labels.masked_fill(labels == -100, model.config.pad_token_id)
    return filled.roll(1, dims=1).index_fill(1, begin, model.config.decoder_start_token_id)


def _overconfidence(model: Any, hidden: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """How far the logits of the targets lie above the mean of all logits, summed over the targets.

    Label smoothing (Szegedy et al. 2016, arXiv 1512.00567) adds this to the cross-entropy, times its share:
    (1 - e) * -log p(target) + e * mean(-log p) = -log p(target) + e * (logit(target) - mean(logits)), since
    the denominator of the softmax is the same for all. So the logits need not exist as a whole.
    """
    rows = model.get_output_embeddings().weight
    scale = ENCODER_DECODERS[model.config.model_type].output_scale(model)
    above: torch.Tensor = (hidden.float() * scale * (rows[targets] - rows.mean(0))).sum()
    return above


def predict(
    model: Any, data: SourcesAndTargets, runtime: Runtime, batch_size: int, settings: Settings
) -> list[str]:
    """The texts that the model writes: always the likeliest token, or the likeliest text of a beam search."""

    def written(batch: Batch) -> list[list[int]]:
        ids: list[list[int]] = model.generate(
            input_ids=batch.tensors["input_ids"],
            attention_mask=batch.tensors["attention_mask"],
            max_new_tokens=settings.options.max_target_length,
            num_beams=settings.options.beams,
            do_sample=False,
        ).tolist()
        return ids

    texts = [""] * len(data.sources)
    for items, ids in outputs(written, model, data, runtime, batch_size):
        for item, text in zip(items, data.tokenizer.decode_batch(ids, skip_special_tokens=True), strict=True):
            texts[item] = tidied(text)
    return texts


def figures(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> dict[str, float]:
    """None: the loss chooses the epoch, since writing takes longer than reading."""
    return {}


def metrics(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> dict[str, float]:
    """BLEU and chrF of the whole split by sacrebleu, mean ROUGE by rouge_score, all from 0 to 100.

    BLEU divides what is written without spaces into characters. ROUGE compares the words of every script,
    where rouge_score alone would drop all but a to z.
    """
    from sacrebleu import corpus_bleu, corpus_chrf

    references = [composed(example["target"]) for example in examples]
    written = [composed(text) for text in predictions]
    return {
        "bleu": corpus_bleu(written, [references], tokenize=_bleu_tokenizer(references)).score,
        "chrf": corpus_chrf(written, [references]).score,
        **{name: float(np.mean(found)) for name, found in rouge(references, written).items()},
    }


def rouge(references: Sequence[str], written: Sequence[str]) -> dict[str, list[float]]:
    """ROUGE-1, -2 and -L of each text, from 0 to 100."""
    from rouge_score.rouge_scorer import RougeScorer

    kinds = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
    scorer = RougeScorer(list(kinds.values()), tokenizer=_RougeTokenizer())
    pairs = zip(map(composed, references), map(composed, written), strict=True)
    scores_of_pairs = [scorer.score(*pair) for pair in pairs]
    return {
        name: [100 * float(figures[kind].fmeasure) for figures in scores_of_pairs]
        for name, kind in kinds.items()
    }


def resampled(examples: Sequence[Example], predictions: Sequence[str], settings: Settings) -> Resampled:
    """chrF of samples of the examples: of the sums of their n-grams, as sacrebleu's own tests have it."""
    from sacrebleu.metrics.chrf import CHRF

    chrf = CHRF()
    references = [composed(example["target"]) for example in examples]
    rows = np.array(chrf._extract_corpus_statistics([composed(text) for text in predictions], [references]))

    def figure(sums: np.ndarray) -> np.ndarray:
        return np.array([chrf._compute_score_from_stats(row).score for row in sums.tolist()])

    return Sums(rows, figure)


def baselines(train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
    """The source itself, its first words, and the target of the training source that is most like it."""
    asked = [example["source"] for example in test]

    def lead() -> list[str]:
        usual = round(median(len(words(example["target"])) for example in train))
        return [first_words(source, usual) for source in asked]

    return attempted({"copy": lambda: asked, "lead": lead, "nearest": lambda: nearest(train, asked)})


def nearest(train: Sequence[Example], asked: Sequence[str]) -> list[str]:
    """The target of the training source that is most like each of those asked, by words."""
    from sklearn.neighbors import NearestNeighbors

    sources = [example["source"] for example in train]
    vectorizer = tfidf(sources)
    neighbours = NearestNeighbors(n_neighbors=1, metric="cosine").fit(vectorizer.fit_transform(sources))
    found = neighbours.kneighbors(vectorizer.transform(asked), return_distance=False)[:, 0]
    return [train[i]["target"] for i in found]


class _RougeTokenizer:
    """The tokenizer that rouge_score is given."""

    def tokenize(self, text: str) -> list[str]:
        return words(text.lower())


def _bleu_tokenizer(texts: Sequence[str]) -> str:
    """sacrebleu's tokenizer for the script that most of the letters belong to."""
    text = "".join(texts)
    if is_unspaced(text, HAN):
        return "zh"
    return "char" if is_unspaced(text) else "13a"
