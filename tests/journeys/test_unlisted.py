"""A payout that M-Pesa called paid, was booked, and stands in no statement of M-Pesa's."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from uuid import UUID

import pytest
import pytest_asyncio

from hazina.flows.receipts.statements import NotProvenAbsent
from hazina.flows.receipts.waiting import list_waiting
from hazina.infra.db import Database
from hazina.infra.settings import Settings
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import parse_id
from hazina.simulators.daraja import SimConfig
from tests.conftest import Place
from tests.journeys.paying import back, payout_result
from tests.journeys.test_claw_back import owed, paid_in
from tests.journeys.test_gold import stocked
from tests.journeys.test_paid_late import LATE, ask_paid, later, page, state
from tests.journeys.test_suspense import Desk, desk
from tests.journeys.test_unknown import ask_absent, import_statement, statement, take
from tests.journeys.test_withdrawals import withdraw
from tests.journeys.world import Person, World, one, world_on

__all__ = ["desk"]

FEE = {"withdrawal_fee_min_kes": 20, "withdrawal_excise_bps": 1500}
TOLD = "SELECT count(*) FROM desk.message WHERE template = 'withdrawal_given_back'"


@pytest_asyncio.fixture(loop_scope="session")
async def world(
    settings: Settings,
    fresh: Database,
    fresh_place: Place,
    clock: SettableClock,
    daraja: tuple[str, SimConfig],
) -> AsyncIterator[World]:
    """As every journey's, in a house that takes a fee for payouts."""
    charging = settings.model_copy(update=FEE)
    sim, config = daraja
    async with world_on(charging, fresh, clock, sim, config, fresh_place.app) as made:
        yield made
        await made.settle(late=False)
        await made.prove()


async def called_paid(world: World, person: Person) -> UUID:
    """M-Pesa does not pay, tells nobody and, asked once, says that it paid."""
    await world.fault("b2c_fail", operation="b2c", result_code="2040")
    await world.fault("callback_never", operation="b2c")
    await world.fault("query_contradicts", operation="status")
    found = parse_id("wdr", await withdraw(person, "600"))
    await world.settle(late=False)
    await later(world, seconds=61)
    assert await state(world, found) == "paid"
    return found


def without(body: bytes, receipt: str) -> bytes:
    """That statement, of which somebody has lost the lines of ``receipt``."""
    out = io.StringIO(newline="")
    lines = csv.reader(io.StringIO(body.decode(), newline=""))
    csv.writer(out).writerows(line for line in lines if line[:1] != [receipt])
    return out.getvalue().encode()


async def receipt(world: World, found: UUID) -> str:
    return str(await one(world.house.db, "SELECT receipt FROM withdrawals.withdrawal WHERE id = $1",
                         found))  # fmt: skip


async def money(world: World, person: Person) -> tuple[str, str]:
    return (await world.balances(await back(person)))["KES"]


