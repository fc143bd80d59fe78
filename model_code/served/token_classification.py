"""Tags of the words of a text, and the entities that they mark: served, and how sentences become rows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tokenizers import Encoding, Tokenizer

from .classification import ServedAnswer, softmax
from .graph import OnnxGraph, TokenRow
from .questions import lacks, marks, shown
from .rows import Frame, windows

OUTSIDE = "O"
OVERLAP = 1 / 4  # of two neighbouring windows
# What is written without spaces: Thai, Lao, Burmese, Khmer, kana and Chinese characters.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
_SPACE = " \\t\\r\\n"  # at these alone, as examples are read: "10 000" with a no-break space is one word
_LETTER = rf"[\w{marks()}]"  # to `re` a word ends before its mark, as at the vowel signs of Hindi
_WORD = {
    "spaces": re.compile(rf"[^{_SPACE}]+"),
    "signs": re.compile(rf"{_LETTER}+(?:['’.-]{_LETTER}+)*|[^\s{marks()}]"),
    "characters": re.compile(rf"[{_UNSPACED}][{marks()}]*|(?:(?![{_UNSPACED}]){_LETTER})+|[^\s{marks()}]"),
}

Tags = list[str]


class SentenceRows(NamedTuple):
    """Windows of sentences: their ids, the places of the words that each answers for, and which these are.

    Words are numbered through all sentences: those of sentence i from `borders[i]` to `borders[i + 1]`.
    """

    ids: list[list[int]]
    places: list[np.ndarray]
    words: list[np.ndarray]
    borders: np.ndarray


def in_windows(
    sentences: Sequence[Sequence[str]], tokenizer: Tokenizer, frame: Frame, max_length: int
) -> SentenceRows:
    """Rows of `max_length` tokens at most, special tokens included, of sentences given by their words.

    A word that the tokenizer makes nothing of (a control character) has no place in any of them.
    """
    encodings = tokenizer.encode_batch([" ".join(words) for words in sentences], add_special_tokens=False)
    borders = np.cumsum([0, *map(len, sentences)])
    room = max_length - frame.size
    rows = SentenceRows([], [], [], borders)
    for sentence, encoding, first in zip(sentences, encodings, borders[:-1], strict=True):
        begins, known = _first_tokens(sentence, encoding)
        ids = encoding.ids  # made anew each time that it is asked for
        for window in windows(len(ids), room, int(room * OVERLAP)):
            own = known & (window.own_start <= begins) & (begins < window.own_end)
            rows.ids.append(frame.around(ids[window.start : window.end])[0])
            rows.places.append(begins[own] - window.start + len(frame.before))
            rows.words.append(first + np.flatnonzero(own))
    return rows


def _first_tokens(words: Sequence[str], encoding: Encoding) -> tuple[np.ndarray, np.ndarray]:
    """The first token of each word, int64 [words], and whether it has one."""
    starts, ends = np.array(encoding.offsets, np.int64).reshape(-1, 2).T
    sizes = np.array([len(word) for word in words], np.int64)
    word_ends = np.cumsum(sizes + 1) - 1
    # A token may begin with the space before the word, so it counts where it ends.
    begins = np.searchsorted(ends, word_ends - sizes, side="right")
    known = np.append(starts, np.iinfo(np.int64).max)[begins] < word_ends
    return begins, known


def no_word_said(words: int, labels: Sequence[str]) -> np.ndarray:
    """Logits before the model says anything, float32 [words, labels]: outside, and nothing else."""
    logits = np.full((words, len(labels)), -np.inf, np.float32)
    logits[:, labels.index(OUTSIDE)] = 0  # which stays so for words without a place
    return logits


def most_probable(scores: np.ndarray, labels: Sequence[str]) -> Tags:
    """The valid BIO with the highest sum of logits [words, tags], by dynamic programming (Viterbi 1967).

    Each word's best tag for itself would leave I without a B, and whole names would be lost by one word.
    """
    allowed = [[not tag.startswith("I-") or before[2:] == tag[2:] for tag in labels] for before in labels]
    follows = np.where(allowed, 0.0, -np.inf)
    best, origins = np.where([tag == OUTSIDE for tag in labels], 0.0, -np.inf), []  # as if after an O
    for word in scores:
        through = best[:, None] + follows
        best = through.max(0) + word
        origins.append(through.argmax(0))
    path = [int(best.argmax())]
    for origin in reversed(origins):
        path.append(int(origin[path[-1]]))
    return [labels[i] for i in reversed(path)][1:]


def entities(tags: Sequence[str]) -> list[tuple[str, int, int]]:
    """Type, first word and the word after the last one of each entity of valid BIO, in order."""
    closed = [*tags, OUTSIDE]
    begins = [place for place, tag in enumerate(closed) if tag.startswith("B-")]
    ends = (
        next(place for place in range(begin + 1, len(closed)) if not closed[place].startswith("I-"))
        for begin in begins
    )
    return [(closed[begin][2:], begin, end) for begin, end in zip(begins, ends, strict=True)]


def usual_words(sentences: Sequence[Sequence[str]]) -> str:
    """How a text is divided into words such as these: at `spaces`, at `signs` too, or into `characters`."""
    words = [word for words in sentences for word in words]
    unspaced = [word for word in words if re.search(f"[{_UNSPACED}]", word)]
    if len(unspaced) > len(words) / 2:
        return "characters" if sum(map(len, unspaced)) < 1.1 * len(unspaced) else "spaces"
    ends = [word for word in words if word[-1] in ".,;:!?"]
    return "signs" if sum(len(word) == 1 for word in ends) > len(ends) / 2 else "spaces"


def words_of(text: str, divided: str) -> tuple[list[str], list[tuple[int, int]]]:
    """The words of a text, and the characters that each has there."""
    found = list(_WORD[divided].finditer(text))
    return [match.group() for match in found], [match.span() for match in found]


class Form:
    """Entities of texts, or of sentences that are given by their `words`."""

    inputs = ("text",)
    reads_whole = True
    parameters = ("divided",)
    outputs: Mapping[str, tuple[str, int]] = {}  # the number of entities differs from text to text

    def __init__(self, folder: Path, threads: int = 0) -> None:
        """Load the folder that `export` wrote."""
        self.graph = OnnxGraph(folder, threads)
        self.labels: list[str] = self.graph.settings["labels"]

    def fault(self, question: Mapping[str, Any]) -> str:
        """No text, or a way to divide it into words that there is not."""
        if "words" in question:
            return next(
                (fault for word in question["words"] if (fault := lacks({"word": word}, ["word"]))), ""
            )
        divided = question.get("divided", "spaces")
        if divided not in _WORD:
            return f"divided is {shown(divided)}; give one of {', '.join(_WORD)}"
        return lacks(question, self.inputs)

    def questions(self, example: Mapping[str, Any]) -> list[dict[str, str]]:
        """The questions that an example is to an endpoint; `joined` makes its answer of theirs.

        None where a word of its own holds a blank: no text is divided into such words.
        """
        text = " ".join(example["words"])
        is_plain = words_of(text, "spaces")[0] == list(example["words"])
        return [{"text": text, "divided": "spaces"}] if is_plain else []

    def joined(self, answers: Sequence[ServedAnswer]) -> ServedAnswer:
        """The answer to an example, from those to its questions."""
        return answers[0]

    def answers(self, questions: Sequence[Mapping[str, Any]]) -> list[ServedAnswer]:
        """Of each question its `entities`, with their characters, and the `tags` of its `words`.

        The `score` of an entity is the probability of the least probable of its tags.
        """
        read = [self._words(question) for question in questions]
        rows = self._in_windows([words for _, words, _ in read])
        logits = no_word_said(int(rows.borders[-1]), self.labels)
        outputs = self.graph.run([TokenRow(ids) for ids in rows.ids])
        for [of_tokens], places, words in zip(outputs, rows.places, rows.words, strict=True):
            logits[words] = of_tokens[places]
        parts = (logits[start:end] for start, end in pairwise(rows.borders))
        return [self._answer(*each, part) for each, part in zip(read, parts, strict=True)]

    def rows(self, questions: Sequence[Mapping[str, Any]]) -> list[TokenRow]:
        """The rows of tokens of the questions, one or several for each."""
        return [TokenRow(ids) for ids in self._in_windows([self._words(one)[1] for one in questions]).ids]

    def _in_windows(self, sentences: Sequence[Sequence[str]]) -> SentenceRows:
        return in_windows(sentences, self.graph.tokenizer, self.graph.frame, self.graph.max_length)

    def _words(self, question: Mapping[str, Any]) -> tuple[str, list[str], list[tuple[int, int]]]:
        if "words" in question:
            words = list(question["words"])
            ends = np.cumsum([len(word) + 1 for word in words], dtype=np.int64) - 1
            return (
                " ".join(words),
                words,
                [(int(e) - len(w), int(e)) for w, e in zip(words, ends, strict=True)],
            )
        divided = question.get("divided", self.graph.settings["words"])
        return question["text"], *words_of(question["text"], divided)

    def _answer(
        self, text: str, words: list[str], places: list[tuple[int, int]], logits: np.ndarray
    ) -> ServedAnswer:
        tags = most_probable(logits, self.labels)
        chances = softmax(logits) if len(words) else logits
        said = [float(chances[word, self.labels.index(tag)]) for word, tag in enumerate(tags)]
        found = [
            {
                "text": text[places[first][0] : places[end - 1][1]],
                "type": kind,
                "start": places[first][0],
                "end": places[end - 1][1],
                "score": min(said[first:end]),
            }
            for kind, first, end in entities(tags)
        ]
        return {"entities": found, "words": words, "tags": tags}

    def tensors(self, answers: Sequence[ServedAnswer]) -> dict[str, np.ndarray]:
        """Nothing that has a fixed size."""
        return {}

    def prediction(self, answer: ServedAnswer) -> Any:
        """What metrics read of an answer: the tags of the words."""
        return answer["tags"]
