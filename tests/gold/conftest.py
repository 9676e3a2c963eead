"""Each test of gold has a database of its own, and leaves it with every claim of the proof true."""

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio
from pydantic import SecretStr

from hazina.bootstrap.wiring import assemble
from hazina.infra.db import Database
from hazina.infra.settings import Settings
from hazina.kernel.clock import SettableClock
from tests.conftest import Place
from tests.gold.desk import GoldDesk


@pytest_asyncio.fixture(loop_scope="session")
async def desk(
    fresh: Database, fresh_place: Place, settings: Settings, clock: SettableClock
) -> AsyncIterator[GoldDesk]:
    own = settings.model_copy(update={"database_url": SecretStr(fresh_place.app)})

    async def as_owner(text: str, *args: object) -> None:
        connection = await asyncpg.connect(fresh_place.owner)
        try:
            await connection.execute(text, *args)
        finally:
            await connection.close()

    made = GoldDesk(assemble(own, fresh, clock), as_owner)
    yield made
    assert await made.faults() == []


@pytest_asyncio.fixture(loop_scope="session")
async def market(desk: GoldDesk) -> GoldDesk:
    """Gold at 13,333.33 to buy and 12,900 to sell, ten grams of it."""
    await desk.price("13333.33", "12900")
    await desk.lot("Lot 1, 10 g 24k", "10")
    return desk
