"""Payments in and out with every fault on: both books end equal, and nothing stays open."""

import os
from datetime import timedelta
from decimal import Decimal

import pytest

from hazina.simulators.daraja.faults import FAULTS as ALL_FAULTS
from tests.journeys.mishaps import FAULTS
from tests.journeys.traffic import CLEARING, Traffic
from tests.journeys.world import World
from tests.rails.matrix.mpesa import Daraja
from tests.rails.matrix.trial import standing

# Two days as well, in fewer looks: each costs, and a small crowd has few questions.
QUICKLY = (timedelta(minutes=12), timedelta(hours=1), timedelta(hours=5), timedelta(hours=21))
QUICKLY = (*QUICKLY, timedelta(hours=23))
OUR_PAYMENTS = "SELECT receipt, amount FROM deposits.mpesa_receipt"
OUR_PAYOUTS = "SELECT receipt, amount FROM withdrawals.withdrawal WHERE state = 'paid'"
PAGE = 1000


def test_every_fault_of_the_simulator_is_played() -> None:
    """A fault that the simulator learns is one that the hour plays, wherever it can strike."""
    played: dict[str, set[str | None]] = {}
    for name, operation, _ in FAULTS:
        played.setdefault(name, set()).add(operation)
    short = {
        name: sorted(set(fits) - played.get(name, set()))
        for name, (fits, _) in ALL_FAULTS.items()
        if None not in played.get(name, set()) and not played.get(name, set()) >= fits
    }
    assert short == {}


async def balanced(world: World, traffic: Traffic, payments: int, people: int) -> None:
    """Plays the hour and clears up; all that must be true is asserted."""
    opening = (await Daraja(world).books()).payable
    await traffic.prepare(people)
    await traffic.hour(payments)
    left = await traffic.clear_up(CLEARING if payments > PAGE else QUICKLY)
    assert [(one.kind, one.state, one.wire, one.why) for one in left] == []
    assert await ours(world, OUR_PAYMENTS) == await theirs(world, "Pay Bill Online")
    assert await ours(world, OUR_PAYOUTS) == await theirs(world, "Business Payment to Customer")
    now = await standing(world, Daraja(world))
    assert now.inside.collected == now.outside.collected
    assert now.inside.payable == now.outside.payable - opening
    assert now.inside.charges == now.outside.charges
    assert now.suspense == 0
    assert traffic.asked.total() == payments
    await world.prove()
    traffic.say(f"refused: {dict(traffic.refused)}; beside the faults: {dict(traffic.done)}")
    traffic.say(f"both books: {now.outside}")


async def ours(world: World, sql: str) -> dict[str, Decimal]:
    """Amounts in shillings by receipt, as we have booked them."""
    return {row["receipt"]: row["amount"] / 100 for row in await world.house.db.fetch(sql)}


async def theirs(world: World, kind: str) -> dict[str, Decimal]:
    """The same, as M-Pesa has them."""
    found: dict[str, Decimal] = {}
    cursor: str | None = "0"
    while cursor is not None:
        span = {"limit": PAGE, "cursor": cursor}
        page = (await world.sim.get("/sim/books", params=span)).json()
        mine = [one for one in page["transactions"] if one["kind"] == kind]
        found |= {one["receipt"]: Decimal(one["amount"]) for one in mine}
        cursor = page["next_cursor"]
    return found


@pytest.mark.timeout(120)
async def test_a_short_rush(world: World) -> None:
    await balanced(world, Traffic(world, seed=4), payments=40, people=12)


@pytest.mark.soak
@pytest.mark.timeout(10_800)
async def test_an_hour_of_ten_thousand(world: World) -> None:
    """By name: `./hazina test tests/journeys/test_traffic.py -m soak -n 0 -s`."""
    payments = int(os.environ.get("HAZINA_SOAK_PAYMENTS", "10000"))
    seed = int(os.environ.get("HAZINA_SOAK_SEED", "1"))
    people = max(20, payments // 25)
    await balanced(world, Traffic(world, seed), payments, people)
