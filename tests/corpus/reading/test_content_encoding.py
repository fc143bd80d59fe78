"""Bodies as servers and archives have them: encodings that are false, doubled, unmentioned or cut off."""

from __future__ import annotations

import gzip
import os
import zlib

import brotli
import pytest
import zstandard

from corpus.reading.content_encoding import decoded_body, without_chunks
from corpus.reading.skipped import Skipped

PAGE = b"<html><body>" + b"The kettle boils at noon. " * 60 + b"</body></html>"
LIMIT = 100_000


def _raw_deflate(body: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(body) + packer.flush()


def _members(body: bytes) -> bytes:
    return gzip.compress(body[:100]) + gzip.compress(b"") + gzip.compress(body[100:])


@pytest.mark.parametrize(
    ("stated", "sent"),
    [
        ("", PAGE),
        ("gzip", gzip.compress(PAGE)),
        ("x-gzip", _members(PAGE)),
        ("GZIP", gzip.compress(PAGE) + b"\0" * 40),
        ("gzip", gzip.compress(PAGE) + b"\r\n"),
        ("", _members(PAGE)),
        ("gzip", PAGE),
        ("gzip", zlib.compress(PAGE)),
        ("gzip", gzip.compress(gzip.compress(PAGE))),
        ("gzip, gzip", gzip.compress(gzip.compress(PAGE))),
        ("gzip, gzip", gzip.compress(PAGE)),
        ("deflate", zlib.compress(PAGE)),
        ("deflate", _raw_deflate(PAGE)),
        ("deflate", gzip.compress(PAGE)),
        ("deflate", PAGE),
        ("deflate, gzip", gzip.compress(_raw_deflate(PAGE))),
        ("gzip, br", brotli.compress(gzip.compress(PAGE))),
        ("br", brotli.compress(PAGE)),
        ("br", PAGE),
        ("zstd", zstandard.compress(PAGE[:99]) + zstandard.compress(PAGE[99:])),
        ("", zstandard.compress(PAGE)),
        ("identity", PAGE),
        ("UTF-8", PAGE),
        ("none, gzip", gzip.compress(PAGE)),
    ],
)
def test_a_body_is_what_was_meant(stated: str, sent: bytes) -> None:
    assert decoded_body(sent, stated, LIMIT) == PAGE


@pytest.mark.parametrize(
    ("stated", "pack"),
    [
        ("gzip", gzip.compress),
        ("", _members),
        ("deflate", zlib.compress),
        ("deflate", _raw_deflate),
        ("br", brotli.compress),
        ("zstd", zstandard.compress),
    ],
)
def test_what_is_cut_off_or_grows_is_left_out(stated: str, pack: type[bytes]) -> None:
    noise = os.urandom(3000)
    for cut in (1, 9, 1000, 2900):
        with pytest.raises(Skipped, match="damaged"):
            decoded_body(pack(noise)[:-cut], stated, LIMIT)
    with pytest.raises(Skipped, match="too large"):
        decoded_body(pack(bytes(50_000_000)), stated, LIMIT)
    assert len(decoded_body(pack(b"x" * LIMIT), stated, LIMIT)) == LIMIT


def test_what_stands_behind_gzip_is_not_passed_over() -> None:
    with pytest.raises(Skipped, match="damaged"):
        decoded_body(gzip.compress(PAGE) + b"<p>and more</p>", "gzip", LIMIT)
    packed = PAGE
    for _ in range(9):
        packed = gzip.compress(packed)
    with pytest.raises(Skipped, match="archive bomb"):
        decoded_body(packed, "gzip", LIMIT)


def test_chunks_of_a_transfer_are_joined() -> None:
    chunked = b"5;name=x\r\nThe k\r\nA\r\nettle boil\r\n0\r\nTrailer: x\r\n\r\n"
    assert without_chunks(chunked) == b"The kettle boil"
    for plain in (PAGE, b"", b"12\r\nmonkeys came to the town in the evening", b"none of it\r\n"):
        assert without_chunks(plain) == plain
    for cut in (b"5\r\nThe k\r\nA\r\nett", b"5\r\nThe k\r\n", b"5\r\nThe k", b"ff\r\nThe k"):
        with pytest.raises(Skipped, match="before its last chunk"):
            without_chunks(cut)
