"""The words of the matrix: what a rail can do, what may go wrong outside, and a numbered case.

A case names no rail. It asks a driver for trouble in these words and plays through the house's own
doors; a rail inherits every case whose capabilities its driver declares.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from tests.rails.matrix.trial import Trial


class Capability(StrEnum):
    """What a rail can do; each is a port of `rails/ports.py` or `rails/receipts.py`, or a part."""

    COLLECT = "collect"  # asks a payer, and is told how it went
    QUERY = "query"  # can be asked how a collection stands, and gives no receipt
    PAY = "pay"  # pays somebody, and is told how it went
    STATUS = "status"  # can be asked by our id what became of a payout
    DEDUP = "dedup"  # takes our id once: the same bytes again are the same payment
    QUEUE = "queue"  # says so when a payout lay too long in a queue
    TOKEN = "token"  # calls go under a token that can end at any time
    GATE = "gate"  # refuses calls before it acts: rate, quota, firewall
    LISTEN = "listen"  # is told of payments that nobody asked for
    PROOF = "proof"  # can be asked by its receipt what became of such a payment
    PULL = "pull"  # gives its own list of what was paid to us
    SHARED = "shared"  # tells of a collection also as a payment that came unasked
    REVERSE = "reverse"  # sends a payment back when told to, and is told how it went
    TAKE = "take"  # takes a payment back by itself, after it was made
    STATEMENT = "statement"  # a person can bring its statement of all that moved


class Trouble(StrEnum):
    """What a driver can make the outside do with the next request of a capability."""

    TOLD_TWICE = "told twice"
    TOLD_EARLY = "told before the response"
    TOLD_LATE = "told late"
    NEVER_TOLD = "never told"
    OTHER_AMOUNT = "another amount is paid"
    OTHER_PHONE = "another phone is told"
    FROM_AFAR = "the genuine message comes from an address nobody trusts"
    UNANSWERED = "nobody answers"
    NOT_PAID = "the outside says that it did not pay"
    CONTRADICTED = "what is asked contradicts what was told"
    NOT_FOUND = "what is asked knows nothing of it"
    OLD_RECEIPT = "a forger uses the receipt of an older payment"
    ANSWER_LOST = "taken, and the line goes dead"
    ANSWER_NONSENSE = "taken, and answered with a success that has no ids"
    ANSWER_BROKEN = "taken, and answered with an internal error"
    REFUSED_BROKEN = "not taken, and answered with an internal error"
    REQUEST_LOST = "the line goes dead before it was taken"
    BUSY = "refused for the rate"
    QUOTA = "refused for the quota"
    FIREWALL = "refused by a firewall's page"
    TOKEN_ENDED = "the token has ended"
    PHONE_BUSY = "refused because the phone is in another session"
    QUEUE_NOTICE = "its queue says it gave up, and the result comes after"
    ODD_SHAPE = "the message has its other shape"
    TOLD_AS_NOTICE = "told as a payment that came unasked, too"
    NOT_REVERSED = "the outside says that it did not send a payment back"


@dataclass(frozen=True, slots=True)
class Books:
    """What the outside's own books have: everything paid to us, our money for payouts, charges."""

    collected: Decimal
    payable: Decimal
    charges: Decimal


@dataclass(frozen=True, slots=True)
class Lie:
    """A message that the outside never sent, from whoever knows the secret address.

    ``paid`` False claims a failure. ``trusted``: it comes from where genuine messages come from.
    ``another``: it speaks of another request than its address.
    """

    amount: str
    paid: bool = True
    receipt: str = "UKZF0RGED1"
    trusted: bool = False
    another: bool = False


class Driver(Protocol):
    """What the matrix needs of a rail's outside. Phones are the customers' own."""

    name: str
    capabilities: frozenset[Capability]

    async def calm(self) -> None:
        """This will end every trouble."""

    async def trouble(self, what: Trouble, on: Capability, phone: str, **how: object) -> None:
        """This will spoil the next request of ``on`` about ``phone``."""

    async def in_step(self) -> None:
        """This will set the outside's clock to the house's."""

    async def purse(self, phone: str) -> Decimal:
        """What the phone's owner has outside."""

    async def books(self) -> Books:
        """Raises: AssertionError when the outside's own books do not balance."""

    async def answer(self, phone: str, *, pay: bool) -> None:
        """The person holding the phone answers the request on it."""

    async def pay_unasked(self, phone: str, account: str, amount: str) -> str:
        """Somebody pays; its receipt."""

    async def lie_about_collection(self, lie: Lie, token: str, outside_id: str) -> None:
        """This will deliver a forged message about a collection."""

    async def lie_about_payout(self, lie: Lie, token: str, payout: str) -> None:
        """This will deliver a forged message about a payout; ``payout`` is our id on the wire."""

    async def lie_unasked(self, lie: Lie, phone: str, account: str) -> None:
        """This will deliver a forged notice of a payment."""

    async def take_back(self, receipt: str) -> None:
        """The payer complains, and has the payment back; nobody is told."""

    async def statement(self, since: datetime, until: datetime) -> bytes:
        """All that moved between two moments, as a person exports it."""

    def forged_return(self, statement: bytes, genuine: str, receipt: str, amount: str) -> bytes:
        """A statement of somebody who has changed the return of ``genuine`` into one of
        ``receipt``."""

    def cut(self, statement: bytes, receipt: str) -> bytes:
        """A statement of somebody who has lost the lines of ``receipt``."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What must be true afterwards. Amounts are shillings; ``purse`` is the change outside.

    ``owed``: what the customer had spent of a payment that was taken back. ``unbooked``: paid to us
    outside, and rightly not in our ledger, since nothing proves it.
    """

    state: str
    wallet: str = "0"
    purse: str = "0"
    held: str = "0"
    owed: str = "0"
    suspense: str = "0"
    unbooked: str = "0"

    def __str__(self) -> str:
        said = [f"**{self.state}**", f"wallet {self.wallet}", f"purse {self.purse}"]
        said += [f"held {self.held}"] if self.held != "0" else []
        said += [f"owed {self.owed}"] if self.owed != "0" else []
        said += [f"suspense {self.suspense}"] if self.suspense != "0" else []
        said += [f"not booked {self.unbooked}"] if self.unbooked != "0" else []
        return ", ".join(said)


Play = Callable[["Trial"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Case:
    """One row of the matrix."""

    number: int
    name: str
    needs: tuple[Capability, ...]
    outside: str  # what the outside does
    outcome: Outcome
    play: Play

    def fits(self, capabilities: frozenset[Capability]) -> bool:
        return capabilities >= set(self.needs)

    def __str__(self) -> str:
        return f"{self.number}-{self.name.replace(' ', '-')}"


class Rows:
    """Cases as they are written, by decorator; a number is used once."""

    def __init__(self) -> None:
        self.cases: list[Case] = []

    def row(self, number: int, outcome: Outcome, *needs: Capability) -> Callable[[Play], Play]:
        """The function's name is the case's, its docstring what the outside does."""

        def add(play: Play) -> Play:
            name = str(getattr(play, "__name__", "")).replace("_", " ")
            outside = " ".join((play.__doc__ or "").split())
            self.cases.append(Case(number, name, needs, outside, outcome, play))
            return play

        return add
