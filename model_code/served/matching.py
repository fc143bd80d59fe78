"""Vectors of texts, close to those of texts that they belong to, and the documents nearest to one: served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .classification import ServedAnswer
from .collection import FOLDER, MOST_HITS, Collection
from .graph import OnnxGraph, TokenRow
from .questions import lacks, shown

SIDES = ("first", "second")
ASKED_FOR = 10  # hits of each example, where endpoint and model are compared


class Form:
    """The vector of a text, which by default is a first one: a question rather than what answers it.

    Where a collection lies beside the graph, `k` asks for the documents nearest to the text instead.
    """

    inputs: tuple[str, ...] = ("text",)
    parameters: tuple[str, ...] = ("side", "k")
    reads_whole = False

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Load the folder that `export` wrote."""
        self.graph = OnnxGraph(folder, threads)
        self._size: int = self.graph.settings["dimensions"]
        there = (folder / FOLDER).is_dir()
        self.collection = Collection(folder / FOLDER, self._size) if there else None

    @property
    def outputs(self) -> Mapping[str, tuple[str, int]]:
        """Type and size of each tensor of an answer: a vector, or the scores of hits where there are any."""
        if self.collection is None:
            return {"embedding": ("FP32", self._size)}
        return {"embedding": ("FP32", -1), "scores": ("FP32", -1)}

    def fault(self, question: Mapping[str, Any]) -> str:
        """No text, a side that there is not, or hits that can't be given."""
        side, given = question.get("side", "first"), [name for name in SIDES if name in question]
        if side not in SIDES:
            return f"side is {shown(side)}; give one of {', '.join(SIDES)}"
        if "k" not in question:
            return lacks(question, given or self.inputs)
        count = question["k"]
        if self.collection is None:
            return "k asks for documents, and this model has no collection to search; leave it out"
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= MOST_HITS:
            return f"k is {shown(count)}; give a whole number from 1 to {MOST_HITS}"
        return lacks(question, self.inputs)

    def questions(self, example: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The questions that an example is to an endpoint; `joined` makes its answer of theirs.

        What is found for its first text is asked for too, where there is a collection.
        """
        texts: list[dict[str, Any]] = [
            {"text": example[side], "side": side} for side in SIDES if side in example
        ]
        return texts + ([texts[0] | {"k": ASKED_FOR}] if self.collection and texts else [])

    def joined(self, answers: Sequence[ServedAnswer]) -> ServedAnswer:
        """The answer to an example, from those to its questions."""
        return {side: answer["embedding"] for side, answer in zip(SIDES, answers, strict=False)}

    def answers(self, questions: Sequence[Mapping[str, Any]]) -> list[ServedAnswer]:
        """Of each `text` its `embedding`, of length 1; of a pair those of its `first` and its `second` text.

        `side` says which of both a text is, where the model has a prompt for each. With `k` there are the
        `hits` instead, so many documents of the collection.
        """
        asked = self._texts(questions)
        vectors = self.vectors([(side, text) for _, _, side, text in asked])
        answers: list[ServedAnswer] = [{} for _ in questions]
        searching: dict[int, np.ndarray] = {}
        for (number, name, _, _), vector in zip(asked, vectors, strict=True):
            if "k" in questions[number]:
                searching[number] = vector
            else:
                answers[number][name] = vector.tolist()
        if self.collection and searching:
            counts = [questions[number]["k"] for number in searching]
            found = self.collection.nearest(np.stack([*searching.values()]), counts)
            for number, hits in zip(searching, found, strict=True):
                answers[number]["hits"] = hits
        return answers

    def vectors(self, texts: Sequence[tuple[str, str]]) -> list[np.ndarray]:
        """The vectors of texts, each given with its side, float32 [D]."""
        return [vector for [vector] in self.graph.run(self._rows(texts))]

    def rows(self, questions: Sequence[Mapping[str, Any]]) -> list[TokenRow]:
        """The rows of tokens of the questions, one or two for each."""
        return self._rows([(side, text) for _, _, side, text in self._texts(questions)])

    def _rows(self, texts: Sequence[tuple[str, str]]) -> list[TokenRow]:
        options = self.graph.settings["options"]
        return self.graph.cut([options[f"{side}_prompt"] + text for side, text in texts])

    def _texts(self, questions: Sequence[Mapping[str, Any]]) -> list[tuple[int, str, str, str]]:
        """Of each text the number of its question, its name in the answer, its side, and the text."""
        names = {side: side for side in SIDES} | {"text": "embedding"}
        return [
            (number, names[key], str(question.get("side", "first")) if key == "text" else key, text)
            for number, question in enumerate(questions)
            for key, text in question.items()
            if key in names
        ]

    def tensors(self, answers: Sequence[ServedAnswer]) -> dict[str, np.ndarray]:
        """The answers as `outputs` says, float32: [answers, D], or [answers, 0] beside [answers, hits]."""
        tensors = {"embedding": [answer.get("embedding", []) for answer in answers]}
        if self.collection:
            tensors["scores"] = [[hit["score"] for hit in answer.get("hits", [])] for answer in answers]
        return {name: np.array(rows, np.float32) for name, rows in tensors.items()}

    def prediction(self, answer: ServedAnswer) -> Any:
        """What metrics read of an answer: all of it."""
        return answer
