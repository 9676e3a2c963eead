"""Switches: what an operator can stop at once, and how everybody who must stop hears of it.

One for each rail and direction, one for all rails, one for every write of customers (maintenance).
A rail that is off keeps asking what became of what is under way, and takes callbacks: only new
calls stop. An open recovery (``desk.recovery``) stops what ``all`` stops.

**Invariant:** once ``turn_off`` has committed, no outward call is claimed any more. A claim holds a
shared lock until its transaction ends, a change of a switch the exclusive one: the change waits for
claims that were first, and claims that come after see it.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from hazina.infra.audit import Audit
from hazina.infra.db import Database, Row, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Invalid, Kind, Refusal

LOCK_KEY = 0x48415A53  # "HAZS"
CLAIMING = f"SELECT pg_advisory_xact_lock_shared({LOCK_KEY})"
CHANGING = f"SELECT pg_advisory_xact_lock({LOCK_KEY})"
CLOSED = """
SELECT name, off_since, by, reason FROM desk.switch WHERE off_since IS NOT NULL
UNION ALL
SELECT 'recovery', entered_at, 'restore', 'restored from a copy' FROM desk.recovery
WHERE released_at IS NULL
"""
TURN_OFF = """
INSERT INTO desk.switch AS s (name, off_since, by, reason) VALUES ($1, $2, $3, $4)
ON CONFLICT (name) DO UPDATE SET off_since = excluded.off_since, by = excluded.by,
    reason = excluded.reason
