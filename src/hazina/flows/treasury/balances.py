"""What M-Pesa says it holds for us, asked now and then, and whether payouts fit into it.

Headroom is the utility account as it was last told, less what was sent to M-Pesa since it was
asked. Only what is *known* holds payouts back: an old answer, or none, holds nothing back.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from prometheus_client import Gauge

from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, Row, Tx
from hazina.infra.inbox import InboxMessage, InboxState
from hazina.infra.jobs import Jobs
from hazina.infra.observability import REGISTRY
from hazina.infra.settings import Settings
from hazina.kernel.clock import Clock
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, Money
from hazina.kernel.outcome import Accepted
from hazina.rails.balances import BalanceRail
from hazina.rails.callbacks import Settled, callback_token
from hazina.rails.ports import BalanceResult, Event, StatusTimeoutNotice

UNTOLD = Alarm("balance-untold")

UTILITY_LOW = Alarm("utility-low")
ASK, SWEEP, SWEEP_EVERY_S = "balance.ask", "balance.sweep", 60
USUAL, SOON = timedelta(minutes=15), timedelta(minutes=1)
FRESH = timedelta(minutes=30)  # an older answer is no knowledge
KEPT = timedelta(days=90)
ADD = "INSERT INTO treasury.balance (id, shortcode, token, asked_at) VALUES ($1, $2, $3, $4)"
LAST_ASKED = "SELECT max(asked_at) FROM treasury.balance WHERE shortcode = $1"
ROW = "SELECT id, shortcode, token, told_at FROM treasury.balance WHERE id = $1"
BY_ADDRESS = "SELECT id FROM treasury.balance WHERE token = $1 FOR NO KEY UPDATE"
TOLD = """
UPDATE treasury.balance SET told_at = $2, utility = $3, working = $4, charges = $5, why = NULL
WHERE id = $1 AND told_at IS NULL
"""
FAILED = "UPDATE treasury.balance SET why = $2 WHERE id = $1 AND told_at IS NULL"
NEWEST = """
SELECT asked_at, utility FROM treasury.balance
WHERE shortcode = $1 AND told_at IS NOT NULL ORDER BY asked_at DESC LIMIT 1
"""
LIST = "SELECT * FROM treasury.balance ORDER BY asked_at DESC, id DESC LIMIT $1"
PRUNE = """
DELETE FROM treasury.balance WHERE id IN (
    SELECT id FROM treasury.balance WHERE asked_at < $1 ORDER BY asked_at LIMIT 500)
"""
HELD = Gauge(
    "hazina_mpesa_balance_kes",
    "What M-Pesa said it holds, in shillings.",
    ["account"],
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)
LOW = Gauge(
    "hazina_mpesa_utility_low",
    "1 while M-Pesa's utility account is below its setting.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Known:
    """The utility account as M-Pesa told it of a moment."""

    utility: Money
    at: datetime


class Balances:
    """Asks, hears, and says what is known."""

    def __init__(
        self, db: Database, clock: Clock, jobs: Jobs, settings: Settings, rail: BalanceRail
    ) -> None:
        self._db, self._clock, self._jobs, self._rail = db, clock, jobs, rail
        self._low = KES.units(settings.mpesa_utility_low_kes * 100)
        jobs.register(ASK, self.ask)
        jobs.every(SWEEP, SWEEP_EVERY_S, self.sweep)

    async def find_known(self, reader: Reader, now: datetime) -> Known | None:
        """The utility account's last balance, if it is fresh enough to be relied on."""
        if self._rail.payout_shortcode is None:
            return None
        rows = await reader.fetch(NEWEST, self._rail.payout_shortcode)
        if not rows or rows[0]["utility"] is None or now - rows[0]["asked_at"] > FRESH:
            return None
        return Known(KES.units(int(rows[0]["utility"])), rows[0]["asked_at"])

    async def ask_soon(self, tx: Tx, now: datetime) -> None:
        """This will have M-Pesa asked again, once a minute at most: somebody waits for it."""
        if self._rail.payout_shortcode is not None:
            await self._queue(tx, self._rail.payout_shortcode, now, SOON)

    async def list_newest(self, reader: Reader, *, limit: int = 20) -> Sequence[Row]:
        """The last questions and what came of them."""
        return await reader.fetch(LIST, limit)

    async def sweep(self) -> None:
        """This will ask about each shortcode every quarter of an hour, and forget old answers."""
        now = self._clock.now()

        async def queue(tx: Tx) -> None:
            for shortcode in self._rail.shortcodes:
                await self._queue(tx, shortcode, now, USUAL)
            await tx.execute(PRUNE, now - KEPT)

        await self._db.run(queue)

    async def ask(self, balance_id: UUID) -> None:
        """This will put one question to M-Pesa; a second run asks the same again."""
        row = await self._db.fetchrow(ROW, balance_id)
        if row is None or row["told_at"] is not None:
            return
        outcome = await self._rail.ask_balance(row["shortcode"], row["token"])
        if not isinstance(outcome, Accepted):
            why = str(outcome)[:300]
            await self._db.run(lambda tx: tx.execute(FAILED, balance_id, why))

    async def on_result(self, message: InboxMessage, event: Event) -> Settled | None:
        """This will keep what M-Pesa says. Safe to run twice."""
        if isinstance(event, StatusTimeoutNotice):
            return None
        if not message.trusted or not isinstance(event, BalanceResult):
            return Settled(InboxState.REFUSED, "from a stranger, or not a balance")
        return await self._db.run(lambda tx: self._hear(tx, callback_token(message), event))

    async def _hear(self, tx: Tx, token: str, event: BalanceResult) -> Settled | None:
        found = await tx.fetchval(BY_ADDRESS, token)
        if found is None:
            return Settled(InboxState.REFUSED, "not asked for")
        if event.utility_units is None:
            await tx.execute(FAILED, found, f"{event.code}: {event.text}"[:300])
            UNTOLD.ring("M-Pesa does not tell its balance", code=event.code)
            return None
        now = self._clock.now()
        told = await tx.execute(
            TOLD, found, now, event.utility_units, event.working_units, event.charges_units
        )
        if told == 1:
            tx.after_commit(lambda: self._show(event))
        return None

    def _show(self, event: BalanceResult) -> None:
        units = {
            "utility": event.utility_units,
            "working": event.working_units,
            "charges": event.charges_units,
        }
        for account, held in units.items():
            if held is not None:
                HELD.labels(account).set(held // 100)
        low = (event.utility_units or 0) < self._low.units
        LOW.set(int(low))
        if low:
            utility = KES.units(event.utility_units or 0)
            UTILITY_LOW.ring(
                "M-Pesa's utility account is low", utility=str(utility), least=str(self._low)
            )

    async def _queue(self, tx: Tx, shortcode: str, now: datetime, pause: timedelta) -> None:
        last = await tx.fetchval(LAST_ASKED, shortcode)
        if last is not None and now - last < pause:
            return
        balance_id = new_id()
        await tx.execute(ADD, balance_id, shortcode, secrets.token_hex(16), now)
        await self._jobs.enqueue(tx, ASK, balance_id)
