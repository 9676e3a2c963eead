"""Wiring: one House for each process, built from the manifests in the registry's order."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hazina.bootstrap.registry import manifests
from hazina.infra import points
from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.infra.settings import Settings
from hazina.kernel.clock import Clock, SystemClock
from hazina.ledger.service import Ledger, prepare


def assemble(settings: Settings, db: Database, clock: Clock) -> House:
    """This will build every slice's services; no connection is made and nothing is read."""
    house = House(settings, db, clock)
    for manifest in manifests():
        manifest.build(house)
    return house


@asynccontextmanager
async def open_house(settings: Settings, clock: Clock | None = None) -> AsyncIterator[House]:
    """A house on the configured database, ready to work; closed at the end."""
    settings.refuse_unsafe()
    points.arm(settings.kill_at)
    if settings.database_url is None:
        raise RuntimeError("HAZINA_DATABASE_URL is not set: start with ./hazina up, or set it")
    db = await Database.connect(
        settings.database_url.get_secret_value(), size=settings.database_pool_size
    )
    try:
        house = assemble(settings, db, clock or SystemClock())
        try:
            await prepare(house.get(Ledger), db)
            yield house
        finally:
            await house.close()
    finally:
        await db.close()
