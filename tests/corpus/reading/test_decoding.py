"""Encodings: told when they can be told, and left out when not."""

import io

import pytest

from corpus.reading.decoding import codec_of_head, decode, decoded_lines
from corpus.reading.encoding_guess import codec_of_label
from corpus.reading.skipped import Skipped

CHINESE = "今天天气很好，我们一起去公园散步吧。"
TRADITIONAL = "秦川雄帝宅，函谷壯皇居。綺殿千尋起，離宮百雉餘。"
JAPANESE = "この文書は、日本語の文章の例です。"
KOREAN = "서울은 대한민국의 수도이다"
RUSSIAN = "Он пошёл в магазин за хлебом и молоком вчера вечером"
GERMAN = "Die größte Straße führt über die Brücke"


@pytest.mark.parametrize(
    ("text", "codec", "label"),
    [
        *((text, "utf-8", "utf-8") for text in ("plain", CHINESE, JAPANESE, GERMAN, "😀")),
        *((text, "utf-8-sig", "utf-8") for text in (CHINESE, "x")),
        *((CHINESE, codec, "utf-16-le") for codec in ("utf-16",)),
        ("Latin without a mark", "utf-16-le", "utf-16-le"),
        ("Latin without a mark", "utf-16-be", "utf-16-be"),
        (CHINESE, "gb18030", "gb18030"),
        ("书很好，很喜欢", "gb18030", "gb18030"),
        (TRADITIONAL, "gb18030", "gb18030"),
        (TRADITIONAL, "big5", "big5"),
        ("It is America’s turn—so they say—and the enemy’s hopes end.", "big5", "big5"),
        (JAPANESE, "shift_jis", "shift_jis"),
        (JAPANESE, "euc_jp", "euc-jp"),
        (JAPANESE, "iso2022_jp", "iso-2022-jp"),
        (KOREAN, "euc_kr", "euc-kr"),
        (RUSSIAN, "cp1251", "windows-1251"),
        (RUSSIAN, "koi8-r", "koi8-r"),
        (GERMAN, "latin-1", "windows-1252"),
        ("one café", "latin-1", "windows-1252"),
        ("it’s “quoted” – €5", "cp1252", "windows-1252"),
    ],
)
def test_encodings_are_told_from_the_bytes(text: str, codec: str, label: str) -> None:
    assert decode(text.encode(codec)) == (text, label)


def test_what_is_declared_wins_when_it_decodes_everything() -> None:
    raw = "Ελλάδα".encode("cp1253")
    assert decode(raw, declared=["windows-1253"]) == ("Ελλάδα", "windows-1253")
    assert decode(CHINESE.encode("gb18030"), declared=["GB2312"]) == (CHINESE, "gb18030")
    assert decode(CHINESE.encode("gb18030"), declared=["utf-8"]).text == CHINESE
    assert decode(CHINESE.encode(), declared=["iso-8859-1"]).text == CHINESE
    for nonsense in ("rot13", "unicode_escape", "no such", "x" * 100, "\udcff"):
        assert decode(b"a\\n", declared=[nonsense]).text == "a\\n"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "binary"),
        (b"text\0with NUL", "binary"),
        (b"\xff\xd8\xff\xe0\x10JFIF\x01", "binary"),
        (b"x \xb9\xe9\x81 \xfe\x90\xd1 y", "unknown encoding"),
        (CHINESE.encode()[:-1], "unknown encoding"),
        ("it’s “quoted”".encode()[:-1], "unknown encoding"),
        ("a “broken” ".encode() + b"\x80 byte", "unknown encoding"),
        ("\ufeff".encode("utf-16-le") + b"\x00\xd8", "unknown encoding"),
    ],
)
def test_what_is_no_text_is_left_out(raw: bytes, reason: str) -> None:
    with pytest.raises(Skipped) as left_out:
        decode(raw)
    assert left_out.value.reason == reason


