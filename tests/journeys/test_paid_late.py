"""A payout that M-Pesa called not paid, or two persons did, and that was paid all the same."""

from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from hazina.desk.approvals import Approval
from hazina.flows.receipts.late import LatePayouts, NotProvenPaid
from hazina.flows.receipts.statements import NotProvenAbsent
from hazina.flows.receipts.waiting import list_waiting
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import parse_id, wire_id
from tests.journeys.paying import back, in_step, payout_result
from tests.journeys.test_claw_back import owed, paid_in, refused, signed_in
from tests.journeys.test_gold import stocked
from tests.journeys.test_suspense import Desk, desk
from tests.journeys.test_unknown import ask_absent, import_statement
from tests.journeys.test_withdrawals import withdraw
from tests.journeys.world import Person, World, one

__all__ = ["desk"]

LATE_S = 600
LATE = "UKZLATE001"
TOLD = """
SELECT topic FROM infra.outbox_event
WHERE topic IN ('customer.paid_late', 'customer.paid_late_owes') ORDER BY id
"""


async def later(world: World, **by: int) -> None:
    """Time passes on both sides, and what is due by then is done."""
    world.clock.advance(timedelta(**by))
    await in_step(world)
    await world.sweep()
    await world.settle(late=False)


async def state(world: World, withdrawal_id: UUID) -> str:
    sql = "SELECT state FROM withdrawals.withdrawal WHERE id = $1"
    return str(await one(world.house.db, sql, withdrawal_id))


async def page(world: World, person: Person, withdrawal_id: UUID) -> str:
    """The withdrawal as its customer sees it."""
    async with httpx.AsyncClient(base_url=world.wallet, follow_redirects=True) as web:
        await signed_in(web, person.username)
        shown = await web.get(f"/withdrawals/{wire_id('wdr', withdrawal_id)}")
    assert shown.status_code == 200
    return shown.text


async def called_declined(world: World, person: Person, amount: str = "600") -> UUID:
    """A payout that M-Pesa makes and, asked, calls declined; its own result comes much later."""
    await world.fault("callback_late", operation="b2c", delay_s=LATE_S)
    await world.fault("query_contradicts", operation="status")
    found = parse_id("wdr", await withdraw(person, amount))
    await world.settle(late=False)
    await later(world, seconds=61)
    assert await state(world, found) == "failed"
    return found


class TestCalledDeclinedAndPaid:
    async def test_is_asked_about_anew_and_taken_from_the_wallet(
        self, world: World, desk: Desk
    ) -> None:
        person, _ = await paid_in(world)
        found = await called_declined(world, person)
        assert await world.balances(await back(person)) == {"KES": ("1000.00", "0.00")}
        await world.fault("callback_never", operation="status")
        await later(world, seconds=LATE_S)
        assert await state(world, found) == "contradicted"
        [waiting] = await list_waiting(world.house.db)
        assert (waiting.kind, waiting.state) == ("withdrawal", "contradicted")
        assert "two persons" in waiting.next_step
        assert await world.balances(await back(person)) == {"KES": ("1000.00", "0.00")}
        await later(world, minutes=1)
        assert await state(world, found) == "contradicted"
        assert "It may have been paid after all" in await page(world, person, found)
        await later(world, minutes=11)
        assert await state(world, found) == "paid"
        assert "We ask no fee for it" in await page(world, person, found)
        assert await world.balances(await back(person)) == {"KES": ("400.00", "0.00")}
        assert await list_waiting(world.house.db) == []
        assert await owed(world, person) == []
        story = await (await back(person)).get(f"/wallet/withdrawals/wdr_{found.hex}")
        assert story["receipt"]
        told = await one(world.house.db, "SELECT count(*) FROM desk.message WHERE template = $1",
                         "paid_late")  # fmt: skip
        assert told >= 1

    async def test_is_owed_where_it_was_spent_and_our_fee_is_not_asked_for(
        self, world: World, desk: Desk
    ) -> None:
        person, _ = await paid_in(world)
        found = await called_declined(world, person)
        await withdraw(person, "700")
        await world.settle(late=False)
        await later(world, seconds=LATE_S)
        await later(world, minutes=1)
        assert await state(world, found) == "paid"
        assert await world.balances(await back(person)) == {"KES": ("0.00", "0.00")}
        [debt] = await owed(world, person)
        assert str(debt.outstanding) == "KES 300.00"
        assert refused(await (await back(person)).post("/wallet/withdrawals", amount_kes="50")) == (
            "debt_outstanding"
        )
        fees = await one(
            world.house.db, "SELECT count(*) FROM ledger.transfer WHERE code = 'withdrawal_fee'"
        )
        assert fees == 0 or await one(
            world.house.db,
            "SELECT count(*) FROM ledger.transfer WHERE code = 'withdrawal_fee'"
            " AND reference_id = $1 AND kind = 'post_pending'", found,
        ) == 0  # fmt: skip

    async def test_of_a_sale_leaves_the_gold_and_takes_the_shillings(
        self, world: World, desk: Desk
    ) -> None:
        """The grams were let go of when the payout failed; the shillings are owed."""
        await stocked(world, "100")
        person, _ = await paid_in(world, "10000")
        await person.post("/gold/trade/buy", amount_kes="9000", pay_from="wallet")
        await world.fault("callback_late", operation="b2c", delay_s=LATE_S)
        await world.fault("query_contradicts", operation="status")
        sold = await person.post("/gold/trade/sell", grams="0.5")
        assert sold.status_code == 202, sold.text
        await world.settle(late=False)
        await later(world, seconds=61)
        held = (await world.balances(await back(person)))["XAU"]
        assert held == ("0.675000", "0.000000")
        await later(world, seconds=LATE_S)
        await later(world, minutes=1)
        assert (await world.balances(await back(person)))["XAU"] == held
        assert (await world.balances(await back(person)))["KES"] == ("0.00", "0.00")
        assert [str(debt.outstanding) for debt in await owed(world, person)] == ["KES 5450.00"]

    async def test_a_strangers_word_of_it_changes_nothing(self, world: World, desk: Desk) -> None:
        person, _ = await paid_in(world)
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        found = parse_id("wdr", await withdraw(person, "600"))
        await world.settle()
        token = await one(
            world.house.db, "SELECT token FROM withdrawals.withdrawal WHERE id = $1", found
        )
        for source, then in (("203.0.113.7", "failed"), ("127.0.0.1", "contradicted")):
            forged = await person.api.post(
                f"/hooks/{token}/r",
                json=payout_result(found, LATE),
                headers={"X-Forwarded-For": source},
            )
            assert forged.status_code == 200
            await world.settle()
            assert await state(world, found) == then
        # Even from a trusted place it is a claim: M-Pesa, asked, says that it was declined.
        for _ in range(3):
            await later(world, minutes=30)
        assert await state(world, found) == "contradicted"
        assert await world.balances(await back(person)) == {"KES": ("1000.00", "0.00")}