WHERE s.off_since IS NULL
"""
TURN_ON = """
UPDATE desk.switch SET off_since = NULL, by = NULL, reason = NULL
WHERE name = $1 AND off_since IS NOT NULL
"""
AGAIN_AFTER = timedelta(seconds=15)  # a stopped call looks this often whether it may go out
GLANCE_S = 0.5  # what a page or a worker knows of the switches is at most this old


class Switch(StrEnum):
    """What can be stopped."""

    ALL = "all"  # every call that moves money on every rail
    MPESA_IN = "mpesa.in"  # prompts that ask a phone to pay us
    MPESA_OUT = "mpesa.out"  # payouts to phones
    WRITES = "writes"  # everything a customer could change, and all jobs: maintenance


RECOVERY = "recovery"  # not a switch: opened by a restore, ended by a release
_WORDS = {
    Switch.ALL: "M-Pesa is stopped at the moment, deposits and payouts alike.",
    Switch.MPESA_IN: "Payments by M-Pesa prompt are stopped at the moment.",
    Switch.MPESA_OUT: "Payouts to M-Pesa are stopped at the moment.",
    Switch.WRITES: "We are working on the house; nothing can be changed for a while.",
}
RECOVERY_WORDS = "We are comparing our books with M-Pesa's before anything moves again."


class RailStopped(Refusal):
    """The rail, its direction, or all of them are switched off, or the house is in recovery."""

    code = "rail_stopped"
    kind = Kind.UNAVAILABLE
    message = "Money cannot move that way at the moment."
    action = "Nothing was changed. Try again later."


class Maintenance(Refusal):
    """The house is read-only for maintenance: balances and statements can be read."""

    code = "maintenance"
    kind = Kind.UNAVAILABLE
    message = _WORDS[Switch.WRITES]
    action = "Your money is safe and can be looked at. Try again later."


class Recovering(Refusal):
    """The house was restored from a copy and is read-only until it is reconciled and released."""

    code = "recovering"
    kind = Kind.UNAVAILABLE
    message = RECOVERY_WORDS
    action = "Your money is safe and can be looked at. Try again later."


@dataclass(frozen=True, slots=True)
class Closed:
    """One thing that is stopped. ``by`` and ``reason`` are for operators, never for customers."""

    name: str
    since: datetime
    by: str
    reason: str


Standing = Mapping[str, Closed]
"""What is stopped now, by name; empty: everything runs."""


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...


class Switches:
    """Reads and changes switches. ``glance`` alone may be half a second old."""

    def __init__(self, db: Database, audit: Audit) -> None:
        self._db = db
        self._audit = audit
        self._seen: Standing = {}
        self._seen_at = float("-inf")

    async def read(self, reader: Reader) -> Standing:
        """What is stopped, as ``reader`` sees it."""
        return {
            row["name"]: Closed(row["name"], row["off_since"], row["by"], row["reason"])
            for row in await reader.fetch(CLOSED)
        }

    async def now(self) -> Standing:
        """What is stopped, asked afresh."""
        return await self._look()

    async def glance(self) -> Standing:
        """What was stopped half a second ago at most: for bands, and for pausing."""
        if asyncio.get_running_loop().time() > self._seen_at + GLANCE_S:
            return await self._look()
        return self._seen

    async def is_paused(self) -> bool:
        """Whether jobs have to wait: maintenance stops them all."""
        return Switch.WRITES in await self.glance()

    async def find_closed(self, tx: Tx, switch: Switch) -> Closed | None:
        """What stops a call from being claimed in this transaction, None when nothing does.

        Locks the switches, shared, until the transaction ends.
        """
        await tx.execute(CLAIMING)
        # A statement of its own, so that it sees what committed while the lock was waited for.
        return _stopping(await self.read(tx), switch)

    async def require(self, reader: Reader, switch: Switch) -> None:
        """Raises: RailStopped. For requests: it spares waiting, the claim is what stops calls."""
        closed = _stopping(await self.read(reader), switch)
        if closed is not None:
            words = RECOVERY_WORDS if closed.name == RECOVERY else _WORDS[Switch(closed.name)]
            raise RailStopped(words, details={"switch": closed.name})

    async def turn_off(
        self, tx: Tx, switch: Switch, *, by: str, reason: str, actor: Actor, now: datetime
    ) -> bool:
        """This will stop ``switch``; False: it was off already, and stays as it was.

        Waits for claims under way. Raises: Invalid without a reason.
        """
        if not reason.strip():
            raise Invalid.field("reason", "Say why: whoever comes next has to know.")
        await tx.execute(CHANGING)
        changed = await tx.execute(TURN_OFF, switch.value, now, by, reason.strip()[:300]) == 1
        if changed:
            after = {"off_since": now.isoformat(), "by": by, "reason": reason.strip()[:300]}
            await self._audit.record(
                tx, actor, "switch.turned_off", "switch", switch.value, after=after, now=now
            )
        tx.after_commit(self.forget)
        return changed

    async def turn_on(
        self, tx: Tx, switch: Switch, *, by: str, actor: Actor, now: datetime
    ) -> bool:
        """This will let ``switch`` go on; False: it was on. What waited goes out by itself."""
        await tx.execute(CHANGING)
        before = (await self.read(tx)).get(switch.value)
        if before is None:
            return False
        await tx.execute(TURN_ON, switch.value)
        was = {"off_since": before.since.isoformat(), "by": before.by, "reason": before.reason}
        await self._audit.record(
            tx,
            actor,
            "switch.turned_on",
            "switch",
            switch.value,
            before=was,
            after={"by": by},
            now=now,
        )
        tx.after_commit(self.forget)
        return True

    async def lock_changes(self, tx: Tx) -> None:
        """This will hold up every claim until the transaction ends: for entering a recovery."""
        await tx.execute(CHANGING)

    def forget(self) -> None:
        """The next glance looks anew."""
        self._seen_at = float("-inf")

    async def _look(self) -> Standing:
        self._seen = await self.read(self._db)
        self._seen_at = asyncio.get_running_loop().time()
        return self._seen


def refusal_of(standing: Standing) -> Refusal | None:
    """Why a customer may change nothing at all at the moment, if so."""
    if Switch.WRITES in standing:
        return Maintenance()
    return Recovering() if RECOVERY in standing else None


def band_of(standing: Standing) -> str:
    """One line for the top of every page about what is stopped; empty when nothing is."""
    for name in (Switch.WRITES, Switch.ALL, Switch.MPESA_OUT, Switch.MPESA_IN):
        if name == Switch.ALL and RECOVERY in standing:
            return RECOVERY_WORDS
        if name in standing:
            return _WORDS[name]
    return ""


def _stopping(standing: Standing, switch: Switch) -> Closed | None:
    for name in (RECOVERY, Switch.WRITES, Switch.ALL, switch):
        if name in standing:
            return standing[name]
    return None
