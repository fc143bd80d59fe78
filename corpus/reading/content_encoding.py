"""A body as it was meant: without its transfer and content encodings, for web sites and web archives alike.

Servers and archives say gzip of what is plain, and nothing of what is gzip; some compress twice. So what the
bytes begin with counts before what is said of them. A body that ends too early is left out, never cut.
"""

from __future__ import annotations

import io
import re
import zlib
from collections.abc import Callable
from typing import cast

import brotli

from corpus.reading.decompression import DECOMPRESSED
from corpus.reading.skipped import UNREADABLE, Skipped, explained

_MARKS = {b"\x1f\x8b": ".gz", b"\x28\xb5\x2f\xfd": ".zst"}
_MOST_LAYERS = 4
_BINARY = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_CHUNK_HEAD = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")


def decoded_body(sent: bytes, stated: str, limit: int) -> bytes:
    """What was sent, without its content encodings; each layer is at most `limit` bytes.

    Args:
        sent: the body, without its transfer encoding.
        stated: the Content-Encoding header; "" for none.

    Raises:
        Skipped: it is damaged, ends too early, or becomes larger than the limit.
    """
    body = _without_marked_layers(sent, limit)
    for name in reversed(stated.lower().split(",")):
        match name.strip():
            case "deflate" | "gzip" | "x-gzip" if body is sent or name.strip() == "deflate":
                body = _tried(body, "deflate", (_zlib, _raw_deflate), limit)
            case "br":
                body = _tried(body, "br", (_brotli,), limit)
        body = _without_marked_layers(body, limit)
    return body


def without_chunks(sent: bytes) -> bytes:
    """A body without the chunks of its transfer encoding; as it is, if it is not (or no longer) in chunks.

    Raises:
        Skipped: it ends before its last chunk.
    """
    chunks: list[bytes] = []
    at = 0
    while head := _CHUNK_HEAD.match(sent, at):
        start, size = head.end(), int(head[1], 16)
        if not size:
            return b"".join(chunks)
        chunk, at = sent[start : start + size], start + size
        is_whole = sent.startswith((b"\r\n", b"\n"), at)
        if not is_whole and not chunks and at < len(sent):
            return sent  # its text happens to begin with a number
        if not is_whole:
            raise _cut_off()
        chunks.append(chunk)
        at += 2 if sent.startswith(b"\r\n", at) else 1
    if chunks:
        raise _cut_off()
    return sent


def _cut_off() -> Skipped:
    return Skipped("damaged", "the body ends before its last chunk")


def _without_marked_layers(body: bytes, limit: int) -> bytes:
    """Without gzip and Zstandard, which their first bytes tell."""
    for _ in range(_MOST_LAYERS):
        suffix = next((suffix for mark, suffix in _MARKS.items() if body.startswith(mark)), "")
        if not suffix:
            return body
        try:
            unpacked = io.BufferedReader(cast(io.RawIOBase, DECOMPRESSED[suffix](io.BytesIO(body)))).read(
                limit + 1
            )
        except UNREADABLE as error:
            raise explained(error) from error
        body = _bounded(unpacked, limit)
    raise Skipped("archive bomb", f"compressed more than {_MOST_LAYERS} times")


def _tried(
    body: bytes, name: str, decoders: tuple[Callable[[bytes, int], bytes | None], ...], limit: int
) -> bytes:
    """What the first decoder makes of it that can; the body itself if it is text, whatever is said of it."""
    for decoder in decoders:
        if (decoded := decoder(body, limit)) is not None:
            return _bounded(decoded, limit)
    if _BINARY.search(body):
        raise Skipped("damaged", f"neither {name} nor text, or it ends too early")
    return body


def _zlib(body: bytes, limit: int, bits: int = zlib.MAX_WBITS) -> bytes | None:
    unpacker = zlib.decompressobj(bits)
    try:
        decoded = unpacker.decompress(body, limit + 1)
    except zlib.error:
        return None
    is_whole = unpacker.eof and not unpacker.unused_data.strip(b"\0\r\n")
    return decoded if is_whole or len(decoded) > limit else None


def _raw_deflate(body: bytes, limit: int) -> bytes | None:
    return _zlib(body, limit, -zlib.MAX_WBITS)


def _brotli(body: bytes, limit: int) -> bytes | None:
    unpacker = brotli.Decompressor()
    try:
        decoded = unpacker.process(body, output_buffer_limit=limit + 1)
        while not unpacker.can_accept_more_data() and len(decoded) <= limit:
            decoded += unpacker.process(b"", output_buffer_limit=limit + 1)
    except brotli.error:
        return None
    return decoded if unpacker.is_finished() or len(decoded) > limit else None


def _bounded(body: bytes, limit: int) -> bytes:
    if len(body) > limit:
        raise Skipped("too large", f"more than {limit:,} bytes")
    return body
