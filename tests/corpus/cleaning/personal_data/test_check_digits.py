"""Check digits and lengths, on the examples that the standards give and on all single mistakes in them."""

import random

import pytest

from corpus.cleaning.personal_data.check_digits import (
    IBAN_LENGTHS,
    NONE,
    iban_length,
    international,
    is_chinese_id,
    luhn,
)

# A number of every country whose check digits hold, which says how long it is.
REGISTRY = """
AD1200012030200359100100 AE070331234567890123456 AL47212110090000000235698741 AT611904300234573201
AZ21NABZ00000000137010001944 BA391290079401028494 BE68539007547034 BG80BNBG96611020345678
BH67BMAG00001299123456 BI4210000100010000332045181 BR1800360305000010009795493C1
BY13NBRB3600900000002Z00AB00 CH9300762011623852957 CR05015202001026284066 CY17002001280000001200527600
CZ6508000000192000145399 DE89370400440532013000 DJ2100010000000154000100186 DK5000400440116243
DO28BAGR00000001212453611324 EE382200221020145685 EG380019000500000000263180002 ES9121000418450200051332
FI2112345600000785 FK88SC123456789012 FO6264600001631634 FR1420041010050500013M02606 GB29NWBK60161331926819
GE29NB0000000101904917 GI75NWBK000000007099453 GL8964710001000206 GR1601101250000000012300695
GT82TRAJ01020000001210029690 HN88CABF00000000000250005469 HR1210010051863000160 HU42117730161111101800000000
IE29AIBK93115212345678 IL620108000000099999999 IQ98NBIQ850123456789012 IS140159260076545510730339
IT60X0542811101000000123456 JO94CBJO0010000000000131000302 KW81CBKU0000000000001234560101
KZ86125KZT5004100100 LB62099900000001001901229114 LC55HEMM000100010012001200023015 LI21088100002324013AA
LT121000011101001000 LU280019400644750000 LV80BANK0000435195001 LY83002048000020100120361
MC5811222000010123456789030 MD24AG000225100013104168 ME25505000012345678951 MK07250120000058984
MN121234123456789123 MR1300020001010000123456753 MT84MALT011000012345MTLCAST001S
MU17BOMM0101101030300200000MUR NI45BAPR00000013000003558124 NL91ABNA0417164300 NO9386011117947
OM810180000001299123456 PK36SCBL0000001123456702 PL61109010140000071219812874 PS92PALS000000000400123456702
PT50000201231234567890154 QA58DOHB00001234567890ABCDEFG RO49AAAA1B31007593840000 RS35260005601001611379
RU0304452522540817810538091310419 SA0380000000608010167519 SC18SSCB11010000000000001497USD
SD8811123456789012 SE4550000000058398257466 SI56263300012039086 SK3112000000198742637541
SM86U0322509800000000270100 SO211000001001000100141 ST23000100010051845310146 SV62CENR00000000000000700025
TL380080012345678910157 TN5910006035183598478831 TR330006100519786457841326 UA213223130000026007233566001
VA59001123000012345678 VG96VPVG0000012345678901 XK051212012345678906 YE15CBYE0001018861234567891234
"""
IBANS = REGISTRY.split()
# Code, shortest and longest number of a country: a fixed line and a mobile phone, where they differ.
PHONES = """
1 4155552671 4155552671, 7 4951234567 4951234567, 30 2101234567 2101234567, 31 201234567 201234567
32 21234567 470123456, 33 123456789 123456789, 34 912345678 912345678, 41 441234567 441234567
44 133212345 2079460958, 45 32123456 32123456, 47 22123456 22123456, 48 221234567 221234567
55 1123456789 11912345678, 60 82123456 1112345678, 61 212345678 212345678, 65 61234567 61234567
66 21234567 812345678, 81 312345678 9012345678, 82 21234567 1012345678, 84 912345678 2412345678
90 2121234567 2121234567, 91 1123456789 1123456789, 351 212345678 212345678, 353 12345678 851234567
420 212345678 212345678, 852 21234567 21234567, 853 28212345 28212345, 886 37123456 221234567
971 21234567 501234567, 972 21234567 501234567
"""


