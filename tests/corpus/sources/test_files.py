"""The files source: every format, and every kind of bad file with its reason."""

import gzip
import io
import json
import os
import tarfile
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from corpus.documents import Document
from corpus.errors import SourceError
from corpus.sources.files import FilesSource, items, read, reader_version


def documents(path: Path | str, **options: object) -> tuple[list[Document], dict[str, tuple[str, str]]]:
    """The documents, and (reason, detail) of all that was left out by the last part of its URI."""
    skipped: dict[str, tuple[str, str]] = {}
    config = FilesSource.model_validate({"path": str(path), **options})

    def on_skip(uri: str, reason: str, detail: str) -> None:
        skipped[uri.rsplit("/", 1)[-1]] = (reason, detail)

    return [document for item in items(config, {}) for document in read(config, item, on_skip)], skipped


def texts(path: Path | str, **options: object) -> tuple[list[str], dict[str, str]]:
    """The texts, and the reasons of all that was left out."""
    found, skipped = documents(path, **options)
    return [document.text for document in found], {name: reason for name, (reason, _) in skipped.items()}


def test_every_format(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("one\ntwo", encoding="utf-8")
    (tmp_path / "b.md").write_bytes(b"\xef\xbb\xbf# title")
    (tmp_path / "c.jsonl").write_text('{"text": "j1"}\n\n{"text": "第二"}\n', encoding="utf-8")
    (tmp_path / "d.csv").write_text('id,text\n1,"quoted, with\nnewline"\n2,plain\n', encoding="utf-8")
    pq.write_table(pa.table({"text": ["p1", "p2"]}), tmp_path / "e.parquet")
    (tmp_path / "f.jsonl.gz").write_bytes(gzip.compress(b'{"text": "zipped"}\n'))
    with pa.CompressedOutputStream(str(tmp_path / "g.txt.zst"), "zstd") as stream:
        stream.write(b"zstandard")
    with zipfile.ZipFile(tmp_path / "h.zip", "w") as archive:
        archive.writestr("z/2.txt", "second")
        archive.writestr("z/1.csv", "text\nfirst\n")
    (tmp_path / "i.json").write_text('[{"text": "a1"}, {"text": "a2"}]', encoding="utf-8")
    (tmp_path / "j.tsv").write_text('text\tn\n"she said\t1\n', encoding="utf-8")
    page = "<p>The main text of a page is long enough to be taken for one, in a sentence or two.</p>"
    (tmp_path / "k.html").write_text(
        f"<html><body><article>{page * 3}</article></body></html>", encoding="utf-8"
    )
    found, skipped = texts(tmp_path)
    assert found[:-1] == [
        *("one\ntwo", "# title", "j1", "第二", "quoted, with\nnewline", "plain"),
        *("p1", "p2", "zipped", "zstandard", "first", "second", "a1", "a2", '"she said'),
    ]
    assert found[-1].startswith("The main text")
    assert not skipped
    assert texts(f"{tmp_path}/*.csv")[0] == ["quoted, with\nnewline", "plain"]


def test_where_a_document_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"body": "x"}\n' + '{"body": "这是一个测试，看看中文怎么样"}\n'.encode("gb18030"))
    os.utime(path, (1_700_000_000, 1_700_000_000))
    _, second = documents(path, name="mine", license="CC0-1.0", text_field="body")[0]
    assert (second.uri, second.source, second.license) == (f"{path}#2", "mine", "CC0-1.0")
    assert (second.encoding, second.extractor) == ("gb18030", "text")
    assert second.raw == path.read_bytes().split(b"\n")[1] + b"\n"
    assert second.collected_at is not None
    assert second.collected_at.timestamp() == 1_700_000_000
    assert "trafilatura" in reader_version()


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("unclear.txt", b"x \xb9\xe9\x81 \xfe\x90\xd1 y", "unknown encoding"),
        ("binary.txt", b"PNG\0\0", "binary"),
        ("empty.txt", b" \n", "empty"),
        ("picture.png", b"PNG", "unsupported type"),
        ("large.txt", b"x" * 2000, "too large"),
        ("large.txt.gz", gzip.compress(b"0" * 5_000_000), "too large"),
        ("cut.txt.gz", gzip.compress(os.urandom(500))[:300], "damaged"),
        ("not.txt.gz", b"plain", "not compressed"),
        ("not.zip", b"plain", "damaged"),
        ("not.txt.zst", b"plain", "not compressed"),
        ("not.txt.xz", b"plain", "not compressed"),
        ("not.txt.bz2", b"plain", "not compressed"),
        ("not.tar", b"plain" * 500, "damaged"),
        ("not.parquet", b"plain", "damaged"),
        ("cut.json", b'[{"text": "x', "damaged"),
        ("not.xml", b"<note/>", "unsupported type"),
        ("not.warc", b"plain text\n" * 9, "damaged"),
        ("empty.html", b"<html><body></body></html>", "no main text"),
    ],
)
def test_a_bad_file_is_left_out_with_its_reason(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    (tmp_path / name).write_bytes(content)
    (tmp_path / "zz-good.txt").write_text("good", encoding="utf-8")
    assert texts(tmp_path, max_document_bytes=1000) == (["good"], {name: reason})


def test_a_truncated_parquet_file(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["x" * 100] * 1000}), path)
    path.write_bytes(path.read_bytes()[:-50])
    assert texts(path) == ([], {"a.parquet": "damaged"})


