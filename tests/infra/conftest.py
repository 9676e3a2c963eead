"""A house with infra alone, on a database of its own."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest_asyncio
import structlog

from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.infra.jobs import Jobs
from hazina.infra.manifest import MANIFEST
from hazina.infra.settings import Settings
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import new_id


@pytest_asyncio.fixture(loop_scope="session")
async def db(fresh: Database) -> Database:
    """Of one test's own: these tests count what is in the queues."""
    return fresh


@pytest_asyncio.fixture(loop_scope="session")
async def infra(settings: Settings, db: Database, clock: SettableClock) -> AsyncIterator[House]:
    house = House(settings, db, clock)
    MANIFEST.build(house)
    yield house
    await house.close()


@pytest_asyncio.fixture(loop_scope="session")
async def jobs(infra: House) -> Jobs:
    return infra.get(Jobs)


@pytest_asyncio.fixture(loop_scope="session")
async def logged() -> AsyncIterator[list[Any]]:
    with structlog.testing.capture_logs() as logs:
        yield logs


PATIENCE_S = 20


async def eventually(condition: Callable[[], Awaitable[bool]]) -> None:
    """This will wait until something in the database is so, or fail."""
    async with asyncio.timeout(PATIENCE_S):
        while not await condition():  # noqa: ASYNC110 - a table has no event
            await asyncio.sleep(0.02)


def name() -> str:
    """A job name of this test's own."""
    return f"test.t{new_id().hex}"