def test_every_wrong_digit_of_a_card_is_noticed() -> None:
    number = "4539148803436467"
    assert luhn(number)
    for place in range(16):
        wrong = {str(digit) for digit in range(10)} - {number[place]}
        assert not any(luhn(number[:place] + digit + number[place + 1 :]) for digit in wrong)


def test_luhn_is_what_the_standard_says() -> None:
    def checked(number: str) -> bool:
        doubled = [int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(number), 1)]
        return sum(digit // 10 + digit % 10 for digit in doubled) % 10 == 0

    rng = random.Random(0)
    for _ in range(1000):
        number = "".join(rng.choices("0123456789", k=rng.randint(12, 19)))
        assert luhn(number) is checked("0" + number)


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        ("11010519491231002X", True),  # GB 11643-1999, appendix
        ("11010519491231002x", True),
        ("440524188001010014", False),  # born before 1900
        ("110105189912310023", False),
        ("11010519000101001X", True),
        ("110105209912310029", True),
        ("110105210001010015", False),
        ("110105194912310021", False),
        ("990105194912310025", False),
        ("110105199902300020", False),
    ],
)
def test_chinese_id(number: str, valid: bool) -> None:
    assert is_chinese_id(number) is valid


@pytest.mark.parametrize(
    ("number", "lengths"),
    [
        ("GB82WEST12345698765432", (22, 22)),
        ("DE89370400440532013000AND", (22, 22)),
        ("NO9386011117947", (15, 15)),
        ("GB82WEST12345698765433", NONE),
        ("GB82WEST1234569876543", NONE),
        ("XX82WEST12345698765432", NONE),
    ],
)
def test_iban_length(number: str, lengths: tuple[int, int]) -> None:
    assert iban_length(number) == lengths


@pytest.mark.parametrize("iban", IBANS, ids=lambda iban: iban[:2])
def test_ibans_of_all_countries_have_their_length(iban: str) -> None:
    assert iban_length(iban) == iban_length(f"{iban}0") == (len(iban), len(iban))
    assert iban_length(iban[:-1]) == NONE


def test_no_country_is_without_an_example() -> None:
    assert sorted(iban[:2] for iban in IBANS) == sorted(IBAN_LENGTHS)


@pytest.mark.parametrize(("check", "same"), [(2, "99"), (97, "00"), (98, "01")])
def test_check_digits_of_an_iban_lie_between_02_and_98(check: int, same: str) -> None:
    # DE is 1314 in digits; what is 1 modulo 97 with these would be so with others too.
    account = next(f"{n:018}" for n in range(97) if 98 - int(f"{n:018}131400") % 97 == check)
    assert iban_length(f"DE{check:02}{account}") == (22, 22)
    assert iban_length(f"DE{same}{account}") == NONE


@pytest.mark.parametrize(
    ("digits", "lengths"),
    [
        ("14155552671", (11, 11)),
        ("8613800138000", (11, 14)),
        ("4402079460958", (11, 13)),  # with the 0 that is left out from abroad
        ("0085291234567", (13, 13)),
        ("2147483647", NONE),  # 214 is no country
    ],
)
def test_international(digits: str, lengths: tuple[int, int]) -> None:
    assert international(digits) == lengths


@pytest.mark.parametrize("numbers", PHONES.strip().replace("\n", ", ").split(", "))
def test_numbers_of_a_country_have_its_lengths(numbers: str) -> None:
    code, shortest, longest = numbers.split()
    assert international(code + shortest) == (len(code + shortest), len(code + longest))
    assert international(f"00{code}{longest}") == (2 + len(code + shortest), 2 + len(code + longest))
