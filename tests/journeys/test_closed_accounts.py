"""Money that comes to an account that was frozen or closed meanwhile: it is booked, never turned
away; into a frozen one, or into suspense for two persons."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest

from hazina.flows.receipts.pull import Puller
from hazina.infra.db import Tx
from hazina.kernel.actor import SYSTEM
from hazina.kernel.money import KES
from hazina.ledger.accounts import AccountIsClosed, Accounts
from hazina.ledger.chart import customer
from hazina.ledger.service import Ledger
from tests.journeys.paying import account_of, back, in_step, pay, payment
from tests.journeys.test_deposits import deposit, state
from tests.journeys.test_gold import buy, stocked, trade
from tests.journeys.test_suspense import Desk, desk, left_in_suspense
from tests.journeys.test_withdrawals import rich, withdraw
from tests.journeys.world import Person, World, one

__all__ = ["desk"]

Flow = Callable[[World, Person], Awaitable[None]]


async def stop(world: World, person: Person, how: str) -> None:
    """Freezes or closes the customer's shillings; an account that was never used is opened."""
    house = world.house
    owner: UUID = await one(
        house.db, "SELECT id FROM identity.customer WHERE username = $1", person.username
    )
    wallet, accounts = customer(owner, KES), house.get(Accounts)

    async def act(tx: Tx) -> None:
        await house.get(Ledger).open_accounts(tx, [wallet])
        await getattr(accounts, how)(tx, wallet, SYSTEM, "a test")

    await house.db.run(act)


async def later(world: World, **by: int) -> None:
    world.clock.advance(timedelta(**by))
    await in_step(world)
    await world.sweep()
    await world.settle(late=False)


async def prompt_answered(world: World, person: Person) -> None:
    await world.answer_prompt(person.phone)
    await world.settle()


async def prompt_asked_about(world: World, person: Person) -> None:
    """The callback is lost; M-Pesa, asked, says paid, and its list has the receipt."""
    await world.answer_prompt(person.phone)
    await later(world, seconds=30)
    await later(world, minutes=10)
    await world.house.get(Puller).read(world.clock.now())
    await world.settle()


async def paid_to_the_number(world: World, person: Person) -> None:
    await pay(world, person.phone, await account_of(person), "500")


async def found_in_the_list(world: World, person: Person) -> None:
    await world.fault("callback_never", operation="c2b")
    await pay(world, person.phone, await account_of(person), "500")
    await later(world, minutes=10)
    await world.house.get(Puller).read(world.clock.now())
    await world.settle()


FLOWS: dict[str, tuple[Flow, bool, dict[str, object]]] = {
    "a callback": (prompt_answered, True, {}),
    "a question and the list": (prompt_asked_about, True, {"fault": "callback_never"}),
    "the account number": (paid_to_the_number, False, {}),
    "the list alone": (found_in_the_list, False, {}),
}


