"""A database of the ledger's own: its tests leave open holds and huge amounts behind, which the
proof of a journey in the same database would rightly complain about."""

import os
from collections.abc import AsyncIterator

import pytest_asyncio

from hazina.infra.db import Database
from hazina.ledger.service import Ledger, prepare
from tests import server
from tests.conftest import Place


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def ledger_place() -> AsyncIterator[Place]:
    admin, worker = os.environ[server.ADMIN_VARIABLE], os.environ.get("PYTEST_XDIST_WORKER", "only")
    made = Place(f"hazina_test_ledger_{os.getpid()}_{worker}", admin)
    await server.clone(admin, made.name)
    yield made
    await server.drop(admin, made.name)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def db(ledger_place: Place) -> AsyncIterator[Database]:
    database = await Database.connect(ledger_place.app, size=40)
    await prepare(Ledger(), database)
    yield database
    await database.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def owner_db(ledger_place: Place) -> AsyncIterator[Database]:
    database = await Database.connect(ledger_place.owner, size=4)
    yield database
    await database.close()
