"""Jobs: prompt work after a commit, and sweepers that make sure of it.

A job is a name (``noun.verb``) and one id. It joins the transaction that made the work, may run
twice, and opens its own transactions. A job that fails is tried again with a growing pause, then
held as ``failed`` and logged loudly. **The domain row with its ``next_attempt_at`` and its sweeper
is the truth; a job only makes it prompt.**
"""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

import asyncpg
import structlog

from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, DatabaseLost, Row, Tx
from hazina.infra.observability import JOBS
from hazina.infra.queue import (
    CHANNEL,
    CLAIM_DUE,
    ENQUEUE,
    ENQUEUE_ONCE,
    LIST_HELD,
    LOCK_HELD,
    TRACE,
    Claim,
    Queue,
)
from hazina.infra.tracing import Attributes, SpanKind, carried, span
from hazina.kernel.clock import Clock
from hazina.kernel.errors import Invalid, NotFound
from hazina.kernel.ids import new_id
from hazina.kernel.page import Page

log = structlog.stdlib.get_logger()
HELD = Alarm("job-held")

Handler = Callable[[UUID], Awaitable[None]]
Sweep = Callable[[], Awaitable[None]]
NAME = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")
MAX_PAUSE_S = 300
RUNAWAY = 10_000
GATHER_S = 0.01  # under load one NOTIFY for all commits of so long; the first goes out at once
CURSOR = re.compile(r"[0-9]{1,18}", re.ASCII)


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class JobKind:
    """What is known of a job by its name. ``attempts`` counts all of them, the first too."""

    name: str
    handler: Handler
    timeout_s: int
    attempts: int


