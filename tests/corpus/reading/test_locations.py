"""Where files are listed and opened: folders with strange things in them, and buckets."""

import os
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from corpus.errors import SourceError
from corpus.reading.locations import identity_of, listed
from corpus.sources.files import FilesSource, items, read


def collected(path: Path | str, **options: object) -> tuple[list[str], dict[str, str]]:
    """The texts, and reason by the last part of the URI of what was left out."""
    skipped: dict[str, str] = {}
    config = FilesSource.model_validate({"path": str(path), **options})

    def on_skip(uri: str, reason: str, detail: str) -> None:
        skipped[uri.rsplit("/", 1)[-1]] = reason

    return [d.text for item in items(config, {}) for d in read(config, item, on_skip)], skipped


def versions(path: Path | str, **options: object) -> dict[str, str]:
    config = FilesSource.model_validate({"path": str(path), **options})
    return {item.uri.rsplit("/", 1)[-1]: item.version for item in items(config, {})}


def test_items_are_sorted_and_change_with_their_files(tmp_path: Path) -> None:
    for name in ("b/2.txt", "a/9.txt", "c.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    before = versions(tmp_path)
    assert list(before) == ["9.txt", "2.txt", "c.txt"]
    assert before == versions(tmp_path)
    (tmp_path / "c.txt").write_text("other", encoding="utf-8")
    after = versions(tmp_path)
    assert {name for name in before if before[name] != after[name]} == {"c.txt"}
    (tmp_path / "c.txt").unlink()
    assert list(versions(tmp_path)) == ["9.txt", "2.txt"]


@pytest.mark.parametrize("path", ["*.txt", "none", "file:///no/such/folder", "memory://nothing"])
def test_a_path_that_matches_nothing(tmp_path: Path, path: str) -> None:
    with pytest.raises(SourceError, match=r"nothing matches|can't be read"):
        collected(path if "://" in path else tmp_path / path)


@pytest.mark.parametrize("path", ["n" * 300, "http://[::1"])
def test_a_path_that_can_not_be_one(path: str) -> None:
    with pytest.raises(SourceError, match=r"can't be looked for: (file name too long|invalid ipv6 url)"):
        list(listed(path, None))


def test_a_file_is_the_same_by_its_address(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    assert identity_of(f"file://{tmp_path}/a.txt") == identity_of(str(tmp_path / "a.txt"))


def test_links_are_not_followed_out_of_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "deep" / "a.txt").write_text("inside", encoding="utf-8")
    (folder / ".hidden").write_text("hidden", encoding="utf-8")
    (tmp_path / "secret.txt").write_text("outside", encoding="utf-8")
    (folder / "b.txt").symlink_to(tmp_path / "secret.txt")
    (folder / "c.txt").symlink_to(folder / "deep" / "a.txt")
    (folder / "loop").symlink_to(folder)
    (folder / "self.txt").symlink_to(folder / "self.txt")
    (folder / "gone.txt").symlink_to(folder / "gone")
    expected = {"b.txt": "link", "loop": "link", "self.txt": "unreadable", "gone.txt": "unreadable"}
    assert collected(folder) == (["inside", "inside"], expected)
    assert collected(f"{folder}/*.txt")[1].keys() == {"b.txt", "self.txt", "gone.txt"}
    assert collected(folder / "b.txt") == (["outside"], {})


def test_a_pipe_is_never_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "a.txt").write_text("good", encoding="utf-8")
    assert collected(tmp_path) == (["good"], {"pipe.txt": "not a regular file"})
    assert collected("/dev/zero") == ([], {"zero": "not a regular file"})


def test_a_file_that_is_gone_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    config = FilesSource(path=str(tmp_path))
    (item,) = items(config, {})
    (tmp_path / "a.txt").unlink()
    skipped: list[tuple[str, str, str]] = []
    assert list(read(config, item, lambda *told: skipped.append(told))) == []
    assert skipped[0][1] == "unreadable"


def test_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_text("x", encoding="utf-8")
    assert collected(tmp_path) == ([], {"caf\\xe9.txt": "unreadable"})


def test_a_file_system_by_url(tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    system.pipe({"/corpus/a.txt": b"one", "/corpus/deep/b.jsonl": b'{"text": "two"}', "/corpus/c.bin": b""})
    try:
        assert collected("memory://corpus") == (["one", "two"], {"c.bin": "unsupported type"})
        assert collected("memory://corpus/*.txt")[0] == ["one"]
    finally:
        system.rm("/corpus", recursive=True)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, object]]:
    """An S3 server on loopback: its URL and a client."""
    from moto.server import ThreadedMotoServer

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    import s3fs

    system = s3fs.S3FileSystem(endpoint_url=url, skip_instance_cache=True, use_listings_cache=False)
    system.mkdir("texts")
    try:
        yield url, system
    finally:
        server.stop()


