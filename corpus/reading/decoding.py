"""Bytes to text without guessing silently: what can't be decided is left out.

UTF-8 is tried first, since bytes in another encoding are hardly ever valid UTF-8; then what the document
declares; then what `uchardet` finds, or the encoding of East Asian text in which the characters are common
ones. A decoding that gives control, private or unassigned characters is refused.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import BinaryIO, NamedTuple

from corpus.reading.encoding_guess import codec_of_label, guessed, strictly
from corpus.reading.skipped import Skipped

_LABELS = {
    **{"cp932": "shift_jis", "cp949": "euc-kr", "euc_jp": "euc-jp", "big5hkscs": "big5"},
    **{f"cp{page}": f"windows-{page}" for page in (874, *range(1250, 1259))},
}
_MARKS = {
    **{codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be"},
    **{codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"},
}
# Bytes that are no text in any of the encodings above; ISO-2022 has its escape.
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f\x7f]")
# Private characters, which East Asian bytes give in another East Asian encoding.
_NOT_WRITTEN = re.compile("[\ue000-\uf8ff]")
_SAMPLE_BYTES = 1 << 16
_LONGEST_CHARACTER = 4


class Decoded(NamedTuple):
    """Text, and the encoding that it was in ("utf-8+gb18030" when lines differ)."""

    text: str
    encoding: str


class Line(NamedTuple):
    """One line of a file; `problem` says why it has no text."""

    number: int
    raw: bytes
    text: str
    encoding: str
    problem: Skipped | None = None


def decode(raw: bytes, declared: Iterable[str] = (), hint: str | None = None) -> Decoded:
    """The text of `raw`, without a byte-order mark.

    Args:
        declared: charsets that HTML, XML or HTTP state; the first one that decodes everything wins over
            detection.
        hint: a codec that the rest of the file is in, for texts too short to tell by themselves.

    Raises:
        Skipped: it is binary, or in no encoding that can be told.
    """
    text = strictly(raw, "utf-8")
    if text is not None and "\0" not in text and "\x1b$" not in text:
        return Decoded(text.removeprefix("\ufeff"), "utf-8")
    if codec := _codec_of_unicode(raw):
        return _in_unicode(raw, codec)
    for known in filter(None, map(codec_of_label, declared)):
        # A page that says UTF-16 and has no zero byte is in something else, most likely in UTF-8.
        if known.startswith(("utf-16", "utf-32")):
            continue
        if (text := strictly(raw, known)) is not None and not _NOT_WRITTEN.search(text):
            return Decoded(text, _label(known))
    if _CONTROL.search(raw):
        raise Skipped("binary", "it has control characters and is not UTF-8")
    lines = raw.splitlines(keepends=True)
    if _is_partly_utf8(lines):
        return _by_line(lines, hint)
    found = guessed(raw, hint)
    if found:
        return Decoded(raw.decode(found), _label(found))
    if len(lines) > 1:
        return _by_line(lines, hint)
    raise Skipped("unknown encoding", "neither UTF-8 nor clearly another one; convert it to UTF-8 first")


def decoded_lines(stream: BinaryIO, limit: int) -> Iterator[Line]:
    """The lines of a file, each in its own encoding where the file is not in one; line ends are kept.

    Holds one line of at most `limit` bytes at a time, a longer one is a `problem`. The stream has to have
    `peek`.
    """
    head = stream.peek(_SAMPLE_BYTES)[:_SAMPLE_BYTES]  # type: ignore[attr-defined]
    wide = _wide_codec(head)
    if wide:
        yield from _wide_lines(stream, wide, limit)
        return
    hint = _hint(head)
    for number, raw in enumerate(_bounded_lines(stream, limit), start=1):
        if raw is None:
            yield Line(number, b"", "", "", Skipped("too large", f"a line longer than {limit} bytes"))
            continue
        try:
            text, encoding = decode(raw, hint=hint)
        except Skipped as problem:
            yield Line(number, raw, "", "", problem)
        else:
            yield Line(number, raw, text, encoding)


def encoding_of(lines: Iterable[Decoded | Line]) -> str:
    """The encoding of lines together; those in ASCII say nothing unless all are."""
    names = {line.encoding for line in lines if not line.text.isascii()}
    return "+".join(sorted(names)) or "utf-8"


def codec_of_head(head: bytes) -> str:
    """The Python codec of a file that begins with `head`; "utf-8-sig" stands for UTF-8 and ASCII.

    Raises:
        Skipped: it is binary, or in no encoding that can be told.
    """
    wide = _wide_codec(head)
    if wide:
        return wide.removesuffix("-le").removesuffix("-be") if head.startswith(tuple(_MARKS)) else wide
    if b"\0" in head:
        raise Skipped("binary", "it has NUL bytes")
    if _may_be_utf8(head):
        return "utf-8-sig"
    if _CONTROL.search(head):
        raise Skipped("binary", "it has control characters and is not UTF-8")
    # The last character may be cut off.
    found = (guessed(head[: len(head) - cut], None) for cut in range(_LONGEST_CHARACTER))
    codec = next(filter(None, found), None)
    if not codec:
        raise Skipped("unknown encoding", "neither UTF-8 nor clearly another one")
    return codec


def _codec_of_unicode(raw: bytes) -> str | None:
    """UTF-8, -16 or -32 and ISO-2022-JP, which can be told for certain."""
    # UTF-32's mark begins with that of UTF-16.
    for mark in sorted(_MARKS, key=len, reverse=True):
        if raw.startswith(mark):
            return _MARKS[mark]
    if b"\0" in raw:
        return _wide_without_mark(raw)
    if b"\x1b$" in raw and strictly(raw, "iso2022_jp_2") is not None:
        return "iso2022_jp_2"
    return "utf-8" if strictly(raw, "utf-8") is not None else None


def _wide_without_mark(raw: bytes) -> str:
    """UTF-16 in which every other byte of Latin text is zero.

    Raises:
        Skipped: the zeros are anywhere.
    """
    even, odd = raw[0:4096:2].count(0), raw[1:4096:2].count(0)
    most, least, codec = (odd, even, "utf-16-le") if odd > even else (even, odd, "utf-16-be")
    if len(raw) > 3 and most > 0.3 * min(len(raw), 4096) / 2 and least < 0.02 * most:
        return codec
    raise Skipped("binary", "it has NUL bytes")


def _wide_codec(head: bytes) -> str | None:
    """UTF-16 or UTF-32, in which a line end is more than one byte; None for all other encodings."""
    try:
        codec = _codec_of_unicode(head[:4096])
    except Skipped:
        return None
    return codec if codec and codec.startswith(("utf-16", "utf-32")) else None


def _in_unicode(raw: bytes, codec: str) -> Decoded:
    text = strictly(raw, codec)
    if text is None:
        raise Skipped("unknown encoding", f"it begins like {codec} and is not")
    if "\0" in text:
        raise Skipped("binary", "it has NUL bytes")
    return Decoded(text.removeprefix("\ufeff"), "iso-2022-jp" if codec.startswith("iso2022") else codec)


def _label(codec: str) -> str:
    return _LABELS.get(codec, codec.replace("iso8859", "iso-8859").replace("_", "-"))


def _is_partly_utf8(lines: list[bytes]) -> bool:
    """Whether some lines outside ASCII are UTF-8 and others are not."""
    return any(not line.isascii() and strictly(line, "utf-8") is not None for line in lines[:-1])


def _by_line(lines: list[bytes], hint: str | None) -> Decoded:
    decoded = [decode(line, hint=hint) for line in lines]
    return Decoded("".join(line.text for line in decoded), encoding_of(decoded))


def _hint(head: bytes) -> str | None:
    """The codec of those lines at the head of a file that are not UTF-8."""
    lines = head.splitlines(keepends=True)
    strange = b"".join(line for line in lines[: len(lines) - 1 or 1] if strictly(line, "utf-8") is None)
    return guessed(strange, None) if strange and not _CONTROL.search(strange) else None


def _may_be_utf8(head: bytes) -> bool:
    """Whether it is UTF-8, or would be with what comes after it."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def _bounded_lines(stream: BinaryIO, limit: int) -> Iterator[bytes | None]:
    """Lines without holding more than `limit` bytes; None for one that is longer."""
    while line := stream.readline(limit + 1):
        if len(line) <= limit or line.endswith(b"\n"):
            yield line
            continue
        while line and not line.endswith(b"\n"):
            line = stream.readline(limit)
        yield None


def _wide_lines(stream: BinaryIO, codec: str, limit: int) -> Iterator[Line]:
    """Lines of a file in UTF-16 or -32, in which a line end is more than one byte."""
    decoder = codecs.getincrementaldecoder(codec)("strict")
    pending, number, skipping = "", 0, False
    while True:
        block = stream.read(_SAMPLE_BYTES)
        try:
            pending += decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            raise Skipped("unknown encoding", f"it begins like {codec} and is not: {error.reason}") from error
        *complete, pending = pending.split("\n")
        if not block and pending:
            complete, pending = [*complete, pending], ""
        for text in complete:
            number += 1
            text = text.removeprefix("\ufeff") + "\n"
            too_long = skipping or len(text.encode("utf-8", "replace")) > limit
            skipping = False
            problem = Skipped("too large", f"a line longer than {limit} bytes") if too_long else None
            yield Line(number, text.encode(codec), "" if too_long else text, codec, problem)
        if len(pending) > limit:
            pending, skipping = "", True
        if not block:
            return
