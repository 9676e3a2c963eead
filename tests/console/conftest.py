"""Operators with a browser each, in the world of the journeys."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest_asyncio

from hazina.identity.operators import Operators
from hazina.identity.people import Role
from hazina.kernel.actor import SYSTEM
from tests.journeys import conftest as journeys
from tests.journeys.paying import registered
from tests.journeys.world import PASSWORD, World
from tests.web.conftest import Browser
from tests.web.money import signed_in

daraja = journeys.daraja
world = journeys.world


class Desk:
    """Two managers, a clerk and an auditor, each signed in at the console."""

    def __init__(self, world: World, browsers: dict[str, Browser]) -> None:
        self.world = world
        self.first, self.second = browsers["first"], browsers["second"]
        self.clerk, self.auditor = browsers["clerk"], browsers["auditor"]

    async def trail(self) -> list[str]:
        """What was done, by operators, in the order it was done."""
        rows = await self.world.house.db.fetch(
            "SELECT action FROM infra.audit_event WHERE actor_kind = 'operator'"
            " AND action NOT LIKE 'operator.%' ORDER BY id"
        )
        return [row["action"] for row in rows]


ROLES = {
    "first": Role.MANAGER,
    "second": Role.ADMINISTRATOR,
    "clerk": Role.OPERATOR,
    "auditor": Role.AUDITOR,
}


@pytest_asyncio.fixture(loop_scope="session")
async def desk(world: World) -> AsyncIterator[Desk]:
    await registered(world)
    await world.sim.put("/sim/settings", json={"c2b_external_validation": False})
    operators, now = world.house.get(Operators), world.clock.now()
    async with AsyncExitStack() as stack:
        browsers = {}
        for name, role in ROLES.items():
            username = f"{name}-{role.value}"
            await operators.create(username, PASSWORD, role, SYSTEM, now)
            browsers[name] = await stack.enter_async_context(signed_in(world.console, username))
        yield Desk(world, browsers)
