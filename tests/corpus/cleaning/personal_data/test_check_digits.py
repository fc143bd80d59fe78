"""Check digits and lengths, on the examples that the standards give and on all single mistakes in them."""

import pytest

from corpus.cleaning.personal_data.check_digits import NONE, iban_length, international, is_chinese_id, luhn


def test_every_wrong_digit_of_a_card_is_noticed() -> None:
    number = "4539148803436467"
    assert luhn(number)
    for place in range(16):
        wrong = {str(digit) for digit in range(10)} - {number[place]}
        assert not any(luhn(number[:place] + digit + number[place + 1 :]) for digit in wrong)


@pytest.mark.parametrize(
    ("number", "valid"),
    [
        ("11010519491231002X", True),  # GB 11643-1999, appendix
        ("11010519491231002x", True),
        ("440524188001010014", False),  # born before 1900
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
