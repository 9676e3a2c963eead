"""The worker: claims jobs, runs them side by side, runs sweepers, and outlives its database.

One connection does all queue work in one loop: settle what ended, say what still runs, claim what
is due. Handlers use the pool. When the connection is lost the loop takes another, with a growing
pause; running handlers go on, and what ended meanwhile is settled then.

PgQueuer's own ``QueueManager`` is not used: it deletes a job that is cancelled in mid-flight,
waits for running jobs without a deadline, asks up to three more questions per poll and ends with
its connection. Its queries are.

**Invariant**: a job leaves the queue only after its handler returned. A worker that dies leaves
its jobs claimed; another takes them when their heartbeat is ``stale_s`` old.
"""

import asyncio
import os
import socket
from contextlib import suppress
from uuid import UUID

import asyncpg
import structlog

from hazina.infra.alarms import Alarm
from hazina.infra.db import Row
from hazina.infra.house import House
from hazina.infra.jobs import Jobs, pause_s
from hazina.infra.observability import JOBS_HELD, SWEEPS
from hazina.infra.queue import CHANNEL, Claim, Queue
from hazina.infra.tracing import SpanKind, span
from hazina.kernel.ids import new_id

log = structlog.stdlib.get_logger()
SWEEP_FAILED = Alarm("sweep-failed")

POLL_S = 0.25
SEEN_EVERY_S = 5
SWEEP_TIMEOUT_S = 300

SEEN = """
INSERT INTO infra.worker_seen (worker, process, started_at, seen_at) VALUES ($1, $2, now(), now())
ON CONFLICT (worker) DO UPDATE SET seen_at = now()
"""
HELD = """
SELECT count(*) FROM (SELECT FROM pgqueuer.pgqueuer WHERE status = 'failed' LIMIT 1000) held
"""
GONE = """
DELETE FROM infra.worker_seen WHERE worker = $1 OR seen_at < now() - interval '1 day'
"""
KNOW_SWEEPERS = """
INSERT INTO infra.sweep (name, started_at) SELECT unnest($1::text[]), '-infinity'
ON CONFLICT DO NOTHING
"""
# Claiming the interval in the row keeps two workers from each running the sweeper in it.
CLAIM_SWEEPS = """
UPDATE infra.sweep SET started_at = now(), ended_at = NULL, error = NULL
FROM (
  SELECT s.name FROM infra.sweep s
  JOIN unnest($1::text[], $2::int[]) AS wanted(name, seconds) USING (name)
  WHERE s.started_at <= now() - make_interval(secs => wanted.seconds)
  FOR UPDATE OF s SKIP LOCKED
) due
WHERE sweep.name = due.name RETURNING sweep.name
"""
SWEPT = "UPDATE infra.sweep SET ended_at = now(), error = $2 WHERE name = $1"
# The advisory lock keeps a sweep that outlasts its interval from meeting the next one.
LOCK = "SELECT pg_try_advisory_lock(hashtextextended('sweep:' || $1, 0))"
UNLOCK = "SELECT pg_advisory_unlock(hashtextextended('sweep:' || $1, 0))"


