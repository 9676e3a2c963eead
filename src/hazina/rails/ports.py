"""What flows may ask of a rail and what a rail tells them; this file names no rail.

Owns the words both sides share: orders, prepared calls, states, events. A call ends in an
``Outcome``; what the outside says later arrives as an ``Event`` through ``rails.callbacks``.
Leaves out every outside word: each rail's ``wire.py`` translates those once.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import Protocol
from uuid import UUID

from hazina.kernel.outcome import Outcome


class Operation(StrEnum):
    """What a prepared call asks of the outside."""

    COLLECT = "collect"  # ask a payer to pay us; never safe to send twice
    PAY = "pay"  # pay somebody; the outside knows our id and takes it once
    RETURN = "return"  # send a payment back; taken once, since a payment goes back once


@dataclass(frozen=True, slots=True)
class PreparedCall:
    """Exactly what will be sent, made before it is sent so that it can be kept.

    ``body`` holds a phone number and credentials: seal it before it is stored, never log it.
    ``digest`` is safe to show.
    """

    operation: Operation
    body: bytes = field(repr=False)

    @property
    def digest(self) -> str:
        return sha256(self.body).hexdigest()


# ── Collections: money in, asked for ────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Collection:
    """One attempt to collect. ``reference`` (≤ 12 of A-Z a-z 0-9 . _ -) is what the payer sees and
    carries a prefix that no customer's account number has; ``callback_token`` is hex, written by
    the flow before the call: the outside does not know our id, the token finds the attempt again.
    """

    id: UUID
    amount_kes: int
    msisdn: str = field(repr=False)
    reference: str
    description: str
    callback_token: str


@dataclass(frozen=True, slots=True)
class CollectionAccepted:
    """The outside took the request. Nobody has paid yet."""

    merchant_request_id: str
    checkout_request_id: str


@dataclass(frozen=True, slots=True)
class Paid:
    """The outside says it was paid; it gives no receipt and no amount here."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A known reason why it was not paid; ``words`` are for the payer.

    A later success still counts: queries have said "failed" of collections that were paid.
    """

    code: str
    words: str


@dataclass(frozen=True, slots=True)
class Pending:
    """Neither paid nor failed yet."""


CollectionState = Paid | Failed | Pending


class CollectionRail(Protocol):
    """Asks payers for money."""

    def prepare(self, collection: Collection, now: datetime) -> PreparedCall:
        """This will build the bytes to send.

        Raises: AmountInvalid, MsisdnInvalid, or a rail's own refusal where it is not set up.
        """
        ...

    async def collect(self, prepared: PreparedCall) -> Outcome[CollectionAccepted]:
        """This will ask the payer, once. Never send the same call again after ``Unknown``."""
        ...

    async def query(self, checkout_request_id: str, now: datetime) -> Outcome[CollectionState]:
        """This will ask how a collection stands.

        Ends in Accepted(Paid | Failed | Pending) or Unknown, never in Rejected: a question that was
        refused says nothing about the money.
        """
        ...


# ── Payouts: money out ──────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Payout:
    """One payment to a phone. The outside de-duplicates by ``id``: same id, same payment."""

    id: UUID
    amount_kes: int
    msisdn: str = field(repr=False)
    remarks: str
    callback_token: str


@dataclass(frozen=True, slots=True)
class PayoutAccepted:
    """The outside took it. ``conversation_id`` is None when it said that it has had it already."""

    conversation_id: str | None


@dataclass(frozen=True, slots=True)
class StatusRequested:
    """The question was taken; the answer comes as a ``StatusResult`` under the question's token."""

    conversation_id: str | None


class PayoutRail(Protocol):
    """Pays phones."""

    def prepare(self, payout: Payout, now: datetime) -> PreparedCall:
        """This will build the bytes to send; sending them again is the same payment.

        Raises: AmountInvalid, MsisdnInvalid, or a rail's own refusal where it is not set up.
        """
        ...

    async def pay(self, prepared: PreparedCall) -> Outcome[PayoutAccepted]:
        """This will send a payout. "We have had that id already" is Accepted.

        Rejected is about this sending alone: where an earlier one of the same call ended in
        Unknown, it proves nothing about that one.
        """
        ...

    async def ask_status(
        self, payout_id: UUID, callback_token: str, now: datetime, *, receipt: str | None = None
    ) -> Outcome[StatusRequested]:
        """This will ask what became of a payout, by our id or by its receipt.

        ``callback_token`` is the question's own, not the payout's. Rejected is about the question,
        never about the payout.
        """
        ...


@dataclass(frozen=True, slots=True)
class Rails:
    """The rails in force: ``house.get(Rails).payouts.pay(…)``."""

    collections: CollectionRail
    payouts: PayoutRail


# ── Events: what the outside says on its own ────────────────────────────────────────────────────


