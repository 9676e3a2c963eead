"""The database door when the database is away."""

import asyncio
from contextlib import suppress

import pytest
from tests.conftest import Place

from hazina.infra.db import Database, DatabaseLost, Tx, in_transaction
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
