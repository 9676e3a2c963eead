"""What M-Pesa's statement has and no book of ours, and what is booked here and it lacks.

Most of it explains itself: M-Pesa is asked about a payout that nobody knew, the next statement has
a line that the last one lacked. What does not is an open question until two persons say what it is;
nothing here moves money. A payout that is booked as paid and not listed is ``listed.py``'s.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from hazina.desk.approvals import Approval, Approvals, Wish
from hazina.flows.deposits import oversight as deposits
from hazina.flows.receipts.listed import SETTLING
from hazina.flows.receipts.repository import Reader
from hazina.flows.withdrawals import oversight as withdrawals
from hazina.identity.people import Operator
from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, Row, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.clock import Clock
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import new_id, wire_id
from hazina.kernel.machine import StateMoved
from hazina.kernel.money import KES
from hazina.rails.receipts import StatementLine

DIFFER = Alarm("books-differ")
SETTLED = "unmatched.settled"
OURS, THEIRS = "ours", "theirs"
SKEW = timedelta(minutes=5)  # M-Pesa's clock and ours
EXPLAINED = "both books have it now"
ADD = """
INSERT INTO receipts.unmatched (id, receipt, side, amount, at, found_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (receipt, side) DO NOTHING
"""
CAME_IN = """
SELECT receipt FROM receipts.statement_line
WHERE receipt = ANY($1) AND inward AND kind <> 'charge'
"""
OPEN = """
SELECT * FROM receipts.unmatched
WHERE ended_at IS NULL AND (found_at, id) > ($2, $3) ORDER BY found_at, id LIMIT $1
"""
GET = "SELECT * FROM receipts.unmatched WHERE id = $1"
LOCK = f"{GET} FOR NO KEY UPDATE"
END = """
UPDATE receipts.unmatched SET ended_at = $2, ended_why = $3 WHERE id = $1 AND ended_at IS NULL
"""


class Unmatched:
    """Finding what differs, and the act that says what it was."""

    def __init__(self, db: Database, clock: Clock, approvals: Approvals) -> None:
        self._db, self._clock, self._approvals = db, clock, approvals
        approvals.register(SETTLED, self._settle, subject="unm")

    async def theirs(self, out: Sequence[StatementLine]) -> int:
        """This will open a question about each payout of a statement that no book of ours has.
        Says how many are new."""
        known = await withdrawals.known_receipts(self._db, [one.receipt for one in out])
        strange = [one for one in out if one.receipt not in known]
        told = [(one.receipt, THEIRS, one.amount_units, one.at) for one in strange]
        return await self._open(told, "M-Pesa paid somebody, and no book of ours has it")

    async def ours(self, since: datetime, until: datetime) -> int:
        """This will open a question about each payment that was booked here within a complete
        statement's time and stands in no statement. Says how many are new."""
        booked = await deposits.booked_between(self._db, since + SKEW, until - SETTLING)
        rows = await self._db.fetch(CAME_IN, [one["receipt"] for one in booked])
        there = {row["receipt"] for row in rows}
        told = [
            (one["receipt"], OURS, int(one["amount"]), one["at"])
            for one in booked
            if one["receipt"] not in there
        ]
        return await self._open(told, "a payment is booked, and in no statement of M-Pesa's")

    async def explain(self) -> None:
        """This will end what both books have by now."""
        rows = await self._db.fetch(
            "SELECT * FROM receipts.unmatched WHERE ended_at IS NULL ORDER BY id"
        )
        if not rows:
            return
        found = await explained(self._db, rows)

        async def end(tx: Tx) -> None:
            now = self._clock.now()
            await tx.executemany(END, [(one, now, EXPLAINED) for one in sorted(found)])

        await self._db.run(end)

    async def ask_settled(
        self,
        tx: Tx,
        unmatched_id: UUID,
        *,
        reason: str,
        operator: Operator,
        actor: Actor,
        now: datetime,
    ) -> Approval:
        """This will ask a second person to agree what it was, and that it was dealt with.

        Raises: NotFound, StateMoved, and as ``Approvals.request``.
        """
        row = await _open_row(tx, unmatched_id)
        amount = KES.units(int(row["amount"]))
        words = "is in no statement" if row["side"] == OURS else "is in no book of ours"
        summary = f"{amount}, receipt {row['receipt']}, {words}: it was looked into"
        wish = Wish(SETTLED, unmatched_id, {}, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def _settle(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        await _open_row(tx, approval.subject)
        why = f"{actor}: {approval.reason}"[:500]
        await tx.execute(END, approval.subject, now, why)

    async def _open(self, told: Sequence[tuple[str, str, int, datetime]], words: str) -> int:
        async def add(tx: Tx) -> int:
            now, new = self._clock.now(), 0
            for receipt, side, units, at in told:
                unmatched_id = new_id()
                if await tx.execute(ADD, unmatched_id, receipt, side, units, at, now) == 1:
                    DIFFER.ring(words, receipt=receipt, id=wire_id("unm", unmatched_id))
                    new += 1
            return new

        return await self._db.run(add) if told else 0


async def explained(reader: Reader, rows: Sequence[Row]) -> set[UUID]:
    """The ids of those that both books have by now."""
    theirs = [row["receipt"] for row in rows if row["side"] == THEIRS]
    known = await withdrawals.known_receipts(reader, theirs)
    listed = await reader.fetch(CAME_IN, [row["receipt"] for row in rows if row["side"] == OURS])
    there = {row["receipt"] for row in listed}
    return {
        row["id"] for row in rows if row["receipt"] in (known if row["side"] == THEIRS else there)
    }


async def list_open(reader: Reader, limit: int, since: datetime, after: UUID) -> list[Row]:
    """Those that are not explained, the oldest first."""
    rows = await reader.fetch(OPEN, limit, since, after)
    done = await explained(reader, rows) if rows else set()
    return [row for row in rows if row["id"] not in done]


async def get_row(reader: Reader, unmatched_id: UUID) -> Row:
    """Raises: NotFound."""
    row = await reader.fetchrow(GET, unmatched_id)
    if row is None:
        raise NotFound
    return row


async def _open_row(tx: Tx, unmatched_id: UUID) -> Row:
    row = await tx.fetchrow(LOCK, unmatched_id)
    if row is None:
        raise NotFound
    if row["ended_at"] is not None:
        raise StateMoved
    return row