class TestMoneyIn:
    @pytest.mark.parametrize("how", ["freeze", "close"])
    @pytest.mark.parametrize("flow", FLOWS)
    async def test_is_given_to_a_frozen_account_and_waits_in_suspense_for_a_closed_one(
        self, world: World, desk: Desk, flow: str, how: str
    ) -> None:
        act, prompted, trouble = FLOWS[flow]
        person, wire = await world.customer(), ""
        if trouble:
            await world.fault(str(trouble["fault"]), operation="stk")
        if prompted:
            wire = await deposit(world, person)
            await world.work()
        await stop(world, person, how)
        await act(world, person)
        held = await one(world.house.db, "SELECT count(*) FROM pgqueuer.pgqueuer WHERE"
                         " status = 'exception'")  # fmt: skip
        assert held == 0
        closed = how == "close"
        assert await left_in_suspense(world) == (50_000 if closed else 0)
        expected = {"KES": ("0.00" if closed else "500.00", "0.00")}
        assert await world.balances(await back(person)) == expected
        if prompted:
            assert await state(await back(person), wire) == ("suspended" if closed else "paid")
        await later(world, minutes=16)
        assert await world.balances(await back(person)) == expected

    async def test_of_a_prompt_to_a_closed_account_goes_back_by_two_persons(
        self, world: World, desk: Desk
    ) -> None:
        person = await world.customer()
        wire = await deposit(world, person)
        await world.work()
        await stop(world, person, "close")
        await prompt_answered(world, person)
        receipt = (await (await back(person)).get(f"/wallet/deposits/{wire}"))["receipt"]
        await world.house.get(Puller).read(world.clock.now() + timedelta(minutes=1))
        await world.settle()
        found = await payment(world, receipt)
        assert (found["state"], found["why"]) == ("suspended", "the customer's account is closed")
        asked = await desk.allocate(found["id"], person.username, desk.first)
        with pytest.raises(AccountIsClosed):
            await desk.approve(asked, desk.second)
        assert await left_in_suspense(world) == 50_000

    async def test_is_not_asked_for_where_the_account_is_closed(
        self, world: World, desk: Desk
    ) -> None:
        """No phone rings for money that could be booked nowhere; a frozen account takes it."""
        await stocked(world, "100")
        frozen, closed = await world.customer(), await world.customer()
        await stop(world, frozen, "freeze")
        await stop(world, closed, "close")
        await deposit(world, frozen)
        for path in ("/wallet/deposits", "/gold/trade/buy"):
            answer = await closed.post(path, amount_kes="2000")
            assert answer.status_code == 403, answer.text
            assert answer.json()["error"]["code"] == "account_closed"
        await world.work()
        assert (await world.handset(frozen.phone))["prompt"] is not None
        assert (await world.handset(closed.phone))["prompt"] is None


class TestMoneyBack:
    async def test_of_a_payout_that_fails_is_free_again_in_a_frozen_account(
        self, world: World, desk: Desk
    ) -> None:
        person = await rich(world)
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        await withdraw(person, "600")
        await stop(world, person, "freeze")
        await world.settle()
        assert await world.balances(await back(person)) == {"KES": ("1000.00", "0.00")}

    async def test_of_a_payout_that_is_made_leaves_a_frozen_account(
        self, world: World, desk: Desk
    ) -> None:
        person = await rich(world)
        await withdraw(person, "600")
        await stop(world, person, "freeze")
        await world.settle()
        assert await world.balances(await back(person)) == {"KES": ("400.00", "0.00")}

    async def test_of_a_sale_paid_by_m_pesa_is_booked_around_a_frozen_account(
        self, world: World, desk: Desk
    ) -> None:
        """M-Pesa has paid: nothing may keep that out of the books."""
        await stocked(world, "100")
        person = await rich(world, "10000")
        await person.post("/gold/trade/buy", amount_kes="9000", pay_from="wallet")
        sold = await person.post("/gold/trade/sell", grams="0.5")
        await stop(world, person, "freeze")
        await world.settle()
        assert (await trade(person, sold.json()["trade_id"]))["state"] == "completed"
        balances = await world.balances(await back(person))
        assert balances == {"KES": ("1000.00", "0.00"), "XAU": ("0.175000", "0.000000")}

    @pytest.mark.parametrize("how", ["freeze", "close"])
    async def test_of_a_purchase_stays_shillings_and_the_gold_is_let_go(
        self, world: World, desk: Desk, how: str
    ) -> None:
        await stocked(world, "100")
        person = await world.customer()
        trade_id = await buy(person, amount_kes="2000")
        await world.work()
        await stop(world, person, how)
        await prompt_answered(world, person)
        assert (await trade(person, trade_id))["state"] in ("kept_as_shillings", "cancelled")
        held = await one(world.house.db, "SELECT sum(debits_pending) FROM ledger.account"
                         " WHERE purpose = 'lot'")  # fmt: skip
        assert held == 0
        in_suspense = 200_000 if how == "close" else 0
        assert await left_in_suspense(world) == in_suspense
