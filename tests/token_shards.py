"""Token shards of a few documents, for tests that begin at the training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model_code.data.shards import SplitWriter


def write_split(
    directory: Path,
    split: str,
    documents: Iterable[Sequence[int] | npt.NDArray[np.integer]],
    vocab_size: int,
) -> None:
    """Write documents (token ids, special ones included) as a split, one by one."""
    with SplitWriter(directory, split, vocab_size) as writer:
        for document in documents:
            writer.write(np.asarray(document, np.int64), np.array([len(document)]))
