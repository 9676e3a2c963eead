"""The outbox tells each fact to every subscriber, in order, and its effect in the database once."""

from typing import Any
from uuid import UUID

import pytest

from hazina.infra.db import Database, Tx
from hazina.infra.house import House
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Event, Outbox
from hazina.kernel.ids import new_id

WAITING = "SELECT count(*) FROM infra.outbox WHERE key = $1"


@pytest.fixture
def outbox(infra: House) -> Outbox:
    return infra.get(Outbox)


async def emit(infra: House, outbox: Outbox, topic: str, key: UUID, *notes: int) -> None:
    for note in notes:
        now = infra.clock.now()
        await infra.db.run(
            lambda tx, note=note, now=now: outbox.emit(tx, topic, key, {"n": note}, now)
        )


class TestDelivery:
    async def test_every_subscriber_hears_in_order(
        self, infra: House, outbox: Outbox, jobs: Jobs, db: Database
    ) -> None:
        topic, key = f"test.{new_id().hex}", new_id()
        heard: list[tuple[str, object]] = []

        async def one(tx: Tx, event: Event) -> None:
            heard.append(("one", event.payload["n"]))

        async def two(tx: Tx, event: Event) -> None:
            heard.append(("two", event.payload["n"]))

        outbox.register(topic, one)
        outbox.register(topic, two)
        await emit(infra, outbox, topic, key, 1, 2, 3)
        await jobs.run_all_due()
        assert heard == [(who, n) for n in (1, 2, 3) for who in ("one", "two")]
        assert await db.fetchval(WAITING, key) == 0

    async def test_a_fact_of_a_rolled_back_transaction_was_never_stated(
        self, infra: House, outbox: Outbox, db: Database
    ) -> None:
        key = new_id()

        async def fail(tx: Tx) -> None:
            await outbox.emit(tx, "test.happened", key, {}, infra.clock.now())
            raise LookupError("no")

        with pytest.raises(LookupError):
            await db.run(fail)
        assert await db.fetchval(WAITING, key) == 0

    async def test_a_failing_subscriber_leaves_no_half_effect_and_stops_only_its_key(
        self, infra: House, outbox: Outbox, jobs: Jobs, db: Database, logged: list[Any]
    ) -> None:
        topic, bad, good = f"test.{new_id().hex}", new_id(), new_id()
        heard: list[UUID] = []
        broken = True

        async def hear(tx: Tx, event: Event) -> None:
            await tx.execute(
                "INSERT INTO infra.audit_event"
                " (id, at, actor_kind, action, object_type, object_id)"
                " VALUES ($1, now(), 'system', 'event.heard', 'event', $2)",
                new_id(),
                str(event.id),
            )
            if event.key == bad and broken:
                raise ValueError("later")
            heard.append(event.key)

        outbox.register(topic, hear)
        await emit(infra, outbox, topic, bad, 1)
        await emit(infra, outbox, topic, good, 1)
        await jobs.run_all_due(strict=False)
        assert heard == [good]
        assert await db.fetchval(WAITING, bad) == 1

        broken = False
        clock: Any = infra.clock
        from datetime import timedelta

        clock.advance(timedelta(minutes=1))
        await jobs.sweep("outbox.sweep")
        await jobs.run_all_due()
        assert heard == [good, bad]
        traces = "SELECT count(*) FROM infra.audit_event WHERE action = 'event.heard'"
        assert await db.fetchval(traces) == 2
