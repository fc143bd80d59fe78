"""Personal data: what is found on the planted set, what stays, and that no text can stall the search."""

import pyarrow as pa
import pytest

from corpus.cleaning.config import PersonalDataConfig
from corpus.cleaning.personal_data.masking import find, mask
from tests.corpus.cleaning.personal_data.planted import Label, Language, planted_documents
from tests.corpus.cleaning.personal_data.planted_score import score
from tests.linear_time import takes_linear_time

EVERYTHING = PersonalDataConfig()


def masked(text: str, config: PersonalDataConfig = EVERYTHING) -> str:
    [value] = mask(pa.array([text]), config)[0].to_pylist()
    return str(value)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_planted_values_are_found_and_others_stay(language: Language) -> None:
    documents = planted_documents(language, seed=7, count=1000)
    scores = score(documents, [[Label(*found) for found in find(document.text)] for document in documents])
    assert scores["all"].recall >= 0.98
    assert scores["all"].precision >= 0.98
    for kind, figures in scores.items():
        assert figures.planted >= 100, kind
        assert figures.recall >= 0.95, (kind, figures)
        assert figures.precision >= 0.95, (kind, figures)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mail anna.smith@gmail.com.", "Mail <EMAIL>."),
        ("'o'hara@web.de'", "'<EMAIL>'"),
        ("jo [at] web [dot] de, bo(at)web.de", "<EMAIL>, <EMAIL>"),
        ("电话：１３８００１３８０００，谢谢", "电话：<PHONE>，谢谢"),
        ("+86 138 0013 8000 2024-01-01", "<PHONE> 2024-01-01"),
        ("+44 (0)20 7946 0958, 415-555-2671 x12", "<PHONE>, <PHONE>"),
        ("peer 93.184.216.34:443 and 2a02:8108::1", "peer <IP_ADDRESS>:443 and <IP_ADDRESS>"),
        ("card 4111 1111 1111 1111 12/27", "card <CARD> 12/27"),
        ("身份证11010519491231002X。", "身份证<CHINESE_ID>。"),
        ("护照E12345678, passport no. C01X00T47", "护照<PASSPORT>, passport no. <PASSPORT>"),
        ("DE89 3704 0044 0532 0130 00 AND 7", "<IBAN> AND 7"),
        ("redis://app:h7Gk29xQpL@10.0.0.1/0", "redis://app:<API_KEY>@10.0.0.1/0"),
        ('api_key = "9fK2mQx7LpRt4VbN8sZc"', 'api_key = "<API_KEY>"'),
        ("-----BEGIN RSA PRIVATE KEY-----\n" + "Ab3+" * 16 + "\nrest of it", "<PRIVATE_KEY>\nrest of it"),
    ],
)
def test_a_value_becomes_a_placeholder(text: str, expected: str) -> None:
    assert masked(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "@property, A@B.T, root@localhost, me@example.com, git@github.com:a/b.git, logo@2x.png",
        "127.0.0.1 10.1.2.3 192.168.1.20 203.0.113.7 2001:db8::1 ::1 fe80::1 224.0.0.251",
        "version 12.31.14.15, foo==12.31.14.15, Chrome/91.0.47.24, section 1.2.3.4, 1.3.6.1.4.1.311",
        "4111 1111 1111 1112, 110105194912310021, DE88 3704 0044 0532 0130 00, default_rng(348932549825235)",
        "1699999999 1699999999999 2147483647 -2147483648 +2147483647 9223372036854775807",
        "550e8400-e29b-41d4-a716-446655440000 d41d8cd98f00b204e9800998ecf8427e 3.14159265358979",
        "订单号：13800138000，人口1400000000人，2024年12月31日",
        'api_key="YOUR_API_KEY_HERE", token=get_token_number_1(x), ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
        "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----",
    ],
)
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert masked(text) == text


def test_placeholders_are_numbered_by_value_when_wanted() -> None:
    text = "a@b.io or C@D.io, then A@b.io; 138-0013-8000 = 13800138000 电话"
    assert masked(text, PersonalDataConfig(consistent=True)) == (
        "<EMAIL_1> or <EMAIL_2>, then <EMAIL_1>; <PHONE_1> = <PHONE_1> 电话"
    )


def test_counts_are_per_text_and_kind_and_only_of_what_is_masked() -> None:
    texts = pa.array(["nothing", "a@b.io c@d.io 93.184.216.34", "中文 e@f.io"])
    config = PersonalDataConfig(mask=("email", "card"))
    result, counts = mask(texts, config)
    assert result.to_pylist() == ["nothing", "<EMAIL> <EMAIL> 93.184.216.34", "中文 <EMAIL>"]
    assert {kind: column.tolist() for kind, column in counts.items()} == {
        "email": [0, 2, 1],
        "card": [0, 0, 0],
    }
    assert str(counts["email"].dtype) == "int32"


def test_batches_and_slices_do_not_show() -> None:
    texts = pa.array([document.text for document in planted_documents("zh", 3, 60)])
    whole, _ = mask(texts, EVERYTHING)
    cut = [mask(texts.slice(start, 7), EVERYTHING)[0] for start in range(0, 60, 7)]
    assert pa.concat_arrays(cut).equals(whole)
    assert mask(pa.array([], pa.string()), EVERYTHING)[0].to_pylist() == []


def test_masking_twice_changes_nothing() -> None:
    once, _ = mask(pa.array([d.text for d in planted_documents("en", 5, 200)]), EVERYTHING)
    assert mask(once, EVERYTHING)[0].equals(once)


def test_a_value_is_found_wherever_it_stands_in_a_long_text() -> None:
    for filler in ("word ", "数据，", "1, "):
        text = filler * 3000 + " anna@web.de " + filler * 3000 + "card 4111 1111 1111 1111"
        assert [found.kind for found in find(text)] == ["email", "card"]


@pytest.mark.parametrize("distance", range(0, 400, 3))
def test_another_find_nearby_changes_nothing(distance: int) -> None:
    # What is looked at around the second find begins or ends within the first, or within its context.
    text = (
        "from version 17.34.17.60 or so, ask anna.smith@web.de " + distance * "-" + " 2a02:8108::1 x@web.de"
    )
    assert [found.kind for found in find(text)] == ["email", "ip_address", "email"]


@pytest.mark.parametrize(
    "repeated",
    ["a", "a.", "a@", "@", "1", "1 ", "1.", "12-", "+1", "(1", "a1", "A1=", "eyJ", "eyJaaaaaaaaaa.", "sk-", "://:",
     "2001:", ":", "'", "-----BEGIN PRIVATE KEY-----", "-----BEGIN PRIVATE KEY-----aaaa ", "x [at] y", "[at]",
     "GB82 ", "passport", "token=", "00 1 ", "1111 ", "护照", "１"],
)  # fmt: skip
def test_no_text_takes_more_than_linear_time(repeated: str) -> None:
    assert takes_linear_time(lambda size: find((repeated * size)[:size]), 100_000)


def test_time_is_linear_in_a_text_full_of_numbers() -> None:
    def mask_numbers(count: int) -> None:
        _, counts = mask(pa.array(["护照 E12345678 " * count], pa.string()), PersonalDataConfig())
        assert counts["passport"].sum() == count

    assert takes_linear_time(mask_numbers, 20_000)
