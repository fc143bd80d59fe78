"""Texts to token ids: exactly those of `tokenizers`, at the speed of `gigatoken` where it gives the same.

gigatoken is some sixty times faster and young. So it is believed only as long as it agrees: on a line of
every script before the work, and on every 256th document during it. The one known difference is kept out
of its reach: `tokenizers` normalises by Unicode 9 and takes later combining marks for letters.
"""

from __future__ import annotations

import importlib.metadata
import json
import unicodedata
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from corpus.tokenizing.sample_lines import SAMPLES

CHECK_EVERY = 256
# Every code point that, among other marks, was normalised differently in a comparison of all of them.
_LATER_MARKS = (
    r"[\x{7FD}\x{897}-\x{89F}\x{8CA}-\x{8D3}\x{9FE}\x{C3C}\x{D3B}-\x{D3C}\x{EBA}\x{1715}\x{1ABF}-\x{1ADD}"
    r"\x{1AE0}-\x{1AEB}\x{1DF6}-\x{1DFA}\x{A82C}\x{10D24}-\x{10D27}\x{10D69}-\x{10D6D}\x{10EAB}-\x{10EAC}"
    r"\x{10EFA}-\x{10EFF}\x{10F46}-\x{10F50}\x{10F82}-\x{10F85}\x{11070}\x{1133B}\x{113CE}-\x{113D0}"
    r"\x{1145E}\x{11839}-\x{1183A}\x{1193D}-\x{1193E}\x{11943}\x{119E0}\x{11A34}\x{11A47}\x{11A99}"
    r"\x{11D42}-\x{11D45}\x{11D97}\x{11F41}-\x{11F42}\x{1612F}\x{16FF0}-\x{16FF1}\x{1E08F}"
    r"\x{1E130}-\x{1E136}\x{1E2AE}\x{1E2EC}-\x{1E2EF}\x{1E4EC}-\x{1E4EF}\x{1E5EE}-\x{1E5EF}\x{1E6E3}"
    r"\x{1E6E6}\x{1E6EE}-\x{1E6EF}\x{1E6F5}]"
)

Ids = npt.NDArray[np.uint32]
Lengths = npt.NDArray[np.int64]


class EncodingDiffers(Exception):
    """The fast encoder gave other ids than `tokenizers`; start again without it."""


class Encoder:
    """Encodes batches of texts without adding special tokens.

    Text that spells a special token ("[MASK]", "<s>") is text: only the packing writes special ids, so no
    document can end itself or hide a word.
    """

    def __init__(self, tokenizer: Any, *, fast: bool = True) -> None:
        """`tokenizer` is a `tokenizers.Tokenizer`; with `fast` gigatoken does it if it agrees."""
        self._reference = without_specials(tokenizer)
        self._fast = _fast(self._reference) if fast else None
        self._seen = 0

    @property
    def name(self) -> str:
        """The library in use, with its version."""
        library = "tokenizers" if self._fast is None else "gigatoken"
        return f"{library} {importlib.metadata.version(library)}"

    def encode(self, texts: pa.StringArray) -> tuple[Ids, Lengths]:
        """Ids uint32 [total] of all texts end to end, and how many belong to each, int64 [n].

        Raises:
            EncodingDiffers: the fast encoder is wrong about one of the documents that are checked.
        """
        if self._fast is None or pc.any(pc.match_substring_regex(texts, _LATER_MARKS)).as_py():
            return _encode_exactly(self._reference, texts)
        try:
            ids, lengths = _encode_fast(self._fast, texts)
        except BaseException as error:
            if not _is_failure(error):
                raise
            raise EncodingDiffers(str(error)) from error
        self._check(texts, ids, lengths)
        return ids, lengths

    def _check(self, texts: pa.StringArray, ids: Ids, lengths: Lengths) -> None:
        rows = np.arange(-self._seen % CHECK_EVERY, len(texts), CHECK_EVERY)
        self._seen += len(texts)
        if not len(rows):
            return
        ends = np.cumsum(lengths)
        ours = np.concatenate([ids[ends[row] - lengths[row] : ends[row]] for row in rows]), lengths[rows]
        if not _equal(ours, _encode_exactly(self._reference, texts.take(pa.array(rows)))):
            raise EncodingDiffers("other ids for a document")


