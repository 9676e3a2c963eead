"""Switches stop calls at once: in the request and in the claim; whoever was first is awaited."""

import asyncio
from datetime import timedelta

import pytest

from hazina.desk.switches import AGAIN_AFTER, Maintenance, Switch, Switches, band_of, refusal_of
from hazina.flows.deposits.send import Sender as DepositSender
from hazina.flows.withdrawals.send import Sender as WithdrawalSender
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Tx
from hazina.infra.jobs import Jobs
from hazina.kernel.actor import SYSTEM
from hazina.kernel.errors import Invalid
from tests.backup.test_an_hour_back import rich, withdraw
from tests.journeys.world import World, one

EVERY = list(Switch)


async def turn_off(world: World, switch: Switch, reason: str = "M-Pesa misbehaves") -> bool:
    house = world.house
    return await house.db.run(
        lambda tx: house.get(Switches).turn_off(
            tx, switch, by="clerk", reason=reason, actor=SYSTEM, now=house.clock.now()
        )
    )


async def turn_on(world: World, switch: Switch) -> bool:
    house = world.house
    return await house.db.run(
        lambda tx: house.get(Switches).turn_on(
            tx, switch, by="clerk", actor=SYSTEM, now=house.clock.now()
        )
    )


async def begun(world: World) -> int:
    return int(await one(world.house.db, "SELECT count(*) FROM withdrawals.attempt"))


class TestARequest:
    @pytest.mark.parametrize(
        ("switch", "deposit", "withdrawal"),
        [
            (Switch.MPESA_IN, 503, 202),
            (Switch.MPESA_OUT, 202, 503),
            (Switch.ALL, 503, 503),
            (Switch.WRITES, 503, 503),
        ],
    )
    async def test_is_refused_in_the_direction_that_is_off(
        self, world: World, switch: Switch, deposit: int, withdrawal: int
    ) -> None:
        person = await rich(world)
        await turn_off(world, switch)
        asked = await person.post("/wallet/deposits", amount_kes="100")
        paid = await person.post("/wallet/withdrawals", amount_kes="100")
        assert (asked.status_code, paid.status_code) == (deposit, withdrawal)
        code = "maintenance" if switch is Switch.WRITES else "rail_stopped"
        for answer in (asked, paid):
            if answer.status_code == 503:
                assert answer.json()["error"]["code"] == code
                assert "misbehaves" not in answer.text
                assert int(answer.headers["Retry-After"]) > 0
        await turn_on(world, switch)

    async def test_refused_by_a_switch_can_be_repeated_under_its_key(self, world: World) -> None:
        person = await rich(world)
        await turn_off(world, Switch.MPESA_OUT)
        key = "the-same-act-1"
        assert (await person.post("/wallet/withdrawals", key, amount_kes="100")).status_code == 503
        await turn_on(world, Switch.MPESA_OUT)
        assert (await person.post("/wallet/withdrawals", key, amount_kes="100")).status_code == 202

    async def test_reserves_nothing(self, world: World) -> None:
        person = await rich(world)
        await turn_off(world, Switch.MPESA_OUT)
        await person.post("/wallet/withdrawals", amount_kes="100")
        assert await world.balances(person) == {"KES": ("10000.00", "0.00")}


