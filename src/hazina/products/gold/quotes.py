"""Quotes: terms promised to one customer for a minute or so, used at most once.

The lifetime governs only when a trade may begin; a trade keeps its price as long as it takes.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hazina.infra.db import Database, Tx
from hazina.infra.settings import Settings
from hazina.kernel.errors import Invalid, Kind, NotFound, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, Money
from hazina.products.gold import repository as sql
from hazina.products.gold.prices import GoldPrices
from hazina.products.gold.repository import Quote, Reader
from hazina.products.gold.terms import (
    SHILLING,
    Prices,
    Side,
    Terms,
    TradeTooLarge,
    TradeTooSmall,
    Via,
    buy_for,
    buy_grams,
    sell_for,
    sell_grams,
)

KEEP = timedelta(days=1)


class QuoteExpired(Refusal):
    """Its time is over; the price may have moved."""

    code = "quote_expired"
    kind = Kind.CONFLICT
    message = "This quote has run out."
    action = "Ask for a new one."


class QuoteUsed(Refusal):
    """A quote is good for one trade."""

    code = "quote_used"
    kind = Kind.CONFLICT
    message = "This quote was used already."
    action = "Look at your trades; for another one ask for a new quote."


@dataclass(frozen=True, slots=True)
class Wish:
    """What a customer wants: shillings or grams, exactly one of them."""

    amount: Money | None = None
    grams: Money | None = None

    def __post_init__(self) -> None:
        if (self.amount is None) == (self.grams is None):
            raise Invalid(
                "Say how many shillings or how many grams, and not both.",
                details={"field": "amount_kes"},
            )


@dataclass(frozen=True, slots=True)
class Offer:
    """Terms and the price they rest on, whether quoted before or worked out now."""

    price_id: UUID
    prices: Prices
    terms: Terms
    quote_id: UUID | None


class Quotes:
    """Every method joins the caller's transaction or reads."""

    def __init__(self, settings: Settings, prices: GoldPrices) -> None:
        self._prices = prices
        self._lifetime = timedelta(seconds=settings.quote_lifetime_s)
        self._least = KES.units(settings.gold_min_kes * SHILLING)
        self._most = KES.units(settings.gold_max_kes * SHILLING)

    async def request(
        self, tx: Tx, *, customer_id: UUID, side: Side, wish: Wish, via: Via, now: datetime
    ) -> Quote:
        """This will promise terms at the price in force. Raises as ``offer``."""
        offer = await self.offer(tx, side=side, wish=wish, via=via, now=now)
        terms = offer.terms
        quote = Quote(
            new_id(), customer_id, via, offer.price_id, offer.prices, terms,
            now, now + self._lifetime, None,
        )  # fmt: skip
        await tx.execute(
            sql.INSERT_QUOTE,
            quote.id,
            customer_id,
            side.value,
            via.value,
            offer.price_id,
            terms.grams.units,
            terms.total.units,
            terms.worth.units,
            terms.at_mid.units,
            now,
            quote.expires_at,
        )
        return quote

    async def get(self, reader: Reader, quote_id: UUID, customer_id: UUID) -> Quote:
        """Raises: NotFound, also when it is somebody else's."""
        row = await reader.fetchrow(sql.GET_QUOTE, quote_id, customer_id)
        if row is None:
            raise NotFound
        return Quote.of(row)

    async def offer(
        self, reader: Reader, *, side: Side, wish: Wish, via: Via, now: datetime
    ) -> Offer:
        """Terms at the price in force.

        Raises: NoPrice, AmountInvalid, TradeTooSmall, TradeTooLarge.
        """
        row = await self._prices.in_force(reader, now)
        terms = self._bounded(_terms(side, wish, via, row.prices))
        return Offer(row.id, row.prices, terms, None)

    async def take(
        self, tx: Tx, quote_id: UUID, *, customer_id: UUID, side: Side, via: Via, now: datetime
    ) -> Offer:
        """This will lock a quote for a trade; ``use`` then spends it.

        A sale may be paid elsewhere than was asked about: it is worked out again at the same price.
        Raises: NotFound, QuoteUsed, QuoteExpired.
        """
        row = await tx.fetchrow(sql.LOCK_QUOTE, quote_id, customer_id)
        if row is None:
            raise NotFound
        quote = Quote.of(row)
        if quote.terms.side is not side:
            raise Invalid.field("quote_id", f"That quote is to {quote.terms.side.value}.")
        if quote.trade_id is not None:
            raise QuoteUsed
        if quote.expires_at <= now:
            raise QuoteExpired(details={"expired_at": quote.expires_at.isoformat()})
        terms = quote.terms
        if side is Side.SELL and via is not quote.via:
            terms = self._bounded(sell_grams(terms.grams, quote.prices, via))
        return Offer(quote.price_id, quote.prices, terms, quote.id)

    async def use(self, tx: Tx, quote_id: UUID, trade_id: UUID) -> None:
        """This will spend a quote that ``take`` has locked."""
        await tx.execute(sql.USE_QUOTE, quote_id, trade_id)

    async def prune(self, db: Database, now: datetime) -> None:
        """This will forget quotes that nobody took, some at a time."""
        while await db.run(lambda tx: tx.execute(sql.PRUNE_QUOTES, now - KEEP, 1000)) == 1000:
            pass

    def _bounded(self, terms: Terms) -> Terms:
        if terms.total < self._least:
            raise TradeTooSmall(
                f"The least is {self._least}; this comes to {terms.total}.",
                action=f"Use at least {self._least}.",
                details={"least": self._least.decimal, "asset": KES.code},
            )
        if terms.total > self._most:
            raise TradeTooLarge(
                f"The most at once is {self._most}.",
                action="Split it into smaller trades.",
                details={"most": self._most.decimal, "asset": KES.code},
            )
        return terms


def _terms(side: Side, wish: Wish, via: Via, prices: Prices) -> Terms:
    if side is Side.BUY:
        if wish.grams is not None:
            return buy_grams(wish.grams, prices)
        assert wish.amount is not None
        return buy_for(wish.amount, prices)
    if wish.grams is not None:
        return sell_grams(wish.grams, prices, via)
    assert wish.amount is not None
    return sell_for(wish.amount, prices, via)
