"""A prompt that M-Pesa calls paid and gives no receipt of: what is asked next, and how it ends."""

from datetime import timedelta
from uuid import UUID

import pytest

from hazina.desk.approvals import Approval
from hazina.flows.receipts.pull import Puller
from hazina.flows.receipts.unanswered import PromptMayBePaid, Unanswered
from hazina.flows.receipts.waiting import list_waiting
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import parse_id
from tests.journeys.paying import back, in_step
from tests.journeys.test_claw_back import owed
from tests.journeys.test_deposits import deposit, state
from tests.journeys.test_suspense import Desk, desk
from tests.journeys.test_unknown import import_statement
from tests.journeys.test_withdrawals import withdraw
from tests.journeys.world import Person, World, one

__all__ = ["desk"]
IN_TRANSIT = """
SELECT coalesce(sum(e.debit - e.credit), 0) FROM ledger.entry_unbounded e
JOIN ledger.account a ON a.key = e.account_key WHERE a.purpose = 'mpesa:in_transit'
"""


async def later(world: World, **by: int) -> None:
    world.clock.advance(timedelta(**by))
    await in_step(world)
    await world.sweep()
    await world.settle(late=False)


async def confirmed(world: World, amount: str = "500") -> tuple[Person, str]:
    """A deposit that M-Pesa calls paid when it is asked, and that nobody paid."""
    person = await world.customer()
    await world.fault("callback_never", operation="stk")
    await world.fault("query_contradicts", operation="query")
    found = await deposit(world, person, amount)
    await world.work()
    await world.answer_prompt(person.phone, "cancel")
    await later(world, seconds=30)
    assert await state(await back(person), found) == "confirmed"
    return person, found


async def ask_absent(world: World, desk: Desk, wire: str) -> Approval:
    house = world.house
    return await house.db.run(
        lambda tx: house.get(Unanswered).ask_absent(
            tx, parse_id("dep", wire), reason="nowhere in the portal", operator=desk.first,
            actor=desk.first.as_actor(SYSTEM), now=house.clock.now(),
        )
    )  # fmt: skip


class TestCalledPaidWithoutAReceipt:
    async def test_is_listed_with_its_next_step_and_taken_back_by_two_with_proof(
        self, world: World, desk: Desk
    ) -> None:
        began = world.clock.now() - timedelta(minutes=1)
        person, found = await confirmed(world)
        assert await world.balances(await back(person)) == {"KES": ("500.00", "0.00")}
        [waiting] = await list_waiting(world.house.db)
        assert waiting.why == "M-Pesa's receipt"
        assert waiting.next_step
        with pytest.raises(PromptMayBePaid, match="48 hours"):
            await ask_absent(world, desk, found)
        await withdraw(person, "300")
        await world.settle()
        await later(world, hours=49)
        with pytest.raises(PromptMayBePaid, match="No complete statement"):
            await ask_absent(world, desk, found)
        await import_statement(world, began, world.clock.now() - timedelta(minutes=1))
        await desk.approve(await ask_absent(world, desk, found), desk.second)
        assert await state(await back(person), found) == "failed"
        assert await world.balances(await back(person)) == {"KES": ("0.00", "0.00")}
        [debt] = await owed(world, person)
        assert str(debt.outstanding) == "KES 300.00"
        assert await one(world.house.db, IN_TRANSIT) == 0
        assert await list_waiting(world.house.db) == []

    async def test_above_the_limit_was_not_given_and_only_ends(
        self, world: World, desk: Desk
    ) -> None:
        began = world.clock.now() - timedelta(minutes=1)
        limit = world.house.settings.in_transit_limit_kes
        person, found = await confirmed(world, str(limit + 1))
        assert await world.balances(await back(person)) == {}
        await later(world, hours=49)
        await import_statement(world, began, world.clock.now() - timedelta(minutes=1))
        await desk.approve(await ask_absent(world, desk, found), desk.second)
        assert await state(await back(person), found) == "failed"
        assert await owed(world, person) == []
        assert await one(world.house.db, "SELECT sum(used) FROM desk.limit_use") == 0

    async def test_whose_payment_shows_in_the_list_only_after_hours_is_found_there(
        self, world: World, desk: Desk
    ) -> None:
        """The list is read two hours back, mostly; as long as a prompt waits, back to it."""
        person = await world.customer(auto="pay")
        await world.sim.put("/sim/settings", json={"stk_confirms_c2b": False})
        await world.fault("callback_never", operation="stk")
        found = await deposit(world, person)
        await world.work()
        await world.fault("pull_empty", operation="pull", count=None)
        await later(world, minutes=20)
        assert await state(await back(person), found) == "confirmed"
        for _ in range(4):
            await later(world, hours=1)
        await world.sim.delete("/sim/faults")
        assert await state(await back(person), found) == "confirmed"
        await world.house.get(Puller).read(world.clock.now())
        await world.settle()
        assert await state(await back(person), found) == "paid"
        assert await one(world.house.db, IN_TRANSIT) == 0
        assert await world.balances(await back(person)) == {"KES": ("500.00", "0.00")}


class TestAnUnknownPrompt:
    async def test_that_learnt_its_ids_from_a_callback_while_m_pesa_could_not_be_asked_is_asked(
        self, world: World, desk: Desk
    ) -> None:
        """It waited for the sweep over the inbox, or for ever."""
        person = await world.customer()
        await world.sim.put("/sim/settings", json={"stk_confirms_c2b": False})
        await world.fault("drop_after_accept", operation="stk")
        found = await deposit(world, person)
        await world.work()
        assert await state(await back(person), found) == "unknown"
        assert await due(world, found) is None
        await world.fault("drop_before_accept", operation="query")
        await world.answer_prompt(person.phone)
        await world.settle(late=False)
        assert await state(await back(person), found) == "unknown"
        assert await due(world, found) is not None
        await later(world, seconds=30)
        assert await state(await back(person), found) in ("confirmed", "paid")
        assert await world.balances(await back(person)) == {"KES": ("500.00", "0.00")}


async def due(world: World, wire: str) -> object:
    found: UUID = parse_id("dep", wire)
    sql = "SELECT next_attempt_at FROM deposits.deposit WHERE id = $1"
    return await one(world.house.db, sql, found)