def test_parquet_in_a_container(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    pq.write_table(pa.table({"doc": [{"body": ["a", "b"]}, {"body": None}, {"body": ["c"]}]}), buffer)
    (tmp_path / "a.parquet.gz").write_bytes(gzip.compress(buffer.getvalue()))
    found, skipped = texts(tmp_path, text_field="doc.body")
    assert found == ["a\nb", "c"]
    assert skipped == {"a.parquet.gz#2": "empty"}


def test_a_bad_member_does_not_end_the_archive(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        for name, content in [("1.txt", b"good"), ("2.txt.gz", b"bad"), ("3.jsonl", b'[1]\n{"text": "j"}')]:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(content), 1_200_000_000
            archive.addfile(info, io.BytesIO(content))
    found, skipped = documents(tmp_path)
    assert [document.text for document in found] == ["good", "j"]
    assert found[0].collected_at is not None
    assert found[0].collected_at.year == 2008
    assert {name: reason for name, (reason, _) in skipped.items()} == {
        "a.tar.gz!2.txt.gz": "not compressed",
        "a.tar.gz!3.jsonl#1": "no object",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("secret", encoding="utf-8")
    (tmp_path / "a.txt").chmod(0)
    assert texts(tmp_path)[1] == {"a.txt": "no permission"}


def test_lone_surrogates_are_replaced_and_counted(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        r'{"text": "a\ud83d b"}' + "\n" + r'{"text": "\ud83d\ude00"}', encoding="utf-8"
    )
    first, second = documents(tmp_path)[0]
    assert (first.text, dict(first.meta)) == ("a\ufffd b", {"lone_surrogates": "1"})
    assert (second.text, dict(second.meta)) == ("😀", {})


def test_records_are_divided_into_documents(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"paras": ["one", "two"]}', encoding="utf-8")
    found, _ = documents(tmp_path, text_field="paras", document="line")
    assert [(document.uri.rsplit("/", 1)[-1], document.text) for document in found] == [
        ("a.json#1.1", "one"),
        ("a.json#1.2", "two"),
    ]


def test_a_missing_column_names_those_that_exist(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,body\n1,x\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"a\.csv.*'text'.*id, body.*text_field"):
        texts(tmp_path / "a.csv")
    pq.write_table(pa.table({"body": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(SourceError, match=r"b\.parquet.*'text'.*body"):
        texts(tmp_path / "b.parquet")


def test_fields_are_copied_into_meta_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(
        '{"text": "x", "topic": "tea", "year": 7}\n{"text": "y", "year": null}\n', encoding="utf-8"
    )
    (tmp_path / "b.csv").write_text("topic,text,year\n007,z,1999\n", encoding="utf-8")
    pq.write_table(pa.table({"year": [3], "text": ["p"], "topic": ["茶"]}), tmp_path / "c.parquet")
    found, _ = documents(tmp_path, meta_fields=("topic", "year"))
    assert [dict(document.meta) for document in found] == [
        {"topic": "tea", "year": 7},
        {},
        {"topic": "007", "year": "1999"},
        {"topic": "茶", "year": 3},
    ]
    with pytest.raises(SourceError, match=r"b\.csv: no column 'genre'.*set meta_fields"):
        texts(f"{tmp_path}/*.csv", meta_fields=["genre"])


def test_the_wrong_field_names_those_that_were_found(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(json.dumps({"title": "t", "body": {"de": "x"}}), encoding="utf-8")
    _, skipped = documents(tmp_path)
    assert "title, body" in skipped["a.jsonl#1"][1]
    assert texts(tmp_path, text_field="body.de")[0] == ["x"]
