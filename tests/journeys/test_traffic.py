"""Payments in and out with every fault on: both books end equal, and nothing stays open."""

import os

import pytest

from tests.journeys.traffic import Traffic
from tests.journeys.world import World
from tests.rails.matrix.mpesa import Daraja
from tests.rails.matrix.trial import standing


async def balanced(world: World, *, payments: int, people: int, seed: int) -> Traffic:
    """Plays the hour and clears up; all that must be true is asserted."""
    await world.sim.put("/sim/settings", json={"c2b_external_validation": False})
    traffic = Traffic(world, seed)
    opening = (await Daraja(world).books()).payable
    await traffic.prepare(people)
    print("prepared", world.clock.now())
    await traffic.hour(payments)
    print("hour", dict(traffic.asked))
    left = await traffic.clear_up()
    assert [(one.kind, one.state, one.wire, one.why) for one in left] == []
    now = await standing(world, Daraja(world))
    assert now.inside.collected == now.outside.collected
    assert now.inside.payable == now.outside.payable - opening
    assert now.inside.charges == now.outside.charges
    assert now.suspense == 0
    await world.prove()
    return traffic


@pytest.mark.soak
async def test_a_short_rush(world: World) -> None:
    traffic = await balanced(world, payments=150, people=30, seed=4)
    assert sum(traffic.asked.values()) == 150


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_an_hour_of_ten_thousand(world: World) -> None:
    """By name: `./hazina test tests/journeys/test_traffic.py -m soak -n 0 -s`."""
    payments = int(os.environ.get("HAZINA_SOAK_PAYMENTS", "10000"))
    seed = int(os.environ.get("HAZINA_SOAK_SEED", "1"))
    traffic = await balanced(world, payments=payments, people=max(20, payments // 25), seed=seed)
    print("asked", dict(traffic.asked))
    print("decided by two persons", dict(traffic.decided))
