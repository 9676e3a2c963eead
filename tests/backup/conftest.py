"""A world that can be copied, and reopened on what was restored beside the same M-Pesa."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest_asyncio

from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.pg_record import Urls
from hazina.bootstrap.registry import manifests
from hazina.bootstrap.schema import expected_heads
from hazina.bootstrap.wiring import assemble
from hazina.infra.db import Database
from hazina.infra.settings import Settings
from hazina.kernel.clock import SettableClock
from hazina.ledger.service import Ledger, prepare
from hazina.simulators.daraja import SimConfig
from hazina.web.console.app import create_console_app
from hazina.web.wallet.app import create_wallet_app
from tests.conftest import Place
from tests.journeys.conftest import daraja, world
from tests.journeys.world import World, address, listener, serving, simulated
from tests.process.conftest import data_dir, free_port, house_data, made_once, room, server
from tests.server import at

__all__ = ["daraja", "data_dir", "free_port", "house_data", "made_once", "room", "server", "world"]

Reopen = Callable[[Path], Awaitable[World]]


def managed(place: Place) -> Urls:
    """A server whose owner may not stream: what is in it is dumped."""
    return Urls(place.owner, place.owner, place.app, place.readonly)


def streaming(place: Place) -> Urls:
    """A server whose administrator may stream its files."""
    return Urls(at(place.admin, place.name), place.owner, place.app, place.readonly)


@pytest_asyncio.fixture(loop_scope="session")
async def reopen(
    settings: Settings, clock: SettableClock, daraja: tuple[str, SimConfig]
) -> AsyncIterator[Reopen]:
    """Opens a house on restored data; the simulator has forgotten nothing."""
    async with AsyncExitStack() as last:

        async def begin(data: Path) -> World:
            return await last.enter_async_context(_reopened(settings, data, clock, daraja))

        yield begin


@asynccontextmanager
async def _reopened(
    settings: Settings, data: Path, clock: SettableClock, daraja: tuple[str, SimConfig]
) -> AsyncIterator[World]:
    postgres = EmbeddedPostgres(data)
    urls = postgres.start()
    sim, config = daraja
    wallet, console = listener(), listener()
    keyed = settings.model_copy(update={"data_dir": data, "key_file": data / "keys.json"})
    chosen = simulated(keyed, urls.app, sim, config, address(wallet))
    db = await Database.connect(urls.app, size=8)
    house = assemble(chosen, db, clock)
    await prepare(house.get(Ledger), db)
    client, heads = httpx.AsyncClient(base_url=sim, timeout=30), expected_heads()
    try:
        async with (
            serving(create_wallet_app(house, manifests(), heads=heads), wallet),
            serving(create_console_app(house, manifests(), heads=heads), console),
        ):
            made = World(house, address(wallet), address(console), client)
            yield made
            await made.close()
    finally:
        await house.close()
        await client.aclose()
        await db.close()
        postgres.discard()
