"""Refusals: the anticipated no, as a class beside the function that raises it.

A refusal knows nothing of HTTP; the web shell maps its ``kind`` to a status once. A bug is any
other exception. What a rail knows about the outside is an outcome (``kernel.outcome``), not an
error.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar


class Kind(StrEnum):
    """Why the answer is no, in the only categories a caller can act on."""

    INVALID = "invalid"  # the request can never succeed as it stands: change it
    UNAUTHENTICATED = "unauthenticated"  # say who you are
    FORBIDDEN = "forbidden"  # you may not, and saying it again does not help
    NOT_FOUND = "not_found"  # there is no such thing, or it is not yours
    CONFLICT = "conflict"  # it was possible, the state has moved on
    INSUFFICIENT = "insufficient"  # not enough money, gold or room
    LIMITED = "limited"  # too often or too much: later
    UNAVAILABLE = "unavailable"  # ours to repair: try again


class Refusal(Exception):
    """The base of every anticipated no.

    ``code`` is stable and documented in docs/errors.md, ``message`` is for a person, ``action``
    says what that person can do next, ``details`` are JSON-ready facts (amounts as strings).
    """

    code: ClassVar[str] = "refused"
    kind: ClassVar[Kind] = Kind.INVALID
    message: str = "This was refused."
    action: str | None = None

    def __init__(
        self,
        message: str | None = None,
        *,
        action: str | None = None,
        details: Mapping[str, object] | None = None,
    ) -> None:
        if message is not None:
            self.message = message
        if action is not None:
            self.action = action
        self.details: dict[str, object] = dict(details or {})
        super().__init__(self.message)


class NotFound(Refusal):
    """There is no such thing, or it belongs to somebody else: the two look alike on purpose."""

    code = "not_found"
    kind = Kind.NOT_FOUND
    message = "There is nothing here under that address."
    action = "Check the id, or open it from your list."


class Invalid(Refusal):
    """A field of the request cannot be used; ``details.field`` names it."""

    code = "invalid_request"
    kind = Kind.INVALID
    message = "Something in the request is not right."

    @classmethod
    def field(cls, name: str, why: str) -> "Invalid":
        return cls(why, details={"field": name})


def all_refusals(base: type[Refusal] = Refusal) -> list[type[Refusal]]:
    """Every refusal class that is loaded, for the documentation test."""
    found = []
    for child in base.__subclasses__():
        found += [child, *all_refusals(child)]
    return found
