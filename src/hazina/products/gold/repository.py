"""Gold's rows as values, and its SQL. Every read for a customer carries the customer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hazina.infra.db import Row
from hazina.infra.states import StateTable
from hazina.kernel.money import KES, XAU, Money
from hazina.products.gold.postings import Deal, Part
from hazina.products.gold.states import TRADE, TradeState
from hazina.products.gold.terms import Prices, Side, Terms, Via, price_of

TRADES = StateTable("gold.trade", TRADE)

PRICE_COLUMNS = "p.id, p.buy, p.sell, p.effective_from, p.note, p.created_by, p.created_at"
INSERT_PRICE = """
INSERT INTO gold.price (id, buy, sell, effective_from, note, created_by, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
# The one in force at a moment: the latest that has begun, the last written where two begin at once.
PRICE_AT = f"""
SELECT {PRICE_COLUMNS} FROM gold.price p WHERE p.effective_from <= $1
ORDER BY p.effective_from DESC, p.id DESC LIMIT 1
"""  # noqa: S608 - constants, here and below
PRICE_BY_ID = f"SELECT {PRICE_COLUMNS} FROM gold.price p WHERE p.id = $1"  # noqa: S608
LIST_PRICES = f"""
SELECT {PRICE_COLUMNS} FROM gold.price p
WHERE $1::timestamptz IS NULL OR (p.effective_from, p.id) < ($1, $2)
ORDER BY p.effective_from DESC, p.id DESC LIMIT $3
"""  # noqa: S608

LOT_COLUMNS = "l.id, l.name, l.purity, l.priority, l.note, l.created_at"
INSERT_LOT = """
INSERT INTO gold.lot (id, name, purity, priority, note, created_by, created_at, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
ON CONFLICT DO NOTHING
"""
GET_LOT = f"SELECT {LOT_COLUMNS} FROM gold.lot l WHERE l.id = $1"  # noqa: S608
LOCK_LOT = f"{GET_LOT} FOR NO KEY UPDATE"
# Locked in id order, whatever their priority: two buyers never wait for each other in a ring.
LOCK_LOTS = f"SELECT {LOT_COLUMNS} FROM gold.lot l ORDER BY l.id FOR NO KEY UPDATE"  # noqa: S608
LIST_LOTS = f"SELECT {LOT_COLUMNS} FROM gold.lot l ORDER BY l.priority, l.id"  # noqa: S608
FIRST_LOT = "SELECT l.id FROM gold.lot l ORDER BY l.priority, l.id LIMIT 1"
CHANGE_LOT = """
UPDATE gold.lot SET purity = $2, priority = $3, note = $4, changed_at = $5 WHERE id = $1
"""
INSERT_TOP_UP = """
INSERT INTO gold.top_up (id, lot_id, grams, note, created_by, created_at)
VALUES ($1, $2, $3, $4, $5, $6)
"""
TOPPED_UP = "SELECT t.lot_id, sum(t.grams) AS grams FROM gold.top_up t GROUP BY 1"
LIST_TOP_UPS = """
SELECT t.id, t.grams, t.note, t.created_at FROM gold.top_up t
WHERE t.lot_id = $1 AND ($2::uuid IS NULL OR t.id < $2) ORDER BY t.id DESC LIMIT $3
"""

INSERT_QUOTE = """
INSERT INTO gold.quote
    (id, customer_id, side, via, price_id, grams, total, worth, at_mid, created_at, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
GET_QUOTE = """
SELECT q.*, p.buy, p.sell FROM gold.quote q JOIN gold.price p ON p.id = q.price_id
WHERE q.id = $1 AND q.customer_id = $2
"""
LOCK_QUOTE = f"{GET_QUOTE} FOR NO KEY UPDATE OF q"
USE_QUOTE = "UPDATE gold.quote SET trade_id = $2 WHERE id = $1"
PRUNE_QUOTES = """
DELETE FROM gold.quote WHERE id IN (
    SELECT q.id FROM gold.quote q WHERE q.trade_id IS NULL AND q.expires_at < $1 LIMIT $2)
"""

INSERT_TRADE = """
INSERT INTO gold.trade
    (id, customer_id, side, via, state, state_since, price_id, quote_id, grams, total, worth,
     at_mid, partial, proceeds_id, deposit_id, payout_id, created_at)
VALUES ($1, $2, $3, $4, 'requested', $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $5)
"""
TRADE_COLUMNS = "t.*, p.buy, p.sell"
GET_TRADE = f"""
SELECT {TRADE_COLUMNS} FROM gold.trade t JOIN gold.price p ON p.id = t.price_id
WHERE t.id = $1 AND t.customer_id = $2
"""  # noqa: S608
LIST_TRADES = f"""
SELECT {TRADE_COLUMNS} FROM gold.trade t JOIN gold.price p ON p.id = t.price_id
WHERE t.customer_id = $1 AND ($2::uuid IS NULL OR t.id < $2) ORDER BY t.id DESC LIMIT $3
"""  # noqa: S608
DUE_TRADES = """
SELECT t.id FROM gold.trade t WHERE t.next_attempt_at <= $1 ORDER BY t.next_attempt_at LIMIT $2
"""

INSERT_ALLOCATION = """
INSERT INTO gold.allocation
    (id, trade_id, customer_id, side, lot_id, grams, source_id, state, created_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
ALLOCATIONS = """
SELECT a.id, a.lot_id, a.grams, a.source_id, l.name FROM gold.allocation a
JOIN gold.lot l ON l.id = a.lot_id
WHERE a.trade_id = $1 AND a.state <> 'released' ORDER BY a.id
"""
LOCK_ALLOCATIONS = """
SELECT a.id, a.lot_id, a.grams, a.source_id FROM gold.allocation a
WHERE a.trade_id = $1 AND a.state = 'held' ORDER BY a.id FOR NO KEY UPDATE
"""
END_ALLOCATIONS = "UPDATE gold.allocation SET state = $2 WHERE trade_id = $1 AND state = 'held'"
# A customer's purchases that still have something to give back, oldest first, some at a time.
LOCK_KEPT = """
SELECT a.id, a.lot_id, a.grams - a.returned AS kept FROM gold.allocation a
WHERE a.customer_id = $1 AND a.side = 'buy' AND a.state = 'booked' AND a.returned < a.grams
  AND ($2::uuid IS NULL OR a.id > $2)
ORDER BY a.id LIMIT $3 FOR NO KEY UPDATE
"""
LOCK_SOURCES = """
SELECT s.id FROM gold.allocation s
WHERE s.id IN (SELECT a.source_id FROM gold.allocation a WHERE a.trade_id = $1)
ORDER BY s.id FOR NO KEY UPDATE
"""
RETURN = "UPDATE gold.allocation SET returned = returned + $2 WHERE id = $1"
# What the gold a customer still has cost them: grams kept of each purchase, at its own price.
KEPT_COST = """
SELECT coalesce(sum(a.grams - a.returned), 0) AS grams,
       coalesce(sum((a.grams - a.returned) * p.buy), 0) AS cost
FROM gold.allocation a
JOIN gold.trade t ON t.id = a.trade_id JOIN gold.price p ON p.id = t.price_id
WHERE a.customer_id = $1 AND a.side = 'buy' AND a.state = 'booked' AND a.returned < a.grams
"""


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...
    async def fetchrow(self, sql: str, *args: object) -> Row | None: ...


@dataclass(frozen=True, slots=True)
class PriceRow:
    """Two prices from a moment on, for ever."""

    id: UUID
    prices: Prices
    effective_from: datetime
    note: str
    created_by: UUID | None
    created_at: datetime

    @classmethod
    def of(cls, row: Row) -> "PriceRow":
        return cls(
            row["id"],
            prices_of(row),
            row["effective_from"],
            row["note"],
            row["created_by"],
            row["created_at"],
        )


@dataclass(frozen=True, slots=True)
class Lot:
    """A physical lot; grams are of fine gold, ``purity`` says what its bars are."""

    id: UUID
    name: str
    purity: str
    priority: int
    note: str
    created_at: datetime

    @classmethod
    def of(cls, row: Row) -> "Lot":
        return cls(
            row["id"], row["name"], row["purity"], row["priority"], row["note"], row["created_at"]
        )


@dataclass(frozen=True, slots=True)
class Quote:
    """Terms promised to one customer until a moment, to be used at most once."""

    id: UUID
    customer_id: UUID
    via: Via
    price_id: UUID
    prices: Prices
    terms: Terms
    created_at: datetime
    expires_at: datetime
    trade_id: UUID | None

    @classmethod
    def of(cls, row: Row) -> "Quote":
        return cls(
            row["id"],
            row["customer_id"],
            Via(row["via"]),
            row["price_id"],
            prices_of(row),
            terms_of(row),
            row["created_at"],
            row["expires_at"],
            row["trade_id"],
        )


@dataclass(frozen=True, slots=True)
class Trade:
    """A trade as its owner may see it."""

    id: UUID
    customer_id: UUID
    via: Via
    state: TradeState
    state_since: datetime
    prices: Prices
    terms: Terms
    partial: bool
    deposit_id: UUID | None
    payout_id: UUID | None
    receipt: str | None
    words: str | None
    created_at: datetime

    @classmethod
    def of(cls, row: Row) -> "Trade":
        return cls(
            row["id"],
            row["customer_id"],
            Via(row["via"]),
            TradeState(row["state"]),
            row["state_since"],
            prices_of(row),
            terms_of(row),
            row["partial"],
            row["deposit_id"],
            row["payout_id"],
            row["receipt"],
            row["words"],
            row["created_at"],
        )

    @property
    def side(self) -> Side:
        return self.terms.side


def prices_of(row: Row) -> Prices:
    return Prices(price_of(int(row["buy"])), price_of(int(row["sell"])))


def terms_of(row: Row) -> Terms:
    return Terms(
        Side(row["side"]),
        XAU.units(int(row["grams"])),
        KES.units(int(row["total"])),
        KES.units(int(row["worth"])),
        KES.units(int(row["at_mid"])),
    )


def deal_of(row: Row) -> Deal:
    return Deal(row["id"], row["customer_id"], terms_of(row))


def part_of(row: Row) -> Part:
    return Part(row["id"], row["lot_id"], grams_of(row))


def grams_of(row: Row, column: str = "grams") -> Money:
    return XAU.units(int(row[column]))
