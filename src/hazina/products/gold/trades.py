"""Trades as rows: written once, read by their owner, and what the gold they left has cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from uuid import UUID

from hazina.infra.db import Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import parse_id
from hazina.kernel.money import KES, XAU, Money, Rounding
from hazina.kernel.page import Page
from hazina.kernel.price import Price
from hazina.products.gold import repository as sql
from hazina.products.gold.allocation import Share
from hazina.products.gold.postings import Deal, Part
from hazina.products.gold.quotes import Offer, Quotes
from hazina.products.gold.repository import TRADES, Reader, Trade, grams_of
from hazina.products.gold.terms import PRICE_STEP, Terms, Via

CURSOR = "trd"
HELD, BOOKED, RELEASED = "held", "booked", "released"


@dataclass(frozen=True, slots=True)
class NewTrade:
    """A trade about to be written, with where its gold comes from or goes to."""

    deal: Deal
    via: Via
    offer: Offer
    shares: Sequence[Share]
    partial: bool = False
    proceeds_id: UUID | None = None
    deposit_id: UUID | None = None
    payout_id: UUID | None = None

    @property
    def parts(self) -> list[Part]:
        return [share.part for share in self.shares]


@dataclass(frozen=True, slots=True)
class Holding:
    """What a customer's gold has cost them, as far as they bought it here."""

    bought: Money  # grams of purchases that were not sold again
    cost: Money  # of those, at their own prices
    average: Price | None


class Trades:
    """Every method joins the caller's transaction or reads."""

    def __init__(self, quotes: Quotes) -> None:
        self._quotes = quotes

    async def write(self, tx: Tx, new: NewTrade, actor: Actor, now: datetime) -> None:
        """This will write a trade, its first event and its allocations, and spend its quote.

        Whatever M-Pesa has to answer first is held, all else booked by the caller's posting.
        """
        deal, terms = new.deal, new.deal.terms
        await tx.execute(
            sql.INSERT_TRADE,
            deal.id,
            deal.customer_id,
            terms.side.value,
            new.via.value,
            now,
            new.offer.price_id,
            new.offer.quote_id,
            *_numbers(terms),
            new.partial,
            new.proceeds_id,
            new.deposit_id,
            new.payout_id,
        )
        await TRADES.begin(tx, deal.id, now=now, actor=actor)
        await allocate(tx, deal, new.shares, HELD if new.via is Via.MPESA else BOOKED, now)
        if new.offer.quote_id is not None:
            await self._quotes.use(tx, new.offer.quote_id, deal.id)

    async def get(self, reader: Reader, trade_id: UUID, customer_id: UUID) -> Trade:
        """Raises: NotFound, also when it is somebody else's."""
        row = await reader.fetchrow(sql.GET_TRADE, trade_id, customer_id)
        if row is None:
            raise NotFound
        return Trade.of(row)

    async def list_of(
        self, reader: Reader, customer_id: UUID, *, limit: int = 50, cursor: str | None = None
    ) -> Page[Trade]:
        """The customer's trades, newest first."""
        before = parse_id(CURSOR, cursor) if cursor else None
        rows = await reader.fetch(sql.LIST_TRADES, customer_id, before, limit + 1)
        return Page.of([Trade.of(row) for row in rows], limit, lambda trade: trade.id.hex)

    async def lots_of(self, reader: Reader, trade_id: UUID) -> list[tuple[str, Money]]:
        """The lots a trade has drawn on or given back to, by name."""
        rows = await reader.fetch(sql.ALLOCATIONS, trade_id)
        return [(row["name"], grams_of(row)) for row in rows]

    async def holding(self, reader: Reader, customer_id: UUID) -> Holding:
        """What the gold a customer kept has cost, each purchase at its own price."""
        row = await reader.fetchrow(sql.KEPT_COST, customer_id)
        assert row is not None
        grams = grams_of(row)
        if not grams:
            return Holding(grams, KES.units(0), None)
        average = Price(XAU, KES, Fraction(int(row["cost"]), grams.units * PRICE_STEP))
        return Holding(grams, average.cost(grams, Rounding.HALF_EVEN), average)


async def allocate(tx: Tx, deal: Deal, shares: Sequence[Share], state: str, now: datetime) -> None:
    """This will write which gold a trade takes or gives back."""
    side = deal.terms.side.value
    rows = [
        (s.part.id, deal.id, deal.customer_id, side, s.part.lot_id, s.part.grams.units,
         s.source_id, state, now)
        for s in shares
    ]  # fmt: skip
    await tx.executemany(sql.INSERT_ALLOCATION, rows)


def _numbers(terms: Terms) -> tuple[int, int, int, int]:
    return terms.grams.units, terms.total.units, terms.worth.units, terms.at_mid.units
