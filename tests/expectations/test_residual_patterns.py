"""What the checkpoint finds in texts, and what it leaves alone, in the very SQL that it asks."""

import duckdb
import pytest

from expectations.residual_patterns import ANY_PATTERN, FLAGS, MACROS


@pytest.fixture(scope="module")
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for macro in MACROS:
        connection.execute(macro)
    return connection


def flags_of(database: duckdb.DuckDBPyConnection, text: str) -> list[str]:
    """The flags that the two looks together give: any pattern first, each flag of what that finds."""
    columns = ", ".join(f"{predicate} AS {flag}" for flag, predicate in FLAGS.items())
    query = f"SELECT {columns} FROM (SELECT $text AS text) WHERE regexp_matches(text, '{ANY_PATTERN}') OR "
    row = database.execute(query + FLAGS["empty_text"], {"text": text}).fetchone()
    return [flag for flag, found in zip(FLAGS, row or (), strict=False) if found]


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("Return the mean of the values along an axis.", []),
        ("返回数组沿给定轴的平均值，支持广播。版本 2.1 起可用。", []),
        ("Übergröße, façade, Ångström, naïve — “quoted” text… is not mojibake", []),
        ("a matrix @ b, decorated with @property; 3.14159265358979323846264338", []),
        ("tab\tand\nnew line", []),
        ("mask them as <EMAIL>, <PHONE_2> or <IBAN>", []),
        ("write to jane.doe@mail.corner.org today", ["email"]),
        ("https://jane:secret@corner.org, then user@example.com", ["email"]),
        ("user@example.com and me@host.test are examples", []),
        ("call +49 (30) 1234-5678 now", ["phone"]),
        ("联系电话13812345678，谢谢", ["phone"]),
        ("身份证号11010519491231002X", ["chinese_id"]),
        ("身份证号11010519491231002x。", ["chinese_id"]),
        ("order 110105194912310021 is no identity number", []),
        ("my card is 4539 1488 0343 6467, thanks", ["card"]),
        ("amex 3782-822463-10005", ["card"]),
        ("银联卡6222020200112233440", []),
        ("a p-value of 0.5454545454545454", []),
        ("LIKE '%@gmail.com' and Decimal('1.2E+12345680')", []),
        ("ticket 4539 1488 0343 6468 is no card", []),
        ("pay to DE89 3704 0044 0532 0130 00 please", ["iban"]),
        ("GB82WEST12345698765432", ["iban"]),
        ("a checksum XX89370400440532013000", []),
        ("AKIAIOSFODNN7EXAMPLE in the environment", ["secret"]),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", ["secret"]),
        ("token ghp_" + "a1B2" * 9, ["secret"]),
        ("the cafÃ© was closed", ["mojibake"]),
        ("itâ€™s broken", ["mojibake"]),
        ("锟斤拷锟斤拷", ["mojibake"]),
        ("bad \N{REPLACEMENT CHARACTER} byte", ["unreadable"]),
        ("bell \x07", ["unreadable"]),
        ("one \N{REPLACEMENT CHARACTER} in a long text" + " of many words" * 7, []),
        ("\N{IDEOGRAPHIC SPACE} \n", ["empty_text"]),
        ("", ["empty_text"]),
    ],
)
def test_each_text_gets_its_flags_and_no_other(
    database: duckdb.DuckDBPyConnection, text: str, flags: list[str]
) -> None:
    assert flags_of(database, text) == flags
