"""What goes into a reader comes out as documents or as records of what was left out, whole or not at all."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import random
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from corpus.sources.files import FilesSource, items, read
from tests.corpus.reading.formats.test_mediawiki import dump, page
from tests.corpus.reading.formats.test_warc import PAGE, TEXT

Writer = Callable[[list[str]], bytes]
TEXTS = [f"Number {n} of {random.Random(n).random()} tables of tides. {TEXT.strip()}" for n in range(9)]


def _json_lines(texts: list[str]) -> bytes:
    return b"".join(json.dumps({"text": text}).encode() + b"\n" for text in texts)


def _parquet(texts: list[str]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"text": texts}), buffer, row_group_size=2)
    return buffer.getvalue()


def _zip(texts: list[str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for number, text in enumerate(texts):
            packed.writestr(f"d/{number}.txt", text)
            packed.writestr(f"__MACOSX/d/._{number}.txt", b"\0\5\x16\7Mac OS X")
        packed.writestr("d/.DS_Store", b"\0\0\0\1Bud1")
        packed.writestr("d/Thumbs.db", b"\xd0\xcf\x11\xe0")
    return buffer.getvalue()


def _tar(texts: list[str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as packed:
        for number, text in enumerate(texts):
            for name, content in ((f"d/{number}.txt", text.encode()), (f"d/._{number}.txt", b"\0\5\x16\7")):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _warc(texts: list[str]) -> list[bytes]:
    """Records, each with a page."""
    pages = (PAGE.replace(TEXT.encode(), text.encode(), 1) for text in texts)
    sent = [b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + page for page in pages]
    kind = b"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://example.org/\r\n"
    return [kind + b"Content-Length: %d\r\n\r\n%b\r\n\r\n" % (len(block), block) for block in sent]


def _halves(
    write: Callable[[list[str]], bytes], pack: Callable[[bytes], bytes]
) -> Callable[[list[str]], bytes]:
    """Written in two members."""
    return lambda texts: pack(write(texts[:4])) + pack(write(texts[4:]))


WRITERS: dict[str, Writer] = {
    "a.jsonl": _json_lines,
    "a.json": lambda texts: json.dumps([{"text": text} for text in texts]).encode(),
    "joined.json": lambda texts: b"\xef\xbb\xbf".join(
        json.dumps([{"text": text}]).encode() for text in texts
    ),
    "joined.jsonl": lambda texts: (
        b"\xef\xbb\xbf" + b"\xef\xbb\xbf".join(_json_lines([text]) for text in texts)
    ),
    "a.jsonl.gz": _halves(_json_lines, gzip.compress),
    "a.jsonl.bz2": _halves(_json_lines, bz2.compress),
    "a.jsonl.xz": _halves(_json_lines, lzma.compress),
    "a.jsonl.zst": _halves(_json_lines, zstandard.compress),
    "a.parquet": _parquet,
    "a.zip": _zip,
    "a.tar": _tar,
    "joined.tar": lambda texts: _tar(texts[:4]) + _tar(texts[4:]),
    "a.tar.gz": _halves(_tar, gzip.compress),
    "a.warc": lambda texts: b"".join(_warc(texts)),
    "a.warc.gz": lambda texts: b"".join(map(gzip.compress, _warc(texts))),
    "a.xml": lambda texts: dump(*(page(number, text) for number, text in enumerate(texts))).encode(),
    "a.xml.bz2": lambda texts: bz2.compress(WRITERS["a.xml"](texts)),
    "a.tsv": lambda texts: "".join(f"{line}\n" for line in ["text", *texts]).encode("utf-16"),
    "a.csv": lambda texts: "".join(f'"{line}";;\r\n' for line in ["text", *texts]).encode("utf-8-sig"),
}
# The end of these can't be told from the middle.
OPEN_ENDED = {"a.tsv", "a.csv", "a.jsonl", "joined.jsonl", "joined.json", "a.warc"}


def _read(path: Path, **options: str) -> tuple[list[str], list[str]]:
    """The texts, and the reasons of what was left out."""
    source = FilesSource.model_validate({"path": str(path), **options})
    left_out: list[str] = []
    (item,) = items(source, {})
    texts = [doc.text for doc in read(source, item, lambda uri, reason, detail: left_out.append(reason))]
    return texts, left_out


@pytest.mark.parametrize("name", WRITERS)
def test_every_record_is_a_document(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(WRITERS[name](TEXTS))
    texts, left_out = _read(tmp_path / name)
    assert ([text for text in TEXTS if not any(text in found for found in texts)], left_out) == ([], [])
    assert len(texts) == len(TEXTS)


@pytest.mark.parametrize("name", sorted(WRITERS.keys() - OPEN_ENDED))
def test_what_is_cut_off_or_damaged_is_entered(tmp_path: Path, name: str) -> None:
    """The documents are those of the whole file; if there are fewer, it says so."""
    content, path = WRITERS[name](TEXTS), tmp_path / name
    path.write_bytes(content)
    whole, _ = _read(path)
    for damaged in _damaged(content):
        path.write_bytes(damaged)
        texts, left_out = _read(path)
        cut = [text for text in texts if text not in whole]
        assert len(texts) == len(whole) or left_out, (name, len(damaged))
        assert not cut, (name, len(damaged))


def _damaged(content: bytes) -> Iterator[bytes]:
    dice = random.Random(1)
    for _ in range(12):
        yield content[: dice.randrange(1, len(content) * 19 // 20)]


@pytest.mark.parametrize("document", ["line", "paragraph", "heading"])
def test_a_record_without_text_is_entered_however_it_is_divided(tmp_path: Path, document: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(_json_lines(["one", "", " \n "]))
    assert _read(path, document=document) == (["one"], ["empty", "empty"])


def test_a_damaged_header_does_not_end_a_tar(tmp_path: Path) -> None:
    content = bytearray(_tar(TEXTS))
    content[content.index(b"d/4.txt")] ^= 0xFF
    (tmp_path / "a.tar").write_bytes(content)
    texts, left_out = _read(tmp_path / "a.tar")
    assert (texts, left_out) == (TEXTS[:4], ["damaged"])
