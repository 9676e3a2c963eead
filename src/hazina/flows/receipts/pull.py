"""Reading M-Pesa's own list of what was paid to us: it brings what notices lost.

Every 15 minutes the last two hours; back to where it last had anything in it, since a list that is
empty for hours may only be late; or back to the oldest prompt of which nobody knows the ending. It
shows 48 hours and no more: a longer gap is an alarm, and M-Pesa's statement fills it. How far it
was read without a gap is kept, so that "it is not in the list" can be said of a moment.
"""

from datetime import datetime, timedelta

import structlog

from hazina.flows.deposits import oversight as deposits
from hazina.flows.receipts import repository as sql
from hazina.flows.receipts.hear import Listener
from hazina.flows.receipts.reversals import Reversals
from hazina.infra.alarms import Alarm
from hazina.infra.db import Database
from hazina.kernel.clock import Clock
from hazina.kernel.outcome import Accepted
from hazina.rails.receipts import ReceiptRail

log = structlog.stdlib.get_logger()
UNREAD = Alarm("list-unreadable")

EVERY_S = 15 * 60
USUAL, MOST = timedelta(hours=2), timedelta(hours=48)
SETTLING = timedelta(minutes=5)  # a payment shows in the list this late at most
MOST_PAGES = 500


class Puller:
    """One sweep over the list."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        rail: ReceiptRail,
        listener: Listener,
        reversals: Reversals,
    ) -> None:
        self._db, self._clock, self._rail = db, clock, rail
        self._listener, self._reversals = listener, reversals

    async def sweep(self) -> None:
        """This will read the list as far back as needed and act on every line."""
        if self._rail.shortcode:
            await self.read(self._clock.now())

    async def read(self, until: datetime) -> int | None:
        """This will say how many lines were read; None when M-Pesa gave no whole list."""
        shortcode, since = self._rail.shortcode, await self._since(until)
        offset, lines, seen = 0, 0, set[str]()
        for _ in range(MOST_PAGES):
            outcome = await self._rail.pull(since, until, offset)
            if not isinstance(outcome, Accepted):
                log.warning("M-Pesa's list could not be read", offset=offset, why=str(outcome))
                return None
            page = outcome.value
            fresh = [one for one in page.payments if one.receipt not in seen]
            back = [one for one in page.returns if one.receipt not in seen]
            if page.rows == 0 or not (fresh or back or page.unread):
                break
            if page.unread:
                UNREAD.ring("lines of M-Pesa's list cannot be read", of=page.rows)
            for one in fresh:
                await self._listener.pulled(one)
            for gone in back:
                await self._reversals.pulled(gone)
            seen |= {one.receipt for one in fresh} | {one.receipt for one in back}
            offset, lines = offset + page.rows, lines + len(fresh)
        else:
            return None
        now = self._clock.now()
        read_to = until - SETTLING
        answered_to = read_to if offset else None
        await self._db.run(
            lambda tx: tx.execute(sql.HAS_READ, shortcode, read_to, now, answered_to)
        )
        return lines

    async def _since(self, until: datetime) -> datetime:
        """From where on it has to be read."""
        earliest = until - MOST
        read = await self._db.fetchrow(sql.READ, self._rail.shortcode)
        if read is None:
            return earliest
        if read["read_to"] < earliest:
            UNREAD.ring("M-Pesa's list no longer shows all that came", since=str(read["read_to"]))
        last = min(read["read_to"], read["answered_to"] or earliest)
        # A payment may show in the list later than it should: as long as a prompt waits for one.
        oldest = await deposits.oldest_unlisted(self._db, earliest)
        since: datetime = min(until - USUAL, last - SETTLING, (oldest or until) - SETTLING)
        return max(since, earliest)
