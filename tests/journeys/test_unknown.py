"""Payouts of which nobody knows the ending: each way out, and no other."""

from datetime import datetime, timedelta
from io import BytesIO
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from hazina.desk.approvals import Approval
from hazina.desk.switches import Switches
from hazina.flows.receipts.statements import Imported, NotProvenAbsent, Statements
from hazina.flows.receipts.waiting import list_waiting
from hazina.flows.withdrawals.resend import MayNotResend, Resend, ResendTooLate
from hazina.kernel.actor import SYSTEM
from hazina.kernel.errors import Invalid
from hazina.kernel.ids import parse_id
from hazina.kernel.machine import StateMoved
from hazina.kernel.outcome import Rejected
from tests.journeys.paying import account_of, in_step, pay
from tests.journeys.test_suspense import Desk, desk
from tests.journeys.world import Person, World

__all__ = ["desk"]


async def unknown(world: World, fault: str = "drop_before_accept") -> tuple[Person, UUID]:
    """A person whose payout was sent, and nobody knows what became of it."""
    person = await world.customer()
    await pay(world, person.phone, await account_of(person), "1000")
    await world.fault(fault, operation="b2c")
    if fault == "drop_after_accept":
        await world.fault("callback_never", operation="b2c")
    answer = await person.post("/wallet/withdrawals", amount_kes="500")
    assert answer.status_code == 202, answer.text
    await world.work()
    found = parse_id("wdr", answer.json()["withdrawal_id"])
    assert await state(world, found) == "unknown"
    return person, found


async def state(world: World, withdrawal_id: UUID) -> str:
    found: str = await world.house.db.fetchval(
        "SELECT state FROM withdrawals.withdrawal WHERE id = $1", withdrawal_id
    )
    return found


async def resent(world: World, desk: Desk, withdrawal_id: UUID) -> object:
    return await world.house.get(Resend).send(
        withdrawal_id, operator=desk.first, actor=desk.first.as_actor(SYSTEM)
    )


async def paid_out(world: World, person: Person) -> str:
    balance: str = (await world.handset(person.phone))["balance"]
    return balance


class TestSendingAgain:
    async def test_rejected_releases_nothing(self, world: World, desk: Desk) -> None:
        person, found = await unknown(world)
        await world.fault("http_500", operation="b2c")
        assert isinstance(await resent(world, desk, found), Rejected)
        assert await state(world, found) == "unknown"
        assert (await world.balances(person))["KES"][1] != "0.00"

    async def test_is_for_managers_within_a_day_and_the_unknown(
        self, world: World, desk: Desk
    ) -> None:
        _, found = await unknown(world)
        with pytest.raises(MayNotResend):
            await world.house.get(Resend).send(found, operator=desk.clerk, actor=SYSTEM)
        world.clock.advance(timedelta(hours=24, seconds=1))
        with pytest.raises(ResendTooLate):
            await resent(world, desk, found)
        await world.house.db.run(
            lambda tx: tx.execute("UPDATE withdrawals.withdrawal SET state = 'held'")
        )
        with pytest.raises(StateMoved):
            await resent(world, desk, found)
        await world.house.db.run(
            lambda tx: tx.execute("UPDATE withdrawals.withdrawal SET state = 'unknown'")
        )


class TestAPayoutCalledPaid:
    async def test_and_told_as_failed_later_is_an_alarm_and_a_question(
        self, world: World, desk: Desk
    ) -> None:
        """M-Pesa's status was wrong: nobody else would ever hear of it."""
        person = await world.customer()
        await pay(world, person.phone, await account_of(person), "1000")
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        await world.fault("callback_late", operation="b2c", delay_s=600)
        await world.fault("query_contradicts", operation="status")
        answer = await person.post("/wallet/withdrawals", amount_kes="500")
        found = parse_id("wdr", answer.json()["withdrawal_id"])
        await world.work()
        for passed, then in ((2, "paid"), (10, "doubted")):
            world.clock.advance(timedelta(minutes=passed))
            with capture_logs() as logs:
                await in_step(world)
                await world.sweep()
                await world.settle(late=False)
            assert await state(world, found) == then
        assert "a payout failed that we had called paid" in {one["event"] for one in logs}
        [waiting] = await list_waiting(world.house.db)
        assert "told as not paid" in waiting.why


