"""The worker: prompt, alone where it must be, and unharmed by what dies around it."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import pytest
from tests.conftest import Place
from tests.infra.conftest import PATIENCE_S, eventually, name

from hazina.infra import health
from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.infra.jobs import Jobs
from hazina.infra.queue import Queue
from hazina.infra.worker import Worker
from hazina.kernel.ids import new_id


@asynccontextmanager
async def working(house: House, **how: Any) -> AsyncIterator[asyncio.Event]:
    """A worker for as long as the block lasts."""
    stop = asyncio.Event()
    running = asyncio.create_task(Worker(house, **how).run(stop))
    try:
        yield stop
    finally:
        stop.set()
        await asyncio.wait_for(running, PATIENCE_S)


class Gate:
    """A handler that says when it begins and waits until it is let through."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.open = asyncio.Event()
        self.calls = 0

    async def __call__(self, subject: UUID | None = None) -> None:
        self.calls += 1
        self.begun.set()
        await self.open.wait()

    async def until_begun(self) -> None:
        await asyncio.wait_for(self.begun.wait(), PATIENCE_S)


async def rows(db: Database, job: str) -> list[tuple[Any, ...]]:
    sql = "SELECT status::text, attempts FROM pgqueuer.pgqueuer WHERE entrypoint = $1"
    return [tuple(row) for row in await db.fetch(sql, job)]


async def until(db: Database, job: str, expected: list[tuple[Any, ...]]) -> None:
    async def reached() -> bool:
        return await rows(db, job) == expected

    await eventually(reached)


class TestWork:
    async def test_it_does_what_is_queued_and_removes_it(
        self, infra: House, db: Database, jobs: Jobs
    ) -> None:
        job, gate = name(), Gate()
        gate.open.set()
        jobs.register(job, gate)
        async with working(infra):
            await db.run(lambda tx: jobs.enqueue(tx, job, new_id()))
            await gate.until_begun()
            await until(db, job, [])

    async def test_a_failed_job_comes_again_after_a_pause(
        self, infra: House, db: Database, jobs: Jobs, logged: list[Any]
    ) -> None:
        job, done, calls = name(), asyncio.Event(), 0

        async def fail_once(_: UUID) -> None:
            nonlocal calls
            calls += 1
            if calls == 1:
                raise ValueError("once")
            done.set()

        jobs.register(job, fail_once)
        await db.run(lambda tx: jobs.enqueue(tx, job, new_id()))
        async with working(infra):
            await asyncio.wait_for(done.wait(), PATIENCE_S)
            await until(db, job, [])

    async def test_jobs_run_side_by_side_up_to_the_limit(
        self, infra: House, db: Database, jobs: Jobs
    ) -> None:
        job, gate = name(), Gate()
        jobs.register(job, gate)
        for _ in range(4):
            await db.run(lambda tx: jobs.enqueue(tx, job, new_id()))
        async with working(infra, concurrency=3):

            async def full() -> bool:
                return gate.calls == 3

            await eventually(full)
            assert sorted(await rows(db, job)) == [("picked", 0)] * 3 + [("queued", 0)]
            gate.open.set()
            await until(db, job, [])


class TestStop:
    async def test_running_jobs_end_before_it_stops(
        self, infra: House, db: Database, jobs: Jobs
    ) -> None:
        job, gate = name(), Gate()
        jobs.register(job, gate)
        await db.run(lambda tx: jobs.enqueue(tx, job, new_id()))
        async with working(infra) as stop:
            await gate.until_begun()
            stop.set()
            gate.open.set()
        assert await rows(db, job) == []

    async def test_what_does_not_end_in_time_is_given_back(
        self, infra: House, db: Database, jobs: Jobs, logged: list[Any]
    ) -> None:
        job, gate = name(), Gate()
        jobs.register(job, gate)
        await db.run(lambda tx: jobs.enqueue(tx, job, new_id()))
        async with working(infra, deadline_s=0.05):
            await gate.until_begun()
        assert await rows(db, job) == [("queued", 1)]


