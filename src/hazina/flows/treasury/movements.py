"""What two persons say was moved between the bank, M-Pesa's accounts and the owner.

The movement itself happens in M-Pesa's portal or at the bank, and has its reference there: one
reference is booked once. What was booked wrongly is taken back as a whole, by two persons again,
and booked anew in its place.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import asyncpg

from hazina.desk.approvals import Approval, Approvals, Wish
from hazina.flows.treasury import postings
from hazina.flows.treasury.postings import Movement
from hazina.flows.treasury.tariffs import Reader
from hazina.identity.people import Operator
from hazina.infra.db import Row, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Invalid, Kind, NotFound, Refusal
from hazina.kernel.ids import new_id, wire_id
from hazina.kernel.money import KES, AmountInvalid, Money
from hazina.ledger.core import first_fault
from hazina.ledger.service import Ledger

MOVE, BACK = "treasury.move", "treasury.take_back"
PREFIX = "mov"
ADD = """
INSERT INTO treasury.movement
    (id, kind, amount, reference, asked_by, approved_by, reason, group_id, at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
KNOWN = """
SELECT id FROM treasury.movement WHERE kind = $1 AND reference = $2 AND back_group IS NULL
"""
# What was booked under the same reference and taken back last: the new one stands in its place.
REPLACED = """
SELECT group_id FROM treasury.movement
WHERE kind = $1 AND reference = $2 AND back_group IS NOT NULL ORDER BY id DESC LIMIT 1
"""
LOCK = "SELECT * FROM treasury.movement WHERE id = $1 FOR NO KEY UPDATE"
GET = "SELECT * FROM treasury.movement WHERE id = $1"
TAKE_BACK = """
UPDATE treasury.movement SET back_group = $2, back_at = $3, back_asked_by = $4,
    back_approved_by = $5, back_reason = $6
WHERE id = $1 AND back_group IS NULL
"""
DECIDER = "decided_by"
LIST = "SELECT * FROM treasury.movement ORDER BY id DESC LIMIT $1"
SETTLED_GROUPS = """
SELECT group_id, amount FROM treasury.movement WHERE kind = 'charges_settled'
UNION ALL
SELECT back_group AS group_id, amount FROM treasury.movement
WHERE back_group IS NOT NULL AND kind IN ('float_funded', 'collection_to_utility')
"""
COLLECTION_BACK = """
SELECT back_group AS group_id, amount FROM treasury.movement
WHERE back_group IS NOT NULL AND kind IN ('collection_swept', 'collection_to_utility')
"""
UTILITY_DOOR = "mpesa:utility is left by paid withdrawals and settled charges, each once"
COLLECTION_DOOR = "mpesa:collection is entered by receipts alone, each once, with its amount"
WORDS = {
    Movement.CAPITAL_IN: "The owner paid into the bank account",
    Movement.CAPITAL_OUT: "The bank account paid the owner",
    Movement.FLOAT_FUNDED: "Bank account to M-Pesa's utility account",
    Movement.COLLECTION_SWEPT: "Collected shillings to the bank account",
    Movement.COLLECTION_TO_UTILITY: "Collected shillings to the utility account",
    Movement.CHARGES_SETTLED: "M-Pesa took its charges out of the utility account",
}


class MovementKnown(Refusal):
    """That reference was booked before."""

    code = "movement_known"
    kind = Kind.CONFLICT
    message = "A movement with that reference is booked already."
    action = "Look it up in the list of movements."


def back_path(approval: Approval) -> str:
    """Where a movement is looked at that is to be taken back."""
    return f"/treasury/movements/{wire_id(PREFIX, approval.subject)}/back"


class MovementTakenBack(Refusal):
    """It was taken back before: once is all that a movement can be."""

    code = "movement_taken_back"
    kind = Kind.CONFLICT
    message = "That movement was taken back already."
    action = "Book it anew, as it was."


class Movements:
    """Asking for a movement, and booking it with the second person's yes; taking one back."""

    def __init__(self, approvals: Approvals, ledger: Ledger) -> None:
        self._approvals, self._ledger = approvals, ledger
        approvals.register(MOVE, self._move)
        approvals.register(BACK, self._take_back, page=back_path)

    async def ask(
        self,
        tx: Tx,
        kind: Movement,
        amount: Money,
        reference: str,
        *,
        reason: str,
        operator: Operator,
        actor: Actor,
        now: datetime,
    ) -> Approval:
        """This will ask a second person to book a movement.

        Raises: AmountInvalid, Invalid, MovementKnown, and as ``Approvals.request``.
        """
        named = " ".join(reference.split())[:60]
        if amount.asset != KES or amount.units <= 0:
            raise AmountInvalid("A movement is of shillings, more than none.")
        if not named:
            raise Invalid.field("reference", "Give the bank's or M-Pesa's reference.")
        if await tx.fetchval(KNOWN, kind.value, named) is not None:
            raise MovementKnown
        facts = {"kind": kind.value, "amount": amount.decimal, "reference": named}
        summary = f"{WORDS[kind]}: {amount}, reference {named}"
        wish = Wish(MOVE, new_id(), facts, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def ask_back(
        self, tx: Tx, movement_id: UUID, *, reason: str, operator: Operator, actor: Actor,
        now: datetime,
    ) -> Approval:  # fmt: skip
        """This will ask a second person to take a movement back that was booked wrongly.

        Raises: NotFound, MovementTakenBack, and as ``Approvals.request``.
        """
        row = await self.get(tx, movement_id)
        if row["back_group"] is not None:
            raise MovementTakenBack
        kind, amount = Movement(row["kind"]), KES.units(int(row["amount"]))
        facts = {"kind": kind.value, "amount": amount.decimal, "reference": row["reference"]}
        summary = f"Take back: {WORDS[kind]}, {amount}, reference {row['reference']}"
        wish = Wish(BACK, movement_id, facts, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def get(self, reader: Reader, movement_id: UUID) -> Row:
        """Raises: NotFound."""
        rows = await reader.fetch(GET, movement_id)
        if not rows:
            raise NotFound
        return rows[0]

    async def list_all(self, reader: Reader, *, limit: int = 100) -> Sequence[Row]:
        """What was moved, the latest first."""
        return await reader.fetch(LIST, limit)

    async def _move(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        facts = approval.facts
        kind, amount = Movement(facts["kind"]), KES.money(facts["amount"])
        replaced = await tx.fetchval(REPLACED, kind.value, facts["reference"])
        legs = await self._ledger.legs(tx, replaced) if replaced else []
        transfers = postings.moved(
            approval.subject, kind, amount, facts["reference"],
            corrects=legs[0].id if legs else None,
        )  # fmt: skip
        try:
            async with tx.savepoint():
                await tx.execute(
                    ADD,
                    approval.subject,
                    kind.value,
                    amount.units,
                    facts["reference"],
                    str(approval.asked_by),
                    str(actor),
                    approval.reason[:500],
                    transfers[0].group,
                    now,
                )
        except asyncpg.UniqueViolationError:
            raise MovementKnown from None
        if fault := first_fault(await self._ledger.post(tx, transfers, actor)):
            raise AssertionError(f"a movement was refused: {fault.code.value}")

    async def _take_back(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        row = await tx.fetchrow(LOCK, approval.subject)
        assert row is not None, "a movement is never deleted"
        if row["back_group"] is not None:
            raise MovementTakenBack
        legs = await self._ledger.legs(tx, row["group_id"])
        transfers = postings.taken_back(approval.subject, legs)
        await tx.execute(
            TAKE_BACK, approval.subject, transfers[0].group, now, str(approval.asked_by),
            str(actor), approval.reason[:500],
        )  # fmt: skip
        if fault := first_fault(await self._ledger.post(tx, transfers, actor)):
            raise AssertionError(f"taking a movement back was refused: {fault.code.value}")
