"""Token shards: a corpus as one flat array of ids per split, read through a memory map.

Documents are already wrapped as `[CLS] ... [SEP]` and lie end to end, so a training
sequence is a slice, without padding. A batch is a pure function of (seed, step), so a run
that was stopped continues at any step without replaying what came before.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from model_code.errors import TrainingError


@dataclass(frozen=True)
class SplitInfo:
    """What `<split>.json` says about `<split>.bin`."""

    dtype: str
    tokens: int
    documents: int
    vocabulary: int
    sha256: str


@dataclass(frozen=True)
class Split:
    """One split, opened: `ids` is a read-only memory map of shape [tokens]."""

    path: Path
    ids: np.ndarray
    info: SplitInfo


def write_split(
    directory: Path, split: str, documents: Iterable[Sequence[int]], vocab_size: int
) -> SplitInfo:
    """Write documents (token ids, any integer sequence or array) to `<split>.bin` and `<split>.json`.

    Ids are little endian, uint16 where the vocabulary fits into it and uint32 where not. The
    description is written last: a split without it is not a split.

    Raises TrainingError when an id is outside [0, vocab_size).
    """
    dtype = "<u2" if vocab_size <= 65536 else "<u4"
    directory.mkdir(parents=True, exist_ok=True)
    digest, tokens, count = hashlib.sha256(), 0, 0
    with (directory / f"{split}.bin").open("wb") as file:
        for document in documents:
            ids = np.asarray(document, dtype=np.int64)
            if ids.size and not (ids.min() >= 0 and ids.max() < vocab_size):
                raise TrainingError(
                    f"{file.name}: document {count} holds ids from {ids.min()} to {ids.max()}, the "
                    f"vocabulary has {vocab_size} entries; encode the text with that very tokenizer"
                )
            data = ids.astype(dtype).tobytes()
            file.write(data)
            digest.update(data)
            tokens, count = tokens + ids.size, count + 1
    info = SplitInfo(dtype, tokens, count, vocab_size, digest.hexdigest())
    (directory / f"{split}.json").write_text(json.dumps(asdict(info), indent=2) + "\n")
    return info


def open_split(directory: Path, split: str) -> Split:
    """Open a split, its bytes checked against the description.

    Raises TrainingError when the split is missing, cut short or damaged.
    """
    path = directory / f"{split}.bin"
    remedy = "run the tokenize stage again"
    try:
        info = SplitInfo(**json.loads((directory / f"{split}.json").read_text()))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = path.stat().st_size
    except (OSError, ValueError, TypeError) as error:
        raise TrainingError(f"{path}: no readable token shard ({error}); {remedy}") from error
    expected = info.tokens * np.dtype(info.dtype).itemsize
    if size != expected:
        raise TrainingError(f"{path}: {size} bytes where its description says {expected}; {remedy}")
    if digest != info.sha256:
        raise TrainingError(f"{path}: sha256 is {digest[:12]}, described as {info.sha256[:12]}; {remedy}")
    # An empty file can't be mapped.
    ids = np.memmap(path, dtype=info.dtype, mode="r") if size else np.zeros(0, info.dtype)
    return Split(path, ids, info)


class PackedBatches:
    """Batches of equally long slices, in a new random order each epoch.

    `batch(step)` depends on the split, the seed and the step only.
    """

    def __init__(self, split: Split, sequence_length: int, batch_size: int, seed: int) -> None:
        """Raise TrainingError when the split does not fill one batch."""
        self.chunks = split.info.tokens // sequence_length
        self.steps_per_epoch = self.chunks // batch_size
        if not self.steps_per_epoch:
            raise TrainingError(
                f"{split.path}: {split.info.tokens} tokens, one batch needs {sequence_length * batch_size} "
                f"(sequence_length {sequence_length} x batch_size {batch_size}); "
                "collect more text or lower one of the two"
            )
        self._rows = split.ids[: self.chunks * sequence_length].reshape(self.chunks, sequence_length)
        self._batch_size, self._seed = batch_size, seed
        self._epoch, self._order = -1, np.zeros(0, np.int64)

    def batch(self, step: int) -> torch.Tensor:
        """Ids of step `step` (0-based), int64 [batch_size, sequence_length]."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = (
                epoch,
                np.random.default_rng([self._seed, epoch]).permutation(self.chunks),
            )
        chosen = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return torch.from_numpy(self._rows[chosen].astype(np.int64))
