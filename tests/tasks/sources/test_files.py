"""The files source: every format, and every kind of bad file with its reason."""

import gzip
import json
import os
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.errors import SourceError
from tasks.sources.files import FilesSource, documents, fingerprint


def read(path: Path | str, **options: object) -> tuple[list[str], dict[str, str]]:
    """Texts, and the reasons of all that was skipped by the last part of its uri."""
    skipped: dict[str, str] = {}
    config = FilesSource.model_validate({"path": str(path), **options})
    found = documents(config, lambda uri, reason: skipped.update({uri.rsplit("/", 1)[-1]: reason}))
    return [document.text for document in found], skipped


def test_every_format(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo")
    (tmp_path / "b.md").write_bytes(b"\xef\xbb\xbf# title")
    (tmp_path / "c.jsonl").write_text('{"text": "j1"}\n\n{"text": "第二"}\n')
    (tmp_path / "d.csv").write_text('id,text\n1,"quoted, with\nnewline"\n2,plain\n')
    pq.write_table(pa.table({"text": ["p1", "p2"]}), tmp_path / "e.parquet")
    (tmp_path / "f.jsonl.gz").write_bytes(gzip.compress(b'{"text": "zipped"}\n'))
    with pa.CompressedOutputStream(str(tmp_path / "g.txt.zst"), "zstd") as stream:
        stream.write(b"zstandard")
    with zipfile.ZipFile(tmp_path / "h.zip", "w") as archive:
        archive.writestr("z/2.txt", "second")
        archive.writestr("z/1.csv", "text\nfirst\n")
    texts, skipped = read(tmp_path)
    assert texts == [
        *("one\ntwo", "# title", "j1", "第二", "quoted, with\nnewline", "plain"),
        *("p1", "p2", "zipped", "zstandard", "first", "second"),
    ]
    assert not skipped
    assert read(f"{tmp_path}/*.csv")[0] == ["quoted, with\nnewline", "plain"]


def test_where_a_document_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"body": "x"}\n{"body": "y"}\n')
    os.utime(path, (1_700_000_000, 1_700_000_000))
    config = FilesSource(path=str(path), name="mine", license="CC0-1.0", text_field="body")
    second = list(documents(config, lambda *_: None))[1]
    assert (second.uri, second.source, second.license) == (f"{path}#2", "mine", "CC0-1.0")
    assert second.collected_at is not None
    assert second.collected_at.timestamp() == 1_700_000_000


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("latin.txt", "café".encode("latin-1"), "not UTF-8: byte 0xe9 at 3"),
        ("binary.txt", b"PNG\0\0", "binary"),
        ("empty.txt", b" \n", "empty"),
        ("picture.png", b"PNG", "unsupported type .png"),
        ("large.txt", b"x" * 2000, "larger than max_document_bytes"),
        ("bomb.txt.gz", gzip.compress(b"0" * 5_000_000), "larger than max_document_bytes"),
        ("cut.txt.gz", gzip.compress(os.urandom(500))[:300], "damaged or truncated"),
        ("not.txt.gz", b"plain", "damaged or truncated"),
        ("not.zip", b"plain", "damaged or truncated"),
        ("not.txt.zst", b"plain", "unreadable"),
        ("not.parquet", b"plain", "unreadable"),
        ("row.parquet.gz", b"", "unpack it first"),
    ],
)
def test_a_bad_file_is_skipped_with_its_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "zz-good.txt").write_text("good")
    texts, skipped = read(tmp_path, max_document_bytes=1000)
    assert texts == ["good"]
    assert list(skipped) == [name]
    assert reason in skipped[name]


def test_a_bad_row_is_skipped_and_the_next_one_read(tmp_path: Path) -> None:
    lines = [b'{"text": "a"}', b"{broken", b'{"other": 1}', b"[1]", b'{"text": 5}', b'{"text": "\xff"}']
    lines += [json.dumps({"text": "x" * 5000}).encode(), b'{"text": "b"}']
    (tmp_path / "rows.jsonl").write_bytes(b"\n".join(lines))
    texts, skipped = read(tmp_path / "rows.jsonl", max_document_bytes=1000)
    assert texts == ["a", "b"]
    assert list(skipped) == [f"rows.jsonl#{number}" for number in range(2, 8)]
    (tmp_path / "rows.csv").write_text("id,text\n1,a\n2,b,c\n3,d\n")
    texts, skipped = read(tmp_path / "rows.csv")
    assert texts == ["a", "d"]
    assert "3 columns" in skipped["rows.csv"]


def test_a_csv_row_over_the_limit_ends_the_file_not_the_run(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nfirst\n" + "x" * 5000 + "\n")
    (tmp_path / "b.txt").write_text("next")
    texts, skipped = read(tmp_path, max_document_bytes=1000)
    assert texts[-1] == "next"
    assert "unreadable" in skipped["a.csv"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("secret")
    (tmp_path / "a.txt").chmod(0)
    assert read(tmp_path)[1] == {"a.txt": "no permission to read it"}


def test_a_missing_column_names_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,body\n1,x\n")
    with pytest.raises(SourceError, match=r"a\.csv.*'text'.*id, body.*text_field"):
        read(tmp_path / "a.csv")
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "b.parquet")
    with pytest.raises(SourceError, match=r"b\.parquet.*int64"):
        read(tmp_path / "b.parquet")


def test_a_path_that_matches_nothing(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="nothing matches"):
        read(tmp_path / "*.txt")


def test_fingerprint_follows_the_content(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one")
    config = FilesSource(path=str(tmp_path))
    before = fingerprint(config)
    assert before == fingerprint(config)
    path.write_text("two")
    assert before != fingerprint(config)


def test_columns_are_copied_into_meta_as_text(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "x", "topic": "tea", "year": 7}\n{"text": "y", "year": null}\n'
    )
    (tmp_path / "b.csv").write_text("topic,text,year\n007,z,1999\n")
    pq.write_table(pa.table({"year": [3], "text": ["p"], "topic": ["茶"]}), tmp_path / "c.parquet")
    config = FilesSource(path=str(tmp_path), meta_fields=("topic", "year"))
    assert [dict(document.meta) for document in documents(config, lambda *_: None)] == [
        {"topic": "tea", "year": "7"},
        {},
        {"topic": "007", "year": "1999"},
        {"topic": "茶", "year": "3"},
    ]
    with pytest.raises(SourceError, match=r"b\.csv: no column 'genre'.*set meta_fields"):
        read(f"{tmp_path}/*.csv", meta_fields=["genre"])
