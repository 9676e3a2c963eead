"""The two prices: set by operators, in force from a moment on, never changed afterwards.

A price for tomorrow is not today's (resolution C14). A mistake is mended by setting another price;
where two begin at one moment the later written is in force.
"""

from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from hazina.infra.audit import Audit
from hazina.infra.db import Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Invalid, Kind, NotFound, Refusal
from hazina.kernel.ids import new_id, parse_id
from hazina.kernel.money import KES, XAU
from hazina.kernel.page import Page
from hazina.kernel.price import Price
from hazina.products.gold import repository as sql
from hazina.products.gold.repository import PriceRow, Reader
from hazina.products.gold.terms import Prices, note_of, price_units

JUMP = Fraction(20, 100)
HIGHEST = Price.per_unit("1000000000", XAU, KES)
CURSOR = "prc"


class NoPrice(Refusal):
    """Nobody has set a price yet, so nothing can be bought or sold."""

    code = "gold_price_missing"
    kind = Kind.UNAVAILABLE
    message = "There is no gold price at the moment."
    action = "Try again later."


class PricesCrossed(Refusal):
    """Selling above buying would hand out money for nothing."""

    code = "prices_crossed"
    kind = Kind.INVALID
    message = "The price customers buy at cannot be below the price they sell at."
    action = "Make the buy price at least the sell price."


class PriceJump(Refusal):
    """So large a step is more often a slipped finger than a market."""

    code = "price_jump"
    kind = Kind.INVALID
    message = "That is more than 20 % away from the price before it."
    action = "Check the figures; if they are right, confirm."


@dataclass(frozen=True, slots=True)
class NewPrice:
    """What an operator wants; ``effective_from`` empty means at once."""

    buy: str
    sell: str
    effective_from: datetime | None = None
    note: str = ""
    confirm: bool = False


class GoldPrices:
    """Stateless; every method joins the caller's transaction or reads."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit

    async def set(self, tx: Tx, wanted: NewPrice, actor: Actor, now: datetime) -> PriceRow:
        """This will put two prices in force from a moment on.

        Raises: AmountInvalid, PricesCrossed, PriceJump, Invalid for the note or a moment passed.
        """
        prices = _read(wanted)
        start = wanted.effective_from or now
        if start < now:
            raise Invalid.field("effective_from", "A price cannot begin in the past.")
        before = await self.find_at(tx, start)
        if before and not wanted.confirm:
            _refuse_jump(before.prices, prices)
        row = PriceRow(new_id(), prices, start, note_of(wanted.note), actor.id, now)
        await tx.execute(
            sql.INSERT_PRICE,
            row.id,
            price_units(prices.buy),
            price_units(prices.sell),
            start,
            row.note,
            actor.id,
            now,
        )
        await self._audit.record(
            tx,
            actor,
            "gold_price.set",
            "gold_price",
            row.id,
            before=_facts(before) if before else None,
            after={**_facts(row), "confirmed": wanted.confirm},
            now=now,
        )
        return row

    async def in_force(self, reader: Reader, now: datetime) -> PriceRow:
        """Raises: NoPrice."""
        found = await self.find_at(reader, now)
        if found is None:
            raise NoPrice
        return found

    async def find_at(self, reader: Reader, moment: datetime) -> PriceRow | None:
        """The price in force at ``moment``, or None before the first."""
        row = await reader.fetchrow(sql.PRICE_AT, moment)
        return None if row is None else PriceRow.of(row)

    async def list_all(
        self, reader: Reader, *, limit: int = 50, cursor: str | None = None
    ) -> Page[PriceRow]:
        """Every price, the latest beginning first, scheduled ones included."""
        after = None
        if cursor:
            after = await reader.fetchrow(sql.PRICE_BY_ID, parse_id(CURSOR, cursor))
            if after is None:
                raise NotFound
        rows = await reader.fetch(
            sql.LIST_PRICES,
            after["effective_from"] if after else None,
            after["id"] if after else None,
            limit + 1,
        )
        return Page.of([PriceRow.of(row) for row in rows], limit, lambda price: price.id.hex)


def _read(wanted: NewPrice) -> Prices:
    prices = Prices(
        Price.per_unit(wanted.buy, XAU, KES),
        Price.per_unit(wanted.sell, XAU, KES),
    )
    if prices.buy.ratio > HIGHEST.ratio:
        raise Invalid.field("buy_price_per_gram", "A gram costs at most KES 1,000,000,000.")
    if prices.buy.ratio < prices.sell.ratio:
        raise PricesCrossed
    return prices


def _refuse_jump(before: Prices, after: Prices) -> None:
    for name, old, new in (("buy", before.buy, after.buy), ("sell", before.sell, after.sell)):
        step = abs(new.ratio - old.ratio) / old.ratio
        if step > JUMP:
            percent = int(step * 100)
            raise PriceJump(
                f"The {name} price would move by {percent} % at once.",
                details={"previous": old.decimal, "asked": new.decimal, "percent": percent},
            )


def _facts(row: PriceRow) -> dict[str, object]:
    return {
        "buy": row.prices.buy.decimal,
        "sell": row.prices.sell.decimal,
        "effective_from": row.effective_from.isoformat(),
        "note": row.note,
    }
