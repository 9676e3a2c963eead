"""What a customer types as account number on the PayBill menu. Pure.

Eight digits, since the cheapest phones type digits best: seven by lot and a check digit after Damm,
which notices every single wrong digit and every swap of neighbours. Digits never begin with the
letters of a prompt's reference, so the two can never be taken for each other.
"""

import re
import secrets

LENGTH = 8
_EIGHT = re.compile(r"[1-9][0-9]{7}", re.ASCII)
_SPACING = re.compile(r"[\s.\-]+")

# A totally anti-symmetric quasigroup of order ten (Damm, 2004).
_TABLE = (
    "0317598642", "7092154863", "4206871359", "1750983426", "6123045978",
    "3674209581", "5869720134", "8945362017", "9438617205", "2581436790",
)  # fmt: skip


def new_number() -> str:
    """Seven digits by lot, the first not zero, and their check digit."""
    seven = str(secrets.randbelow(9_000_000) + 1_000_000)
    return seven + _check_digit(seven)


def read_number(typed: str) -> str | None:
    """What a payer typed as an account number of ours, spaces and dashes aside; None otherwise."""
    bare = _SPACING.sub("", typed)
    if not _EIGHT.fullmatch(bare) or _check_digit(bare[:-1]) != bare[-1]:
        return None
    return bare


def spoken(number: str) -> str:
    """In two groups of four, as it is shown and read aloud."""
    return f"{number[:4]} {number[4:]}"


def _check_digit(digits: str) -> str:
    interim = 0
    for digit in digits:
        interim = int(_TABLE[interim][int(digit)])
    return str(interim)
