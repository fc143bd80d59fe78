"""How each kind of personal data is written, and what only looks like it.

A detector is a function from a text to the places of its finds. Patterns are wide, and a check of the find
and of the words before it decides: a number is a card only with a true check digit, four numbers with dots
are no address after "version". What belongs to nobody stays: domains and addresses that the standards
reserve for documentation (RFC 2606, 5737, 3849), private and loopback addresses.

Every pattern is linear: runs are bounded or possessive, and begin only where no run could go on.
"""

from __future__ import annotations

import ipaddress
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator

from corpus.cleaning.personal_data import check_digits

Span = tuple[int, int]
Detector = Callable[[str], Iterator[Span]]

_CONTEXT = 32  # characters before a find in which a word decides
_NEARBY = 200  # characters around a find that show the language
_ALPHANUMERIC = re.compile(r"\w", re.ASCII)
_HAN = re.compile(r"[\u4e00-\u9fff]")

# Sets of characters are repeated possessively, groups are not: Python before 3.11.5 misses matches of
# groups so repeated (gh-106052).


def _matching(
    pattern: str, holds: Callable[[re.Match[str]], bool] = lambda match: True, flags: int = 0
) -> Detector:
    """A detector of the matches of `pattern` (of its group `value` if it has one) for which `holds`."""
    compiled = re.compile(pattern, re.ASCII | re.VERBOSE | flags)
    group = compiled.groupindex.get("value", 0)

    def detect(text: str) -> Iterator[Span]:
        return (match.span(group) for match in compiled.finditer(text) if holds(match))

    return detect


def _cutting(pattern: str, lengths: Callable[[str], tuple[int, int]]) -> Detector:
    """A detector of the beginnings of matches that hold as many letters and digits as `lengths` allows.

    For numbers whose own first digits say how long they are, as what follows may be a number too. A find
    ends where a group of digits ends; `lengths` has the fewest and the most, and says (1, 0) for no find.
    """
    compiled = re.compile(pattern, re.ASCII | re.VERBOSE)

    def detect(text: str) -> Iterator[Span]:
        place = 0
        while match := compiled.search(text, place):
            places = [at for at in range(*match.span()) if text[at].isalnum()]
            fewest, most = lengths("".join(text[at] for at in places))
            ends = (at + 1 for at in reversed(places[fewest - 1 : most]))
            end = next((end for end in ends if not _ALPHANUMERIC.match(text, end)), None)
            place = end or match.end()
            if end:
                yield match.start(), end

    return detect


def _either(*detectors: Detector) -> Detector:
    """A detector of what any of `detectors` finds."""
    return lambda text: (span for detector in detectors for span in detector(text))


def _before(match: re.Match[str]) -> str:
    """The end of what stands before a match on its line."""
    start = match.start()
    return match.string[max(start - _CONTEXT, 0) : start].rpartition("\n")[2]


def _after(match: re.Match[str]) -> str:
    return match.string[match.end() : match.end() + 4]


def _digits(match: re.Match[str]) -> str:
    return "".join(filter(str.isdigit, match[0]))


# --- E-mail

_NOBODYS = re.compile(
    r"[@.](?:example(?:\.[a-z]{2,3})?(?:\.[a-z]{2})?|test|invalid|localhost|local)$|^git@", re.I
)
_FILE_NAME = re.compile(r"\.(?:png|jpe?g|gif|svg|webp|ico|css|js|ts|json|py|txt|html?|ya?ml)$", re.I)
_IN_URL = re.compile(r"://[^\s/]*$")  # user and password of a server
_SPELLED = re.compile(r" ?[\[({](?:at|dot|\.)[\])}] ?| (?-i:AT|DOT) ", re.IGNORECASE)
_DOT = r"(?:\.|\ ?[\[({](?:dot|\.)[\])}]\ ?|(?-i:\ DOT\ ))"
_LETTER = "A-Za-z0-9\u00c0-\u024f"


def _is_mailbox(match: re.Match[str]) -> bool:
    address = _SPELLED.sub(
        lambda sign: "@" if sign[0].strip(" [](){}").lower() == "at" else ".", match["value"]
    )
    top = address.rpartition(".")[2]
    if not top.isalpha() or len(top) < 2 or _IN_URL.search(_before(match)):
        return False
    return not _NOBODYS.search(address) and not _FILE_NAME.search(address)


