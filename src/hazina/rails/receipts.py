"""Payments that come unasked: what a flow may ask of the rail about them; this file names no rail.

Owns the port that registers for notices, pulls the outside's own list, asks about one payment and
sends one back. What the outside tells of its own accord are events in ``rails.ports``.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import BinaryIO, Protocol, runtime_checkable

from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.outcome import Outcome
from hazina.rails.ports import PreparedCall, StatusRequested


@dataclass(frozen=True, slots=True)
class PulledPayment:
    """One line of the outside's own list of what was paid to us. Amounts are cents."""

    receipt: str
    amount_units: int
    account: str
    payer_digest: str | None = field(repr=False)
    payer_shown: str
    paid_at: datetime | None


@dataclass(frozen=True, slots=True)
class PulledReturn:
    """A line of that list that says a payment went back; ``original`` is it, where it is told."""

    receipt: str
    amount_units: int
    original: str | None


@dataclass(frozen=True, slots=True)
class PulledPage:
    """``rows`` counts the lines that came, also those that cannot be read; 0: no more."""

    payments: tuple[PulledPayment, ...]
    rows: int
    returns: tuple[PulledReturn, ...] = ()

    @property
    def unread(self) -> int:
        """Lines that cannot be read."""
        return self.rows - len(self.payments) - len(self.returns)


@dataclass(frozen=True, slots=True)
class Registered:
    """``before``: it was registered already, which is as good."""

    before: bool


@dataclass(frozen=True, slots=True)
class ReturnOrder:
    """Sending one whole payment back to who made it."""

    receipt: str
    amount_kes: int
    callback_token: str


@dataclass(frozen=True, slots=True)
class ReturnAccepted:
    """The outside took the order; its result comes to the order's token."""

    conversation_id: str | None


@dataclass(frozen=True, slots=True)
class CodeOrder:
    """A picture that pays us: to which account number, and how much."""

    account: str
    amount_kes: int


class LineKind(StrEnum):
    """What a line of the outside's own statement tells."""

    PAYMENT = "payment"  # somebody paid us
    PAYOUT = "payout"  # we paid somebody
    RETURN = "return"  # a payment went back; ``linked`` is its receipt
    CHARGE = "charge"  # what the outside takes for something
    OTHER = "other"  # between accounts of our own, to the bank, or not known


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One completed movement. ``amount_units`` is above zero, ``inward`` from our side."""

    receipt: str
    kind: LineKind
    inward: bool
    amount_units: int
    at: datetime
    account: str
    linked: str | None
    payer_digest: str | None = field(repr=False)
    payer_shown: str
    payer_mask: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """``unread`` counts completed lines that could not be understood: then it is not complete."""

    lines: tuple[StatementLine, ...]
    unread: int


class StatementUnreadable(Refusal):
    """The file is not the outside's statement."""

    code = "statement_unreadable"
    kind = Kind.INVALID
    message = "That file is not a statement of M-Pesa's portal."
    action = "Export the statement of all accounts as CSV and try again."


@runtime_checkable
class ReceiptRail(Protocol):
    """Tells what was paid to us without our asking, and sends such payments back."""

    @property
    def shortcode(self) -> str:
        """The number people pay to; empty where there is no rail."""
        ...

    @property
    def notice_token(self) -> str:
        """The token of the one fixed address to which payments are told."""
        ...

    def read_statement(self, file: BinaryIO) -> Statement:
        """This will read a statement as people export it, and leave the file open.

        Raises: StatementUnreadable.
        """
        ...

    def payer_digest(self, msisdn: str) -> str:
        """How the outside hashes a payer's number where it hides it."""
        ...

    def payer_mask(self, msisdn: str) -> str:
        """What the outside leaves of a payer's number where it masks it."""
        ...

    async def register_notices(self) -> Outcome[Registered]:
        """This will give the outside our address, once for ever."""
        ...

    async def register_pull(self, msisdn: str) -> Outcome[Registered]:
        """This will ask for the right to pull; ``msisdn`` is a number of the house's own."""
        ...

    async def pull(self, since: datetime, until: datetime, offset: int) -> Outcome[PulledPage]:
        """This will read what was paid to us, from row ``offset`` on."""
        ...

    async def ask_payment(self, receipt: str, callback_token: str) -> Outcome[StatusRequested]:
        """This will ask about one payment; its ``StatusResult`` comes to the question's token."""
        ...

    async def draw_code(self, order: CodeOrder) -> Outcome[bytes]:
        """This will have the outside draw a picture (PNG) that its app pays by."""
        ...

    def prepare_return(self, order: ReturnOrder) -> PreparedCall:
        """This will build the bytes to send. Raises: AmountInvalid, or not set up."""
        ...

    async def send_return(self, prepared: PreparedCall) -> Outcome[ReturnAccepted]:
        """This will order a payment back, once."""
        ...
