"""The door to PgQueuer: its own queries on a connection of ours, and no word of it elsewhere.

PgQueuer owns the table's shape and the statements that claim, retry, hold and finish a job. What
it does not do here: install its schema (our migration did, without the NOTIFY trigger) and run its
``QueueManager`` (``infra.worker`` says why).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

import asyncpg
from pgqueuer.adapters.drivers.asyncpg import AsyncpgDriver
from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment, QueryQueueBuilder
from pgqueuer.adapters.persistence.queries import Queries
from pgqueuer.domain.models import Job
from pgqueuer.domain.settings import DBSettings
from pgqueuer.domain.types import JobId, QueueEntrypoint, QueueManagerId
from pgqueuer.ports.repository import EntrypointExecutionParameter

from hazina.infra.db import Row

# A channel of ours: PgQueuer's own expects its envelopes.
CHANNEL = "hazina_jobs"
# The header in which a job keeps the trace that queued it; the columns say nothing of it.
TRACE = "traceparent"
SETTINGS = DBSettings(db_schema="pgqueuer", prefix="")

# One INSERT: PgQueuer's own enqueue also writes a log row, which a payout need not wait for.
# ``due`` is the same moment by our clock, for tests that move it.
ENQUEUE = """
INSERT INTO pgqueuer.pgqueuer (priority, status, entrypoint, payload, execute_after, headers)
VALUES (0, 'queued', $1, $2, now() + make_interval(secs => $3), $4)
"""
ENQUEUE_ONCE = """
INSERT INTO pgqueuer.pgqueuer
  (priority, status, entrypoint, payload, execute_after, headers, dedupe_key)
VALUES (0, 'queued', $1, $2, now() + make_interval(secs => $3), $4, $5)
ON CONFLICT (dedupe_key) WHERE status IN ('queued', 'picked') AND dedupe_key IS NOT NULL
DO NOTHING
"""
CLAIM_DUE = """
UPDATE pgqueuer.pgqueuer
SET status = 'picked', updated = now(), heartbeat = now(), queue_manager_id = $2
WHERE id = (
  SELECT id FROM pgqueuer.pgqueuer
  WHERE status = 'queued' AND entrypoint = ANY($1)
    AND coalesce((headers->>'due')::timestamptz <= $3, true)
  ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING *
"""
# A sweeper queues a stuck row's job again and again: one held job for each is enough, and none
# once it went well.
FORGET_HELD = """
DELETE FROM pgqueuer.pgqueuer held USING unnest($1::text[], $2::bytea[]) AS job(name, subject)
WHERE held.status = 'failed' AND held.entrypoint = job.name AND held.payload = job.subject
"""
LIST_HELD = """
SELECT id, entrypoint, payload, updated, attempts FROM pgqueuer.pgqueuer
WHERE status = 'failed' AND id > $2 ORDER BY id LIMIT $1
"""
# Only what is still held: a job that has gone well meanwhile has left.
LOCK_HELD = """
SELECT entrypoint, payload FROM pgqueuer.pgqueuer WHERE id = $1 AND status = 'failed' FOR UPDATE
"""
PRUNE_LOG = """
DELETE FROM pgqueuer.pgqueuer_log WHERE id IN (
  SELECT id FROM pgqueuer.pgqueuer_log WHERE created < now() - make_interval(days => $1)
  ORDER BY created LIMIT 10000)
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A job that is ours until its heartbeat goes stale. ``attempts`` counts failed ones before."""

    name: str
    subject: UUID
    attempts: int
    row: Job

    @classmethod
    def of(cls, row: Job) -> "Claim":
        return cls(row.entrypoint, UUID(bytes=row.payload or b""), row.attempts, row)

    @classmethod
    def of_row(cls, row: Row) -> "Claim":
        return cls.of(Job.model_validate(dict(row)))

    @property
    def trace(self) -> str | None:
        """What ``tracing.carried`` gave where this was queued."""
        found = (self.row.headers or {}).get(TRACE)
        return found if isinstance(found, str) else None

    @property
    def key(self) -> int:
        """PgQueuer's number of the job."""
        return self.row.id


class Queue:
    """Claims and ends jobs on one connection. Every method is one statement, committed at once."""

    def __init__(self, connection: asyncpg.pool.PoolConnectionProxy, worker: UUID) -> None:
        self.connection = connection
        self.worker = worker
        self._queries = Queries(
            AsyncpgDriver(connection),
            qbe=QueryBuilderEnvironment(SETTINGS),
            qbq=QueryQueueBuilder(SETTINGS),
        )

    async def claim(self, names: Sequence[str], limit: int, stale_s: float) -> list[Claim]:
        """This will take at most ``limit`` due jobs, and those whose worker fell silent."""
        rows = await self._queries.dequeue(
            batch_size=limit,
            entrypoints={
                QueueEntrypoint(name): EntrypointExecutionParameter(concurrency_limit=0)
                for name in names
            },
            queue_manager_id=QueueManagerId(self.worker),
            global_concurrency_limit=None,
            heartbeat_timeout=timedelta(seconds=stale_s),
        )
        return [Claim.of(row) for row in rows]

    async def finish(self, claims: Sequence[Claim]) -> None:
        """This will remove jobs that are done, and those held earlier about the same."""
        await self._forget_held(claims)
        await self._queries.log_jobs([(claim.row, "successful", None) for claim in claims])

    async def hold(self, claim: Claim) -> None:
        """This will keep a job that failed its last attempt, as ``failed``, for a person."""
        await self._forget_held([claim])
        # No traceback is stored: it may quote a value; the log has it, redacted.
        await self._queries.log_jobs([(claim.row, "failed", None)])

    async def retry(self, claim: Claim, delay_s: float) -> None:
        """This will queue a job again, one attempt older."""
        await self._queries.retry_job(claim.row, timedelta(seconds=delay_s), None)

    async def beat(self, keys: Sequence[int]) -> None:
        """This will say that these jobs are still being worked on."""
        await self._queries.update_heartbeat([JobId(key) for key in keys])

    async def _forget_held(self, claims: Sequence[Claim]) -> None:
        names, subjects = [c.name for c in claims], [c.subject.bytes for c in claims]
        await self.connection.execute(FORGET_HELD, names, subjects)