class TestAbsent:
    async def test_takes_status_twice_a_whole_statement_and_two_persons(
        self, world: World, desk: Desk
    ) -> None:
        _, found = await unknown(world)
        began = world.clock.now() - timedelta(minutes=1)
        with pytest.raises(NotProvenAbsent) as no:
            await ask_absent(world, desk, found)
        assert len(no.value.details["missing"]) == 2
        for _ in range(3):
            world.clock.advance(timedelta(hours=1))
            await in_step(world)
            await world.sweep()
            await world.settle()
        with pytest.raises(NotProvenAbsent, match="No complete statement"):
            await ask_absent(world, desk, found)
        until = world.clock.now() - timedelta(minutes=1)
        body = await statement(world, began, until)
        early = await take(world, body, began, began + timedelta(minutes=30))
        with pytest.raises(NotProvenAbsent, match="No complete statement"):
            await ask_absent(world, desk, found)
        # No line came since: the very same file, fetched later, shows just that.
        later = await take(world, body, began, until)
        assert (early.again, later.again) == (False, False)
        assert (await take(world, body, began, until)).again
        asked = await ask_absent(world, desk, found)
        assert await state(world, found) == "unknown"
        await desk.approve(asked, desk.second)
        assert await state(world, found) == "failed"
        held = await world.house.db.fetchval("SELECT sum(debits_pending) FROM ledger.account")
        assert held == 0

    async def test_is_never_what_m_pesa_has_paid(self, world: World, desk: Desk) -> None:
        """Its callbacks and its status are lost, but the statement has it."""
        _, found = await unknown(world, "drop_after_accept")
        await world.fault("callback_never", operation="status", count=None)
        began = world.clock.now() - timedelta(minutes=1)
        world.clock.advance(timedelta(hours=3))
        await in_step(world)
        await world.house.db.run(
            lambda tx: tx.execute("UPDATE withdrawals.withdrawal SET not_found = 2")
        )
        await import_statement(world, began, world.clock.now() - timedelta(minutes=1))
        with pytest.raises(NotProvenAbsent, match="payouts of that amount"):
            await ask_absent(world, desk, found)


class TestAStatement:
    async def test_credits_nobody_by_itself_and_has_m_pesa_asked(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer()
        await world.fault("callback_never", operation="c2b")
        began = world.clock.now() - timedelta(minutes=1)
        await pay(world, person.phone, await account_of(person), "300")
        world.clock.advance(timedelta(minutes=5))
        await in_step(world)
        imported = await import_statement(world, began, world.clock.now())
        assert len(imported.unknown) == 1
        assert await world.balances(person) == {}
        await world.settle()
        assert await world.balances(person) == {"KES": ("300.00", "0.00")}
        again = await import_statement(world, began, world.clock.now())
        assert again.again
        assert again.unknown == ()

    async def test_is_refused_with_lines_from_outside_its_time(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer()
        await pay(world, person.phone, await account_of(person), "300")
        world.clock.advance(timedelta(hours=1))
        body = (await world.sim.get("/sim/statement.csv")).content
        now = world.clock.now()
        with pytest.raises(Invalid):
            await world.house.get(Statements).take(
                BytesIO(body), now - timedelta(minutes=5), now, by="clerk", actor=SYSTEM
            )


class TestWhatIsOpen:
    async def test_is_listed_with_why_and_what_next(self, world: World, desk: Desk) -> None:
        await unknown(world)
        waiting = await list_waiting(world.house.db)
        assert [(one.kind, one.state) for one in waiting] == [("withdrawal", "unknown")]
        assert waiting[0].why
        assert waiting[0].next_step


async def ask_absent(world: World, desk: Desk, withdrawal_id: UUID) -> Approval:
    house = world.house
    return await house.db.run(
        lambda tx: house.get(Statements).ask_absent(
            tx,
            withdrawal_id,
            reason="not in the portal",
            operator=desk.first,
            actor=desk.first.as_actor(SYSTEM),
            now=house.clock.now(),
        )
    )


async def statement(world: World, since: datetime, until: datetime) -> bytes:
    """The portal's file of that time, by M-Pesa's own books."""
    await in_step(world)
    span = {"from": since.isoformat(), "to": until.isoformat()}
    return (await world.sim.get("/sim/statement.csv", params=span)).content


async def take(world: World, body: bytes, since: datetime, until: datetime) -> Imported:
    return await world.house.get(Statements).take(
        BytesIO(body), since, until, by="clerk", actor=SYSTEM
    )


async def import_statement(world: World, since: datetime, until: datetime) -> Imported:
    return await take(world, await statement(world, since, until), since, until)


class TestARefusedCredential:
    @pytest.mark.parametrize("code", ["2001", "8006", "TP40153"])
    async def test_twice_in_ten_minutes_stops_payouts(
        self, world: World, desk: Desk, code: str
    ) -> None:
        person = await world.customer()
        await pay(world, person.phone, await account_of(person), "1000")
        await world.fault("b2c_fail", operation="b2c", result_code=code, count=2)
        for _ in range(2):
            assert await world.house.get(Switches).now() == {}
            answer = await person.post("/wallet/withdrawals", amount_kes="100")
            assert answer.status_code == 202, answer.text
            await world.settle()
        assert list(await world.house.get(Switches).now()) == ["mpesa.out"]
        stopped = await person.post("/wallet/withdrawals", amount_kes="100")
        assert stopped.json()["error"]["code"] == "rail_stopped"
        assert await world.balances(person) == {"KES": ("1000.00", "0.00")}
