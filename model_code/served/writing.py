"""Texts that are written together, a token at a time; others may join them, and leave, at any token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .beams import BeamSearch, log_softmax
from .choosing import Choice, Chooser
from .graph import OnnxGraph, TokenRow
from .steps import PromptSteps, SourceSteps, Steps

STOP, LENGTH, LEFT = "stop", "length", "left"  # why a text is at its end
HALF = "�"  # what a tokenizer makes of the first bytes of a character


class Text:
    """A text that is written for a row: its tokens so far, and in `reason` why it has come to its end."""

    def __init__(
        self, row: TokenRow, choice: Choice, decode: Callable[[Sequence[int]], str], is_steady: bool = True
    ) -> None:
        """`is_steady`: whether what is decoded of some tokens stays as it is when others follow."""
        self.row, self.choice, self._decode, self._is_steady = row, choice, decode, is_steady
        self.ids: list[int] = []
        self.reason = ""
        self._said = ""

    @property
    def text(self) -> str:
        """What is written, up to the first stop word."""
        whole = tidied(self._decode(self.ids))
        return whole[: min(_places(whole, self.choice.stop_words), default=len(whole))].rstrip()

    def add(self, token: int, ends: Sequence[int]) -> None:
        """Go on by a token, which may be one of those that end a text."""
        if token in ends:
            self.reason = STOP
            return
        self.ids.append(token)
        if self.choice.stop_words and _places(self._decode(self.ids), self.choice.stop_words):
            self.reason = STOP
        elif len(self.ids) >= self.choice.max_tokens:
            self.reason = LENGTH

    def leave(self) -> None:
        """Write no more: nobody waits for it."""
        self.reason = self.reason or LEFT

    def piece(self) -> str:
        """What can be shown since the last call: nothing that a later token could still change.

        Held back are half a character, blanks that may be the last ones, and what may become a stop word.
        """
        whole = self.text
        if not self.reason:
            if not self._is_steady:
                return ""
            whole = whole[: len(whole) - _begun(whole, self.choice.stop_words)].rstrip()
        said, self._said = whole[len(self._said) :], whole
        return said


def tidied(text: str) -> str:
    """A text without blanks around it, and without half a character at its end, where it was cut."""
    return text.strip().rstrip(HALF).rstrip()


def _places(text: str, words: Sequence[str]) -> list[int]:
    """Where the words stand that do."""
    return [place for word in words if (place := text.find(word)) >= 0]


def _begun(text: str, words: Sequence[str]) -> int:
    """Characters at the end of a text that one of the words begins with."""
    return max(
        (size for word in words for size in range(1, len(word)) if text.endswith(word[:size])), default=0
    )


class Writer:
    """All texts that are being written with a graph."""

    def __init__(self, graph: OnnxGraph, kind: type[Steps], beams: int = 1) -> None:
        """`kind` is how the graph goes on; where nothing is drawn, texts are written by so many `beams`."""
        self._graph, self._kind, self._beams = graph, kind, beams
        self._groups: list[Any] = []

    @property
    def texts(self) -> list[Text]:
        """What is being written."""
        return [text for group in self._groups for text in group.texts]

    def begin(self, texts: Sequence[Text]) -> None:
        """Write these, too. Raises ValueError when the graph can't read them."""
        for numbers in self._graph.batches([text.row for text in texts]):
            batch = [texts[number] for number in numbers]
            drawn = [text for text in batch if self._beams == 1 or text.choice.draws]
            by_beams = [text for text in batch if text not in drawn]
            if drawn:
                self._join(_Group(self._graph, self._kind, drawn))
            for longest in sorted({text.choice.max_tokens for text in by_beams}):
                alike = [text for text in by_beams if text.choice.max_tokens == longest]
                self._groups.append(_BeamGroup(self._graph, alike, self._beams))

    def _join(self, group: _Group) -> None:
        # Weights of eight bits round by the range of the batch, so there each text is written alone.
        if self._kind is PromptSteps and self._groups and not self._graph.settings["alone"]:
            self._groups[0].join(group)
        else:
            self._groups.append(group)

    def step(self) -> list[Text]:
        """A token for each text; those that it was written for. Raises ValueError for broken numbers."""
        texts = self.texts
        for group in self._groups:
            group.step()
        self._groups = [group for group in self._groups if group.texts]
        return texts

    def drop(self) -> None:
        """Forget all texts, after an error."""
        self._groups = []


class _Group:
    """Texts whose next tokens are chosen one by one."""

    def __init__(self, graph: OnnxGraph, kind: Any, texts: list[Text]) -> None:
        self.texts = list(texts)
        how = graph.settings
        self._ends = how["ends"]
        self._choosers = {
            id(text): Chooser(text.choice, how, _before(text, kind, how["begins_with"])) for text in texts
        }
        self._steps = kind(graph, [text.row for text in texts])

    def join(self, other: _Group) -> None:
        """Take over the texts of another group."""
        self._steps.join(other._steps)
        self.texts += other.texts
        self._choosers |= other._choosers

    def step(self) -> None:
        for text, logits in zip(self.texts, self._steps.logits, strict=True):
            if not text.reason:
                text.add(self._choosers[id(text)].choose(logits, text.ids), self._ends)
        stay = [place for place, text in enumerate(self.texts) if not text.reason]
        if len(stay) < len(self.texts):
            self.texts = [self.texts[place] for place in stay]
            self._choosers = {id(text): self._choosers[id(text)] for text in self.texts}
            if stay:
                self._steps.keep(stay)
        if stay:
            self._steps.write([text.ids[-1] for text in self.texts])


def _before(text: Text, kind: Any, begins_with: int) -> Sequence[int]:
    return text.row.ids if kind is PromptSteps else [begins_with]


class _BeamGroup:
    """Texts for sources that are written by beams; all of one length at most."""

    def __init__(self, graph: OnnxGraph, texts: list[Text], beams: int) -> None:
        self.texts, self._beams, how = list(texts), beams, graph.settings
        self._ends = how["ends"]
        self._searches = [BeamSearch(how, text.choice.max_tokens, beams) for text in texts]
        self._steps = SourceSteps(graph, [text.row for text in texts], copies=beams)

    def step(self) -> None:
        said = log_softmax(self._steps.logits).reshape(len(self.texts), self._beams, -1)
        parents = [search.choose(of_row) for search, of_row in zip(self._searches, said, strict=True)]
        for text, search in zip(self.texts, self._searches, strict=True):
            if search.is_over and not text.reason:
                for token in search.best:
                    text.add(token, self._ends)
                text.reason = text.reason or LENGTH
        stay = [place for place, text in enumerate(self.texts) if not text.reason]
        if not stay:
            self.texts = []
            return
        self._steps.follow([place * self._beams + p for place, row in enumerate(parents) for p in row])
        if len(stay) < len(self.texts):
            self._steps.keep([place * self._beams + beam for place in stay for beam in range(self._beams)])
            self.texts = [self.texts[place] for place in stay]
            self._searches = [self._searches[place] for place in stay]
        self._steps.write([text[-1] for search in self._searches for text in search.running])