def round_trips(tokenizer: Any) -> tuple[list[str], list[tuple[str, int, int, bool]]]:
    """What a tokenizer changes in every text by design, and of each sample whether the rest comes back.

    A sample has its name, characters, tokens, and whether decoding gives its NFC form back, apart from what
    is changed by design: that one writes all in lower case is no fault of each script.
    """
    reference, lines = without_specials(tokenizer), []

    def back(text: str) -> tuple[str, int]:
        ids = reference.encode(text, add_special_tokens=False).ids
        return reference.decode(ids, skip_special_tokens=False), len(ids)

    habits = {
        name: fold
        for name, (probe, fold) in HABITS.items()
        for given in [back(probe)[0]]
        if given != probe and fold(given) == fold(probe)
    }
    for name, text in SAMPLES.items():
        given, tokens = back(text)
        forms = [unicodedata.normalize("NFC", form) for form in (text, given)]
        for fold in habits.values():
            forms = [fold(form) for form in forms]
        lines.append((name, len(text), tokens, forms[0] == forms[1]))
    return list(habits), lines


def _without_marks(text: str) -> str:
    parts = unicodedata.normalize("NFD", text)
    return "".join(sign for sign in parts if not unicodedata.category(sign).startswith("M"))


# What some tokenizers change in every text: one that shows it, and what makes texts equal that differ so.
HABITS: Mapping[str, tuple[str, Callable[[str], str]]] = {
    "capital letters": ("Ab", str.lower),
    "compatibility forms": ("a ﬁ", lambda text: unicodedata.normalize("NFKC", text)),
    "accents": ("a é", _without_marks),
    "white space": ("a  b, c", lambda text: "".join(text.split())),
}


def without_specials(tokenizer: Any) -> Any:
    """A copy that takes special tokens in a text for text, and neither cuts nor pads."""
    copy = type(tokenizer).from_str(tokenizer.to_str())
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = True
    return copy


def _fast(reference: Any) -> Any:
    """The same tokenizer in gigatoken; None for a kind it lacks or does differently."""
    import gigatoken

    settings = json.loads(reference.to_str())
    # gigatoken knows no `encode_special_tokens`: what it is not told of, it can't find.
    settings["added_tokens"] = [token for token in settings["added_tokens"] if not token["special"]]
    settings["post_processor"] = None
    samples = pa.array([*SAMPLES.values(), "", "".join(SAMPLES.values())])
    try:
        fast = gigatoken.Tokenizer.from_json(json.dumps(settings))
        found, expected = _encode_fast(fast, samples), _encode_exactly(reference, samples)
    except BaseException as error:
        if not _is_failure(error):
            raise
        return None
    return fast if _equal(found, expected) else None


def _encode_fast(fast: Any, texts: pa.StringArray) -> tuple[Ids, Lengths]:
    import awkward
    from awkward.contents import ListOffsetArray, NumpyArray

    _, offsets, content = texts.buffers()
    bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    characters = NumpyArray(np.frombuffer(content or b"", np.uint8), parameters={"__array__": "char"})
    strings = ListOffsetArray(awkward.index.Index64(bounds), characters, parameters={"__array__": "string"})
    encoded = fast.encode_batch(awkward.Array(strings)).layout
    ends = encoded.offsets.data
    return encoded.content.data[ends[0] : ends[-1]], np.diff(ends)


def _encode_exactly(reference: Any, texts: pa.StringArray) -> tuple[Ids, Lengths]:
    encoded = [
        encoding.ids for encoding in reference.encode_batch_fast(texts.to_pylist(), add_special_tokens=False)
    ]
    lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
    return np.fromiter(chain.from_iterable(encoded), np.uint32, int(lengths.sum())), lengths


def _equal(one: tuple[Ids, Lengths], other: tuple[Ids, Lengths]) -> bool:
    return np.array_equal(one[0], other[0]) and np.array_equal(one[1], other[1])


def _is_failure(error: BaseException) -> bool:
    # A panic in Rust arrives as pyo3's PanicException, which is no Exception.
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
