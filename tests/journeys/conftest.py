"""A world for each journey, proven at its end."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from hazina.infra.db import Database
from hazina.infra.settings import Settings
from hazina.kernel.clock import SettableClock
from hazina.simulators.daraja import SimConfig
from tests.conftest import Place
from tests.journeys.world import World, simulator, world_on


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def daraja(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[str, SimConfig]]:
    async with simulator(tmp_path_factory.mktemp("daraja")) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def world(
    settings: Settings,
    fresh: Database,
    fresh_place: Place,
    clock: SettableClock,
    daraja: tuple[str, SimConfig],
) -> AsyncIterator[World]:
    """Its own database, its own clock; the proof runs when the journey is over."""
    sim, config = daraja
    async with world_on(settings, fresh, clock, sim, config, fresh_place.app) as made:
        yield made
        await made.settle(late=False)
        await made.prove()
