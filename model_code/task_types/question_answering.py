"""The answer to a question as a piece of a given text, after SQuAD (Rajpurkar et al. 2016, arXiv 1606.05250).

The model reads `[CLS] question [SEP] context [SEP]` and says of each token of the context how likely the
answer begins and ends there. A long context is cut into overlapping windows; where a window lacks the answer
both point to [CLS] (Devlin et al. 2019). The best span of all windows is the one that is most likely against
[CLS] in its own: the raw logits of two windows have no common zero.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import regex
import torch
from tokenizers import Tokenizer
from torch.nn.functional import cross_entropy
from transformers import AutoModelForQuestionAnswering, PreTrainedModel

from model_code.data.frames import frame_of
from model_code.data.vocabulary import Vocabulary
from model_code.errors import TrainingError
from model_code.models.architectures import architectures
from model_code.models.checkpoints import load_model
from model_code.objectives.objective import Batch, Score
from model_code.runtime import Runtime
from model_code.served.question_answering import PassageRow, best_span, in_context, in_passages
from model_code.task_types.baselines import Baselines, attempted
from model_code.task_types.bootstrap_metrics import Resampled, mean
from model_code.task_types.labels import head_dropout
from model_code.task_types.task import Example, Field, Settings
from model_code.task_types.texts import inputs_of, outputs, padded
from model_code.task_types.words import OWN_SENTENCE_ENDS, SENTENCE_ENDS, composed, words

FAMILIES = architectures(AutoModelForQuestionAnswering)
FIELDS = {
    "question": Field("text"),
    "context": Field("text"),
    "answers": Field("answers", target=True),
}
METRIC = SELECTION = "f1"
METRICS = ("exact_match", "f1")

Answer = dict[str, Any]
"""`text`, as it stands in the context, and `start`, its first character there; "" and -1 for no answer."""
NONE: Answer = {"text": "", "start": -1}

_ARTICLES = regex.compile(r"\b(a|an|the)\b")  # to `re` a letter ends before its mark, as a in a word of NFD
_PUNCTUATION = str.maketrans("", "", string.punctuation)
_UNSPACED = re.compile(r"([\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff])")  # kana and Han: each a word
_SENTENCE = re.compile(rf"\S.*?(?:[{SENTENCE_ENDS}](?=\s)|[{OWN_SENTENCE_ENDS}]|$)", re.DOTALL)


@dataclass(frozen=True)
class Options:
    """`overlap` of neighbouring windows and `max_answer` are in tokens; `no_answer`: there may be none."""

    overlap: int = 64
    max_answer: int = 30
    no_answer: bool = False

    def __post_init__(self) -> None:
        """Raises TrainingError for a number that is no use."""
        if self.overlap < 0 or self.max_answer < 1:
            raise TrainingError(
                f"overlap is {self.overlap} and max_answer {self.max_answer} tokens; the least are 0 and 1"
            )


def fault(example: Example) -> str:
    """A question or context without text, or an answer that is not where it is said to be."""
    for name in ("question", "context"):
        if not example[name].strip():
            return f"its {name} is empty"
    for answer in example.get("answers", ()):
        if not answer["text"].strip():
            return "it has an answer without text; a question without an answer has an empty list of them"
        if answer["start"] < 0 or not example["context"].startswith(answer["text"], answer["start"]):
            return f"the answer {answer['text']!r} is not at character {answer['start']} of its context"
    return ""


def labels_of(examples: Sequence[Example]) -> list[str]:
    """None: what is chosen among are the tokens of a context."""
    return []


def load(directory: Path, vocabulary: Vocabulary, settings: Settings) -> PreTrainedModel:
    """An encoder with two logits for each token: that the answer begins there, and that it ends there."""
    model: PreTrainedModel = load_model(
        directory,
        AutoModelForQuestionAnswering,
        num_labels=2,
        **head_dropout(directory, settings),
    )
    return model


@dataclass(frozen=True)
class Passages:
    """Windows of contexts, each after its question.

    `contexts` are one for each question, everything else is one for each window: its question's number, where
    its part of the context begins in the row, the characters of that part's tokens (int64 [tokens, 2]), and
    the row's first and last token of the answer.
    """

    contexts: Sequence[str]
    ids: Sequence[Sequence[int]]
    types: Sequence[Sequence[int]]
    questions: Sequence[int]
    begins: Sequence[int]
    characters: Sequence[np.ndarray]
    targets: np.ndarray | None
    pad: int

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each window with its question, int64 [windows]."""
        return np.array([len(ids) for ids in self.ids], np.int64)

    def batch(self, items: np.ndarray) -> Batch:
        """`input_ids`, `attention_mask`, `token_type_ids`, `allowed` [B, S]; `targets` [B, 2].

        Allowed are the tokens of the context, and the first of the row, such as [CLS].
        """
        ids, mask = padded([self.ids[i] for i in items], self.pad)
        begins = torch.tensor([self.begins[i] for i in items])[:, None]
        ends = begins + torch.tensor([len(self.characters[i]) for i in items])[:, None]
        places = torch.arange(ids.shape[1])
        tensors = {
            "input_ids": ids,
            "attention_mask": mask,
            "token_type_ids": padded([self.types[i] for i in items], 0, ids.shape[1])[0],
            "allowed": ((begins <= places) & (places < ends)) | (places == 0),
        }
        counts = {}
        if self.targets is not None:
            tensors["targets"] = torch.from_numpy(self.targets[items])
            counts["span"] = 2.0 * len(items)
        return Batch(tensors, counts, int(mask.sum()))