class TestDeath:
    async def test_a_silent_workers_job_is_taken_over(
        self, infra: House, db: Database, jobs: Jobs
    ) -> None:
        job, gate = name(), Gate()
        gate.open.set()
        jobs.register(job, gate)
        await db.run(lambda tx: jobs.enqueue(tx, job, new_id()))
        async with db.connection() as connection:
            assert await Queue(connection, new_id()).claim([job], 1, 30)
        async with working(infra):
            await until(db, job, [("picked", 0)])
            assert gate.calls == 0
            await db.fetch(
                "UPDATE pgqueuer.pgqueuer SET heartbeat = now() - interval '31 s'"
                " WHERE entrypoint = $1",
                job,
            )
            await gate.until_begun()
            await until(db, job, [])

    @pytest.mark.process
    async def test_killed_in_mid_job_its_job_is_done_by_another(
        self, infra: House, db: Database, jobs: Jobs, fresh_place: Place
    ) -> None:
        job, gate = name(), Gate()
        gate.open.set()
        jobs.register(job, gate)
        await db.run(lambda tx: jobs.enqueue(tx, job, new_id()))
        victim = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", VICTIM, job),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "HAZINA_DATABASE_URL": fresh_place.app, "PYTHONPATH": "src"},
        )
        assert victim.stdout is not None
        async with asyncio.timeout(PATIENCE_S):
            while await victim.stdout.readline() != b"begun\n":
                assert victim.returncode is None
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        async with working(infra, stale_s=1):
            await gate.until_begun()
            await until(db, job, [])

    async def test_it_outlives_every_connection(
        self, fresh: Database, infra: House, logged: list[Any]
    ) -> None:
        job, running, after = name(), Gate(), Gate()
        after.open.set()
        house = House(infra.settings, fresh, infra.clock)
        jobs = Jobs(fresh, infra.clock)
        house.put(jobs)
        jobs.register(job, running)
        jobs.register(f"{job}_after", after)
        await fresh.run(lambda tx: jobs.enqueue(tx, job, new_id()))
        async with working(house):
            await running.until_begun()
            killed = await fresh.fetch(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            assert killed
            running.open.set()
            await fresh.run(lambda tx: jobs.enqueue(tx, f"{job}_after", new_id()))
            await after.until_begun()
            await until(fresh, job, [])
        assert running.calls == 1


class TestSweepers:
    async def test_two_workers_sweep_once_in_an_interval(
        self, infra: House, db: Database, jobs: Jobs
    ) -> None:
        mine, beacon = Gate(), Gate()
        mine.open.set()
        beacon.open.set()
        sweeper = name()
        jobs.every(sweeper, 3600, mine)
        async with working(infra), working(infra):
            await mine.until_begun()
            # Both have gone round once more when a sweeper that is due later has run.
            jobs.every(name(), 1, beacon)
            await db.fetch(
                "INSERT INTO infra.sweep (name, started_at) VALUES ($1, '-infinity')"
                " ON CONFLICT DO NOTHING",
                list(jobs.sweepers)[-1],
            )

            async def gone_round() -> bool:
                return beacon.calls >= 3

            await eventually(gone_round)
        assert mine.calls == 1
        row = await db.fetchrow("SELECT ended_at, error FROM infra.sweep WHERE name = $1", sweeper)
        assert row is not None
        assert row["ended_at"] is not None
        assert row["error"] is None

    async def test_a_failed_sweep_is_noted_and_comes_again(
        self, infra: House, db: Database, jobs: Jobs, logged: list[Any]
    ) -> None:
        sweeper, again, calls = name(), asyncio.Event(), 0

        async def fail() -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                again.set()
            raise ValueError("broken")

        jobs.every(sweeper, 1, fail)
        async with working(infra):
            await asyncio.wait_for(again.wait(), PATIENCE_S)
        wrong = await db.fetchval("SELECT error FROM infra.sweep WHERE name = $1", sweeper)
        assert wrong == "ValueError"


class TestHealth:
    async def test_ready_while_a_worker_is_there(self, fresh: Database, infra: House) -> None:
        house = House(infra.settings, fresh, infra.clock)
        house.put(Jobs(fresh, infra.clock))
        heads = {row["version_num"] for row in await fresh.fetch(health.HEADS)}
        assert not (await health.check(fresh, heads)).ready
        async with working(house):

            async def ready() -> bool:
                return (await health.check(fresh, heads)).ready

            await eventually(ready)
            behind = await health.check(fresh, {*heads, "infra_9999"})
            assert behind.as_json()["checks"] == {
                "database": "ok",
                "migrations": "failing",
                "worker": "ok",
            }
        assert not (await health.check(fresh, heads)).worker

    async def test_a_database_that_is_gone_is_an_answer(self, fresh_place: Place) -> None:
        lost = await Database.connect(fresh_place.app, size=1)
        await lost.close()
        assert await health.check(lost, set()) == health.Health(
            database=False, migrations=False, worker=False
        )


VICTIM = """
import asyncio, os, sys
from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.infra.jobs import Jobs
from hazina.infra.settings import Settings
from hazina.infra.worker import Worker
from hazina.kernel.clock import SystemClock

async def main():
    db = await Database.connect(os.environ["HAZINA_DATABASE_URL"], size=4)
    house = House(Settings(), db, SystemClock())
    jobs = Jobs(db, house.clock)
    async def hang(_):
        print("begun", flush=True)
        await asyncio.Event().wait()
    jobs.register(sys.argv[1], hang)
    house.put(jobs)
    await Worker(house).run(asyncio.Event())

asyncio.run(main())
"""