class Worker:
    """One worker of this process. ``run`` returns after ``stop`` is set and jobs have ended."""

    def __init__(
        self,
        house: House,
        *,
        concurrency: int = 10,
        stale_s: float = 30,
        deadline_s: float = 20,
    ) -> None:
        self.id: UUID = new_id()
        self._db = house.db
        self._jobs = house.get(Jobs)
        self._concurrency = concurrency
        self._stale_s = stale_s
        self._deadline_s = deadline_s
        self._running: dict[int, tuple[Claim, asyncio.Task[None]]] = {}
        self._ended: list[tuple[Claim, Exception | None]] = []
        self._sweeping: dict[str, asyncio.Task[None]] = {}
        self._swept: list[tuple[str, str | None]] = []
        self._awake = asyncio.Event()
        self._failures = 0
        self._beat_at = 0.0
        self._seen_at = 0.0
        self._swept_at = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """This will work until ``stop`` is set, then let running jobs end, up to a deadline."""
        log.info("worker started", worker=str(self.id), jobs=len(self._jobs.kinds))
        watching = asyncio.create_task(self._watch(stop))
        try:
            while not stop.is_set():
                try:
                    await self._connect(stop)
                except Exception as error:  # noqa: BLE001 - the edge of the worker
                    self._failures += 1
                    pause = min(0.1 * 2**self._failures, 5)
                    log.warning("worker lost its database", pause_s=pause, error=repr(error))
                    with suppress(TimeoutError):
                        await asyncio.wait_for(stop.wait(), pause)
            await self._finish()
        finally:
            watching.cancel()
            for _, task in self._running.values():
                task.cancel()
            for task in self._sweeping.values():
                task.cancel()
        log.info("worker stopped", worker=str(self.id))

    async def _connect(self, stop: asyncio.Event) -> None:
        async with self._db.connection() as connection:
            try:
                await connection.add_listener(CHANNEL, self._notified)
                await connection.execute(KNOW_SWEEPERS, list(self._jobs.sweepers))
                await self._serve(Queue(connection, self.id), stop)
            finally:
                # Half dead, or with locks and a listener still on it: the pool gets none of that.
                with suppress(asyncpg.InterfaceError):  # the pool has dropped it already
                    connection.terminate()

    async def _serve(self, queue: Queue, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._awake.clear()
            await self._settle(queue)
            await self._keep_alive(queue)
            paused = await self._jobs.are_paused()
            if not paused:
                await self._start_sweeps(queue)
            free = 0 if paused else self._concurrency - len(self._running)
            claims = await self._claim(queue, free) if free and self._jobs.kinds else []
            self._failures = 0
            if claims and len(claims) == free:
                continue
            with suppress(TimeoutError):
                await asyncio.wait_for(self._awake.wait(), POLL_S)

    async def _claim(self, queue: Queue, limit: int) -> list[Claim]:
        claims = await queue.claim(list(self._jobs.kinds), limit, self._stale_s)
        for claim in claims:
            # After a long pause of this process its own jobs look stale to it: they still run.
            if claim.key not in self._running:
                self._running[claim.key] = (claim, asyncio.create_task(self._run(claim)))
        return claims

    async def _run(self, claim: Claim) -> None:
        error = await self._jobs.attempt(claim)
        self._ended.append((claim, error))
        self._awake.set()

    async def _settle(self, queue: Queue) -> None:
        """Write down what ended; keep it for the next connection when this one is lost."""
        if done := [claim for claim, error in self._ended if error is None]:
            await queue.finish(done)
            for claim in done:
                self._jobs.report(claim, None)
            self._forget(done)
        for claim, error in list(self._ended):
            if claim.attempts + 1 < self._jobs.kinds[claim.name].attempts:
                await queue.retry(claim, pause_s(claim.attempts))
            else:
                await queue.hold(claim)
            self._jobs.report(claim, error)
            self._forget([claim])
        while self._swept:
            name, wrong = self._swept[0]
            await queue.connection.execute(SWEPT, name, wrong)
            await queue.connection.execute(UNLOCK, name)
            self._swept.pop(0)
            self._sweeping.pop(name, None)

    def _forget(self, claims: list[Claim]) -> None:
        keys = {claim.key for claim in claims}
        self._ended = [pair for pair in self._ended if pair[0].key not in keys]
        for key in keys:
            self._running.pop(key, None)

    async def _keep_alive(self, queue: Queue) -> None:
        now = asyncio.get_running_loop().time()
        if self._running and now >= self._beat_at:
            await queue.beat(list(self._running))
            self._beat_at = now + self._stale_s / 3
        if now >= self._seen_at:
            await queue.connection.execute(SEEN, self.id, f"{socket.gethostname()}:{os.getpid()}")
            JOBS_HELD.set(await queue.connection.fetchval(HELD))
            self._seen_at = now + SEEN_EVERY_S

    async def _start_sweeps(self, queue: Queue) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._swept_at:
            return
        self._swept_at = now + 0.5
        idle = [s for s in self._jobs.sweepers.values() if s.name not in self._sweeping]
        if not idle:
            return
        due: list[Row] = await queue.connection.fetch(
            CLAIM_SWEEPS, [s.name for s in idle], [s.seconds for s in idle]
        )
        for row in due:
            name: str = row["name"]
            if await queue.connection.fetchval(LOCK, name):
                self._sweeping[name] = asyncio.create_task(self._sweep(name))

    async def _sweep(self, name: str) -> None:
        wrong = None
        with (
            structlog.contextvars.bound_contextvars(sweeper=name),
            span(f"sweep {name}", SpanKind.INTERNAL) as noted,
        ):
            try:
                async with asyncio.timeout(SWEEP_TIMEOUT_S):
                    await self._jobs.sweepers[name].handler()
            except Exception as error:  # noqa: BLE001 - the edge of a sweep
                wrong = type(error).__name__
                noted.fail(wrong)
                SWEEP_FAILED.ring("sweep failed", exc_info=error)
        SWEEPS.labels(name, "failed" if wrong else "done").inc()
        self._swept.append((name, wrong))
        self._awake.set()

    async def _finish(self) -> None:
        """Let running work end, settle it, give back what did not end in time."""
        tasks = [task for _, task in self._running.values()] + list(self._sweeping.values())
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._deadline_s)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=1)
        ended = {claim.key for claim, _ in self._ended}
        unfinished = [claim for key, (claim, _) in self._running.items() if key not in ended]
        try:
            async with asyncio.timeout(5), self._db.connection() as connection:
                queue = Queue(connection, self.id)
                await self._settle(queue)
                for claim in unfinished:
                    log.warning(
                        "job given back at stop", job=claim.name, subject=str(claim.subject)
                    )
                    await queue.retry(claim, 0)
                await connection.execute(GONE, self.id)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError) as error:
            log.warning("worker could not say goodbye", error=repr(error))

    async def _watch(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._awake.set()

    def _notified(self, *_: object) -> None:
        self._awake.set()
