"""The outbox: facts that lower slices state and upper ones hear, in order per key.

``emit`` writes the fact in the transaction that made it true. A job then hands it to every
subscriber of its topic, in one transaction that also deletes it: their rows and the deletion
commit together, so a subscriber's writes happen once; whatever it does outside the database
happens at least once, and belongs into a job of its own. A subscriber that raises stops its key,
not the others, until it succeeds.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hazina.infra.db import Database, Tx
from hazina.infra.jobs import Jobs
from hazina.kernel.clock import Clock
from hazina.kernel.ids import new_id

DELIVER = "outbox.deliver"
LATE = timedelta(seconds=30)

EMIT = """
INSERT INTO infra.outbox (id, topic, key, payload, created_at) VALUES ($1, $2, $3, $4, $5)
"""
HEAD = "SELECT id FROM infra.outbox WHERE key = $1 ORDER BY sequence LIMIT 1"
# A worker that waited here for another one finds the row gone and looks for the next head.
TAKE = "DELETE FROM infra.outbox WHERE id = $1 RETURNING id, topic, key, payload, created_at"
LATE_KEYS = """
SELECT DISTINCT key FROM (
  SELECT key FROM infra.outbox WHERE created_at < $1 ORDER BY created_at LIMIT 1000) late
"""


@dataclass(frozen=True, slots=True)
class Event:
    """A fact: its ``topic`` (``noun.verbed``), the thing it is about, and what there is to say."""

    id: UUID
    topic: str
    key: UUID
    payload: Mapping[str, object]
    created_at: datetime


Subscriber = Callable[[Tx, Event], Awaitable[None]]


class Outbox:
    """One per process, so that a topic's subscribers are known wherever its job runs."""

    def __init__(self, db: Database, jobs: Jobs, clock: Clock) -> None:
        self._db = db
        self._jobs = jobs
        self._clock = clock
        self._subscribers: dict[str, list[Subscriber]] = defaultdict(list)
        jobs.register(DELIVER, self.deliver, attempts=10)
        jobs.every("outbox.sweep", 30, self.sweep)

    def register(self, topic: str, subscriber: Subscriber) -> None:
        """This will have ``subscriber`` told of every event of ``topic``, inside a transaction."""
        self._subscribers[topic].append(subscriber)

    async def emit(
        self, tx: Tx, topic: str, key: UUID, payload: Mapping[str, object], now: datetime
    ) -> None:
        """This will state a fact with the caller's transaction. Events of one key keep order."""
        await tx.execute(EMIT, new_id(), topic, key, dict(payload), now)
        await self._jobs.enqueue(tx, DELIVER, key)

    async def deliver(self, key: UUID) -> None:
        """This will tell all waiting events of one key, oldest first, one transaction each."""
        while (head := await self._db.fetchval(HEAD, key)) is not None:
            event_id: UUID = head

            async def tell(tx: Tx, event_id: UUID = event_id) -> None:
                row = await tx.fetchrow(TAKE, event_id)
                if row is None:
                    return
                event = Event(**row)
                for subscriber in self._subscribers[event.topic]:
                    await subscriber(tx, event)

            await self._db.run(tell)

    async def sweep(self) -> None:
        """This will queue delivery again for keys whose events have waited too long."""
        late = await self._db.fetch(LATE_KEYS, self._clock.now() - LATE)
        for row in late:
            key: UUID = row["key"]

            async def again(tx: Tx, key: UUID = key) -> None:
                await self._jobs.enqueue(tx, DELIVER, key, once=True)

            await self._db.run(again)
