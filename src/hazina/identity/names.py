"""Usernames and e-mail addresses: what is taken, and in which form two of them are the same."""

import re
from dataclasses import dataclass, field

from hazina.kernel.errors import Kind, Refusal

_USERNAME = re.compile(r"[a-z0-9_.-]{3,32}", re.ASCII)
_LOCAL = re.compile(
    r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII
)
_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", re.ASCII)
MAX_EMAIL = 254  # RFC 5321: what fits into an SMTP path
MAX_LOCAL = 64


class UsernameInvalid(Refusal):
    """The username has the wrong length or a sign that names do not have."""

    code = "username_invalid"
    kind = Kind.INVALID
    message = "That username cannot be used."
    action = "Take 3 to 32 letters, digits, dots, dashes or underscores."

    def __init__(self) -> None:
        super().__init__(details={"field": "username"})


class EmailInvalid(Refusal):
    """The text is not an address mail could be sent to."""

    code = "email_invalid"
    kind = Kind.INVALID
    message = "That does not look like an e-mail address."
    action = "Write it like name@example.com."

    def __init__(self) -> None:
        super().__init__(details={"field": "email"})


def parse_username(text: str) -> str:
    """This will give the one form in which a username is kept and compared: lower case.

    Raises: UsernameInvalid.
    """
    # isascii first: lower() turns the Kelvin sign into a plain k.
    name = text.strip().lower() if text.isascii() else ""
    if not _USERNAME.fullmatch(name):
        raise UsernameInvalid
    return name


@dataclass(frozen=True, slots=True)
class Email:
    """An address as its owner wrote it; ``key`` is what makes two of them the same."""

    address: str = field(repr=False)

    @property
    def key(self) -> str:
        return self.address.lower()

    @property
    def masked(self) -> str:
        """``d•••@example.com``."""
        local, _, domain = self.address.rpartition("@")
        return f"{local[0]}•••@{domain}"

    def __str__(self) -> str:
        return self.masked


def parse_email(text: str) -> Email:
    """This will take a plain ASCII address with a dotted domain.

    Whether somebody reads mail there only a message can tell; quoted local parts and address
    literals are legal, used by nobody, and refused. Raises: EmailInvalid.
    """
    address = text.strip()
    local, _, domain = address.rpartition("@")
    labels = domain.split(".")
    fits = len(address) <= MAX_EMAIL and 0 < len(local) <= MAX_LOCAL and len(labels) > 1
    if not fits or not _LOCAL.fullmatch(local) or not all(map(_LABEL.fullmatch, labels)):
        raise EmailInvalid
    if labels[-1].isdigit():
        raise EmailInvalid
    return Email(address)