class TestNeverMade:
    async def test_is_a_question_until_two_persons_give_it_back_with_the_fee(
        self, world: World, desk: Desk
    ) -> None:
        person, _ = await paid_in(world)
        began = world.clock.now() - timedelta(minutes=1)
        found = await called_paid(world, person)
        assert await money(world, person) == ("380.00", "0.00")
        booked = await receipt(world, found)
        # Until two hours after it was sent M-Pesa may make it: that statement says nothing yet.
        early = await import_statement(world, began, world.clock.now())
        assert (early.unlisted, await state(world, found)) == (0, "paid")
        with pytest.raises(NotProvenAbsent, match="It is paid"):
            await ask_absent(world, desk, found)
        await later(world, hours=3)
        assert (await import_statement(world, began, world.clock.now())).unlisted == 1
        [waiting] = await list_waiting(world.house.db)
        assert (waiting.id, waiting.since) == (found, world.clock.now())
        assert "lacks the receipt" in waiting.why
        await later(world, minutes=20)  # asked, M-Pesa says that it was not paid: two persons still
        assert await state(world, found) == "doubted"
        assert "It may not have been paid" in await page(world, person, found)
        assert await money(world, person) == ("380.00", "0.00")
        await desk.approve(await ask_absent(world, desk, found), desk.second)
        assert await state(world, found) == "failed"
        assert await money(world, person) == ("1000.00", "0.00")
        assert await list_waiting(world.house.db) == []
        await world.settle(late=False)
        assert await one(world.house.db, TOLD) == 1
        assert "was given back, our fee included" in await page(world, person, found)
        await self._is_told_again(world, desk, person, found, booked, began)

    async def _is_told_again(
        self, world: World, desk: Desk, person: Person, found: UUID, booked: str, began: datetime
    ) -> None:
        """The word that was weighed against the statement moves nothing a second time."""
        token = await one(
            world.house.db, "SELECT token FROM withdrawals.withdrawal WHERE id = $1", found
        )
        await person.api.post(f"/hooks/{token}/r", json=payout_result(found, booked))
        await world.settle(late=False)
        assert (await import_statement(world, began, world.clock.now())).unlisted == 0
        await later(world, minutes=20)
        assert await state(world, found) == "failed"
        assert await money(world, person) == ("1000.00", "0.00")
        with pytest.raises(NotProvenAbsent, match="It is failed"):
            await ask_absent(world, desk, found)

    async def test_of_a_sale_gives_the_shillings_and_the_gold_stays_sold(
        self, world: World, desk: Desk
    ) -> None:
        await stocked(world, "100")
        person, _ = await paid_in(world, "10000")
        await person.post("/gold/trade/buy", amount_kes="9000", pay_from="wallet")
        had = await world.balances(person)
        began = world.clock.now() - timedelta(minutes=1)
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        await world.fault("callback_never", operation="b2c")
        await world.fault("query_contradicts", operation="status")
        sold = await person.post("/gold/trade/sell", grams="0.5")
        assert sold.status_code == 202, sold.text
        await world.settle(late=False)
        await later(world, seconds=61)
        await later(world, hours=3)
        assert (await import_statement(world, began, world.clock.now())).unlisted == 1
        [waiting] = await list_waiting(world.house.db)
        await desk.approve(await ask_absent(world, desk, waiting.id), desk.second)
        now = await world.balances(await back(person))
        assert had["XAU"] == ("0.675000", "0.000000")
        assert now["XAU"] == ("0.175000", "0.000000")
        assert now["KES"] == ("7450.00", "0.00")  # a thousand, and the sale

    async def test_is_doubted_too_where_it_is_booked_after_the_statement_was_brought(
        self, world: World, desk: Desk
    ) -> None:
        person, _ = await paid_in(world)
        began = world.clock.now() - timedelta(minutes=1)
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        await world.fault("callback_never", operation="b2c")
        await world.fault("callback_never", operation="status", count=None)
        found = parse_id("wdr", await withdraw(person, "600"))
        await world.settle(late=False)
        await later(world, hours=3)
        assert (await import_statement(world, began, world.clock.now())).unlisted == 0
        await world.sim.delete("/sim/faults")
        await world.fault("query_contradicts", operation="status")
        await later(world, minutes=11)
        assert await state(world, found) == "doubted"


class TestAStatementThatLacksALine:
    async def test_is_answered_by_a_whole_one_after_it_was_given_back(
        self, world: World, desk: Desk
    ) -> None:
        """What was given back is taken again by M-Pesa's word and its statement together."""
        person, _ = await paid_in(world)
        began = world.clock.now() - timedelta(minutes=1)
        found = parse_id("wdr", await withdraw(person, "600"))
        await world.settle()
        booked = await receipt(world, found)
        await later(world, hours=3)
        until = world.clock.now()
        body = await statement(world, began, until)
        assert (await take(world, without(body, booked), began, until)).unlisted == 1
        await desk.approve(await ask_absent(world, desk, found), desk.second)
        assert await money(world, person) == ("1000.00", "0.00")
        await later(world, minutes=20)  # M-Pesa is not asked, and its word would not count
        assert await state(world, found) == "failed"
        assert (await take(world, body, began, until)).doubted == 1
        assert await state(world, found) == "contradicted"
        await withdraw(await back(person), "700")
        await later(world, minutes=1)
        await later(world, minutes=1)
        assert (await state(world, found), await receipt(world, found)) == ("paid", booked)
        [debt] = await owed(world, person)
        assert str(debt.outstanding) == "KES 320.00"

    async def test_of_a_receipt_that_was_told_wrong_leaves_it_paid_under_the_right_one(
        self, world: World, desk: Desk
    ) -> None:
        """Somebody tells it from a trusted place under a receipt of their own; M-Pesa has paid."""
        person, _ = await paid_in(world)
        began = world.clock.now() - timedelta(minutes=1)
        await world.fault("callback_never", operation="b2c")
        found = parse_id("wdr", await withdraw(person, "600"))
        await world.settle(late=False)
        token = await one(
            world.house.db, "SELECT token FROM withdrawals.withdrawal WHERE id = $1", found
        )
        await person.api.post(f"/hooks/{token}/r", json=payout_result(found, LATE))
        await world.settle(late=False)
        assert await receipt(world, found) == LATE
        await later(world, hours=3)
        until = world.clock.now()
        body = await statement(world, began, until)
        assert (await take(world, body, began, until)).unlisted == 1
        with pytest.raises(NotProvenAbsent, match="payouts of that amount that are no others'"):
            await ask_absent(world, desk, found)
        right = next(
            line[0] for line in csv.reader(io.StringIO(body.decode()))
            if any(cell == "Business Payment to Customer" for cell in line)
        )  # fmt: skip
        await desk.approve(await ask_paid(world, desk, found, right), desk.second)
        assert (await state(world, found), await receipt(world, found)) == ("paid", right)
        assert await money(world, person) == ("380.00", "0.00")
