"""Limits per customer and day: reserved by one conditional update, let go of when nothing moved.

Days are East African. The limit's row is locked after the business row and before ``post()``.
"""

from datetime import date, datetime
from typing import Protocol
from uuid import UUID

from hazina.infra.db import Row, Tx
from hazina.kernel.clock import EAT
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.money import Asset, Money

# The insert takes the day's first use; a later use must leave the sum within the limit.
RESERVE = """
INSERT INTO desk.limit_use AS u (customer_id, kind, day, used)
SELECT $1, $2, $3, $4 WHERE $4::numeric <= $5::numeric
ON CONFLICT (customer_id, kind, day) DO UPDATE SET used = u.used + excluded.used
    WHERE u.used + excluded.used <= $5::numeric
RETURNING u.used
"""
RELEASE = """
UPDATE desk.limit_use SET used = greatest(used - $4, 0)
WHERE customer_id = $1 AND kind = $2 AND day = $3
"""
USED = "SELECT used FROM desk.limit_use WHERE customer_id = $1 AND kind = $2 AND day = $3"


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetchrow(self, sql: str, *args: object) -> Row | None: ...


class DailyLimitReached(Refusal):
    """The day's limit does not leave room for this amount."""

    code = "daily_limit_reached"
    kind = Kind.LIMITED
    message = "That is more than today's limit leaves."
    action = "Use a smaller amount, or try again after midnight, East Africa Time."


def day_of(now: datetime) -> date:
    """The East African day that ``now`` falls on."""
    return now.astimezone(EAT).date()


class Limits:
    """Stateless; every method joins the caller's transaction."""

    async def reserve(
        self, tx: Tx, customer_id: UUID, kind: str, amount: Money, limit: Money, now: datetime
    ) -> date:
        """This will count ``amount`` against today and say which day that is.

        Raises: DailyLimitReached with what is left. Locks the day's row.
        """
        day = day_of(now)
        used = await tx.fetchval(RESERVE, customer_id, kind, day, amount.units, limit.units)
        if used is None:
            so_far = int(await tx.fetchval(USED, customer_id, kind, day) or 0)
            left = amount.asset.units(max(limit.units - so_far, 0))
            raise DailyLimitReached(
                f"Today's limit is {limit}; {left} of it is left.",
                details={"limit": limit.decimal, "left": left.decimal, "asset": left.asset.code},
            )
        return day

    async def release(self, tx: Tx, customer_id: UUID, kind: str, amount: Money, day: date) -> None:
        """This will give back what was counted for something that did not move."""
        await tx.execute(RELEASE, customer_id, kind, day, amount.units)

    async def used(
        self, reader: Reader, customer_id: UUID, kind: str, asset: Asset, now: datetime
    ) -> Money:
        """How much of today's limit is taken; reading reserves nothing."""
        row = await reader.fetchrow(USED, customer_id, kind, day_of(now))
        return asset.units(int(row["used"]) if row else 0)