@dataclass(frozen=True, slots=True)
class HeldJob:
    """A job whose every attempt failed, since ``since``; it waits for a person."""

    key: int
    name: str
    subject: UUID
    since: datetime
    attempts: int


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Runs about every ``seconds``, in one worker at a time."""

    name: str
    handler: Sweep
    seconds: int


def pause_s(attempts: int) -> int:
    """1, 2, 4 … seconds after the first, second, third failure; five minutes at most."""
    return int(min(2**attempts, MAX_PAUSE_S))


class Jobs:
    """What slices register with and enqueue through. ``infra.worker.Worker`` does the work."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self.kinds: dict[str, JobKind] = {}
        self.sweepers: dict[str, Sweeper] = {}
        self._waker = _Waker(db)
        self._paused: Callable[[], Awaitable[bool]] | None = None

    def register(
        self, name: str, handler: Handler, *, timeout_s: int = 60, attempts: int = 5
    ) -> None:
        """This will let ``handler`` do the jobs called ``name``. It must be safe to run twice."""
        _check(name, self.kinds)
        self.kinds[name] = JobKind(name, handler, timeout_s, attempts)

    def every(self, name: str, seconds: int, handler: Sweep) -> None:
        """This will run ``handler`` about every ``seconds``, in one worker at a time."""
        _check(name, self.sweepers)
        self.sweepers[name] = Sweeper(name, handler, seconds)

    def pause_when(self, asked: Callable[[], Awaitable[bool]]) -> None:
        """This will leave every job and sweeper waiting while ``asked`` says so; ask it cheaply."""
        self._paused = asked

    async def are_paused(self) -> bool:
        return self._paused is not None and await self._paused()

    async def enqueue(
        self, tx: Tx, name: str, subject: UUID, *, delay_s: int = 0, once: bool = False
    ) -> None:
        """This will queue a job about ``subject`` with the caller's transaction: both or neither.

        ``once`` adds nothing while a job that was also queued with ``once`` is still waiting or
        running: for sweepers.
        """
        if name not in self.kinds:
            raise LookupError(f"no job is called {name}")
        headers = {}
        if delay_s:
            headers["due"] = (self._clock.now() + timedelta(seconds=delay_s)).isoformat()
        if trace := carried():
            headers[TRACE] = trace
        if once:
            key = f"{name}:{subject}"
            await tx.execute(ENQUEUE_ONCE, name, subject.bytes, delay_s, headers or None, key)
        else:
            await tx.execute(ENQUEUE, name, subject.bytes, delay_s, headers or None)
        if not delay_s:
            tx.after_commit(self._waker.wake)

    async def list_held(
        self, reader: Reader, *, limit: int, cursor: str | None = None
    ) -> Page[HeldJob]:
        """Jobs that wait for a person, the oldest first. Raises: Invalid for a strange cursor."""
        if cursor is not None and not CURSOR.fullmatch(cursor):
            raise Invalid.field("cursor", "That cursor is not one of ours: start anew.")
        rows = await reader.fetch(LIST_HELD, limit + 1, int(cursor or 0))
        found = [
            HeldJob(
                row["id"], row["entrypoint"], UUID(bytes=row["payload"]), row["updated"],
                row["attempts"],
            )
            for row in rows
        ]  # fmt: skip
        return Page.of(found, limit, lambda one: str(one.key))

    async def try_again(self, tx: Tx, key: int) -> tuple[str, UUID]:
        """This will queue a held job anew; it leaves the held ones when it went well.

        Raises: NotFound when it is not held any more, or nobody here does such jobs.
        """
        row = await tx.fetchrow(LOCK_HELD, key)
        if row is None or row["entrypoint"] not in self.kinds:
            raise NotFound
        name, subject = str(row["entrypoint"]), UUID(bytes=row["payload"])
        await self.enqueue(tx, name, subject, once=True)
        return name, subject

    async def attempt(self, claim: Claim) -> Exception | None:
        """This will run a job once and say what went wrong, if anything did."""
        kind, subject = self.kinds[claim.name], claim.subject
        facts: Attributes = {"hazina.job": kind.name, "hazina.attempt": claim.attempts + 1}
        with (
            structlog.contextvars.bound_contextvars(job=kind.name, subject=str(subject)),
            span(f"job {kind.name}", SpanKind.CONSUMER, facts, parent=claim.trace) as noted,
        ):
            try:
                async with asyncio.timeout(kind.timeout_s):
                    await kind.handler(subject)
            except Exception as error:  # noqa: BLE001 - the edge of a job
                noted.fail(type(error).__name__)
                return error
        return None

    def report(self, claim: Claim, error: Exception | None) -> bool:
        """This will log and count how an attempt ended; True when another one follows."""
        if error is None:
            JOBS.labels(claim.name, "done").inc()
            return False
        again = claim.attempts + 1 < self.kinds[claim.name].attempts
        JOBS.labels(claim.name, "retried" if again else "held").inc()
        about, attempt = str(claim.subject), claim.attempts + 1
        if again:
            words = "job failed, will be tried again"
            log.warning(words, job=claim.name, subject=about, attempt=attempt, exc_info=error)
        else:
            words = "job held: every attempt failed"
            HELD.ring(words, job=claim.name, subject=about, attempt=attempt, exc_info=error)
        return again

    async def run_now(self, name: str, subject: UUID) -> None:
        """This will run a job here and now, outside the queue, and let its error through."""
        await self.kinds[name].handler(subject)

    async def run_all_due(self, *, strict: bool = True) -> int:
        """This will work off every job due by the house's clock, without sleeping; for tests.

        Failed jobs are tried again at once until they are held. ``strict`` raises what a held job
        last failed with. Returns how many attempts were made.
        """
        for done in range(RUNAWAY):
            claim = None if await self.are_paused() else await self._claim_due()
            if claim is None:
                return done
            error = await self.attempt(claim)
            async with self._db.connection() as connection:
                queue = Queue(connection, new_id())
                if error is None:
                    await queue.finish([claim])
                elif self.report(claim, error):
                    await queue.retry(claim, 0)
                else:
                    await queue.hold(claim)
                    if strict:
                        raise error
        raise RuntimeError(f"jobs still queue jobs after {RUNAWAY} of them")

    async def sweep(self, name: str) -> None:
        """This will run one sweeper here and now; for tests and the CLI."""
        await self.sweepers[name].handler()

    async def _claim_due(self) -> Claim | None:
        async with self._db.connection() as connection:
            row = await connection.fetchrow(
                CLAIM_DUE, list(self.kinds), new_id(), self._clock.now()
            )
        return None if row is None else Claim.of_row(row)


class _Waker:
    """Sends one NOTIFY for all commits since the last one, on a connection outside them all.

    Inside the caller's transaction it would take a lock of the whole database until that
    commits. Losing one is harmless: workers look every quarter of a second anyway.
    """

    # One round trip; nobody waits for its disk write.
    SQL = f"BEGIN; SET LOCAL synchronous_commit = off; NOTIFY {CHANNEL}; COMMIT"

    def __init__(self, db: Database) -> None:
        self._db = db
        self._asked = False
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        self._asked = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while self._asked:
            self._asked = False
            try:
                await self._db.execute(self.SQL)
            except (DatabaseLost, asyncpg.PostgresError, TimeoutError):
                return
            await asyncio.sleep(GATHER_S)


def _check(name: str, taken: object) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(f"a job is called noun.verb, not {name}")
    if isinstance(taken, dict) and name in taken:
        raise ValueError(f"{name} was registered twice")
