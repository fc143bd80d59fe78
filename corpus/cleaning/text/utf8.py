"""The bytes of a batch of texts, as compiled code reads them.

An Arrow string array is one buffer of UTF-8 and an offset per text: a pass over it sees all texts of a
batch without making a Python object of any.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from numba import njit


def utf8_buffers(texts: pa.StringArray) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """The UTF-8 of all texts, and where in it each begins: uint8 [bytes], int64 [n + 1].

    Text i is `data[offsets[i] : offsets[i + 1]]`; a slice begins somewhere in `data`. Nothing is copied but
    the offsets. Both are read-only: for the compiler that is a type, and some buffers are.
    """
    data, bounds = np.zeros(0, np.uint8), np.zeros(1, np.int64)
    if len(texts):
        _, offsets, content = texts.buffers()
        data = np.frombuffer(content or b"", np.uint8)
        bounds = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(
            np.int64
        )
    data.setflags(write=False)
    bounds.setflags(write=False)
    return data, bounds


@njit(cache=True, nogil=True, inline="always")
def code_point(data: npt.NDArray[np.uint8], position: int) -> tuple[np.int64, int]:
    """The code point whose UTF-8 begins at `position`, and how many bytes it takes."""
    first = np.int64(data[position])
    if first < 0x80:
        return first, 1
    if first < 0xE0:
        return (first & 0x1F) << 6 | (np.int64(data[position + 1]) & 0x3F), 2
    second = np.int64(data[position + 1]) & 0x3F
    third = np.int64(data[position + 2]) & 0x3F
    if first < 0xF0:
        return (first & 0x0F) << 12 | second << 6 | third, 3
    fourth = np.int64(data[position + 3]) & 0x3F
    return (first & 0x07) << 18 | second << 12 | third << 6 | fourth, 4