def test_every_line_has_its_own_encoding_where_a_file_mixes_them() -> None:
    lines = [CHINESE.encode(), CHINESE.encode("gb18030"), TRADITIONAL.encode("big5"), GERMAN.encode("cp1252")]
    content = b"\n".join([*lines, b"bad \0 line", b"plain"])
    found = list(decoded_lines(io.BufferedReader(io.BytesIO(content)), 1000))
    assert [line.encoding for line in found] == ["utf-8", "gb18030", "big5", "windows-1252", "", "utf-8"]
    assert [line.text.strip() for line in found] == [CHINESE, CHINESE, TRADITIONAL, GERMAN, "", "plain"]
    assert found[4].problem is not None
    assert found[4].problem.reason == "binary"
    assert decode(b"\n".join(lines)).encoding == "big5+gb18030+utf-8+windows-1252"


def test_a_short_line_is_read_like_the_rest_of_its_file() -> None:
    content = "\n".join([CHINESE, "致命鹦鹉（传", "姐姐辍学供弟"]).encode("gb18030")
    found = list(decoded_lines(io.BufferedReader(io.BytesIO(content)), 1000))
    assert [line.text.strip() for line in found] == [CHINESE, "致命鹦鹉（传", "姐姐辍学供弟"]


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_lines_of_wide_encodings(codec: str) -> None:
    content = f"first\n{CHINESE}\n{'x' * 300}\nlast".encode(codec)
    found = list(decoded_lines(io.BufferedReader(io.BytesIO(content)), 200))
    assert [line.text.strip() for line in found] == ["first", CHINESE, "", "last"]
    assert [bool(line.problem) for line in found] == [False, False, True, False]


class Endless(io.RawIOBase):
    """2 GB in one line, and a short one after it."""

    left = 2_000_000_000
    largest = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self.largest = max(self.largest, len(buffer))
        count = min(len(buffer), self.left)
        if not count:
            return 0
        self.left -= count
        buffer[:count] = b"x" * count
        if not self.left:
            buffer[count - 5 : count] = b"\nlast"
        return count


def test_a_line_of_two_gigabytes_is_never_held() -> None:
    stream = Endless()
    first, last = decoded_lines(io.BufferedReader(stream, 1 << 20), 1_000_000)
    assert first.problem is not None
    assert first.problem.reason == "too large"
    assert last.text == "last"
    assert stream.largest <= 1 << 20


@pytest.mark.parametrize(
    ("codec", "told"), [("utf-8", "utf-8-sig"), ("gb18030", "gb18030"), ("utf-16", "utf-16")]
)
def test_the_head_of_a_file_may_end_in_a_character(codec: str, told: str) -> None:
    raw = ("x, " + CHINESE * 9).encode(codec)
    assert {codec_of_head(raw[:end]) for end in range(200, 212)} == {told}


def test_a_charset_that_gives_private_characters_is_not_the_right_one() -> None:
    text = "\u9019\u662f\u4e00\u500b\u5f88\u597d\u7684\u9801\u9762\uff0c\u8b1d\u8b1d\u5927\u5bb6"
    assert decode(text.encode("big5"), ["gb2312"]) == (text, "big5")


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("Die schönen Bücher über Äpfel, Größe und Füße. ", "mac_roman"),
        ("El niño comió mañana en la montaña con su mamá, ¿qué más? ", "cp850"),
        ("Rødgrød med fløde på æblekage, når året går. ", "mac_roman"),
    ],
)
def test_text_of_a_mac_or_of_dos_is_not_taken_for_one_of_windows(text: str, codec: str) -> None:
    for several in (text, text * 9, f"{text}\n" * 9):
        with pytest.raises(Skipped, match="unknown encoding"):
            decode(several.encode(codec))
        assert decode(several.encode(codec), ["macintosh" if "mac" in codec else codec]).text == several
        assert decode(several.encode("cp1252")).text == several


@pytest.mark.parametrize(
    ("label", "codec"),
    [
        *[("iso88592", "iso8859-2"), ("x-cp1250", "cp1250"), ("ascii", "cp1252"), ("gb2312", "gb18030")],
        *[("csmacintosh", "mac-roman"), ("shift_jis", "cp932"), ('"utf-8"', "utf-8"), ("cp437", "cp437")],
        *[
            ("iso-2022-kr", "iso2022_kr"),
            ("utf-16", "utf-16"),
            ("replacement", None),
            ("x-user-defined", None),
        ],
        *[("klingon", None), ("hex", None), ("", None)],
    ],
)
def test_what_pages_call_their_encodings(label: str, codec: str | None) -> None:
    assert codec_of_label(label) == codec
