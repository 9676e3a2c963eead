"""What must never be printed: secrets by the name of their key, and by their look in any text."""

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "[hidden]"

# Whole words for the short ones, so that "shipping" and "opinion" stay readable.
_SECRET_KEY = re.compile(
    r"passw|token|secret|authori[sz]ation|credential|passkey|phone|msisdn|cookie|api_?key"
    r"|private_?key|(?:^|[_\W])(?:pin|otp|totp|party_?[ab])(?:$|[_\W])",
    re.IGNORECASE,
)
_IN_TEXT = (
    # Kenyan mobile numbers, local or international; not the digits inside an id in hexadecimal.
    (re.compile(r"(?<![\da-f])(?:\+?254|0)(?:7|1)\d{8}(?![\da-f])"), "[phone]"),
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]+\.[\w-]+"), "[token]"),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), r"\1 [hidden]"),
    # user:password@ in a URL
    (re.compile(r"(://[^/\s:@]+:)[^@\s/]+@"), r"\1[hidden]@"),
)


def is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


def redact_text(text: str) -> str:
    """This will mask what looks like a phone number, a token or a password in a URL."""
    for pattern, instead in _IN_TEXT:
        text = pattern.sub(instead, text)
    return text


def printable(text: str, *, keep: str = "") -> str:
    """This will write out what a terminal would obey or hide instead of showing it: escapes, line
    breaks, marks that turn text around. All but those in ``keep``."""
    if text.isprintable():
        return text
    return "".join(
        mark
        if mark.isprintable() or mark in keep
        else mark.encode("unicode_escape", "surrogatepass").decode("ascii")
        for mark in text
    )


def redact(value: object) -> Any:  # noqa: ANN401 - the shape that came in
    """This will copy ``value`` with every secret in it hidden, at any depth."""
    if isinstance(value, Mapping):
        return {
            key: HIDDEN if isinstance(key, str) and is_secret(key) and item else redact(item)
            for key, item in value.items()
        }
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} bytes]"
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return value
