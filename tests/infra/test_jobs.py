"""Jobs join the transaction that makes them, are tried again, and are never lost silently."""

import asyncio
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from tests.infra.conftest import name

from hazina.infra.db import Database, Tx
from hazina.infra.jobs import Jobs, pause_s
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import new_id

ROWS = "SELECT status::text, attempts FROM pgqueuer.pgqueuer WHERE entrypoint = $1 ORDER BY id"


class Seen:
    """A handler that remembers whom it was called for, and fails the first ``failures`` times."""

    def __init__(self, failures: int = 0) -> None:
        self.subjects: list[UUID] = []
        self.failures = failures

    async def __call__(self, subject: UUID) -> None:
        self.subjects.append(subject)
        if len(self.subjects) <= self.failures:
            raise ValueError("not yet")


async def enqueue(db: Database, jobs: Jobs, job: str, subject: UUID, **how: Any) -> None:
    await db.run(lambda tx: jobs.enqueue(tx, job, subject, **how))


class TestEnqueue:
    async def test_a_committed_job_is_done_and_leaves_the_queue(
        self, db: Database, jobs: Jobs
    ) -> None:
        job, seen, subject = name(), Seen(), new_id()
        jobs.register(job, seen)
        await enqueue(db, jobs, job, subject)
        assert await jobs.run_all_due() == 1
        assert seen.subjects == [subject]
        assert await db.fetch(ROWS, job) == []

    async def test_a_job_rolls_back_with_its_transaction(self, db: Database, jobs: Jobs) -> None:
        job = name()
        jobs.register(job, Seen())

        async def fail(tx: Tx) -> None:
            await jobs.enqueue(tx, job, new_id())
            raise LookupError("after the job was queued")

        with pytest.raises(LookupError):
            await db.run(fail)
        assert await db.fetch(ROWS, job) == []

    async def test_an_unknown_name_is_refused_at_once(self, db: Database, jobs: Jobs) -> None:
        with pytest.raises(LookupError):
            await enqueue(db, jobs, "nobody.knows", new_id())

    async def test_a_name_is_noun_dot_verb_and_registered_once(self, jobs: Jobs) -> None:
        with pytest.raises(ValueError, match=r"noun\.verb"):
            jobs.register("paid", Seen())
        job = name()
        jobs.register(job, Seen())
        with pytest.raises(ValueError, match="twice"):
            jobs.register(job, Seen())

    async def test_a_delayed_job_waits_for_the_houses_clock(
        self, db: Database, jobs: Jobs, clock: SettableClock
    ) -> None:
        job, seen = name(), Seen()
        jobs.register(job, seen)
        await enqueue(db, jobs, job, new_id(), delay_s=20)
        clock.advance(timedelta(seconds=19))
        assert await jobs.run_all_due() == 0
        clock.advance(timedelta(seconds=1))
        assert await jobs.run_all_due() == 1

    async def test_once_adds_nothing_while_one_waits(self, db: Database, jobs: Jobs) -> None:
        job, seen, subject = name(), Seen(), new_id()
        jobs.register(job, seen)
        for _ in range(3):
            await enqueue(db, jobs, job, subject, once=True)
        await jobs.run_all_due()
        await enqueue(db, jobs, job, subject, once=True)
        await jobs.run_all_due()
        assert seen.subjects == [subject, subject]

    async def test_the_queue_has_no_notify_trigger(self, db: Database) -> None:
        """NOTIFY inside the business transaction takes a lock of the whole database."""
        sql = "SELECT count(*) FROM pg_trigger WHERE tgrelid = 'pgqueuer.pgqueuer'::regclass"
        assert await db.fetchval(sql) == 0


class TestFailure:
    async def test_a_failing_job_is_tried_again(
        self, db: Database, jobs: Jobs, logged: list[Any]
    ) -> None:
        job, seen = name(), Seen(failures=2)
        jobs.register(job, seen, attempts=3)
        await enqueue(db, jobs, job, new_id())
        assert await jobs.run_all_due() == 3
        assert await db.fetch(ROWS, job) == []

    async def test_after_its_last_attempt_it_is_held_and_said_loudly(
        self, db: Database, jobs: Jobs, logged: list[Any]
    ) -> None:
        job, seen = name(), Seen(failures=9)
        jobs.register(job, seen, attempts=3)
        await enqueue(db, jobs, job, new_id())
        with pytest.raises(ValueError, match="not yet"):
            await jobs.run_all_due()
        assert len(seen.subjects) == 3
        assert [tuple(row) for row in await db.fetch(ROWS, job)] == [("failed", 2)]
        levels = [line["log_level"] for line in logged if line.get("job") == job]
        assert levels == ["warning", "warning", "error"]

    async def test_one_held_job_for_each_subject_until_it_goes_well(
        self, db: Database, jobs: Jobs, logged: list[Any]
    ) -> None:
        job, seen, subject = name(), Seen(failures=2), new_id()
        jobs.register(job, seen, attempts=1)
        left = []
        for _ in range(3):
            await enqueue(db, jobs, job, subject)
            await jobs.run_all_due(strict=False)
            left.append([row["status"] for row in await db.fetch(ROWS, job)])
        assert left == [["failed"], ["failed"], []]

    async def test_a_job_that_takes_too_long_fails(
        self, db: Database, jobs: Jobs, logged: list[Any]
    ) -> None:
        job = name()
        never = asyncio.Event()

        async def hang(_: UUID) -> None:
            await never.wait()

        jobs.register(job, hang, timeout_s=0, attempts=1)
        await enqueue(db, jobs, job, new_id())
        with pytest.raises(TimeoutError):
            await jobs.run_all_due()

    @pytest.mark.parametrize(("failed", "pause"), [(0, 1), (1, 2), (4, 16), (20, 300)])
    def test_pauses_grow_and_end_at_five_minutes(self, failed: int, pause: int) -> None:
        assert pause_s(failed) == pause
