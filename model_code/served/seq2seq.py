"""A text for a text, such as its translation: served."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .classification import ServedAnswer
from .graph import OnnxGraph, TokenRow
from .questions import lacks, shown
from .writing import beam_search, likeliest


class Form:
    """Texts that are written for texts; tensors are named as those of NVIDIA's own generators."""

    inputs: tuple[str, ...] = ("text_input",)
    parameters: tuple[str, ...] = ("max_tokens",)
    reads_whole = False
    outputs: Mapping[str, tuple[str, int]] = {"text_output": ("STRING", 1)}

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Load the folder that `export` wrote."""
        self.graph = OnnxGraph(folder, threads)
        self._longest = int(self.graph.settings["options"]["max_target_length"])
        self._beams = int(self.graph.settings["options"]["beams"])

    def fault(self, question: Mapping[str, Any]) -> str:
        """No text, or a number of tokens that can't be written."""
        most = question.get("max_tokens", self._longest)
        if isinstance(most, bool) or not isinstance(most, int) or not 1 <= most <= self._longest:
            return f"max_tokens is {shown(most)}; give a whole number from 1 to {self._longest}"
        return lacks(question, ["source"] if "source" in question else self.inputs)

    def questions(self, example: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The questions that an example is to an endpoint; `joined` makes its answer of theirs."""
        return [{"text_input": example["source"]}]

    def joined(self, answers: Sequence[ServedAnswer]) -> ServedAnswer:
        """The answer to an example, from those to its questions."""
        return answers[0]

    def rows(self, questions: Sequence[Mapping[str, Any]]) -> list[TokenRow]:
        """The rows of tokens of the sources, cut to what the model reads."""
        frame, tokenizer = self.graph.frame, self.graph.tokenizer
        room = self.graph.max_length - frame.size
        texts = [question.get("source", question.get("text_input", "")) for question in questions]
        encodings = tokenizer.encode_batch(texts, add_special_tokens=False)
        return [TokenRow(frame.around(encoding.ids[:room])[0]) for encoding in encodings]

    def answers(self, questions: Sequence[Mapping[str, Any]]) -> list[ServedAnswer]:
        """Of each question the `text_output`, of `max_tokens` at most."""
        most = [int(question.get("max_tokens", self._longest)) for question in questions]
        rows = self.rows(questions)
        written: list[list[int]] = [[] for _ in rows]
        for longest in sorted(set(most)):
            asked = [number for number, of in enumerate(most) if of == longest]
            for batch in self.graph.batches([rows[number] for number in asked]):
                numbers = [asked[place] for place in batch]
                texts = self._write([rows[number] for number in numbers], longest)
                for number, tokens in zip(numbers, texts, strict=True):
                    written[number] = tokens
        texts_of = self.graph.tokenizer.decode_batch(written, skip_special_tokens=True)
        return [{"text_output": text.strip()} for text in texts_of]

    def _write(self, rows: Sequence[TokenRow], longest: int) -> list[list[int]]:
        if self._beams > 1:
            return beam_search(self.graph, rows, longest, self._beams)
        return likeliest(self.graph, rows, longest)

    def tensors(self, answers: Sequence[ServedAnswer]) -> dict[str, np.ndarray]:
        """The answers as `outputs` says, [answers, 1]."""
        texts = [[answer["text_output"].encode()] for answer in answers]
        return {"text_output": np.array(texts, np.object_)}

    def prediction(self, answer: ServedAnswer) -> Any:
        """What metrics read of an answer: the text."""
        return answer["text_output"]
