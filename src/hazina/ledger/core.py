"""The ledger's words: transfers, holds, results. Pure; the engine is behind ``service``.

A refusal is a value: ``post`` answers a ``ResultCode`` for each transfer and never raises for a
business no.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from hazina.kernel.ids import new_id
from hazina.kernel.money import Money
from hazina.ledger.chart import AccountRef
from hazina.ledger.codes import Code


class TransferKind(StrEnum):
    """What a transfer does to its accounts."""

    POST = "post"  # moves the amount
    PENDING = "pending"  # reserves it: a hold
    POST_PENDING = "post_pending"  # moves what was held, all or a part
    VOID_PENDING = "void_pending"  # lets go of what is still held


class ResultCode(StrEnum):
    """What became of one transfer, in the order in which they are decided."""

    CREATED = "created"  # it is booked
    LINKED_FAILED = "linked_failed"  # another member of its group was refused
    EXISTS = "exists"  # this very transfer was booked before; nothing happened again
    EXISTS_DIFFERENT_KIND = "exists_with_different_kind"  # its id is taken by another content…
    EXISTS_DIFFERENT_ACCOUNTS = "exists_with_different_accounts"  # another debit or credit account
    EXISTS_DIFFERENT_AMOUNT = "exists_with_different_amount"  # another amount
    EXISTS_DIFFERENT_CODE = "exists_with_different_code"  # another meaning
    EXISTS_DIFFERENT_PENDING = "exists_with_different_pending"  # another hold, or other rest kept
    EXISTS_DIFFERENT_EXPIRY = "exists_with_different_expiry"  # another end of the hold
    EXISTS_DIFFERENT_GROUP = "exists_with_different_group"  # another group
    EXISTS_DIFFERENT_REFERENCE = "exists_with_different_reference"  # another business row
    EXISTS_DIFFERENT_ORIGIN = "exists_with_different_origin"  # gives back, or corrects, another
    EXISTS_DIFFERENT_CONDITION = "exists_with_different_condition"  # another condition
    EXISTS_DIFFERENT_EFFECTIVE = "exists_with_different_effective_at"  # another effective time
    AMOUNT_NOT_POSITIVE = "amount_not_positive"  # an amount is at least one unit
    AMOUNT_TOO_LARGE = "amount_too_large"  # more than 38 digits
    PENDING_NOT_FOUND = "pending_not_found"  # there is no such hold
    ORIGINAL_NOT_FOUND = "original_not_found"  # what is to be given back never moved
    ACCOUNT_NOT_FOUND = "account_not_found"  # there is no such account
    SAME_ACCOUNT = "same_account"  # from and to are one account
    ASSETS_DIFFER = "assets_differ"  # a transfer has one asset
    CLASSES_DIFFER = "classes_differ"  # real and paper in one group
    HOLD_POSTED = "hold_posted"  # the hold was posted in full before
    HOLD_VOIDED = "hold_voided"  # the hold was let go before
    HOLD_EXPIRED = "hold_expired"  # the hold's time is over
    EXCEEDS_HOLD = "exceeds_hold"  # more than is still held
    NOT_BACKDATABLE = "not_backdatable"  # only some codes may take effect before they are booked
    EFFECTIVE_IN_FUTURE = "effective_in_future"  # nothing takes effect before its time
    PERIOD_CLOSED = "period_closed"  # the time it should take effect lies in a closed period
    ALREADY_REVERSED = "already_reversed"  # a group is reversed once
    NOT_REVERSIBLE = "not_reversible"  # not its whole group, a reversal itself, or partly refunded
    NOT_REFUNDABLE = "not_refundable"  # a refund and a reversal cannot be refunded
    EXCEEDS_ORIGINAL = "exceeds_original"  # all refunds together would pass the original
    ACCOUNT_CLOSED = "account_closed"  # one of the two accounts is closed
    ACCOUNT_FROZEN = "account_frozen"  # the account to debit is frozen; it can still be paid into
    VERSION_MOVED = "version_moved"  # the account has moved on since it was looked at
    NOTHING_TO_MOVE = "nothing_to_move"  # a sweep found nothing available
    INSUFFICIENT_FUNDS = "insufficient_funds"  # the debit would cross the account's floor
    TOTAL_TOO_LARGE = "total_too_large"  # a total of one of the accounts would pass 38 digits


# What was refused for a reason that can pass stays refused under its id, so that a retry can
# never change an outcome. All else is decided by the content alone and would be refused again.
PASSING = frozenset(
    {
        ResultCode.PENDING_NOT_FOUND,
        ResultCode.ORIGINAL_NOT_FOUND,
        ResultCode.ACCOUNT_NOT_FOUND,
        ResultCode.HOLD_POSTED,
        ResultCode.HOLD_VOIDED,
        ResultCode.HOLD_EXPIRED,
        ResultCode.EXCEEDS_HOLD,
        ResultCode.EFFECTIVE_IN_FUTURE,
        ResultCode.PERIOD_CLOSED,
        ResultCode.ALREADY_REVERSED,
        ResultCode.NOT_REVERSIBLE,
        ResultCode.EXCEEDS_ORIGINAL,
        ResultCode.ACCOUNT_CLOSED,
        ResultCode.ACCOUNT_FROZEN,
        ResultCode.VERSION_MOVED,
        ResultCode.NOTHING_TO_MOVE,
        ResultCode.INSUFFICIENT_FUNDS,
        ResultCode.TOTAL_TOO_LARGE,
    }
)


@dataclass(frozen=True, slots=True)
class Reference:
    """The business row a transfer belongs to: ``("deposit", id)``."""

    type: str
    id: UUID


@dataclass(frozen=True, slots=True)
class Terms:
    """What hardly any transfer has.

    ``up_to``: the amount is the most that may move. ``refund_of`` names the transfer whose money
    this one gives back, ``reverses`` the leg it undoes, ``corrects`` what it is posted in the place
    of. ``effective_at`` is when it counts, for codes that may be back-dated. ``if_debit_version``
    and ``if_credit_version`` let it happen only while a bounded account stands at that version.
    """

    up_to: bool = False
    refund_of: UUID | None = None
    reverses: UUID | None = None
    corrects: UUID | None = None
    effective_at: datetime | None = None
    if_debit_version: int | None = None
    if_credit_version: int | None = None


PLAIN = Terms()


@dataclass(frozen=True, slots=True)
class Transfer:
    """One instruction to the ledger. Build with ``move``, ``sweep``, ``hold`` or ``reversal``."""

    kind: TransferKind
    code: Code
    reference: Reference
    id: UUID = field(default_factory=new_id)
    debit: AccountRef | None = None
    credit: AccountRef | None = None
    amount: Money | None = None
    pending_id: UUID | None = None
    keep_rest: bool = False
    expires_at: datetime | None = None
    group: UUID | None = None
    metadata: Mapping[str, object] | None = None
    terms: Terms = PLAIN

    def in_group(self, group: UUID) -> "Transfer":
        """This will give the same transfer as a member of ``group``."""
        return replace(self, group=group)


def linked(transfers: list[Transfer], group: UUID | None = None) -> list[Transfer]:
    """This will link transfers so that they succeed or fail whole."""
    group = group or new_id()
    return [transfer.in_group(group) for transfer in transfers]


def move(
    debit: AccountRef,
    credit: AccountRef,
    amount: Money,
    code: Code,
    reference: Reference,
    *,
    id: UUID | None = None,  # noqa: A002 - the ledger's own word
    metadata: Mapping[str, object] | None = None,
    terms: Terms = PLAIN,
) -> Transfer:
    """This will describe a plain movement: ``debit → credit``."""
    return Transfer(
        TransferKind.POST, code, reference, id or new_id(), debit, credit, amount,
        metadata=metadata, terms=terms,
    )  # fmt: skip


def sweep(
    debit: AccountRef,
    credit: AccountRef,
    at_most: Money,
    code: Code,
    reference: Reference,
    *,
    id: UUID | None = None,  # noqa: A002
) -> Transfer:
    """This will describe a movement of what is available, at most ``at_most``.

    The result says how much it was. A credit line is not available, and nothing available answers
    ``nothing_to_move``.
    """
    return move(debit, credit, at_most, code, reference, id=id, terms=Terms(up_to=True))


@dataclass(frozen=True, slots=True)
class Leg:
    """One movement of a group that was booked."""

    id: UUID
    debit: AccountRef
    credit: AccountRef
    amount: Money
    code: Code


def reversal(
    legs: Sequence[Leg],
    reference: Reference,
    *,
    id: UUID | None = None,  # noqa: A002
) -> list[Transfer]:
    """This will describe the undoing of a whole group: every leg the other way, the last first.

    The same ``id`` gives the same transfers. It is a group of its own, whose id it is.
    """
    group = id or new_id()
    return [
        Transfer(
            TransferKind.POST, leg.code, reference, _derived(group, leg.id), leg.credit, leg.debit,
            leg.amount, group=group, terms=Terms(reverses=leg.id),
        )
        for leg in reversed(legs)
    ]  # fmt: skip


def _derived(parent: UUID, child: UUID) -> UUID:
    """An id that both make together, at its parent's time."""
    digest = int.from_bytes(sha256(parent.bytes + child.bytes).digest()[:10])
    low = (digest & (2**62 - 1)) | 0b10 << 62
    return UUID(int=(parent.int >> 80) << 80 | 0x7 << 76 | (digest >> 68) << 64 | low)


