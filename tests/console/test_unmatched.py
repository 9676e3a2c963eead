"""What M-Pesa's statement and our books do not both have, at the console."""

import secrets
from datetime import timedelta

from hazina.flows.receipts.waiting import list_waiting
from hazina.kernel.ids import new_id, wire_id
from hazina.kernel.money import KES
from hazina.kernel.outcome import Accepted
from hazina.rails.ports import Payout, Rails
from tests.console.conftest import Desk
from tests.console.test_questions import approve, done, seen
from tests.journeys.paying import account_of, back, in_step, pay
from tests.journeys.test_paid_late import later
from tests.journeys.test_unknown import import_statement, statement, take
from tests.journeys.test_unlisted import without
from tests.journeys.world import World


async def test_a_payment_that_a_statement_lacks_is_a_question_until_one_has_it(
    world: World, desk: Desk
) -> None:
    person = await world.customer()
    began = world.clock.now() - timedelta(minutes=10)
    receipt = (await pay(world, person.phone, await account_of(person), "1000"))["receipt"]
    await later(world, hours=3)
    until = world.clock.now()
    body = await statement(world, began, until)
    assert (await take(world, without(body, receipt), began, until)).unmatched == 1
    [waiting] = await list_waiting(world.house.db)
    assert (waiting.state, waiting.who, waiting.amount) == ("only here", receipt, KES.money("1000"))
    assert "it lacks what is booked here" in await seen(desk.auditor, "/open-questions")
    assert (await take(world, without(body, receipt), began, until)).unmatched == 0
    await take(world, body, began, until)
    assert await list_waiting(world.house.db) == []
    await later(world, minutes=1)
    ended = await world.house.db.fetchval("SELECT ended_why FROM receipts.unmatched")
    assert ended == "both books have it now"
    assert await world.balances(await back(person)) == {"KES": ("1000.00", "0.00")}


async def test_a_payout_that_nobody_here_made_is_ended_by_two_persons(
    world: World, desk: Desk
) -> None:
    """Somebody has our credential, or has paid in the portal: M-Pesa's account is short of it."""
    await in_step(world)
    began = world.clock.now() - timedelta(minutes=10)
    person, payouts = await world.customer(), world.house.get(Rails).payouts
    salary = Payout(new_id(), 300, person.phone, "Salary", secrets.token_hex(16))
    assert isinstance(await payouts.pay(payouts.prepare(salary, began)), Accepted)
    await world.settle()
    await later(world, hours=3)
    assert (await import_statement(world, began, world.clock.now())).unmatched == 1
    [waiting] = await list_waiting(world.house.db)
    assert waiting.state == "only there"
    path = f"/open-questions/{wire_id('unm', waiting.id)}"
    assert path in (await desk.clerk.http.get("/open-questions")).text
    await done(desk.first, path, f"{path}/settled", settled_reason="A salary, paid in the portal")
    assert [one.id for one in await list_waiting(world.house.db)] == [waiting.id]
    assert (await approve(desk.second)).status_code == 303
    assert await list_waiting(world.house.db) == []
    assert "A salary, paid in the portal" in await seen(desk.auditor, path)
