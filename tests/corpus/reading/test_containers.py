"""Archives and compressed files: what they hold, and what they may not do."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard

from corpus.reading.containers import SMALL_ENOUGH, entries
from corpus.reading.skipped import Skipped


def members(name: str, content: bytes, most: int = 10**12) -> tuple[dict[str, bytes], dict[str, str]]:
    """What is in a file called `name`, and the reasons of what was left out."""
    skipped: dict[str, str] = {}
    found = {}
    for entry in entries(
        name, io.BytesIO(content), len(content), most, lambda uri, bad: skipped.update({uri: bad.reason})
    ):
        found[f"{entry.uri} {entry.name}"] = entry.stream.read()
    return found, skipped


def tar_of(*infos: tarfile.TarInfo, mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:  # type: ignore[call-overload]
        for info in infos:
            archive.addfile(info, io.BytesIO(b"x" * info.size))
    return buffer.getvalue()


def tar_info(name: str, kind: bytes = tarfile.REGTYPE, size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = kind, size, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("suffix", "compress"), [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress)]
)
def test_compressed_files_and_archives(suffix: str, compress: type[bytes]) -> None:
    name = f"a.txt{suffix}"
    assert members(name, compress(b"one") + compress(b" two")) == ({f"{name} a.txt": b"one two"}, {})
    archive = compress(tar_of(tar_info("b.txt", size=2)))
    assert members(f"a.tar{suffix}", archive)[0] == {f"a.tar{suffix}!b.txt b.txt": b"xx"}


def test_what_comes_before_damage_is_read() -> None:
    lines = [f"{sha256(str(number).encode()).hexdigest()}\n".encode() for number in range(5000)]
    content = gzip.compress(b"".join(lines))[:-20]
    (entry,) = entries("a.txt.gz", io.BytesIO(content), len(content), 10**9, lambda *_: None)
    read: list[bytes] = []
    with pytest.raises(Skipped, match="damaged"):
        read.extend(entry.stream)
    assert lines[:4990] == read[:4990]


def test_short_names_of_compressed_archives() -> None:
    assert list(members("a.TGZ", tar_of(tar_info("d/b.txt"), mode="w:gz"))[0]) == ["a.TGZ!d/b.txt b.txt"]


def test_a_member_that_leaves_a_zip() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("../out.txt", "/root.txt", "a/../../b.txt", "C:\\c.txt", "ok..txt", "d/e.txt"):
            archive.writestr(name, "x")
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("inner.zip", "x")
        archive.mkdir("folder")
    found, skipped = members("a.zip", buffer.getvalue())
    assert list(found) == ["a.zip!d/e.txt e.txt", "a.zip!ok..txt ok..txt"]
    assert skipped == {
        **{f"a.zip!{n}": "path leaves the archive" for n in ("../out.txt", "/root.txt", "a/../../b.txt")},
        **{"a.zip!C:\\c.txt": "path leaves the archive", "a.zip!link.txt": "link"},
        "a.zip!inner.zip": "nested archive",
    }


def test_a_zip_with_a_password_or_a_damaged_member() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a.txt", "x" * 100)
        archive.writestr("b.txt", "fine")
    content = bytearray(buffer.getvalue())
    entry = content.index(b"PK\x01\x02")
    content[entry + 8] |= 1
    assert members("a.zip", bytes(content)) == ({"a.zip!b.txt b.txt": b"fine"}, {"a.zip!a.txt": "encrypted"})
    content[entry + 8] &= ~1
    content[0] = 0
    assert members("a.zip", bytes(content)) == ({"a.zip!b.txt b.txt": b"fine"}, {"a.zip!a.txt": "damaged"})


def test_links_and_devices_in_a_tar() -> None:
    content = tar_of(
        *(tar_info("a.txt", tarfile.SYMTYPE), tar_info("b.txt", tarfile.LNKTYPE)),
        *(tar_info("c.txt", tarfile.FIFOTYPE), tar_info("d.txt", tarfile.CHRTYPE)),
        *(tar_info("../e.txt"), tar_info("d", tarfile.DIRTYPE), tar_info("f.txt", size=1)),
    )
    found, skipped = members("a.tar", content)
    assert found == {"a.tar!f.txt f.txt": b"x"}
    assert list(skipped.values()) == [
        *("link", "link", "not a regular file", "not a regular file", "path leaves the archive")
    ]


def test_a_compressed_bomb_ends_at_the_limit() -> None:
    bomb = gzip.compress(bytes(SMALL_ENOUGH + 2_000_000), 9)
    (entry,) = entries("a.txt.gz", io.BytesIO(bomb), len(bomb), 10**12, lambda *_: None)
    taken = iter(lambda: len(entry.stream.read(1 << 20)), 0)
    with pytest.raises(Skipped, match="archive bomb"):
        print(sum(taken))
    with pytest.raises(Skipped, match="archive bomb"):
        members("a.txt.gz", gzip.compress(b"x" * 1_000_000), most=1000)


def test_a_zip_of_many_members_is_one_bomb() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"{number:02}.txt", b"x" * 100_000)
    read = []
    for entry in entries("a.zip", io.BytesIO(buffer.getvalue()), 100, 1_000_000, lambda *_: None):
        with suppress(Skipped):
            read.append(len(entry.stream.read()))
    assert read == [100_000] * 10


def test_an_archive_in_a_compressed_file_is_left_out() -> None:
    with pytest.raises(Skipped, match="nested archive"):
        members("a.zip.gz", gzip.compress(b"x"))


def test_memory_does_not_grow_with_the_number_of_members(tmp_path: Path) -> None:
    content = tar_of(*(tar_info(f"{number}.txt") for number in range(300)))
    names = [
        entry.name for entry in entries("a.tar", io.BytesIO(content), len(content), 10**9, lambda *_: None)
    ]
    assert names == [f"{number}.txt" for number in range(300)]


@pytest.mark.parametrize("seconds", [2**40, 2**80])
def test_a_member_of_a_time_that_no_calendar_has(seconds: int) -> None:
    info = tar_info("a.txt", size=3)
    info.mtime = seconds
    found, left_out = members("x.tar", tar_of(info, tar_info("b.txt", size=3)))
    assert (list(found), left_out) == (["x.tar!a.txt a.txt", "x.tar!b.txt b.txt"], {})


def test_a_name_that_says_compressed_and_is_not() -> None:
    for name in ("a.txt.gz", "a.txt.bz2", "a.txt.xz", "a.txt.zst"):
        for content in (b"plain", b"a text that is plain\n"):
            with pytest.raises(Skipped, match=r"not compressed.*rename it"):
                members(name, content)


def test_a_dictionary_of_zstandard_is_asked_for() -> None:
    dictionary = zstandard.train_dictionary(1000, [b"text %d of good\tgood\n" % n * 9 for n in range(500)])
    content = zstandard.ZstdCompressor(dict_data=dictionary).compress(b"text 1 of good\tgood\n")
    with pytest.raises(Skipped, match="needs a dictionary"):
        members("a.txt.zst", content)
    skipped = b"\x50\x2a\x4d\x18\x04\0\0\0abcd"
    assert members("a.txt.zst", skipped + zstandard.compress(b"text"))[0] == {"a.txt.zst a.txt": b"text"}


def test_a_long_window_of_zstandard_is_read() -> None:
    """As `zstd --long=31` writes it."""
    window = zstandard.ZstdCompressionParameters(window_log=31, enable_ldm=True)
    pack = zstandard.ZstdCompressor(compression_params=window).compressobj()
    content = pack.compress(b"one\n") + pack.flush()
    assert zstandard.get_frame_parameters(content).window_size == 1 << 31
    skippable = b"\x50\x2a\x4d\x18\x04\0\0\0meta"
    joined = skippable + content + zstandard.compress(b"two\n")
    assert members("a.txt.zst", joined) == ({"a.txt.zst a.txt": b"one\ntwo\n"}, {})


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zst"])
def test_what_stands_behind_the_last_member_is_damage(suffix: str) -> None:
    pack = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress, ".zst": zstandard.compress}[
        suffix
    ]
    assert members(f"a.txt{suffix}", pack(b"one") + bytes(100))[0] == {f"a.txt{suffix} a.txt": b"one"}
    for behind in (b"and more", pack(b"two")[:-2], b"BZh9 is no header"):
        with pytest.raises(Skipped, match="damaged"):
            members(f"a.txt{suffix}", pack(b"one") + behind)
    with pytest.raises(Skipped, match="archive bomb"):
        members(f"a.txt{suffix}", pack(bytes(3_000_000)), most=1_000_000)