@dataclass(frozen=True, slots=True)
class Hold:
    """Money that is only reserved: all one can do with it is post it or void it."""

    id: UUID
    code: Code
    reference: Reference

    def post(self, amount: Money | None = None, *, keep_rest: bool = False) -> Transfer:
        """This will move what is held, or ``amount`` of it; the rest is let go unless kept."""
        return Transfer(
            TransferKind.POST_PENDING, self.code, self.reference,
            pending_id=self.id, amount=amount, keep_rest=keep_rest,
        )  # fmt: skip

    def void(self) -> Transfer:
        """This will let go of whatever is still held."""
        return Transfer(TransferKind.VOID_PENDING, self.code, self.reference, pending_id=self.id)


def hold(
    debit: AccountRef,
    credit: AccountRef,
    amount: Money,
    code: Code,
    reference: Reference,
    *,
    id: UUID | None = None,  # noqa: A002
    expires_at: datetime | None = None,
) -> tuple[Hold, Transfer]:
    """This will describe a reservation and the one thing that may later be done with it.

    ``expires_at`` only where no outside act is in flight (bids, quotes).
    """
    held = Hold(id or new_id(), code, reference)
    return held, Transfer(
        TransferKind.PENDING, code, reference, held.id, debit, credit, amount,
        expires_at=expires_at,
    )  # fmt: skip


class Result(NamedTuple):
    """``amount_units`` and ``booked_at`` are set where the transfer is booked, now or before.

    A tuple, since every transfer has one and it is made in a third of a dataclass's time.
    """

    id: UUID
    code: ResultCode
    amount_units: int | None
    booked_at: datetime | None

    @property
    def booked(self) -> bool:
        return self.code in (ResultCode.CREATED, ResultCode.EXISTS)


@dataclass(frozen=True, slots=True)
class Balance:
    """``posted`` is what is there, ``held`` what is reserved of it, ``incoming`` what may come.

    ``version`` counts everything that happened on the account: a transfer may be sent on condition
    that it has not moved on.
    """

    posted: Money
    held: Money
    incoming: Money
    version: int = 0

    @property
    def available(self) -> Money:
        return self.posted - self.held


def first_fault(results: list[Result]) -> Result | None:
    """The member that made its group fail, or the first refused transfer; None when all booked."""
    refused = [result for result in results if not result.booked]
    at_fault = [result for result in refused if result.code is not ResultCode.LINKED_FAILED]
    return next(iter(at_fault or refused), None)
