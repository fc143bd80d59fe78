"""Token shards: a corpus as one flat array of ids per split, read through a memory map.

`<split>.bin` holds the documents end to end, each with the special tokens around it, so a training
sequence is a slice, without padding. `<split>.offsets` says where each document begins, `<split>.json`
describes both. One file serves any number of readers, each through a memory map of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt

from model_code.errors import TrainingError

_OFFSETS = np.dtype("<i8")


@dataclass(frozen=True)
class SplitInfo:
    """What `<split>.json` says about `<split>.bin` and `<split>.offsets`.

    `begin` and `end` are the ids that every document begins and ends with.
    """

    dtype: str
    tokens: int
    documents: int
    vocabulary: int
    begin: Sequence[int]
    end: Sequence[int]
    sha256: str
    offsets_sha256: str


@dataclass(frozen=True)
class TokenSplit:
    """One split, opened, as read-only memory maps.

    `ids` has the shape [tokens]; document i is `ids[offsets[i]:offsets[i + 1]]`, int64 [documents + 1].
    """

    path: Path
    ids: npt.NDArray[np.integer]
    offsets: npt.NDArray[np.integer]
    info: SplitInfo


class SplitWriter:
    """Writes a split batch by batch; what is held in memory is one batch.

    Ids are little endian, uint16 where the vocabulary fits into it and uint32 where not. The description is
    written on leaving the `with` block: a split without it is not a split.
    """

    def __init__(
        self,
        directory: Path,
        split: str,
        vocab_size: int,
        begin: Sequence[int] = (),
        end: Sequence[int] = (),
    ) -> None:
        """Open the files; every document gets the ids `begin` before and `end` after its own."""
        directory.mkdir(parents=True, exist_ok=True)
        self._description = directory / f"{split}.json"
        self._description.unlink(missing_ok=True)
        self._ids = _DigestedFile(directory / f"{split}.bin")
        self._offsets = _DigestedFile(directory / f"{split}.offsets")
        self._offsets.write(np.zeros(1, _OFFSETS))
        self._dtype = np.dtype("<u2" if vocab_size <= 65_536 else "<u4")
        self._vocabulary, self._begin, self._end = vocab_size, list(begin), list(end)
        self._tokens = self._documents = 0

    def write(self, ids: npt.NDArray[np.integer], lengths: npt.NDArray[np.integer]) -> None:
        """Append documents that lie end to end in `ids` [total]; `lengths` [n] sums up to total.

        Raises TrainingError when an id is outside the vocabulary.
        """
        if ids.size and not (ids.min() >= 0 and ids.max() < self._vocabulary):
            raise TrainingError(
                f"{self._ids.path}: documents {self._documents} to {self._documents + len(lengths) - 1} hold "
                f"ids from {ids.min()} to {ids.max()}, the vocabulary has {self._vocabulary} entries; "
                "encode the text with that very tokenizer"
            )
        before, after = len(self._begin), len(self._end)
        bounds = np.concatenate([[0], np.cumsum(lengths + (before + after))]).astype(_OFFSETS)
        packed = np.empty(bounds[-1], self._dtype)
        own = np.ones(len(packed), np.bool_)
        for place, token in enumerate(self._begin):
            packed[bounds[:-1] + place], own[bounds[:-1] + place] = token, False
        for place, token in enumerate(self._end, start=-after):
            packed[bounds[1:] + place], own[bounds[1:] + place] = token, False
        packed[own] = ids
        self._ids.write(packed)
        self._offsets.write(bounds[1:] + self._tokens)
        self._tokens, self._documents = self._tokens + len(packed), self._documents + len(lengths)

    def __enter__(self) -> SplitWriter:
        """The writer itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files; describe them when nothing went wrong."""
        digest, offsets_digest = self._ids.close(), self._offsets.close()
        if kind is None:
            self.info = SplitInfo(
                self._dtype.str,
                self._tokens,
                self._documents,
                self._vocabulary,
                self._begin,
                self._end,
                digest,
                offsets_digest,
            )
            self._description.write_text(json.dumps(asdict(self.info), indent=2) + "\n", encoding="utf-8")


class _DigestedFile:
    def __init__(self, path: Path) -> None:
        self.path, self._file, self._digest = path, path.open("wb"), hashlib.sha256()

    def write(self, array: npt.NDArray[np.integer]) -> None:
        data = array.tobytes()
        self._file.write(data)
        self._digest.update(data)

    def close(self) -> str:
        self._file.close()
        return self._digest.hexdigest()


def open_split(directory: Path, split: str) -> TokenSplit:
    """Open a split, its bytes checked against the description.

    Raises TrainingError when the split is missing, cut short or damaged.
    """
    path = directory / f"{split}.bin"
    try:
        info = SplitInfo(**json.loads((directory / f"{split}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(
            f"{path}: no readable token shard ({error}); run the tokenize stage again"
        ) from error
    ids = _mapped(path, np.dtype(info.dtype), info.tokens, info.sha256)
    offsets = _mapped(path.with_suffix(".offsets"), _OFFSETS, info.documents + 1, info.offsets_sha256)
    return TokenSplit(path, ids, offsets, info)


def _mapped(path: Path, dtype: np.dtype[np.integer], items: int, sha256: str) -> npt.NDArray[np.integer]:
    remedy = "run the tokenize stage again"
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
    except OSError as error:
        raise TrainingError(f"{path}: no readable token shard ({error}); {remedy}") from error
    if size != items * dtype.itemsize:
        raise TrainingError(
            f"{path}: {size} bytes where its description says {items * dtype.itemsize}; {remedy}"
        )
    if digest != sha256:
        raise TrainingError(f"{path}: sha256 is {digest[:12]}, described as {sha256[:12]}; {remedy}")
    # An empty file can't be mapped.
    return np.memmap(path, dtype=dtype, mode="r") if size else np.zeros(0, dtype)
