"""The conformance matrix, one house for all of it; docs/rails/matrix.md is its table."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from tests import server
from tests.conftest import START, Place
from tests.journeys.paying import registered
from tests.journeys.world import World, simulator, world_on
from tests.rails.matrix.case import Case
from tests.rails.matrix.cases import CASES
from tests.rails.matrix.mpesa import Daraja
from tests.rails.matrix.trial import Trial

from hazina.infra.db import Database
from hazina.infra.settings import Settings
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import new_id
from hazina.ledger.service import Ledger, prepare


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def world(
    place: Place, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """One house for the matrix, on a database of its own, its paybill registered."""
    mine = Place(f"hazina_test_{new_id().hex}", place.admin)
    await server.clone(mine.admin, mine.name)
    database = await Database.connect(mine.app, size=20)
    await prepare(Ledger(), database)
    clock = SettableClock(START)
    async with (
        simulator(tmp_path_factory.mktemp("matrix")) as (sim, config),
        world_on(settings, database, clock, sim, config, mine.app) as made,
    ):
        await registered(made)
        # An account number that is nobody's must reach us to be somebody's question.
        await made.sim.put("/sim/settings", json={"c2b_external_validation": False})
        yield made
        await made.settle(late=False)
        await made.prove()
    await database.close()
    await server.drop(mine.admin, mine.name)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_case(world: World, case: Case) -> None:
    driver = Daraja(world)
    assert case.fits(driver.capabilities)
    trial = await Trial.begin(world, driver, case)
    await case.play(trial)
    await trial.ends(case.outcome)


def test_a_number_is_one_case() -> None:
    numbers = [case.number for case in CASES]
    assert len(numbers) == len(set(numbers))
