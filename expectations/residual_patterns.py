"""What the checkpoint looks for in texts, in RE2 syntax.

Written apart from the patterns that cleaning masks with, so that a fault in those is seen here. Candidates
are found in one pass over the text; a second look at the few that there are tells true numbers from others
by their check digits.
"""

from __future__ import annotations

E_MAIL = r"[A-Za-z0-9._+-]@[A-Za-z0-9-]{1,63}\.[A-Za-z0-9.-]*[A-Za-z]{2}"
# With a country code, or a Chinese mobile number.
PHONE = r"(?:^|[^\w.])\+\d{1,3}[ .-]?\(?\d{2,4}\)?([ .-]?\d{2,4}){2,4}\b|\b1[3-9]\d{9}\b"
# GB 11643-1999; the birth date keeps most other digits from matching.
CHINESE_ID = r"\b[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx]\b"
# ISO/IEC 7812: Visa, Mastercard, UnionPay, Discover; then American Express. Digits after a point are a
# fraction.
PAYMENT_CARD = (
    r"(?:^|[^\w.])(?:4\d{3}|5[1-5]\d{2}|2[2-7]\d{2}|62\d{2}|6011|65\d{2})"
    r"[ -]?\d{4}[ -]?\d{4}[ -]?\d{4}(?:\d{3})?\b"
    r"|(?:^|[^\w.])3[47]\d{2}[ -]?\d{6}[ -]?\d{5}\b"
)
# ISO 13616: the countries that issue them.
IBAN = (
    r"\b(?:A[DELTZ]|B[AEGHRY]|C[HRYZ]|D[EKO]|E[EGS]|F[IOR]|G[BEILRT]|H[RU]|I[ELQST]|JO|K[WZ]|L[BCITUV]"
    r"|M[CDEKRTU]|N[LO]|P[KLST]|QA|R[OS]|S[ACEIKMV]|T[LNR]|UA|V[AG]|XK)"
    r"\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?\b"
)
SECRET = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}"
    r"|\bxox[abprs]-[A-Za-z0-9-]{10}|\bsk-[A-Za-z0-9_-]{20}|\bAIza[A-Za-z0-9_-]{35}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10}"
)
# UTF-8 read as Latin-1 or Windows-1252, and UTF-8 that went through GBK and back.
MOJIBAKE = r"Ã[\x{80}-\x{BF}]|Â[\x{80}-\x{BF}]|â€|ï»¿|锟斤拷"
# The replacement character, and control characters other than tab, line feed and carriage return.
UNREADABLE = r"[\x{FFFD}\x00-\x08\x0B\x0C\x0E-\x1F\x7F]"

# What cleaning lets pass of them by default (`unreadable` in its table): one in 100 characters.
UNREADABLE_SHARE = 0.01

_PATTERNS = (E_MAIL, PHONE, CHINESE_ID, PAYMENT_CARD, IBAN, SECRET, MOJIBAKE, UNREADABLE)
ANY_PATTERN = "|".join(f"(?:{pattern})" for pattern in _PATTERNS)

# RFC 2606 keeps these names for examples: nobody lives there.
_EXAMPLE = r"[@.](example\.(com|org|net|edu)|[a-z0-9-]+\.(example|invalid|test|localhost))\.?$"

MACROS = (
    # Luhn's check (ISO/IEC 7812-1): every second digit from the right counts double.
    """CREATE MACRO luhn(digits) AS list_sum(list_transform(range(1, strlen(digits) + 1), lambda i:
        CASE WHEN i % 2 = 1 THEN substr(reverse(digits), i, 1)::INTEGER
        ELSE [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][substr(reverse(digits), i, 1)::INTEGER + 1] END)) % 10 = 0""",
    # ISO 7064 MOD 11-2 over the first 17 digits.
    """CREATE MACRO identity_check(number) AS upper(substr(number, 18, 1)) = substr('10X98765432',
        (list_sum(list_transform(range(1, 18), lambda i: substr(number, i, 1)::INTEGER
        * [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2][i])) % 11 + 1)::BIGINT, 1)""",
)

# Flag of a text -> SQL predicate. The first six are personal data.
FLAGS = {
    "email": f"len(list_filter(regexp_extract_all(text, '{E_MAIL}'), "
    f"lambda m: NOT regexp_matches(lower(m), '{_EXAMPLE}'))) > 0",
    "phone": f"regexp_matches(text, '{PHONE}')",
    "chinese_id": f"len(list_filter(regexp_extract_all(text, '{CHINESE_ID}'), "
    "lambda m: identity_check(m))) > 0",
    "card": f"len(list_filter(regexp_extract_all(text, '{PAYMENT_CARD}'), "
    r"lambda m: luhn(regexp_replace(m, '\D', '', 'g')))) > 0",
    "iban": f"regexp_matches(text, '{IBAN}')",
    "secret": f"regexp_matches(text, '{SECRET}')",
    "mojibake": f"regexp_matches(text, '{MOJIBAKE}')",
    "unreadable": f"len(regexp_extract_all(text, '{UNREADABLE}')) > {UNREADABLE_SHARE} * length(text)",
    "empty_text": "trim(text, ' \t\r\n\u3000') = ''",
}
PERSONAL_DATA = ("email", "phone", "chinese_id", "card", "iban", "secret")
