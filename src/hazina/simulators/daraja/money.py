"""Money of the simulated M-Pesa: integers of cents inside, text and Decimal only at the door.

Owns reading and printing of amounts and the B2C tariff. No float ever holds money here.
"""

import re
from decimal import Decimal

_DECIMAL = re.compile(r"-?\d{1,12}(?:\.\d{1,2})?", re.ASCII)
_WHOLE = re.compile(r"\d{1,12}", re.ASCII)

# Safaricom's B2C tariff form of August 2023 (business pays): (up to KES, charge in KES).
B2C_TARIFF: tuple[tuple[int, int], ...] = (
    (100, 0),
    (1_500, 5),
    (5_000, 9),
    (20_000, 11),
    (250_000, 13),
)


def parse_cents(text: str) -> int:
    """This will read a decimal string such as "250" or "250.50" into cents.

    Raises: ValueError for anything else, more than two decimals included.
    """
    if not _DECIMAL.fullmatch(text):
        raise ValueError(f"not an amount in shillings: {text!r}")
    return int(Decimal(text) * 100)


def whole_shillings(value: object) -> int | None:
    """This will return an API amount (JSON text or integer) in shillings, None if not whole."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value)
    return None


def decimal_text(cents: int) -> str:
    """This will print cents as "250.00"."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def json_number(cents: int) -> Decimal:
    """This will return the Decimal that prints as the JSON number 250.00."""
    return Decimal(decimal_text(cents))


def spoken(cents: int) -> str:
    """This will print cents for people: 5,000 or 5,000.50."""
    text = f"{abs(cents) // 100:,}"
    if cents % 100:
        text += f".{abs(cents) % 100:02d}"
    return f"-{text}" if cents < 0 else text


def b2c_charge(amount_cents: int) -> int:
    """This will return what M-Pesa charges the business for one payout, in cents."""
    for ceiling, charge in B2C_TARIFF:
        if amount_cents <= ceiling * 100:
            return charge * 100
    return B2C_TARIFF[-1][1] * 100