def encode(
    examples: Sequence[Example], tokenizer: Tokenizer, vocabulary: Vocabulary, settings: Settings
) -> Passages:
    """Windows of `max_length` tokens at most, question and special tokens included.

    A question takes half of that at most. Of several answers the first is learnt.
    """
    frame = frame_of(tokenizer, vocabulary, pair=True)
    questions, contexts = ([example[name] for example in examples] for name in ("question", "context"))
    bounds = settings.max_length, settings.options.overlap
    rows = list(in_passages(questions, contexts, tokenizer, frame, *bounds))
    asked = {row.question for row in rows}
    if empty := [example for number, example in enumerate(examples) if number not in asked]:
        raise TrainingError(f"example {empty[0].get('id', '?')}: its context has no text")
    return Passages(
        contexts,
        [row.ids for row in rows],
        [row.types for row in rows],
        [row.question for row in rows],
        [row.begin for row in rows],
        [row.characters for row in rows],
        _targets(examples, rows, settings.options) if "answers" in examples[0] else None,
        vocabulary.filler,
    )


def _targets(examples: Sequence[Example], rows: Sequence[PassageRow], options: Options) -> np.ndarray:
    """The first and the last token of the answer in each row, int64 [rows, 2]; 0 where it has none of it."""
    offsets: dict[int, np.ndarray] = {}
    for row in rows:  # the windows of a context overlap, and together they are all of it
        known = offsets.get(row.question, np.zeros((0, 2), np.int64))
        offsets[row.question] = np.concatenate([known, row.characters[len(known) - row.start :]])
    answers = {number: _span(examples[number], of, options) for number, of in offsets.items()}
    targets = []
    for row in rows:
        first, last = answers[row.question]
        inside = row.start <= first and last < row.start + len(row.characters)
        targets.append((first + row.begin - row.start, last + row.begin - row.start) if inside else (0, 0))
    return np.array(targets, np.int64)


def _span(example: Example, offsets: np.ndarray, options: Options) -> np.ndarray:
    """First and last token of the first answer, int64 [2]; -1 and -1 where there is none."""
    if not example["answers"]:
        if not options.no_answer:
            raise TrainingError(
                f"example {example.get('id', '?')} has no answer; set fine_tune.options.no_answer to true, "
                "or take such questions out"
            )
        return np.array([-1, -1])
    answer = example["answers"][0]
    start, end = answer["start"], answer["start"] + len(answer["text"])
    first = np.searchsorted(offsets[:, 1], start, side="right")
    last = np.searchsorted(offsets[:, 0], end, side="left") - 1
    if last < first:
        raise TrainingError(
            f"example {example.get('id', '?')}: the tokenizer makes nothing of the answer {answer['text']!r}"
        )
    return np.array([first, last])


def graph(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, torch.Tensor]:
    """What is served of the model: `start_logits` and `end_logits`, float32 [B, S]."""
    out = model(**inputs_of(model, tensors))
    return {"start_logits": out.start_logits.float(), "end_logits": out.end_logits.float()}


