"""What a sale makes of its payout: M-Pesa has paid, or has positively not paid."""

from datetime import datetime
from uuid import UUID

from hazina.flows.plan import Plan
from hazina.flows.withdrawals.purpose import PayoutFact
from hazina.infra.db import Row, Tx
from hazina.kernel.actor import SYSTEM
from hazina.products.gold import postings
from hazina.products.gold import repository as sql
from hazina.products.gold.news import TradeNews
from hazina.products.gold.repository import TRADES, deal_of, part_of
from hazina.products.gold.states import TradeEvent, TradeState
from hazina.products.gold.trades import BOOKED, RELEASED


class SellPurpose:
    """The handler of payouts that gold funds; it plans and never posts."""

    def __init__(self, news: TradeNews) -> None:
        self._news = news

    async def paid(self, tx: Tx, payout: PayoutFact, now: datetime) -> Plan:
        """This will give the gold back to its lots and owe the customer exactly the payout."""
        row = await _lock(tx, payout)
        held = await tx.fetch(sql.LOCK_ALLOCATIONS, row["id"])
        parts, proceeds_id = [part_of(one) for one in held], _proceeds(row)

        async def booked(tx: Tx) -> None:
            await tx.execute(sql.END_ALLOCATIONS, row["id"], BOOKED)
            changes = {"receipt": payout.receipt}
            await TRADES.move(tx, row, TradeEvent.BOOK, now=now, actor=SYSTEM, changes=changes)
            await self._news.tell(tx, row, TradeState.COMPLETED, now)

        deal = deal_of(row)
        if payout.payer != deal.shillings:
            around = postings.sale_paid_around(deal, parts, proceeds_id, payout.payer)
            return Plan(around, booked)
        return Plan(postings.sale_paid(deal, parts, proceeds_id), booked)

    async def failed(self, tx: Tx, payout: PayoutFact, now: datetime) -> Plan:
        """This will let the gold be the customer's again, as if never offered."""
        row = await _lock(tx, payout)
        await tx.fetch(sql.LOCK_SOURCES, row["id"])
        held = await tx.fetch(sql.LOCK_ALLOCATIONS, row["id"])
        parts, proceeds_id = [part_of(one) for one in held], _proceeds(row)
        back = [(one["source_id"], -int(one["grams"])) for one in held if one["source_id"]]

        async def booked(tx: Tx) -> None:
            await tx.execute(sql.END_ALLOCATIONS, row["id"], RELEASED)
            await tx.executemany(sql.RETURN, back)
            await TRADES.move(
                tx, row, TradeEvent.PAYOUT_FAIL, now=now, actor=SYSTEM, note=payout.words,
                changes={"words": payout.words},
            )  # fmt: skip
            await self._news.tell(tx, row, TradeState.FAILED, now)

        return Plan(postings.sale_failed(deal_of(row), parts, proceeds_id), booked)


async def _lock(tx: Tx, payout: PayoutFact) -> Row:
    row = await TRADES.lock(tx, payout.purpose_id)
    if row["state"] != TradeState.REQUESTED:
        # A payout ends once; that its trade has moved without it is a fault of ours.
        raise AssertionError(f"trade {row['id']} is {row['state']} while its payout ends")
    return row


def _proceeds(row: Row) -> UUID:
    found: UUID = row["proceeds_id"]
    return found