email = _either(
    _matching(
        rf"(?<![{_LETTER}._%+'-]) ['._%+-]*+ (?P<value> [{_LETTER}][{_LETTER}._%+'-]{{0,63}}+ @"
        rf"[{_LETTER}-]{{1,63}}+ (?:\.[{_LETTER}-]{{1,63}}+){{1,8}} ) (?! [\w@(] | \.[{_LETTER}-] )",
        _is_mailbox,
    ),
    _matching(  # jo [at] web [dot] de, jo AT web DOT de
        rf"(?<![\w.+'-]) (?P<value> \w[\w.+'-]{{0,63}}+ (?:\ ?[\[({{]at[\])}}]\ ?|(?-i:\ AT\ ))"
        rf"[{_LETTER}-]{{1,63}}+ (?:{_DOT}[{_LETTER}-]{{1,63}}+){{1,8}} )",
        _is_mailbox,
        re.IGNORECASE,
    ),
)

# --- Telephone

_PHONE_WORD = re.compile(
    r"(?:\b(?:tele)?phone|\btel\b|\bmobile|\bcell\b|\bfax\b|whatsapp|hotline"
    r"|\bcall\ (?:me|us|him|her|them)\b|\bring\b|\bnumber\ is\b"
    r"|☎|电话|手机|联系|致电|拨打|传真|热线|号码是|微信)[^\d\n。！？；，,<>]{0,20}$",
    re.IGNORECASE | re.ASCII,
)
_NUMBER_WORD = re.compile(
    r"(?:订单|单号|编号|流水|序列|代码|发票|快递|[群价备]"
    r"|\b(?:order|invoice|id|no|nr|ref|serial|isbn|issn|key|seed)\b|#)[^\d\n]{0,6}$",
    re.IGNORECASE | re.ASCII,
)
_OTHER_NUMBER = re.compile(r"\b\d\.|^(?:19|20)\d\d[./-]\d\d?[./-]\d\d?$")  # a decimal, a date
_QUANTITY = re.compile(r"\s?[元万亿人个次件年%％]")


def _is_bare_mobile(match: re.Match[str]) -> bool:
    """Eleven digits in a row are a number in Chinese text, and elsewhere after a word that says so."""
    before = _before(match)
    if _PHONE_WORD.search(before):
        return True
    near = match.string[max(match.start() - _NEARBY, 0) : match.end() + _NEARBY]
    return not _NUMBER_WORD.search(before) and not _QUANTITY.match(_after(match)) and bool(_HAN.search(near))


def _is_national(match: re.Match[str]) -> bool:
    """Whether the words before a number, and its length, bear out the form in which it is written."""
    form, before = match.lastgroup, _before(match)
    if form == "trunk":
        return 10 <= len(_digits(match)) <= 12 and not _NUMBER_WORD.search(before)
    if form == "mobile":
        return _is_bare_mobile(match)
    if form == "any":
        is_other = _OTHER_NUMBER.search(match[0]) or match[0].count("(") != match[0].count(")")
        return not is_other and bool(_PHONE_WORD.search(before)) and not _NUMBER_WORD.search(before)
    return True


# Between spaces a group of digits is no beginning when another group stands before it.
_FIRST = r"(?<!\d\ )"
_ENDS = r"(?! \w | [-./,]\d | \ \d )"
phone = _either(
    _cutting(r"\+ (?<![\w+./-]\+) \(?[1-9] (?:[\ .()/-]{0,2}\d){6,18}", check_digits.international),
    _cutting(
        r"00 (?<![\w+.,/-]00) (?<!\d\ 00) [1-9]\d{0,2} [\ -] \(?\d (?:[\ .()/-]{0,2}\d){5,18}",
        check_digits.international,
    ),
    _matching(
        rf"""(?=[(\d]) (?<![\w.,+/-]) (?:
          (?P<america> (?:1[-.\ ])? (?: \([2-9]\d\d\)[\ -]? [2-9]\d\d [-.\ ]
                                      | [2-9]\d\d- [2-9]\d\d- | [2-9]\d\d\. [2-9]\d\d\. ) \d{{4}}
                       (?: ,?\ ?(?:x|ext\.?|\#)\ ?\d{{1,6}} (?!\w) | {_ENDS} ) )
        | (?P<landline> (?: \((?:010|02\d|0[3-9]\d\d)\)\ ? | (?:010|02\d|0[3-9]\d\d)[\ -] )
                        [2-9]\d{{2,3}}\ ?\d{{4}} (?: (?:-|转)\d{{1,6}} )? {_ENDS} )
        | (?P<service> [48]00-\d{{3,4}}-\d{{3,4}} (?: (?:-|转)\d{{1,6}} )? {_ENDS} )
        | (?P<trunk> {_FIRST} (?: 0\d{{2,4}}\ \d{{3,4}}\ \d{{3,4}} | \(0\d{{2,4}}\)\ ?\d{{3,4}}\ ?\d{{3,4}}
                                | 0[1-9]\d{{1,3}}[\ /]\d{{6,8}} ) {_ENDS} )
        | (?P<mobile> (?: (?:00)?86[\ -]? )? 1[3-9]\d\ ?\d{{8}} {_ENDS} )
        | (?P<grouped> {_FIRST} (?: (?:00)?86[\ -]? )? 1[3-9]\d
                       (?: -\d{{4}}-\d{{4}} | \.\d{{4}}\.\d{{4}} | \ \d{{4}}\ \d{{4}} ) {_ENDS} )
        | (?P<any> \(?\d (?:[\ .()/-]{{0,2}}\d){{6,10}} (?!\w) )
        )""",
        _is_national,
    ),
)

