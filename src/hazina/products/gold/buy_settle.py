"""What a purchase makes of its payment: paid, not paid, paid late, paid but not to be booked.

Money received stays received: where the gold cannot be had, the shillings are the customer's, and
the trade says so.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.flows.deposits.purpose import DepositFact
from hazina.flows.plan import Plan
from hazina.infra.db import Database, Row, Tx
from hazina.infra.jobs import Jobs
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.ledger.core import Result, first_fault, linked
from hazina.ledger.service import Ledger
from hazina.products.gold import postings
from hazina.products.gold import repository as sql
from hazina.products.gold.allocation import Share, fill, total_of
from hazina.products.gold.lots import Lots
from hazina.products.gold.news import TradeNews
from hazina.products.gold.repository import TRADES, deal_of, part_of
from hazina.products.gold.states import TradeEvent, TradeState
from hazina.products.gold.trades import BOOKED, RELEASED, allocate

RELEASE = "trade.release"
LATE_WORDS = (
    "Your payment came after the gold was let go, and there was none left for it."
    " The shillings are in your wallet."
)
REFUSED_WORDS = (
    "Your payment came, but the purchase could not be booked. The shillings are in your wallet."
)


class BuyPurpose:
    """The handler of deposits made to buy gold; it plans and never posts."""

    def __init__(self, jobs: Jobs, lots: Lots, news: TradeNews) -> None:
        self._jobs = jobs
        self._lots = lots
        self._news = news

    async def paid(self, tx: Tx, deposit: DepositFact, now: datetime) -> Plan:
        """This will book a purchase, in time or late. Asked again about an ended one: nothing."""
        row = await TRADES.lock(tx, deposit.purpose_id)
        if row["state"] == TradeState.REQUESTED:
            return await self._in_time(tx, row, deposit, now)
        if row["state"] == TradeState.CANCELLED:
            return await self._late(tx, row, deposit, now)
        return Plan()

    async def failed(self, tx: Tx, deposit: DepositFact, now: datetime) -> Plan:
        """This will let the reserved gold go."""
        row = await TRADES.lock(tx, deposit.purpose_id)
        if row["state"] != TradeState.REQUESTED:
            return Plan()
        parts = [part_of(one) for one in await tx.fetch(sql.LOCK_ALLOCATIONS, row["id"])]

        async def booked(tx: Tx) -> None:
            await tx.execute(sql.END_ALLOCATIONS, row["id"], RELEASED)
            await _move(tx, row, TradeEvent.PAYMENT_FAIL, now, self._news, words=deposit.words)

        return Plan(postings.buy_ended(deal_of(row), parts), booked)

    async def _in_time(self, tx: Tx, row: Row, deposit: DepositFact, now: datetime) -> Plan:
        parts = [part_of(one) for one in await tx.fetch(sql.LOCK_ALLOCATIONS, row["id"])]

        async def booked(tx: Tx) -> None:
            await tx.execute(sql.END_ALLOCATIONS, row["id"], BOOKED)
            await _move(tx, row, TradeEvent.BOOK, now, self._news, receipt=deposit.receipt)

        async def refused(tx: Tx, why: Result) -> None:
            # This transaction has posted; the gold is let go by a job of its own.
            await _move(
                tx, row, TradeEvent.BOOKING_REFUSE, now, self._news,
                receipt=deposit.receipt, words=REFUSED_WORDS, note=why.code.value, due=now,
            )  # fmt: skip
            await self._jobs.enqueue(tx, RELEASE, row["id"])

        return Plan(postings.buy_paid(deal_of(row), parts), booked, refused)

    async def _late(self, tx: Tx, row: Row, deposit: DepositFact, now: datetime) -> Plan:
        deal = deal_of(row)
        supplies = await self._lots.lock_supplies(tx)

        async def gone(tx: Tx, why: Result | None = None) -> None:
            await _move(
                tx, row, TradeEvent.GOLD_GONE, now, self._news,
                receipt=deposit.receipt, words=LATE_WORDS, note=why.code.value if why else None,
            )  # fmt: skip

        if total_of(supplies) < deal.terms.grams:
            return Plan((), gone)
        shares = fill(supplies, deal.terms.grams)

        async def booked(tx: Tx) -> None:
            await allocate(tx, deal, shares, BOOKED, now)
            await _move(tx, row, TradeEvent.BOOK, now, self._news, receipt=deposit.receipt)

        return Plan(postings.buy_at_once(deal, _parts(shares)), booked, gone)


@dataclass(frozen=True, slots=True)
class Release:
    """The job that lets go of gold whose purchase was paid but could not be booked."""

    db: Database
    clock: Clock
    jobs: Jobs
    ledger: Ledger
    news: TradeNews

    async def run(self, trade_id: UUID) -> None:
        """This will release one trade's gold; safe to run twice."""
        await self.db.run(lambda tx: self._release(tx, trade_id, self.clock.now()))

    async def sweep(self) -> None:
        """This will queue what is due and whose job was lost."""
        for due in await self.db.fetch(sql.DUE_TRADES, self.clock.now(), 100):
            trade_id: UUID = due["id"]

            async def again(tx: Tx, trade_id: UUID = trade_id) -> None:
                await self.jobs.enqueue(tx, RELEASE, trade_id, once=True)

            await self.db.run(again)

    async def _release(self, tx: Tx, trade_id: UUID, now: datetime) -> None:
        row = await TRADES.lock(tx, trade_id)
        if row["state"] != TradeState.RELEASING:
            return
        parts = [part_of(one) for one in await tx.fetch(sql.LOCK_ALLOCATIONS, trade_id)]
        await tx.execute(sql.END_ALLOCATIONS, trade_id, RELEASED)
        await _move(
            tx, row, TradeEvent.RELEASE, now, self.news,
            receipt=row["receipt"], words=row["words"],
        )  # fmt: skip
        transfers = linked(postings.buy_ended(deal_of(row), parts))
        fault = first_fault(await self.ledger.post(tx, transfers, SYSTEM))
        if fault is not None:
            raise AssertionError(f"letting gold go was refused: {fault.code.value}")


def _parts(shares: list[Share]) -> list[postings.Part]:
    return [share.part for share in shares]


async def _move(
    tx: Tx,
    row: Row,
    event: TradeEvent,
    now: datetime,
    news: TradeNews,
    *,
    receipt: str | None = None,
    words: str | None = None,
    note: str | None = None,
    due: datetime | None = None,
) -> None:
    changes = {"receipt": receipt, "words": words, "next_attempt_at": due}
    note = note or words
    state = await TRADES.move(tx, row, event, now=now, actor=SYSTEM, note=note, changes=changes)
    await news.tell(tx, row, state, now)