class TestAClaim:
    @pytest.mark.parametrize("switch", [Switch.MPESA_OUT, Switch.ALL])
    async def test_waits_while_it_is_off_and_goes_out_afterwards(
        self, world: World, switch: Switch
    ) -> None:
        person = await rich(world)
        await withdraw(person)
        await turn_off(world, switch)
        await world.settle()
        world.clock.advance(timedelta(minutes=10))
        await world.sweep()
        assert await begun(world) == 0
        assert await world.balances(person) == {"KES": ("9400.00", "600.00")}
        await turn_on(world, switch)
        world.clock.advance(AGAIN_AFTER + timedelta(seconds=1))
        await world.sweep()
        await world.settle()
        assert (await world.handset(person.phone))["balance"] == "5600.00"

    async def test_of_the_other_direction_goes_on(self, world: World) -> None:
        person = await rich(world)
        await turn_off(world, Switch.MPESA_IN)
        await withdraw(person)
        await world.settle()
        assert (await world.handset(person.phone))["balance"] == "5600.00"

    async def test_results_and_questions_go_on(self, world: World) -> None:
        person = await rich(world)
        await world.fault("callback_never", operation="b2c")
        await withdraw(person)
        await world.settle()
        await turn_off(world, Switch.ALL)
        world.clock.advance(timedelta(seconds=61))
        await world.sweep()
        await world.settle()
        assert await world.balances(person) == {"KES": ("9400.00", "0.00")}

    async def test_none_is_made_after_the_switch_has_answered(self, world: World) -> None:
        """A crowd of payouts is under way when it is turned off: what is claimed after it said
        so would be a call that somebody believes stopped."""
        people = [await rich(world) for _ in range(4)]
        for person in people:
            for _ in range(5):
                await withdraw(person, "100")
        jobs, db = world.house.get(Jobs), world.house.db
        found = await db.fetch("SELECT id FROM withdrawals.withdrawal")
        running = [
            asyncio.create_task(jobs.run_now("withdrawal.advance", row["id"])) for row in found
        ]
        await asyncio.wait(running[:3], return_when=asyncio.FIRST_COMPLETED)
        await turn_off(world, Switch.MPESA_OUT)
        when_off = await begun(world)
        await asyncio.gather(*running)
        assert await begun(world) == when_off
        assert 0 < when_off <= len(found)

    async def test_that_was_first_is_waited_for(self, world: World) -> None:
        switches, db = world.house.get(Switches), world.house.db
        async with db.transaction() as tx:
            assert await switches.find_closed(tx, Switch.MPESA_OUT) is None
            turning = asyncio.create_task(turn_off(world, Switch.MPESA_OUT))
            await waits_for_the_lock(db)
            assert not turning.done()
        assert await turning

    async def test_that_comes_while_it_is_being_turned_off_sees_it(self, world: World) -> None:
        switches, house = world.house.get(Switches), world.house

        async def look(tx: Tx) -> bool:
            return await switches.find_closed(tx, Switch.MPESA_OUT) is not None

        async with house.db.transaction() as tx:
            await switches.turn_off(
                tx, Switch.MPESA_OUT, by="clerk", reason="x", actor=SYSTEM, now=house.clock.now()
            )
            looking = asyncio.create_task(house.db.run(look))
            await waits_for_the_lock(house.db)
        assert await looking


async def waits_for_the_lock(db: Database) -> None:
    """Until somebody waits for the switches."""
    async with asyncio.timeout(20):
        while not await one(  # noqa: ASYNC110 - another session's wait has no event
            db, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)"
        ):
            await asyncio.sleep(0)


class TestASwitch:
    async def test_leaves_a_trace_with_who_and_why(self, world: World) -> None:
        house = world.house
        assert await turn_off(world, Switch.ALL, "an incident")
        assert not await turn_off(world, Switch.ALL, "another reason")
        assert await turn_on(world, Switch.ALL)
        assert not await turn_on(world, Switch.ALL)
        trail = await house.get(Audit).list_of_object(house.db, "switch", "all")
        assert [event.action for event in trail.items] == ["switch.turned_on", "switch.turned_off"]
        assert trail.items[0].before is not None
        assert trail.items[0].before["reason"] == "an incident"

    async def test_needs_a_reason(self, world: World) -> None:
        with pytest.raises(Invalid):
            await turn_off(world, Switch.ALL, "  ")

    async def test_only_maintenance_refuses_all_changes(self, world: World) -> None:
        switches = world.house.get(Switches)
        assert band_of(await switches.now()) == ""
        for switch in EVERY:
            await turn_off(world, switch)
            standing = await switches.now()
            assert isinstance(refusal_of(standing), Maintenance) is (switch is Switch.WRITES)
            assert band_of(standing)
            await turn_on(world, switch)


async def test_in_maintenance_jobs_wait_and_callbacks_are_kept(world: World) -> None:
    person = await rich(world)
    await world.fault("callback_late", operation="b2c", delay_s=0.5)
    await withdraw(person)
    await world.work()
    await turn_off(world, Switch.WRITES)
    await world.sim.get("/sim/wait-idle", params={"timeout": 20, "prompts": False})
    came = "SELECT count(*) FROM infra.inbox WHERE kind = 'payout'"
    assert await one(world.house.db, came) == 1
    assert await world.house.get(Jobs).run_all_due() == 0
    assert await world.balances(person) == {"KES": ("9400.00", "600.00")}
    await turn_on(world, Switch.WRITES)
    await world.settle()
    assert await world.balances(person) == {"KES": ("9400.00", "0.00")}


def test_both_directions_have_a_switch_of_their_own() -> None:
    assert DepositSender.switch is Switch.MPESA_IN
    assert WithdrawalSender.switch is Switch.MPESA_OUT
