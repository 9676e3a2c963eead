"""What a channel is asked, and how it answers: as rails do, never more than is known."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from hazina.kernel.outcome import Accepted, Outcome, Rejected


class Channel(StrEnum):
    """How a message reaches a person."""

    SMS = "sms"  # the phone of the account
    EMAIL = "email"  # the address of the account
    INBOX = "inbox"  # a line inside the house, there at once


@dataclass(frozen=True, slots=True)
class Letter:
    """One message, addressed. Neither address nor words show in a repr: both may be secret."""

    id: UUID
    to: str = field(repr=False)
    subject: str = field(repr=False)
    body: str = field(repr=False)


class Sender(Protocol):
    """One channel. ``available``: whether it is configured. ``repeatable``: whether a second copy
    of one letter is known as the same by whoever receives it."""

    @property
    def available(self) -> bool: ...

    @property
    def repeatable(self) -> bool: ...

    async def send(self, letter: Letter) -> Outcome[str]:
        """This will send once and answer the channel's own reference, never inside a
        transaction."""
        ...


class NullChannel:
    """A channel that is not configured: nothing is written for it, and a code cannot go by it."""

    available = False
    repeatable = False

    async def send(self, letter: Letter) -> Outcome[str]:
        return Rejected("channel_off", f"no channel is configured that could take {letter.id}")


class KeptChannel:
    """Keeps what it was given, for tests and demonstrations of other slices."""

    available = True
    repeatable = True

    def __init__(self) -> None:
        self.letters: list[Letter] = []

    async def send(self, letter: Letter) -> Outcome[str]:
        self.letters.append(letter)
        return Accepted(str(letter.id))
