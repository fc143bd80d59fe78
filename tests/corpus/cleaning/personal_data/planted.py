"""Documents with planted personal data and with what only looks like it, in English and in Chinese.

Made from a seed: support tickets, chats, logs and notes of the kind in which such values turn up. Every
planted value is labelled by kind and place; everything else must stay. The values are made and their
checksums computed here, apart from the code under test.
"""

from __future__ import annotations

import random
import string
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, NamedTuple

from tests.corpus.cleaning.personal_data.planted_sentences import CONTEXTS, FILLER, NEGATIVES

Language = Literal["en", "zh"]
Random = random.Random
FULL_WIDTH = str.maketrans("0123456789", "０１２３４５６７８９")


class Label(NamedTuple):
    """A planted value: characters `start` to `end` of its document."""

    kind: str
    start: int
    end: int


class Planted(NamedTuple):
    """A document and all personal data that it contains."""

    text: str
    labels: tuple[Label, ...]


def planted_documents(language: Language, seed: int, count: int = 500) -> list[Planted]:
    """`count` documents; about two of three contain personal data, all contain what looks like it."""
    rng = Random(f"{language} {seed}")
    return [_document(language, rng) for _ in range(count)]


def _document(language: Language, rng: Random) -> Planted:
    kinds = rng.choices(list(VALUES), k=rng.choice([0, 1, 1, 2, 2, 3]))
    sentences = [(kind, rng.choice(CONTEXTS[language][kind]), VALUES[kind](rng, language)) for kind in kinds]
    sentences += [("", rng.choice(NEGATIVES[language])(rng), "") for _ in range(rng.randint(1, 3))]
    sentences += [("", filler, "") for filler in rng.sample(FILLER[language], k=rng.randint(1, 4))]
    rng.shuffle(sentences)
    text, labels = "", []
    for kind, template, value in sentences:
        # Not str.format: code among the negatives has braces of its own.
        before, _, after = template.partition("{}") if kind else (template, "", "")
        start = len(text) + len(before)
        if kind:
            labels.append(Label(kind, start, start + len(value)))
        text += before + value + after + rng.choice(["\n", "\n", " " if language == "en" else "，"])
    return Planted(text, tuple(labels))


def _digits(rng: Random, count: int) -> str:
    return "".join(rng.choices(string.digits, k=count))


