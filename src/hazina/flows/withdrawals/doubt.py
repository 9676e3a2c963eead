"""Payouts that are booked as paid, beside what M-Pesa's statement has of them.

The statement is another slice's; here is what withdrawals know, and how a doubt comes and goes. It
moves no money: two persons do (``absence.py``).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.flows.deposits.repository import Reader
from hazina.flows.withdrawals.absence import LATEST
from hazina.flows.withdrawals.listen import CONTRADICTED
from hazina.flows.withdrawals.request import TABLE
from hazina.flows.withdrawals.states import WithdrawalEvent, WithdrawalState
from hazina.infra.db import Row, Tx
from hazina.kernel.actor import SYSTEM

UNLISTED, TURNED_UP = "unlisted", "turned_up"
UNLISTED_WORDS = "M-Pesa told us that it was paid; its own statement does not show it."
# When they were sent says when M-Pesa can have made them. A house that was restored from a copy may
# not know: between being asked for and being told as paid.
SENT = """
SELECT w.id, w.receipt, w.amount, coalesce(s.sent_from, w.requested_at) AS sent_from,
       coalesce(s.sent_to, w.state_since) AS sent_to
FROM withdrawals.withdrawal w
CROSS JOIN LATERAL (SELECT min(a.started_at) AS sent_from, max(a.started_at) AS sent_to
                    FROM withdrawals.attempt a WHERE a.subject_id = w.id) s
"""
PAID_BETWEEN = f"""
{SENT} WHERE w.state = 'paid' AND w.requested_at >= $1 AND w.requested_at <= $3
    AND coalesce(s.sent_from, w.requested_at) >= $2
    AND coalesce(s.sent_to, w.state_since) <= $3 ORDER BY w.id
"""
PAID_AS = f"{SENT} WHERE w.state = 'paid' AND w.id = $1"
DOUBTED = f"{SENT} WHERE w.state = 'doubted' ORDER BY w.id"
GIVEN_BACK = """
SELECT DISTINCT w.id, g.receipt, g.amount
FROM withdrawals.given_back g JOIN withdrawals.withdrawal w ON w.id = g.withdrawal_id
WHERE g.receipt = ANY($1) AND w.state = 'failed' ORDER BY w.id
"""


@dataclass(frozen=True, slots=True)
class Booked:
    """A payout and the receipt it is booked under; between the two times it was sent."""

    id: UUID
    receipt: str
    amount_units: int
    sent_from: datetime
    sent_to: datetime


class Doubt:
    """Whose listing is asked for, and what follows from it."""

    async def paid_between(
        self, reader: Reader, since: datetime, until: datetime
    ) -> Sequence[Booked]:
        """All that are booked as paid and were sent between two moments, and at no other time."""
        return _booked(await reader.fetch(PAID_BETWEEN, since - LATEST, since, until))

    async def find_paid(self, reader: Reader, withdrawal_id: UUID) -> Booked | None:
        """That one, if it is booked as paid."""
        found = _booked(await reader.fetch(PAID_AS, withdrawal_id))
        return found[0] if found else None

    async def list_doubted(self, reader: Reader) -> Sequence[Booked]:
        """All that are doubted."""
        return _booked(await reader.fetch(DOUBTED))

    async def unlisted(self, tx: Tx, one: Booked, now: datetime) -> bool:
        """This will open the question why a statement lacks it, ring, and have M-Pesa asked.
        False where it has moved on since it was looked at."""
        row = await TABLE.lock(tx, one.id)
        if not _still(row, WithdrawalState.PAID, one):
            return False
        CONTRADICTED.ring("a payout that we call paid is in no statement", withdrawal=str(one.id))
        await TABLE.move(
            tx,
            row,
            WithdrawalEvent.UNLISTED,
            now=now,
            actor=SYSTEM,
            note=f"a complete statement of its time lacks receipt {one.receipt}",
            changes={"code": UNLISTED, "words": UNLISTED_WORDS, "next_attempt_at": now},
        )
        return True

    async def listed(self, tx: Tx, one: Booked, now: datetime) -> bool:
        """This will end the doubt about one whose receipt a statement has."""
        row = await TABLE.lock(tx, one.id)
        if not _still(row, WithdrawalState.DOUBTED, one):
            return False
        await TABLE.move(
            tx,
            row,
            WithdrawalEvent.LISTED,
            now=now,
            actor=SYSTEM,
            note=f"a statement has receipt {one.receipt}",
            changes=AS_BOOKED,
        )
        return True

    async def turned_up(self, tx: Tx, receipts: Sequence[str], now: datetime) -> int:
        """This will open again what was given back and whose receipt a statement has now: M-Pesa is
        asked, as about every payout that is told as paid after its end. Says how many."""
        found = await tx.fetch(GIVEN_BACK, list(receipts))
        for one in found:
            row = await TABLE.lock(tx, one["id"])
            if row["state"] != WithdrawalState.FAILED.value:
                continue
            CONTRADICTED.ring("a payout that was given back is in a statement", id=str(row["id"]))
            note = f"M-Pesa's statement shows receipt {one['receipt']} after all"
            await TABLE.move(
                tx, row, WithdrawalEvent.TOLD_PAID, now=now, actor=SYSTEM, note=note,
                changes={"code": TURNED_UP, "next_attempt_at": now},
            )  # fmt: skip
        return len(found)


AS_BOOKED: dict[str, object] = {"code": None, "words": None, "next_attempt_at": None}


def _still(row: Row, state: WithdrawalState, one: Booked) -> bool:
    return bool(row["state"] == state.value and row["receipt"] == one.receipt)


def _booked(rows: Sequence[Row]) -> list[Booked]:
    return [
        Booked(row["id"], row["receipt"], int(row["amount"]), row["sent_from"], row["sent_to"])
        for row in rows
    ]
