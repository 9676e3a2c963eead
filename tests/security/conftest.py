"""One house, one world, many requests: a victim with one of everything, and all who may not see it.

The world is made once for each test process; tests here add to it and never count what is in it.
"""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from hazina.bootstrap.wiring import assemble
from hazina.infra.db import Database
from hazina.infra.settings import Settings
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import new_id
from hazina.ledger.service import Ledger, prepare
from tests import server
from tests.conftest import START, Place, place_called
from tests.journeys.conftest import daraja, world
from tests.security.estate import Estate, furnished

__all__ = ["daraja", "world"]  # the journeys' fixtures, for the story with secrets


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[Any]]:
    """What the house logs, instead of thousands of refusals on the terminal."""
    with capture_logs() as entries:
        yield entries


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def grounds() -> AsyncIterator[Place]:
    """The database of the world, apart from the worker's own."""
    made = await place_called(f"hazina_test_{new_id().hex}")
    yield made
    await server.drop(made.admin, made.name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def estate(settings: Settings, grounds: Place) -> AsyncIterator[Estate]:
    db = await Database.connect(grounds.app, size=20)
    owner = await Database.connect(grounds.owner, size=2)
    await prepare(Ledger(), db)
    house = assemble(settings, db, SettableClock(START))
    async with furnished(house, owner) as made:
        yield made
    await house.close()
    await owner.close()
    await db.close()
