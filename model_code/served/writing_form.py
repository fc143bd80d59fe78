"""Questions whose answer is a text that is written for them: what all such tasks share."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .choosing import PARAMETERS, choice_of, fault_of
from .classification import ServedAnswer
from .graph import OnnxGraph, TokenRow
from .steps import PromptSteps, SourceSteps
from .writing import Text, Writer

# Decoders that may join what they are given to what follows, or take blanks away between the two.
UNSTEADY = ("WordPiece", "CTC", "BPEDecoder")


class WritingForm(ABC):
    """Texts that are written for texts; names are those of NVIDIA's own generators."""

    inputs: tuple[str, ...] = ("text_input",)
    parameters = PARAMETERS
    reads_whole = False
    writes = True
    outputs: Mapping[str, tuple[str, int]] = {
        "text_output": ("STRING", 1),
        "finish_reason": ("STRING", 1),
        "num_input_tokens": ("UINT32", 1),
        "num_output_tokens": ("UINT32", 1),
    }
    graph_of: type[OnnxGraph] = OnnxGraph
    steps: type[SourceSteps] | type[PromptSteps] = SourceSteps
    beams = 1

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Load the folder that `export` wrote."""
        self.graph = self.graph_of(folder, threads)
        decoder = json.loads(self.graph.tokenizer.to_str())["decoder"] or {}
        self._is_steady = decoder.get("type") not in UNSTEADY

    @property
    @abstractmethod
    def longest(self) -> int:
        """Tokens that a text may have."""

    @property
    def usual(self) -> int:
        """Tokens that a text has at most where the question says nothing else."""
        return self.longest

    def fault(self, question: Mapping[str, Any]) -> str:
        """What keeps a question from being answered."""
        return self.fault_of_source(question) or fault_of(question, self.longest)

    @abstractmethod
    def fault_of_source(self, question: Mapping[str, Any]) -> str:
        """What is wrong with what a text is to be written for."""

    @abstractmethod
    def row(self, question: Mapping[str, Any]) -> TokenRow:
        """The tokens of what a text is to be written for. Raises ValueError where nothing of it fits."""

    def rows(self, questions: Sequence[Mapping[str, Any]]) -> list[TokenRow]:
        """The rows of tokens of the questions."""
        return [self.row(question) for question in questions]

    def joined(self, answers: Sequence[ServedAnswer]) -> ServedAnswer:
        """The answer to an example, from those to its questions."""
        return answers[0]

    def writer(self) -> Writer:
        """What writes texts together."""
        return Writer(self.graph, self.steps, self.beams)

    def text(self, question: Mapping[str, Any]) -> Text:
        """The text that is to be written for a question without fault. Raises ValueError as `row`."""
        choice = choice_of(question, self.usual)
        return Text(self.row(question), choice, self._decoded, self._is_steady)

    def _decoded(self, ids: Sequence[int]) -> str:
        decoded: str = self.graph.tokenizer.decode(list(ids), skip_special_tokens=True)
        return decoded

    def answers(self, questions: Sequence[Mapping[str, Any]]) -> list[ServedAnswer]:
        """Of each question the `text_output`, why it ends there, and both numbers of tokens."""
        texts = [self.text(question) for question in questions]
        for batch in self.graph.batches([text.row for text in texts]):
            writer = self.writer()
            writer.begin([texts[number] for number in batch])
            while writer.step():
                pass
        return [self.answer(text) for text in texts]

    def answer(self, text: Text) -> ServedAnswer:
        """What is said of a text at its end: it stopped by itself, or at its greatest length."""
        return {
            "text_output": text.text,
            "finish_reason": text.reason,
            "num_input_tokens": len(text.row.ids),
            "num_output_tokens": len(text.ids),
        }

    def tensors(self, answers: Sequence[ServedAnswer]) -> dict[str, np.ndarray]:
        """The answers as `outputs` says, [answers, 1] each."""
        kinds = {"STRING": np.object_, "UINT32": np.uint32}
        return {
            name: np.array(
                [[one[name].encode() if kind == "STRING" else one[name]] for one in answers], kinds[kind]
            )
            for name, (kind, _) in self.outputs.items()
        }

    def prediction(self, answer: ServedAnswer) -> Any:
        """What metrics read of an answer: the text."""
        return answer["text_output"]
