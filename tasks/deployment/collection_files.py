"""The files of a collection, as `model_code/served/collection.py` reads them, written by the batch."""

from __future__ import annotations

import json
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np

from corpus.passages import Passage, passages_of
from model_code.served.collection import LINES, PASSAGES, STARTS, VECTORS
from tasks.contract.errors import StageError

MOST_BYTES = 1_600_000_000  # of vectors: a million passages of 384 numbers
MOST_CHARACTERS = 2000  # of a passage that are kept to be shown
LONGER = "documents longer than the model reads, cut into passages"
TWICE = "documents whose text is there already"
EMPTY = "documents without a word that the model reads"


class Searched(NamedTuple):
    """A document as it is found: all but the text is told with a hit."""

    id: str
    text: str
    source: str
    uri: str
    license: str | None


class CollectionWriter:
    """A context manager that writes the folder; what is left out or cut is counted in `remarks`.

    Args:
        form: of the model, which makes the vectors, so that they are those that the endpoint would make.
    """

    def __init__(self, folder: Path, form: Any) -> None:
        self._folder, self._form = folder, form
        self._seen: set[str] = set()
        self._lines, self._starts = array("q", [0]), array("q", [0])
        self.remarks: Counter[str] = Counter({LONGER: 0, TWICE: 0, EMPTY: 0})
        settings = form.graph.settings
        self._most = MOST_BYTES // (4 * settings["dimensions"])
        prompt = settings["options"]["second_prompt"]
        self._room = max(1, form.graph.max_length - len(form.graph.tokenizer.encode(prompt).ids))

    def __enter__(self) -> Self:
        self._folder.mkdir()
        self._vectors = (self._folder / VECTORS).open("wb")
        self._texts = (self._folder / PASSAGES).open("wb")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._vectors.close()
        self._texts.close()
        np.save(self._folder / LINES, np.array(self._lines, "<i8"))
        np.save(self._folder / STARTS, np.array(self._starts, "<i8"))

    @property
    def documents(self) -> int:
        """How many documents are searched."""
        return len(self._starts) - 1

    @property
    def passages(self) -> int:
        """How many passages they have."""
        return len(self._lines) - 1

    def add(self, documents: Iterable[Searched]) -> None:
        """Add documents that are not there yet.

        Raises StageError when there are more passages than an endpoint can search.
        """
        fresh = []
        for document in documents:
            if document.id not in self._seen:
                self._seen.add(document.id)
                fresh.append(document)
            else:
                self.remarks[TWICE] += 1
        found = passages_of([document.text for document in fresh], self._form.graph.tokenizer, self._room)
        for document, passages in zip(fresh, found, strict=True):
            self.remarks[LONGER] += len(passages) > 1
            self.remarks[EMPTY] += not passages
            if passages:
                self._note(document, passages)
        if self.passages > self._most:
            raise StageError(
                f"index: the collection has more than {self._most:,} passages, and an endpoint compares a "
                "question with every one; let it search less, or give longer passages by a larger "
                "fine_tune.max_length"
            )
        texts = (
            document.text[start:end] for document, of in zip(fresh, found, strict=True) for start, end in of
        )
        for vector in self._form.vectors([("second", text) for text in texts]):
            self._vectors.write(vector.astype("<f4").tobytes())

    def _note(self, document: Searched, passages: Sequence[Passage]) -> None:
        """Write what is told of each passage."""
        told = document._asdict()
        text = told.pop("text")
        for start, end in passages:
            shown = text[start:end]
            shown = shown if len(shown) <= MOST_CHARACTERS else shown[:MOST_CHARACTERS] + "…"
            line = json.dumps({**told, "start": start, "end": end, "text": shown}, ensure_ascii=False)
            self._lines.append(self._lines[-1] + self._texts.write(line.encode() + b"\n"))
        self._starts.append(self.passages)