def test_a_bucket(bucket: tuple[str, object], tmp_path: Path) -> None:
    endpoint, system = bucket
    import io
    import zipfile

    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("z.txt", "zipped")
    for name, content in {
        "a.txt": b"one",
        "sub/b.jsonl": b'{"text": "two"}',
        "c.zip": archive.getvalue(),
    }.items():
        system.pipe(f"texts/{name}", content)  # type: ignore[attr-defined]
    assert collected("s3://texts", endpoint=endpoint) == (["one", "zipped", "two"], {})
    assert collected("s3://texts/sub/*.jsonl", endpoint=endpoint)[0] == ["two"]
    before = versions("s3://texts", endpoint=endpoint)
    system.pipe("texts/a.txt", b"new")  # type: ignore[attr-defined]
    after = versions("s3://texts", endpoint=endpoint)
    assert {name for name in before if before[name] != after[name]} == {"a.txt"}
    config = FilesSource(path="s3://texts/a.txt", endpoint=endpoint)
    (item,) = items(config, {})
    (document,) = read(config, item, lambda *_: None)
    assert (document.uri, document.text) == ("s3://texts/a.txt", "new")
    assert document.collected_at is not None
    with pytest.raises(SourceError, match=r"s3://none.*can't be read|nothing matches"):
        collected("s3://none", endpoint=endpoint)


def test_a_glob_does_not_lead_through_links_or_to_hidden_files(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    for file in (folder / "a.txt", folder / ".b.txt", folder / ".git" / "c.txt", outside / "secret.txt"):
        file.parent.mkdir(exist_ok=True)
        file.write_text(file.name, encoding="utf-8")
    (folder / "link").symlink_to(outside)
    assert collected(f"{folder}/*") == (["a.txt"], {"link": "link"})
    assert collected(f"{folder}/*/*.txt") == ([], {"secret.txt": "link"})
    assert collected(f"{folder}/**/*.txt") == (["a.txt"], {})
    assert collected(f"{folder}/.*/*.txt") == (["c.txt"], {})
    assert collected(folder / "link") == (["secret.txt"], {})


def test_a_link_is_another_file_when_its_target_appears(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to(tmp_path / "target")
    before = versions(tmp_path)
    (tmp_path / "target").write_text("x", encoding="utf-8")
    assert versions(tmp_path)["a.txt"] != before["a.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_that_is_given_later_is_a_change(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "b.txt").write_text("b", encoding="utf-8")
    (tmp_path / "a.txt").write_text("a", encoding="utf-8")
    (tmp_path / "a.txt").chmod(0)
    (tmp_path / "folder").chmod(0)
    before = versions(tmp_path)
    assert collected(tmp_path) == ([], {"a.txt": "no permission", "folder": "no permission"})
    (tmp_path / "folder").chmod(0o700)
    (tmp_path / "a.txt").chmod(0o600)
    assert versions(tmp_path)["a.txt"] != before["a.txt"]
    assert collected(tmp_path) == (["a", "b"], {})


def test_a_time_that_no_calendar_has_is_no_time(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x", encoding="utf-8")
    os.utime(tmp_path / "a.txt", (2**43, 2**43))
    assert collected(tmp_path) == (["x"], {})


@pytest.mark.parametrize("url", ["https://token@example.org/a.txt", "sftp://me:secret@example.org/a"])
def test_credentials_in_an_address_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="environment"):
        FilesSource(path=url)
    FilesSource(path="sftp://me@example.org/a")


def test_what_the_system_added_is_not_listed(tmp_path: Path) -> None:
    for name in (
        "a.txt",
        "d/b.txt",
        "__MACOSX/d/b.txt",
        "d/Thumbs.db",
        "desktop.ini",
        "d/.DS_Store",
        "._a.txt",
    ):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True, parents=True)
        file.write_text("x", encoding="utf-8")
    for path in (tmp_path, f"{tmp_path}/**/*", f"file://{tmp_path}"):
        names = {item.uri.rpartition("/")[2] for item in listed(str(path), None)}
        assert names == {"a.txt", "b.txt"}
    assert len(list(listed(f"{tmp_path}/desktop.ini", None))) == 1