def _token(rng: Random, count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
    # At least one digit and one letter, as a real key of this length has.
    return "".join(rng.choices(alphabet, k=count - 2)) + rng.choice("0123456789") + rng.choice("AEBDFC")


def _email(rng: Random, language: Language) -> str:
    first, last = rng.choice(FIRST_NAMES), rng.choice(LAST_NAMES)
    if language == "zh" and rng.random() < 0.6:
        local = rng.choice(
            [_digits(rng, 9).replace("0", "3"), f"{first}{_digits(rng, 3)}", f"{last}_{first}"]
        )
        domain = rng.choice(["qq.com", "163.com", "126.com", "sina.com.cn", "foxmail.com", "pku.edu.cn"])
        return f"{local}{rng.choice(['@', '@', '@', '＠'])}{domain}"
    local = rng.choice(
        [
            f"{first}.{last}",
            f"{first[0]}{last}{_digits(rng, 2)}",
            f"{first}_{last}",
            f"{first}+news",
            f"{first.title()}.{last.title()}",
            f"{last}-{first}",
            f"o'{last}",
        ]
    )
    domain = rng.choice(
        [
            "gmail.com",
            "hotmail.co.uk",
            "mail.uni-koeln.de",
            "acme-tools.io",
            "web.de",
            "Outlook.com",
            "cs.stanford.edu",
            "company.museum",
            "firma-müller.de",
            "startup.ai",
        ]
    )
    if rng.random() < 0.12:
        return rng.choice(
            [
                f"{local} [at] {domain.replace('.', ' [dot] ')}",
                f"{local}(at){domain}",
                f"{local} AT {domain.replace('.', ' DOT ')}",
                f"{local}@{domain}".upper(),
            ]
        )
    return f"{local}@{domain}"


def _phone(rng: Random, language: Language) -> str:
    d = partial(_digits, rng)
    two_nine = partial(rng.choice, "23456789")
    if language == "zh" and rng.random() < 0.85:
        mobile = rng.choice(("135", "139", "150", "159", "166", "176", "178", "188", "191", "199"))
        middle, last, city = d(4), d(4), rng.choice(["010", "021", "0755", "0571", "028"])
        local = two_nine() + d(7)
        value = rng.choice(
            [
                f"{mobile}{middle}{last}",
                f"{mobile}{middle}{last}",
                f"{mobile}-{middle}-{last}",
                f"{mobile} {middle} {last}",
                f"+86 {mobile}{middle}{last}",
                f"+86-{mobile}-{middle}-{last}",
                f"86{mobile}{middle}{last}",
                f"0086 {mobile} {middle} {last}",
                f"{city}-{local}",
                f"({city}){local}",
                f"（{city}）{local}",
                f"{city} {local}",
                f"{mobile} {middle}{last}",
                f"{mobile}.{middle}.{last}",
                f"0086-{city[1:]}-{local}",
                f"{city}-{local[:4]} {local[4:]}",
                f"+86（{city}）{local}",
                f"{city}-{local}-{d(3)}",
                f"{city}-{local}转{d(3)}",
                f"400-{d(3)}-{d(4)}",
                f"+86 10 {local}",
            ]
        )
        return value.translate(FULL_WIDTH) if rng.random() < 0.05 else value
    area, exchange, line = two_nine() + "1" + d(1), two_nine() + d(2), d(4)
    return rng.choice(
        [
            f"({area}) {exchange}-{line}",
            f"{area}-{exchange}-{line}",
            f"{area}.{exchange}.{line}",
            f"+1 {area} {exchange} {line}",
            f"+1-{area}-{exchange}-{line}",
            f"1-800-{exchange}-{line}",
            f"+1{area}{exchange}{line}",
            f"+44 20 7{d(3)} {d(4)}",
            f"+44 (0)20 7{d(3)} {d(4)}",
            f"07{d(3)} {d(6)}",
            f"020 7{d(3)} {d(4)}",
            f"+49 30 {d(8)}",
            f"+49 (0) 171 {d(7)}",
            f"+33 6 {d(2)} {d(2)} {d(2)} {d(2)}",
            f"0049 89 {d(6)}",
            f"+91 98{d(3)} {d(5)}",
            f"+852 {two_nine()}{d(3)} {d(4)}",
            f"+61 4{d(2)} {d(3)} {d(3)}",
            f"({area}) {exchange}-{line} ext. {d(3)}",
            f"{area}-{exchange}-{line} x{d(4)}",
            f"+65 9{d(3)} {d(4)}",
            f"+1 ({area}) {exchange}-{line}",
            f"{area} {exchange} {line}",
            f"+1.{area}.{exchange}.{line}",
            f"+44-79{d(2)}-{d(6)}",
            f"0171/{d(7)}",
            f"+49/30/{d(7)}",
        ]
    )


def _ip_address(rng: Random, language: Language) -> str:
    octets = [rng.choice([5, 23, 31, 46, 62, 77, 81, 93, 104, 113, 142, 176, 185, 211, 217])]
    octets += [rng.randint(11, 250) for _ in range(3)]
    hexes = [f"{rng.randint(1, 0xFFFF):x}" for _ in range(6)]
    return rng.choice(
        [
            *[".".join(map(str, octets))] * 4,
            "2001:16b8:" + ":".join(hexes),
            "2a02:8108::" + ":".join(hexes[:2]),
            ("2408:8207:" + ":".join(hexes)).upper(),
            "[.]".join(map(str, octets)),
        ]
    )


def _luhn(payload: str) -> str:
    total = 0
    for place, digit in enumerate(map(int, reversed(payload))):
        doubled = digit * 2 if place % 2 == 0 else digit
        total += doubled - 9 if doubled > 9 else doubled
    return payload + str(-total % 10)


def _grouped(value: str, sizes: Sequence[int], separator: str) -> str:
    groups, start = [], 0
    for size in sizes:
        groups.append(value[start : start + size])
        start += size
    return separator.join(group for group in [*groups, value[start:]] if group)


def _card(rng: Random, language: Language) -> str:
    china = ["622202", "621700", "622848", "623058", "625824"]
    prefix = rng.choice(
        china if language == "zh" else ["4539", "4916", "5412", "2221", "37", "6011", "3530", "62"]
    )
    length = 15 if prefix == "37" else rng.choice([16, 19]) if prefix in china else 16
    number = _luhn(prefix + _digits(rng, length - 1 - len(prefix)))
    separator = rng.choice(["", "", " ", " ", "-", "-", "."])
    return _grouped(number, (4, 6, 5) if length == 15 else (4, 4, 4, 4), separator)


def _chinese_id(rng: Random, language: Language) -> str:
    area = rng.choice(["110105", "310115", "440305", "330106", "510107", "420111", "150203", "650102"])
    born = f"{rng.randint(1945, 2012)}{rng.randint(1, 12):02}{rng.randint(1, 28):02}"
    payload = area + born + _digits(rng, 3)
    weights = [pow(2, 17 - place, 11) for place in range(17)]
    check = "10X98765432"[sum(int(d) * w for d, w in zip(payload, weights, strict=True)) % 11]
    number = payload + (check.lower() if rng.random() < 0.3 else check)
    return _grouped(number, (6, 8, 4), rng.choice(["", "", "", "", " ", "-"]))


def _passport(rng: Random, language: Language) -> str:
    upper = string.ascii_uppercase
    if language == "zh":
        return rng.choice(
            [f"E{_digits(rng, 8)}", f"G{_digits(rng, 8)}", f"E{rng.choice('ABCDEFGHJK')}{_digits(rng, 7)}"]
        )
    return rng.choice(
        [
            _digits(rng, 9),
            f"{rng.choice(upper)}{_digits(rng, 8)}",
            f"C0{rng.choice('CFGHJK')}X{_digits(rng, 2)}T{_digits(rng, 2)}",
            f"{_token(rng, 2, upper)[0]}{rng.choice(upper)}{_digits(rng, 6)}",
            f"{rng.choice(upper)}{_digits(rng, 7)}",
        ]
    )


def _iban(rng: Random, language: Language) -> str:
    country, body = rng.choice(
        [
            ("DE", _digits(rng, 18)),
            ("GB", "NWBK" + _digits(rng, 14)),
            ("FR", _digits(rng, 23)),
            ("NL", "ABNA" + _digits(rng, 10)),
            ("ES", _digits(rng, 20)),
            ("CH", _digits(rng, 17)),
            ("NO", _digits(rng, 11)),
            ("MT", "MALT" + _digits(rng, 23)),
        ]
    )
    check = 98 - int("".join(str(int(c, 36)) for c in f"{body}{country}00")) % 97
    value = f"{country}{check:02}{body}"
    return _grouped(value, [4] * 8, rng.choice(["", "", " ", " ", " ", "-"]))


def _api_key(rng: Random, language: Language) -> str:
    base64url = string.ascii_letters + string.digits + "-_"
    return rng.choice(
        [
            "AKIA" + _token(rng, 16, string.ascii_uppercase + "234567"),
            "ghp_" + _token(rng, 36),
            f"github_pat_{_token(rng, 22)}_{_token(rng, 59)}",
            f"xoxb-{_digits(rng, 12)}-{_digits(rng, 12)}-{_token(rng, 24)}",
            "sk-" + _token(rng, 48),
            "sk-proj-" + _token(rng, 60, base64url),
            "sk-ant-api03-" + _token(rng, 80, base64url),
            "AIza" + _token(rng, 35, base64url),
            f"eyJ{_token(rng, 33)}.eyJ{_token(rng, 70)}.{_token(rng, 43, base64url)}",
            "glpat-" + _token(rng, 20),
            "hf_" + _token(rng, 34),
            "sk_live_" + _token(rng, 24),
            "LTAI5t" + _token(rng, 18),
            f"SG.{_token(rng, 22)}.{_token(rng, 43)}",
        ]
    )


def _private_key(rng: Random, language: Language) -> str:
    name = rng.choice(
        ["RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY"]
    )
    lines = [_token(rng, 64, string.ascii_letters + string.digits + "+/") for _ in range(rng.randint(2, 14))]
    newline = rng.choice(["\n", "\n", "\n    ", "\\n"])
    return newline.join([f"-----BEGIN {name}-----", *lines, _token(rng, 30) + "==", f"-----END {name}-----"])


VALUES: dict[str, Callable[[Random, Language], str]] = {
    "email": _email,
    "phone": _phone,
    "ip_address": _ip_address,
    "card": _card,
    "chinese_id": _chinese_id,
    "passport": _passport,
    "iban": _iban,
    "api_key": _api_key,
    "private_key": _private_key,
}
FIRST_NAMES = ["anna", "tom", "wei", "lihua", "maria", "john", "xiaoming", "fatima", "lars", "priya"]
LAST_NAMES = ["smith", "wang", "zhang", "mueller", "garcia", "chen", "novak", "dubois", "khan", "olsen"]
