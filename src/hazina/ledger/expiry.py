"""Holds whose time is over are let go, so that what they reserved can be spent again.

Nothing depends on it: posting an expired hold is refused whether or not this has come. Only the
holds that carry an expiry are watched, in ``ledger.hold_expiry``, and only until they have ended.
"""

import structlog

from hazina.infra.db import Database
from hazina.kernel.actor import SYSTEM
from hazina.ledger.codes import Code
from hazina.ledger.core import Hold, Reference
from hazina.ledger.service import Ledger

log = structlog.stdlib.get_logger()

SWEEP_EVERY_S = 15
BATCH = 500
# The database's own clock decides, as it does when a hold is posted.
DUE = """
SELECT h.id, h.code, h.reference_type, h.reference_id,
       EXISTS (SELECT FROM ledger.transfer t WHERE t.pending_id = h.id
               AND (t.kind = 'void_pending' OR NOT t.keep_rest)) AS ended
FROM (SELECT w.expires_at, w.id FROM ledger.hold_expiry w
      WHERE w.expires_at <= clock_timestamp() ORDER BY w.expires_at, w.id LIMIT $1) w
JOIN ledger.transfer h ON h.id = w.id
ORDER BY w.expires_at, w.id
"""
FORGET = "SELECT ledger.forget_expired($1::uuid[])"


class HoldExpiry:
    """Lets go of holds whose time is over."""

    def __init__(self, db: Database, ledger: Ledger) -> None:
        self._db = db
        self._ledger = ledger

    async def sweep(self) -> None:
        """This will let go of all there are, and log how many."""
        expired = 0
        while (batch := await self.expire()) is not None:
            expired += batch
        if expired:
            log.info("holds expired", holds=expired)

    async def expire(self, limit: int = BATCH) -> int | None:
        """This will let go of at most ``limit`` holds, those that expired first, and say how many
        it was; None where nothing is due, or nothing of it can be done with.

        Safe to run twice and beside itself: a hold that ended meanwhile answers so.
        """
        due = await self._db.fetch(DUE, limit)
        if not due:
            return None
        voids = [
            Hold(
                row["id"], Code(row["code"]), Reference(row["reference_type"], row["reference_id"])
            ).void()
            for row in due
            if not row["ended"]
        ]
        results = await self._db.run(lambda tx: self._ledger.post(tx, voids, SYSTEM))
        forgotten = await self._db.fetchval(FORGET, [row["id"] for row in due])
        return sum(result.booked for result in results) if forgotten else None