def logits(model: Any, tensors: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """Logits over the tokens of each row, float32 [2 B, S]: for the first one and the last one, in turn."""
    out = model(**inputs_of(model, tensors))
    both = torch.stack([out.start_logits, out.end_logits], 1).float()
    # Finite, so that nothing is multiplied to no number.
    lowest = torch.finfo(both.dtype).min / 2
    return both.masked_fill(~tensors["allowed"][:, None], lowest).flatten(0, 1)


def scores(model: Any, tensors: Mapping[str, torch.Tensor], settings: Settings) -> dict[str, Score]:
    """Cross-entropy of the first and of the last token of the answer."""
    found, targets = logits(model, tensors), tensors["targets"].flatten()
    loss = cross_entropy(found, targets, reduction="sum")
    return {"span": Score(loss, torch.zeros_like(loss), (found.argmax(-1) == targets).sum())}


def predict(
    model: Any, data: Passages, runtime: Runtime, batch_size: int, settings: Settings
) -> list[Answer]:
    """The best answer to each question, cut out of its context."""
    threshold = 0.0 if settings.options.no_answer else -np.inf
    best = [(threshold, NONE)] * len(data.contexts)
    for items, found in outputs(lambda batch: logits(model, batch.tensors), model, data, runtime, batch_size):
        for item, (starts, ends) in zip(items, found.cpu().numpy().reshape(len(items), 2, -1), strict=True):
            question, characters = data.questions[item], data.characters[item]
            part = slice(data.begins[item], data.begins[item] + len(characters))
            first, last = best_span(starts[part], ends[part], settings.options.max_answer)
            score = starts[part][first] + ends[part][last] - starts[0] - ends[0]
            if score > best[question][0]:
                text, start = in_context(data.contexts[question], characters[first, 0], characters[last, 1])
                best[question] = (score, {"text": text, "start": start})
    return [answer for _, answer in best]


def figures(
    examples: Sequence[Example], predictions: Sequence[Answer], settings: Settings
) -> dict[str, float]:
    """Exact match and F1 of words as SQuAD's own script has them, as shares; the best of several answers."""
    exact, f1 = np.mean(_agreements(examples, predictions), axis=0)
    return {"exact_match": float(exact), "f1": float(f1)}


metrics = figures  # the official script needs no library


def resampled(examples: Sequence[Example], predictions: Sequence[Answer], settings: Settings) -> Resampled:
    """Mean F1 of words of samples of the examples."""
    return mean([f1 for _, f1 in _agreements(examples, predictions)])


def _agreements(examples: Sequence[Example], predictions: Sequence[Answer]) -> list[tuple[float, float]]:
    """Of each example the exact match and the F1 with the answer where each is best."""
    agreements = []
    for example, said in zip(examples, predictions, strict=True):
        pairs = [_agreement(answer["text"], said["text"]) for answer in example["answers"] or [NONE]]
        agreements.append((max(exact for exact, _ in pairs), max(f1 for _, f1 in pairs)))
    return agreements


def normalized(text: str) -> str:
    """Lower case without punctuation and articles, its words divided by one space each.

    As SQuAD's script does; besides, each character of Chinese and Japanese counts as a word (Lewis et al.
    2020, MLQA).
    """
    bare = _ARTICLES.sub(" ", composed(text).lower().translate(_PUNCTUATION))
    return " ".join(_UNSPACED.sub(r" \1 ", bare).split())


def _agreement(truth: str, said: str) -> tuple[float, float]:
    """Whether two texts are the same, and the F1 of their words, once they are normalized."""
    true, found = normalized(truth), normalized(said)
    if not true or not found:
        return float(true == found), float(true == found)
    words, found_words = Counter(true.split()), Counter(found.split())
    common = (words & found_words).total()
    return float(true == found), 2 * common / (words.total() + found_words.total())


def baselines(train: Sequence[Example], test: Sequence[Example], settings: Settings) -> Baselines:
    """The context's first sentence; and the one that has most words of the question."""
    sentences = [list(_sentences(example["context"])) for example in test]

    def most_shared_words() -> list[Answer]:
        return [
            max(every, key=partial(_shared_words, example["question"]))
            for example, every in zip(test, sentences, strict=True)
        ]

    return attempted(
        {
            "first_sentence": lambda: [every[0] for every in sentences],
            "most_shared_words": most_shared_words,
        }
    )


def _shared_words(question: str, sentence: Answer) -> int:
    asked, said = (set(words(text.lower())) for text in (question, sentence["text"]))
    return len(asked & said)


def _sentences(context: str) -> Iterator[Answer]:
    for match in _SENTENCE.finditer(context):
        yield {"text": match[0].rstrip(), "start": match.start()}