class CallbackKind(StrEnum):
    """Which question a callback answers: known from its address, not from its body."""

    COLLECTION = "collection"  # a collection was paid, declined or timed out
    PAYOUT = "payout"  # a payout's result
    PAYOUT_TIMEOUT = "payout_timeout"  # a payout lay too long in a queue; proves nothing
    STATUS = "status"  # the answer to ask_status
    STATUS_TIMEOUT = "status_timeout"  # ask_status lay too long in a queue: ask again
    VALIDATION = "validation"  # somebody is about to pay us: may they?
    NOTICE = "notice"  # somebody paid us, unasked or by a prompt: a claim
    PAYMENT_STATUS = "payment_status"  # the answer to ask_payment
    PAYMENT_STATUS_TIMEOUT = "payment_status_timeout"  # ask_payment lay too long: ask again
    BALANCE = "balance"  # the answer to ask_balance
    BALANCE_TIMEOUT = "balance_timeout"  # ask_balance lay too long in a queue: ask again
    RETURN = "return"  # the result of sending a payment back
    RETURN_TIMEOUT = "return_timeout"  # that order lay too long in a queue; proves nothing


@dataclass(frozen=True, slots=True)
class CollectionResult:
    """A claim that a collection was paid or not.

    ``final`` is False where the code proves nothing either way: ask. ``ours`` is True where the
    cause is in our own set-up and a person of the house must look. Amounts are cents.
    """

    merchant_request_id: str
    checkout_request_id: str
    success: bool
    code: str
    text: str
    words: str
    final: bool
    ours: bool
    amount_units: int | None = None
    receipt: str | None = None
    msisdn: str | None = field(default=None, repr=False)
    completed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PayoutResult:
    """A claim that a payout was made or not. ``final`` and ``ours`` as in CollectionResult.

    ``payout_id`` is our id read back from ``originator_id``, None where that is not one of ours.
    """

    payout_id: UUID | None
    originator_id: str | None
    conversation_id: str | None
    success: bool
    code: str
    text: str
    words: str
    final: bool
    ours: bool
    receipt: str | None = None
    amount_units: int | None = None
    completed_at: datetime | None = None
    utility_balance_units: int | None = None
    credential: bool = False  # our own credential was refused: more of them lock it


@dataclass(frozen=True, slots=True)
class PayoutTimeoutNotice:
    """A payout lay too long in a queue. The real result may still follow: ask, never release."""

    payout_id: UUID | None
    originator_id: str | None
    conversation_id: str | None
    text: str


class StatusState(StrEnum):
    """What a status answer says of the payment asked about."""

    COMPLETED = "completed"  # paid
    FAILED = "failed"  # ended without payment
    PENDING = "pending"  # on its way
    NOT_FOUND = "not_found"  # the outside does not know it; a hint, never alone a proof of absence
    UNKNOWN = "unknown"  # the question failed, or the answer has a word we do not know


@dataclass(frozen=True, slots=True)
class StatusResult:
    """The answer to ``ask_status``. ``query_ok`` tells of the question, ``state`` of the payment.

    ``originator_id`` and ``conversation_id`` are the payment's where told, ``code`` and ``text``
    the question's own, ``charge_units`` what the outside took from us for it.
    """

    payout_id: UUID | None
    originator_id: str | None
    conversation_id: str | None
    query_ok: bool
    state: StatusState
    code: str
    text: str
    ours: bool
    receipt: str | None = None
    amount_units: int | None = None
    charge_units: int | None = None
    completed_at: datetime | None = None
    payee: str | None = None  # who was paid, as a bare number: a shortcode of ours or a phone
    payer: str | None = None  # who paid, likewise


@dataclass(frozen=True, slots=True)
class PaymentNotice:
    """A claim that somebody paid us, or is about to. ``account`` is what the payer typed: hostile.

    ``payer_digest`` is the SHA-256 of their number in hex where the outside hashes it, or of the
    number where it is told; ``payer_shown`` is safe to show.
    """

    receipt: str
    amount_units: int
    shortcode: str
    account: str
    payer_digest: str | None = field(repr=False)
    payer_shown: str
    paid_at: datetime | None
    payer_mask: str | None = None  # what the outside leaves of the number: many may share it


@dataclass(frozen=True, slots=True)
class ReturnResult:
    """A claim about sending a payment back. ``already``: it had gone back before.

    ``final`` is False where the code proves nothing; ``receipt`` is the returning movement's own.
    """

    conversation_id: str | None
    success: bool
    already: bool
    final: bool
    ours: bool
    code: str
    text: str
    words: str
    original: str | None = None
    amount_units: int | None = None
    receipt: str | None = None


@dataclass(frozen=True, slots=True)
class BalanceResult:
    """What the outside holds for us, in cents available; None where it was not told.

    ``utility`` is what payouts are made of, ``working`` what was collected, ``charges`` what the
    outside has taken and not settled (below zero).
    """

    query_ok: bool
    code: str
    text: str
    utility_units: int | None = None
    working_units: int | None = None
    charges_units: int | None = None


@dataclass(frozen=True, slots=True)
class StatusTimeoutNotice:
    """The question, or the order to send back, lay too long in a queue: ask."""

    text: str


@dataclass(frozen=True, slots=True)
class Unparsable:
    """Nothing in the body can be relied on. ``reason`` never repeats the body."""

    reason: str


Event = (
    CollectionResult
    | PayoutResult
    | PayoutTimeoutNotice
    | StatusResult
    | StatusTimeoutNotice
    | PaymentNotice
    | BalanceResult
    | ReturnResult
    | Unparsable
)
