"""The database door when the database is away."""

import asyncio
from contextlib import suppress

import asyncpg
import pytest
from tests.conftest import Place

from hazina.infra.db import IDLE_S, Database, DatabaseLost, Tx, in_transaction
from hazina.kernel.errors import Invalid


async def cut(place: Place) -> None:
    """Ends every connection to the place, as a crash would."""
    admin = await Database.connect(place.admin, size=1)
    await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", place.name
    )
    await admin.close()


@pytest.mark.parametrize(
    ("ends", "told"),
    [(None, ["commit", "either"]), (Invalid("no"), ["either"]), (RuntimeError("a bug"), [])],
)
async def test_what_must_be_on_record_is_told_after_a_commit_and_after_a_refusal(
    db: Database, ends: Exception | None, told: list[str]
) -> None:
    heard: list[str] = []

    async def either() -> None:
        assert not in_transaction.get()
        heard.append("either")

    async def use_case(tx: Tx) -> None:
        tx.after_commit(lambda: heard.append("commit"))
        with suppress(Invalid):
            async with tx.savepoint():
                tx.either_way(either)
                raise Invalid("undone, and not forgotten")
        if ends is not None:
            raise ends

    with suppress(Invalid, RuntimeError):
        await db.run(use_case)
    assert heard == told


async def test_a_connection_cut_in_mid_flight_is_said_so(
    fresh: Database, fresh_place: Place
) -> None:
    async def cut_off(tx: Tx) -> None:
        await cut(fresh_place)
        await tx.fetchval("SELECT 1")

    with pytest.raises(DatabaseLost):
        await fresh.run(cut_off)
    assert await fresh.fetchval("SELECT 1") == 1


async def test_what_must_not_be_lost_is_tried_until_the_database_is_back(
    fresh: Database, fresh_place: Place
) -> None:
    tries = 0

    async def store(tx: Tx) -> int:
        nonlocal tries
        tries += 1
        if tries < 3:
            await cut(fresh_place)
        return int(await tx.fetchval("SELECT 7"))

    assert await fresh.run_patiently(store, patience_s=20) == 7
    assert tries == 3


async def test_patience_ends(fresh: Database, fresh_place: Place) -> None:
    async def never(tx: Tx) -> None:
        await cut(fresh_place)
        await tx.fetchval("SELECT 1")

    async with asyncio.timeout(20):
        with pytest.raises(DatabaseLost):
            await fresh.run_patiently(never, patience_s=0.2)


async def sessions(db: Database, place: Place) -> set[int]:
    """The server's processes that work for the application, beside the one that is asked."""
    rows = await db.fetch(
        "SELECT pid FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()"
        " AND backend_type = 'client backend'",
        place.name,
    )
    return {row["pid"] for row in rows}


async def test_a_connection_that_nobody_uses_is_closed(fresh: Database, fresh_place: Place) -> None:
    """Those at hand were out of the pool's sight, and so of what it does with idle ones."""
    asker = await Database.connect(fresh_place.app, size=1)
    await asyncio.gather(*(fresh.fetch("SELECT pg_sleep(0.02)") for _ in range(4)))
    assert len(await sessions(asker, fresh_place)) >= 4
    now = asyncio.get_running_loop().time()
    await fresh.end_idle(now + IDLE_S - 60)
    assert len(await sessions(asker, fresh_place)) >= 4
    await fresh.end_idle(now + IDLE_S + 60)
    for _ in range(500):
        if not await sessions(asker, fresh_place):
            break
    assert await sessions(asker, fresh_place) == set()
    assert await fresh.fetchval("SELECT 1") == 1
    await asker.close()


async def test_no_connection_lives_for_ever(fresh_place: Place) -> None:
    for life_s, different in ((60.0, 1), (0.0, 5)):
        pool = await asyncpg.create_pool(fresh_place.app, min_size=0, max_size=2)
        db = Database(pool, life_s=life_s)
        pids = {await db.fetchval("SELECT pg_backend_pid()") for _ in range(5)}
        lane, heard = db.lane(), set()
        for _ in range(5):
            heard.add(await lane.run(lambda tx: tx.fetchval("SELECT pg_backend_pid()")))
        assert (len(pids), len(heard)) == (different, different)
        await lane.close()
        await db.close()
