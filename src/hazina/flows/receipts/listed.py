"""Payouts that are booked as paid, held against M-Pesa's statement.

A result or a status can call paid what was never made. A complete statement over the time of a
payout that lacks its receipt makes it an open question, whichever of the two comes first; one that
has the receipt ends the question, or opens again what two persons had given back.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from hazina.flows.deposits.repository import Reader
from hazina.flows.receipts import repository as sql
from hazina.flows.withdrawals.doubt import Booked, Doubt
from hazina.infra.db import Database, Tx
from hazina.infra.outbox import Event, Outbox
from hazina.kernel.clock import Clock

# How long after a sending M-Pesa might still make the payment: the statement must reach past it.
SETTLING = timedelta(hours=2)
# A statement may word why money left in another way: a charge alone is no payment.
WENT_OUT = """
SELECT receipt, amount FROM receipts.statement_line
WHERE receipt = ANY($1) AND NOT inward AND kind <> 'charge'
"""
PAID = ("withdrawal.paid", "withdrawal.paid_late")


class Listed:
    """What follows from a statement for payouts that are booked as paid."""

    def __init__(self, db: Database, clock: Clock, doubt: Doubt, outbox: Outbox) -> None:
        self._db, self._clock, self._doubt = db, clock, doubt
        for topic in PAID:
            outbox.register(topic, self._on_paid)

    async def lacking(self, since: datetime, until: datetime) -> int:
        """This will open a question about each payout that is booked as paid, was sent within a
        complete statement's time, and stands in no statement. Says how many."""
        sent = await self._doubt.paid_between(self._db, since, until - SETTLING)
        there = await self._there(self._db, sent)
        lacking = [one for one in sent if one.receipt not in there]

        async def open_them(tx: Tx) -> int:
            return sum([await self._open(tx, one) for one in lacking])

        return await self._db.run(open_them) if lacking else 0

    async def found(self, receipts: Sequence[str]) -> int:
        """This will end the doubts that statements answer, and open again what was given back and
        is among ``receipts``. Says how many were opened."""
        doubted = await self._doubt.list_doubted(self._db)
        there = await self._there(self._db, doubted)
        answered = [one for one in doubted if there.get(one.receipt) == one.amount_units]

        async def act(tx: Tx) -> int:
            now = self._clock.now()
            for one in answered:
                await self._doubt.listed(tx, one, now)
            return await self._doubt.turned_up(tx, receipts, now)

        return await self._db.run(act)

    async def _on_paid(self, tx: Tx, event: Event) -> None:
        """It may have been booked after the statement of its time was brought."""
        one = await self._doubt.find_paid(tx, event.key)
        if one is None or not await tx.fetchval(sql.COVERED, one.sent_from, one.sent_to + SETTLING):
            return
        if one.receipt not in await self._there(tx, [one]):
            await self._open(tx, one)

    async def _open(self, tx: Tx, one: Booked) -> bool:
        return await self._doubt.unlisted(tx, one, self._clock.now())

    async def _there(self, reader: Reader, booked: Sequence[Booked]) -> dict[str, int]:
        """What statements have under the receipts of ``booked``, in cents."""
        rows = await reader.fetch(WENT_OUT, [one.receipt for one in booked])
        return {row["receipt"]: int(row["amount"]) for row in rows}
