"""What the digits of a number say about it: check digits, dates, and how long it is."""

from __future__ import annotations

import re
from datetime import date

NONE = (1, 0)  # a range of lengths that no number has

_LUHN_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_ID_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))
_ID_CHECKS = "10X98765432"
# The first two digits of GB/T 2260: provinces, regions, cities; Taiwan, Hong Kong and Macao last.
_PROVINCES = frozenset(
    f"{region}{number}"
    for region, numbers in {
        1: "12345",
        2: "123",
        3: "1234567",
        4: "123456",
        5: "01234",
        6: "12345",
        7: "1",
        8: "123",
    }.items()
    for number in numbers
)
# ISO 13616: characters of an IBAN by country, after the registry of SWIFT.
IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27,
    "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28,
    "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23,
    "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26,
    "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28,
    "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22,
    "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25,
    "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip


def luhn(digits: str) -> bool:
    """Whether the last of `digits` is the check digit of the others (ISO/IEC 7812-1, annex B)."""
    numbers = [int(digit) for digit in reversed(digits)]
    return (sum(numbers[::2]) + sum(_LUHN_DOUBLED[number] for number in numbers[1::2])) % 10 == 0


def is_chinese_id(number: str) -> bool:
    """Whether 18 characters are a Chinese resident ID (GB 11643-1999): province, date of birth, check."""
    if number[:2] not in _PROVINCES:
        return False
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _ID_WEIGHTS, strict=True))
    return 1900 <= born.year < 2100 and _ID_CHECKS[total % 11] == number[17].upper()


def iban_length(number: str) -> tuple[int, int]:
    """Fewest and most of the leading characters of `number`, upper case without spaces, that are an IBAN.

    It has its country's length, and is 1 modulo 97 with its first four characters at its end (ISO 13616).
    """
    length = IBAN_LENGTHS.get(number[:2], 0)
    if len(number) < length or not length or not 2 <= int(number[2:4]) <= 98:
        return NONE
    rotated = number[4:length] + number[:4]
    value = int("".join(str(int(character, 36)) for character in rotated))
    return (length, length) if value % 97 == 1 else NONE


# Digits after the country code: (fewest, most). Others have between 7 and 12.
_NATIONAL = {
    "1": (10, 10), "7": (10, 10), "30": (10, 10), "31": (9, 9), "32": (8, 9), "33": (9, 9), "34": (9, 9),
    "39": (8, 11), "41": (9, 9), "43": (7, 12), "44": (9, 10), "45": (8, 8), "46": (7, 10), "47": (8, 8),
    "48": (9, 9), "49": (7, 12), "55": (10, 11), "60": (8, 10), "61": (9, 9), "65": (8, 8), "66": (8, 9),
    "81": (9, 10), "82": (8, 10), "84": (9, 10), "86": (9, 12), "90": (10, 10), "91": (10, 10), "351": (9, 9),
    "353": (8, 9), "358": (6, 11), "420": (9, 9), "852": (8, 8), "853": (8, 8), "886": (8, 9), "971": (8, 9),
    "972": (8, 9),
}  # fmt: skip
_THREE_DIGIT_CODES = re.compile(
    r"2(?:1[1-368]|[2-689]\d)|35|37|38|42[013]|50|59|6[789]|80[08]|85[02356]|87|88[0-36]|96|97[0-79]|99"
)
_TWO_DIGIT_CODES = re.compile(r"2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]")


def international(digits: str) -> tuple[int, int]:
    """The fewest and the most of the digits after `+`, or with their `00`, that can be one number (E.164)."""
    start = 2 if digits.startswith("00") else 0
    rest = digits[start:]
    code = 1 if rest[0] in "17" else 2 if _TWO_DIGIT_CODES.match(rest) else 3
    if code == 3 and not _THREE_DIGIT_CODES.match(rest):
        return NONE
    fewest, most = _NATIONAL.get(rest[:code], (7, 12))
    most += rest[code : code + 1] == "0"  # +44 (0)20 …
    return start + code + fewest, start + code + most
