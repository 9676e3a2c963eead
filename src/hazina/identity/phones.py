"""Kenyan mobile numbers: read in any usual spelling, kept as E.164, shown masked.

The operator is never decided here: numbers move between networks, so a prefix proves nothing
(resolution C24). Whether a line has M-Pesa is M-Pesa's answer to give.
"""

import re
from dataclasses import dataclass, field

import phonenumbers

from hazina.kernel.errors import Kind, Refusal

REGION = "KE"
COUNTRY = 254
MAX_LENGTH = 32
# libphonenumber is generous: it reads extensions, letters and non-ASCII digits out of any text.
# A wallet pays to this number, so only the plain spellings are taken.
_SPELLING = re.compile(r"\+?[0-9 ()./-]+", re.ASCII)
# Mobile ranges of the numbering plan, whoever runs them; new prefixes open faster than any table.
_MOBILE = re.compile(r"[17][0-9]{8}", re.ASCII)


class PhoneInvalid(Refusal):
    """The text is not one Kenyan mobile number."""

    code = "phone_invalid"
    kind = Kind.INVALID
    message = "That is not a Kenyan mobile number."
    action = "Write it like 0712 345 678 or +254 712 345 678."

    def __init__(self) -> None:
        # The number itself stays out: refusals are logged.
        super().__init__(details={"field": "phone"})


@dataclass(frozen=True, slots=True)
class Phone:
    """One mobile number. Its text form is the masked one, so that a log line cannot leak it."""

    e164: str = field(repr=False)

    @property
    def msisdn(self) -> str:
        """Twelve digits without a plus, as M-Pesa writes it."""
        return self.e164[1:]

    @property
    def masked(self) -> str:
        """``+254 7•• ••• 678``: enough for its owner to know it again."""
        return f"+254 {self.e164[4]}•• ••• {self.e164[-3:]}"

    def __str__(self) -> str:
        return self.masked


def parse_phone(text: str) -> Phone:
    """This will read ``07…``, ``01…``, ``7…``, ``254…`` or ``+254…``, with spaces and dashes.

    Raises: PhoneInvalid when it is anything but one Kenyan mobile number.
    """
    spelled = text.strip()
    if len(spelled) > MAX_LENGTH or not _SPELLING.fullmatch(spelled):
        raise PhoneInvalid
    try:
        number = phonenumbers.parse(spelled, REGION)
    except phonenumbers.NumberParseException:
        raise PhoneInvalid from None
    national = str(number.national_number)
    if number.country_code != COUNTRY or not _MOBILE.fullmatch(national):
        raise PhoneInvalid
    return Phone(f"+{COUNTRY}{national}")
