"""How two persons and M-Pesa's statement end a payout: never made, or made after all.

The statement is another slice's; here is what withdrawals know, and what happens to them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hazina.flows.deposits.repository import Reader
from hazina.flows.withdrawals.request import TABLE
from hazina.flows.withdrawals.settle import Settlement
from hazina.flows.withdrawals.states import WithdrawalEvent, WithdrawalState
from hazina.infra.db import Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import NotFound
from hazina.kernel.money import KES, Money

# A restored copy may know no attempt: then nobody knows when it was sent, but for one that was told
# as paid, which was before it was doubted.
FACTS = """
SELECT w.state, w.state_since, w.amount, w.not_found, w.receipt,
       coalesce(min(a.started_at),
                CASE WHEN w.state = 'doubted' THEN w.requested_at END) AS sent_from,
       coalesce(max(a.started_at),
                CASE WHEN w.state = 'doubted' THEN w.state_since END) AS sent_to
FROM withdrawals.withdrawal w LEFT JOIN withdrawals.attempt a ON a.subject_id = w.id
WHERE w.id = $1 GROUP BY w.id
"""
KNOWN = "SELECT receipt FROM withdrawals.withdrawal WHERE receipt = ANY($1)"
# A payout that a statement has and no row of ours: it may be one that had ended as not paid.
DOUBT = """
UPDATE withdrawals.withdrawal SET next_attempt_at = $4
WHERE state = 'failed' AND amount = $1 AND requested_at >= $2 AND requested_at <= $3
    AND next_attempt_at IS NULL AND attempts > 0
"""
LATEST = timedelta(days=7)  # so long after it was asked for a payout is still looked for
SKEW = timedelta(minutes=5)  # M-Pesa's clock and ours
WORDS = "M-Pesa never paid this: it was asked, its statement was read, and two persons checked."


@dataclass(frozen=True, slots=True)
class AbsenceFacts:
    """``not_found`` answers of M-Pesa's status; between the two times it was sent, if ever;
    ``receipt``: what it is booked under."""

    state: WithdrawalState
    since: datetime
    amount: Money
    not_found: int
    sent_from: datetime | None
    sent_to: datetime | None
    receipt: str | None


class Absence:
    """What withdrawals know of it; the statement is another slice's."""

    def __init__(self, settlement: Settlement) -> None:
        self._settlement = settlement

    async def facts(self, reader: Reader, withdrawal_id: UUID) -> AbsenceFacts:
        """Raises: NotFound."""
        row = await reader.fetchrow(FACTS, withdrawal_id)
        if row is None:
            raise NotFound
        return AbsenceFacts(
            WithdrawalState(row["state"]),
            row["state_since"],
            KES.units(int(row["amount"])),
            row["not_found"],
            row["sent_from"],
            row["sent_to"],
            row["receipt"],
        )

    async def known_receipts(self, reader: Reader, receipts: Sequence[str]) -> set[str]:
        """Those of ``receipts`` that belong to a payout of ours."""
        return {row["receipt"] for row in await reader.fetch(KNOWN, list(receipts))}

    async def doubt(self, tx: Tx, amount_units: int, at: datetime, now: datetime) -> int:
        """This will have M-Pesa asked about every payout that ended as not paid and may be the one
        of that amount, made at ``at``; says how many."""
        return await tx.execute(DOUBT, amount_units, at - LATEST, at + SKEW, now)

    async def mark(self, tx: Tx, withdrawal_id: UUID, actor: Actor, now: datetime) -> None:
        """This will end it as never made, and free the money or, where it was booked as paid, give
        it back. Posts, last. Raises: StateMoved, AccountIsClosed."""
        row = await TABLE.lock(tx, withdrawal_id)
        if row["state"] == WithdrawalState.CONTRADICTED.value:
            await TABLE.move(
                tx, row, WithdrawalEvent.ABSENT, now=now, actor=actor, note=WORDS,
                changes={"next_attempt_at": None},
            )  # fmt: skip
            return
        if row["state"] == WithdrawalState.DOUBTED.value:
            await self._settlement.give_back(tx, row, now, actor=actor)
            return
        await self._settlement.fail(
            tx, row, WithdrawalEvent.ABSENT, code="absent", words=WORDS, now=now
        )

    async def mark_paid(
        self, tx: Tx, withdrawal_id: UUID, receipt: str, actor: Actor, now: datetime
    ) -> None:
        """This will book one that had ended as not paid as paid after all. Posts, last. One that is
        booked as paid already, and doubted, has that receipt from now on.

        Raises: StateMoved.
        """
        row = await TABLE.lock(tx, withdrawal_id)
        if row["state"] == WithdrawalState.DOUBTED.value:
            note = f"M-Pesa's statement shows it paid, receipt {receipt}, not {row['receipt']}"
            changes = {"receipt": receipt, "code": None, "words": None, "next_attempt_at": None}
            await TABLE.move(
                tx, row, WithdrawalEvent.LISTED, now=now, actor=actor, note=note, changes=changes
            )
            return
        if row["state"] == WithdrawalState.FAILED.value:
            note = f"M-Pesa's statement shows it paid, receipt {receipt}"
            await TABLE.move(tx, row, WithdrawalEvent.TOLD_PAID, now=now, actor=actor, note=note)
            row = await TABLE.lock(tx, withdrawal_id)
        await self._settlement.pay_late(tx, row, receipt, now, actor=actor)