class TestTwoPersons:
    async def test_call_a_contradicted_one_never_made_with_a_whole_statement(
        self, world: World, desk: Desk
    ) -> None:
        person, _ = await paid_in(world)
        began = world.clock.now() - timedelta(minutes=1)
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        found = parse_id("wdr", await withdraw(person, "600"))
        await world.settle()
        token = await one(
            world.house.db, "SELECT token FROM withdrawals.withdrawal WHERE id = $1", found
        )
        await person.api.post(f"/hooks/{token}/r", json=payout_result(found, LATE))
        await world.settle()
        assert await state(world, found) == "contradicted"
        with pytest.raises(NotProvenAbsent, match="No complete statement"):
            await ask_absent(world, desk, found)
        await later(world, hours=3)
        await import_statement(world, began, world.clock.now() - timedelta(minutes=1))
        await desk.approve(await ask_absent(world, desk, found), desk.second)
        assert await state(world, found) == "failed"
        assert await world.balances(await back(person)) == {"KES": ("1000.00", "0.00")}

    async def test_book_one_that_only_the_statement_shows(self, world: World, desk: Desk) -> None:
        """M-Pesa never tells and, asked, keeps calling it declined."""
        person, _ = await paid_in(world)
        began = world.clock.now() - timedelta(minutes=1)
        await world.fault("callback_never", operation="b2c")
        await world.fault("query_contradicts", operation="status", count=None)
        found = parse_id("wdr", await withdraw(person, "600"))
        await world.settle(late=False)
        await later(world, seconds=61)
        assert await state(world, found) == "failed"
        receipt = await receipt_of(world)
        with pytest.raises(NotProvenPaid, match="No statement has a payout"):
            await ask_paid(world, desk, found, receipt)
        await later(world, minutes=5)
        taken = await import_statement(world, began, world.clock.now())
        assert taken.doubted == 1
        await later(world, minutes=5)
        assert await state(world, found) == "failed"
        with pytest.raises(NotProvenPaid, match="No statement has a payout"):
            await ask_paid(world, desk, found, "UKK0000000")
        asked = await ask_paid(world, desk, found, receipt)
        await desk.approve(asked, desk.second)
        assert await state(world, found) == "paid"
        assert await world.balances(await back(person)) == {"KES": ("400.00", "0.00")}

    async def test_are_not_needed_where_m_pesa_answers_for_what_a_statement_shows(
        self, world: World, desk: Desk
    ) -> None:
        person, _ = await paid_in(world)
        began = world.clock.now() - timedelta(minutes=1)
        await world.fault("callback_never", operation="b2c")
        await world.fault("query_contradicts", operation="status")
        found = parse_id("wdr", await withdraw(person, "600"))
        await world.settle(late=False)
        await later(world, seconds=61)
        assert await state(world, found) == "failed"
        await later(world, minutes=5)
        await import_statement(world, began, world.clock.now())
        await later(world, seconds=5)
        await later(world, minutes=1)
        assert await state(world, found) == "paid"
        assert await world.balances(await back(person)) == {"KES": ("400.00", "0.00")}


async def receipt_of(world: World) -> str:
    """The receipt of the one payout in M-Pesa's own books."""
    await in_step(world)
    body = (await world.sim.get("/sim/statement.csv")).text.splitlines()
    [line] = [one for one in body if "Business Payment to Customer" in one and "harge" not in one]
    return line.split(",")[0].strip('"')


async def ask_paid(world: World, desk: Desk, withdrawal_id: UUID, receipt: str) -> Approval:
    house = world.house
    return await house.db.run(
        lambda tx: house.get(LatePayouts).ask_paid(
            tx, withdrawal_id, receipt, reason="it is in the portal", operator=desk.first,
            actor=desk.first.as_actor(SYSTEM), now=house.clock.now(),
        )
    )  # fmt: skip
