"""The answer to a question as a piece of a given text: served, and how questions and contexts become rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from .classification import ServedAnswer
from .graph import OnnxGraph, TokenRow
from .questions import is_mark, lacks
from .rows import Frame, windows


class PassageRow(NamedTuple):
    """A window of a context after its question, and the number of that question.

    `begin` is where the context begins in the row, `start` the first of its tokens that is in it, and
    `characters` are those of each token of it, int64 [tokens, 2].
    """

    ids: list[int]
    types: list[int]
    question: int
    begin: int
    start: int
    characters: np.ndarray


def in_passages(
    questions: Sequence[str],
    contexts: Sequence[str],
    tokenizer: Tokenizer,
    frame: Frame,
    max_length: int,
    overlap: int,
) -> Iterator[PassageRow]:
    """Windows of `max_length` tokens at most, question and special tokens included; none of an empty context.

    A question takes half of that at most.
    """
    different = list(dict.fromkeys(contexts))  # many questions share one
    found = tokenizer.encode_batch(different, add_special_tokens=False)
    encoded = dict(zip(different, found, strict=True))
    asked = tokenizer.encode_batch(list(questions), add_special_tokens=False)
    ids = {context: tokens.ids for context, tokens in encoded.items()}  # made anew each time that it is asked
    places = {context: np.array(of.offsets, np.int64).reshape(-1, 2) for context, of in encoded.items()}
    for number, (context, question) in enumerate(zip(contexts, asked, strict=True)):
        tokens, offsets = ids[context], places[context]
        said = question.ids[: max_length // 2]
        begin = len(frame.before) + len(said) + len(frame.between)
        room = max_length - begin - len(frame.after)
        for window in windows(len(tokens), room, min(overlap, room // 2)) if tokens else []:
            row = frame.around(said, tokens[window.start : window.end])
            yield PassageRow(*row, number, begin, window.start, offsets[window.start : window.end])


def best_span(starts: np.ndarray, ends: np.ndarray, longest: int) -> tuple[int, int]:
    """First and last token of the span with the highest sum of both logits, float [T] each.

    It has at least one token and at most `longest`.
    """
    size = len(starts)
    possible = np.tri(size, k=longest - 1, dtype=bool) & ~np.tri(size, k=-1, dtype=bool)
    sums = np.where(possible, starts[:, None] + ends, -np.inf)
    first, last = divmod(int(sums.argmax()), size)
    return first, last


def in_context(context: str, start: int, end: int) -> tuple[str, int]:
    """A piece of a context without blanks around it, and its first character.

    Marks on its last character belong to it: some tokenizers take them off.
    """
    while end < len(context) and is_mark(context[end]):
        end += 1
    text = context[start:end].lstrip()  # a token may begin with the space before its word
    return text.rstrip(), int(end) - len(text)


class Form:
    """Answers to questions about contexts."""

    inputs = ("question", "context")
    reads_whole = True
    parameters = ()
    outputs: Mapping[str, tuple[str, int]] = {
        "answer": ("STRING", 1),
        "start": ("INT64", 1),
        "end": ("INT64", 1),
        "score": ("FP32", 1),
    }

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Load the folder that `export` wrote."""
        self.graph = OnnxGraph(folder, threads)

    def fault(self, question: Mapping[str, Any]) -> str:
        """A question or a context that is not there, or without text."""
        empty = (f"its {name} is empty" for name in self.inputs if not question[name].strip())
        return lacks(question, self.inputs) or next(empty, "")

    def questions(self, example: Mapping[str, Any]) -> list[dict[str, str]]:
        """The questions that an example is to an endpoint; `joined` makes its answer of theirs."""
        return [{name: example[name] for name in self.inputs}]

    def joined(self, answers: Sequence[ServedAnswer]) -> ServedAnswer:
        """The answer to an example, from those to its questions."""
        return answers[0]

    def answers(self, questions: Sequence[Mapping[str, Any]]) -> list[ServedAnswer]:
        """Of each question its `answer`, from `start` to `end` in the context; "" and -1 where there is none.

        The `score` is how probable that is, where there is an answer or none.
        """
        options, contexts = self.graph.settings["options"], [question["context"] for question in questions]
        rows = self._passages(questions)
        best: list[tuple[float, str, int]] = [(-math.inf, "", -1)] * len(questions)
        outputs = self.graph.run([TokenRow(row.ids, row.types) for row in rows])
        for row, (starts, ends) in zip(rows, outputs, strict=True):
            part = slice(row.begin, row.begin + len(row.characters))
            first, last = best_span(starts[part], ends[part], options["max_answer"])
            # Against the first token, such as [CLS]: the raw logits of two windows have no common zero.
            score = float(starts[part][first] + ends[part][last] - starts[0] - ends[0])
            if score > best[row.question][0]:
                characters = row.characters[first, 0], row.characters[last, 1]
                best[row.question] = (score, *in_context(contexts[row.question], *characters))
        return [self._answer(*each, no_answer=options["no_answer"]) for each in best]

    def rows(self, questions: Sequence[Mapping[str, Any]]) -> list[TokenRow]:
        """The rows of tokens of the questions, one or several for each."""
        return [TokenRow(row.ids, row.types) for row in self._passages(questions)]

    def _passages(self, questions: Sequence[Mapping[str, Any]]) -> list[PassageRow]:
        asked, contexts = ([question[name] for question in questions] for name in self.inputs)
        overlap, graph = self.graph.settings["options"]["overlap"], self.graph
        return list(in_passages(asked, contexts, graph.tokenizer, graph.frame, graph.max_length, overlap))

    def _answer(self, score: float, text: str, start: int, *, no_answer: bool) -> ServedAnswer:
        # tanh instead of exp, which overflows
        probable = (1 + math.tanh(score / 2)) / 2
        if start < 0 or (no_answer and score <= 0):
            return {"answer": "", "start": -1, "end": -1, "score": 1 - probable}
        return {"answer": text, "start": start, "end": start + len(text), "score": probable}

    def tensors(self, answers: Sequence[ServedAnswer]) -> dict[str, np.ndarray]:
        """The answers as `outputs` says, [answers, 1] each."""
        texts = np.array([[answer["answer"].encode()] for answer in answers], np.object_)
        numbers = {
            name: np.array(
                [[answer[name]] for answer in answers], np.float32 if name == "score" else np.int64
            )
            for name in ("start", "end", "score")
        }
        return {"answer": texts, **numbers}

    def prediction(self, answer: ServedAnswer) -> Any:
        """What metrics read of an answer: its text and its first character."""
        return {"text": answer["answer"], "start": answer["start"]}