# --- IP address

_VERSION_WORD = re.compile(
    r"(?:version|release[ds]?|firmware|build|upgrade[ds]?\ (?:from|to)|oid|section|版本|固件|升级到?"
    r"|\bver?\.?|\brev\.?|[=<>~^!]=|\w/|\w-)"
    r"[\s:'\"v]{0,12}$",
    re.I,
)
_ADDRESS_WORD = re.compile(
    r"(?:\bip|host|addr|server|client|peer|ping|dns|gateway|from|://|地址)[^\d\n]{0,12}$", re.I
)


def _is_public(address: str) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def _is_host(match: re.Match[str]) -> bool:
    """A public address, and neither a version nor a paragraph: 1.2.3.4 needs a word that says what it is."""
    before, address = _before(match), match[0].replace("[.]", ".")
    if _VERSION_WORD.search(before) and not before.endswith("//"):
        return False
    short = all(len(part) == 1 for part in address.split("."))
    return _is_public(address) and (not short or bool(_ADDRESS_WORD.search(before)))


_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
ip_address = _either(
    _matching(rf"(?<![\w.]) (?:{_OCTET}(?:\.|\[\.\])){{3}} {_OCTET} (?! \w | [.-]\w )", _is_host),
    # Global unicast is 2000::/3.
    _matching(
        r"(?<![\w.]) (?<!::) [23][0-9A-Fa-f]{3} :[0-9A-Fa-f:]{1,34}+ (?! \w | \.\d )",
        lambda match: _is_public(match[0]),
    ),
)

# --- Numbers with check digits

_CARD_PREFIX = re.compile(
    r"4(?:\d{12}|\d{15}|\d{18})$|5[1-5]\d{14}$|2[2-7]\d{14}$|3[47]\d{13}$|3(?:0[0-5]|[689]\d)\d{11}$"
    r"|35\d{14}$|6(?:011|[45]\d\d)\d{12}$|62\d{14,17}$|(?:60|95)\d{14}(?:\d{3})?$|81\d{14}$"
)


# Seeds and 64-bit integers have 13 to 15 and 17 to 19 digits, too, and one in ten has a true check digit.
_CARD_WORD = re.compile(
    r"(?:card|visa|amex|express|mastercard|credit|debit|\bcc\b|charged?|paid|pay|[卡户行]|账号|转到|[用付汇]).{0,12}$",
    re.I,
)


def _is_card(match: re.Match[str]) -> bool:
    digits = _digits(match)
    if digits == match[0] and len(digits) != 16 and not _CARD_WORD.search(_before(match)):
        return False
    return bool(_CARD_PREFIX.match(digits)) and len(set(digits)) > 1 and check_digits.luhn(digits)


card = _matching(
    r"""(?<![\w.,+/-]) (?<!\ \d{4}\ ) (?: \d{13,19}
        | \d{4} (?P<four>[\ .-]) \d{4} (?P=four) \d{4} (?P=four) \d{2,4} (?:(?P=four)\d{3})?
        | \d{4} (?P<six>[\ .-]) \d{6} (?P=six) \d{4,5}
        | \d{6} [\ -] \d{10,13} ) (?! \w | [-.]\d )""",
    _is_card,
)
chinese_id = _matching(
    r"(?<![\w.]) [1-8]\d{5} [\ -]? (?:19|20)\d\d[01]\d[0-3]\d [\ -]? \d{3}[\dXx] (?!\w)",
    lambda match: check_digits.is_chinese_id(match[0].replace(" ", "").replace("-", "")),
)


iban = _cutting(r"(?<!\w) [A-Z]{2}\d\d (?:[\ -]?[A-Z0-9]){11,34}", check_digits.iban_length)
passport = _either(
    _matching(r"(?<!\w) (?:E[A-HJ-NP-Z\d]|G\d)\d{7} (?!\w)"),
    _matching(
        r"(?:passport|护照|通行证) [^\d\n]{0,24}? (?<![A-Za-z0-9]) (?P<value>(?-i:[A-Z0-9]{7,9})) (?!\w)",
        lambda match: sum(map(str.isdigit, match["value"])) >= 4,
        re.IGNORECASE,
    ),
)

# --- Secrets


def _entropy(value: str) -> float:
    """Bits per character of `value` by the frequencies of its own characters (Shannon)."""
    counts = Counter(value).values()
    return -sum(count / len(value) * math.log2(count / len(value)) for count in counts)


_KEY_GOES_ON = re.compile(r"[A-Za-z0-9_-]$")


def _is_key(match: re.Match[str]) -> bool:
    if _KEY_GOES_ON.search(_before(match)):
        return False
    return _entropy(match[0]) >= 3 and "EXAMPLE" not in match[0].upper()


def _is_mixed(value: str, entropy: float = 3.5) -> bool:
    """Whether a value is as mixed as random ones are, and no identifier or placeholder."""
    mixed = any(map(str.isdigit, value)) and any(map(str.isalpha, value))
    return mixed and _entropy(value) >= entropy and "example" not in value.lower()


_SECRET_NAME = re.compile(
    r"""(?: (?:(?:api|access|secret|auth|private|client)[_-]?(?:key|token|secret|id) | token | secret
          | passw(?:or)?d | pwd | 密钥 | 密码 ) ['"]?\ {0,4}[:=]\ {0,4} | \bBearer\ ) ['"]?$""",
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
api_key = _either(
    _matching(
        r"""(?:
            (?:AKIA|ASIA)[A-Z0-9]{16}                                    # AWS
          | LTAI[A-Za-z0-9]{12,24} | AKID[A-Za-z0-9]{32}                 # Alibaba, Tencent
          | gh[pousr]_[A-Za-z0-9]{36,255} | github_pat_[A-Za-z0-9_]{22,255} | glpat-[\w-]{20,64}
          | xox[abeprs]-[A-Za-z0-9-]{10,255}                             # Slack
          | sk-(?:proj-|ant-|svcacct-|or-)?[A-Za-z0-9_-]{20,255}         # OpenAI, Anthropic, …
          | [rs]k_live_[A-Za-z0-9]{16,255}                               # Stripe
          | AIza[\w-]{35} | ya29\.[\w-]{20,255}                          # Google
          | hf_[A-Za-z0-9]{30,64} | npm_[A-Za-z0-9]{36} | pypi-[\w-]{40,255} | dckr_pat_[\w-]{20,64}
          | SG\.[\w-]{16,64}\.[\w-]{16,64}                               # SendGrid
          | eyJ[\w-]{8,4096}+\.eyJ[\w-]{8,4096}+\.[\w-]{8,1024}          # JSON web token (RFC 7519)
        ) (?![A-Za-z0-9_])""",
        _is_key,
    ),
    _matching(
        r"[\s:='\"] (?P<value> [A-Za-z0-9_+/-]{16,256}+ ={0,2} ) (?![\w.(\[])",
        lambda match: _is_mixed(match["value"]) and bool(_SECRET_NAME.search(_before(match) + match[0][0])),
    ),
    _matching(
        r"://[^\s:/@]{0,64}+: (?P<value>[^\s:/@]{8,128}+) @",
        lambda match: _is_mixed(match["value"], entropy=2.5),
    ),
)

# PEM (RFC 7468): with its end, or cut off in the middle. A header without a key is no secret.
private_key = _matching(
    r"""-----BEGIN\ [A-Z0-9 ]{0,24}PRIVATE\ KEY(?:\ BLOCK)?-----
        (?: (?:[^-]|-(?!----)){40,16384} -----END[^-\n]{0,40}-----
          | (?: (?:\\[nr]|[\s"',\#>*|]){0,40} [A-Za-z0-9+/=]{16,128}+ )+ )""",
    lambda match: bool(re.search(r"[A-Za-z0-9+/=]{40}", match[0])),
)
