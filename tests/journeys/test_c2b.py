"""Shillings that come unasked: the PayBill menu, notices, M-Pesa's own word, and its list."""

from datetime import timedelta

import pytest

from hazina.kernel.outcome import Accepted
from tests.journeys.paying import account_of, in_step, pay, payment, registered
from tests.journeys.test_deposits import deposit, state
from tests.journeys.world import World, one

LATER = timedelta(minutes=14)  # a person's access token lasts fifteen


class TestAPaymentToACustomersNumber:
    async def test_is_credited_once_m_pesa_agrees(self, world: World) -> None:
        await registered(world)
        person = await world.customer()
        paid = await pay(world, person.phone, await account_of(person))
        assert paid["state"] == "paid"
        assert (await payment(world, paid["receipt"]))["state"] == "credited"
        assert await world.balances(person) == {"KES": ("750.00", "0.00")}

    async def test_typed_with_spaces_by_somebody_else_is_theirs_all_the_same(
        self, world: World
    ) -> None:
        await registered(world)
        person, friend = await world.customer(), await world.customer()
        number = await account_of(person)
        paid = await pay(world, friend.phone, f" {number[:4]} {number[4:]}")
        assert paid["state"] == "paid"
        assert await world.balances(person) == {"KES": ("750.00", "0.00")}

    async def test_to_a_wrong_number_is_refused_before_it_is_paid(self, world: World) -> None:
        await registered(world)
        person = await world.customer()
        number = await account_of(person)
        wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
        paid = await pay(world, person.phone, wrong)
        assert (paid["state"], paid["result_code"]) == ("rejected", "C2B00012")
        assert await payment(world, paid["receipt"]) is None

    async def test_is_only_incoming_until_m_pesa_agrees(self, world: World) -> None:
        await registered(world)
        person = await world.customer()
        await world.fault("callback_never", operation="status")
        paid = await pay(world, person.phone, await account_of(person))
        assert (await payment(world, paid["receipt"]))["state"] == "incoming"
        assert await world.balances(person) == {}
        world.clock.advance(timedelta(seconds=31))
        await world.sweep()
        await world.settle()
        assert await world.balances(person) == {"KES": ("750.00", "0.00")}

    async def test_noticed_twice_is_credited_once(self, world: World) -> None:
        await registered(world)
        person = await world.customer()
        await world.fault("callback_twice", operation="c2b")
        await pay(world, person.phone, await account_of(person))
        assert await world.balances(person) == {"KES": ("750.00", "0.00")}

    async def test_never_noticed_is_found_in_m_pesas_list(self, world: World) -> None:
        await registered(world)
        person = await world.customer()
        await world.fault("callback_never", operation="c2b")
        paid = await pay(world, person.phone, await account_of(person))
        assert await world.balances(person) == {}
        world.clock.advance(LATER)
        await in_step(world)
        await world.sweep()
        await world.settle()
        assert (await payment(world, paid["receipt"]))["heard_from"] == "pull"
        assert await world.balances(person) == {"KES": ("750.00", "0.00")}

    async def test_of_a_page_of_many_is_found_too(self, world: World) -> None:
        await registered(world)
        person = await world.customer()
        await world.sim.put("/sim/settings", json={"pull_rows": 2})
        await world.fault("callback_never", operation="c2b", count=5)
        for amount in ("10", "20", "30", "40", "50"):
            await pay(world, person.phone, await account_of(person), amount)
        world.clock.advance(LATER)
        await in_step(world)
        await world.sweep()
        assert await world.balances(person) == {"KES": ("150.00", "0.00")}


class TestAForgedNotice:
    @pytest.mark.parametrize("source", ["127.0.0.1", "203.0.113.7"])
    async def test_of_a_payment_nobody_made_credits_nothing(
        self, world: World, source: str
    ) -> None:
        await registered(world)
        person = await world.customer()
        await world.sim.post(
            "/sim/c2b/forge",
            json={
                "phone": person.phone,
                "amount": "9000",
                "account_number": await account_of(person),
                "receipt": "UKZFORGED1",
                "source": source,
            },
        )
        await world.settle()
        assert await world.balances(person) == {}
        assert (await payment(world, "UKZFORGED1"))["state"] == "incoming"
        for _ in range(6):
            world.clock.advance(timedelta(minutes=20))
            await in_step(world)
            await world.sweep()
            await world.settle()
        assert (await payment(world, "UKZFORGED1"))["state"] == "dismissed"
        assert await one(world.house.db, "SELECT count(*) FROM ledger.transfer") == 0

    async def test_of_a_real_payment_cannot_give_it_to_another(self, world: World) -> None:
        """The forger has seen the receipt of a payment whose notice was lost."""
        await registered(world)
        person, thief = await world.customer(), await world.customer()
        await world.fault("callback_never", operation="c2b")
        paid = await pay(world, person.phone, await account_of(person))
        # A host name of the same machine, an address that nobody trusts.
        await forged_from_afar(world, paid["receipt"], await account_of(thief))
        world.clock.advance(LATER)
        await in_step(world)
        await world.sweep()
        await world.settle()
        assert await world.balances(thief) == {}
        assert await world.balances(person) == {"KES": ("750.00", "0.00")}


async def forged_from_afar(world: World, receipt: str, account: str) -> None:
    """A notice with a real receipt, to our real address, from a source that is not trusted."""
    sent = await world.sim.post(
        "/sim/c2b/forge",
        json={
            "phone": "254799999999",
            "amount": "750",
            "account_number": account,
            "receipt": receipt,
            "source": "203.0.113.7",
        },
    )
    assert sent.status_code == 200
    await world.settle()
    assert not (await payment(world, receipt))["trusted"]


class TestAPaymentThatIsNobodys:
    async def test_waits_in_suspense_with_a_hint(self, world: World) -> None:
        await registered(world)
        await world.sim.put("/sim/settings", json={"c2b_external_validation": False})
        person = await world.customer()
        await account_of(person)
        paid = await pay(world, person.phone, "SHOP RENT")
        found = await payment(world, paid["receipt"])
        assert found["state"] == "suspended"
        assert found["why"] == "nobody has that account number"
        assert await world.balances(person) == {}
        in_suspense = await one(
            world.house.db,
            "SELECT sum(e.credit - e.debit) FROM ledger.entry_unbounded e JOIN ledger.account a"
            " ON a.key = e.account_key WHERE a.purpose = 'suspense:mpesa'",
        )
        assert in_suspense == 75_000

    async def test_of_a_known_phone_names_its_owner(self, world: World) -> None:
        """M-Pesa's list tells the number, so the hint comes with what notices lost."""
        await registered(world)
        person = await world.customer()
        await account_of(person)
        await world.sim.put("/sim/settings", json={"c2b_external_validation": False})
        await world.fault("callback_never", operation="c2b")
        paid = await pay(world, person.phone, "SHOP RENT")
        world.clock.advance(LATER)
        await in_step(world)
        await world.sweep()
        assert (await payment(world, paid["receipt"]))["suggested_id"] is not None


class TestAPromptAndItsNotice:
    async def test_are_one_payment(self, world: World) -> None:
        await registered(world)
        person = await world.customer(auto="pay")
        deposit_id = await deposit(world, person)
        await world.settle()
        assert await state(person, deposit_id) == "paid"
        assert await world.balances(person) == {"KES": ("500.00", "0.00")}
        assert await one(world.house.db, "SELECT count(*) FROM deposits.mpesa_receipt") == 1
        assert await one(world.house.db, "SELECT state FROM receipts.payment") == "bound"

    async def test_without_a_callback_the_notice_gives_the_receipt(self, world: World) -> None:
        await registered(world)
        person = await world.customer(auto="pay")
        await world.fault("callback_never", operation="stk")
        deposit_id = await deposit(world, person)
        await world.settle()
        assert await state(person, deposit_id) == "paid"
        assert await world.balances(person) == {"KES": ("500.00", "0.00")}

    async def test_confirmed_without_either_gets_its_receipt_from_the_list(
        self, world: World
    ) -> None:
        await registered(world)
        person = await world.customer(auto="pay")
        await world.sim.put("/sim/settings", json={"stk_confirms_c2b": False})
        await world.fault("callback_never", operation="stk")
        deposit_id = await deposit(world, person)
        await world.settle()
        world.clock.advance(timedelta(seconds=21))
        await in_step(world)
        await world.sweep()
        await world.settle()
        assert await state(person, deposit_id) == "paid"
        assert await world.balances(person) == {"KES": ("500.00", "0.00")}
        in_transit = await one(
            world.house.db,
            "SELECT coalesce(sum(e.debit - e.credit), 0) FROM ledger.entry_unbounded e"
            " JOIN ledger.account a ON a.key = e.account_key"
            " WHERE a.purpose = 'mpesa:in_transit'",
        )
        assert in_transit == 0

    async def test_unknown_without_ids_ends_by_the_list(self, world: World) -> None:
        """The response was lost and so was the callback: the reference in the list binds it."""
        await registered(world)
        person = await world.customer(auto="pay")
        await world.sim.put("/sim/settings", json={"stk_confirms_c2b": False})
        await world.fault("drop_after_accept", operation="stk")
        await world.fault("callback_never", operation="stk")
        deposit_id = await deposit(world, person)
        await world.settle()
        assert await state(person, deposit_id) == "unknown"
        world.clock.advance(LATER)
        await in_step(world)
        await world.sweep()
        await world.settle()
        assert await state(person, deposit_id) == "paid"
        assert await world.balances(person) == {"KES": ("500.00", "0.00")}


class TestRegistering:
    async def test_twice_is_as_good_as_once(self, world: World) -> None:
        rail = await registered(world)
        again = await rail.register_notices()
        assert isinstance(again, Accepted)
        assert again.value.before
        pulled = await rail.register_pull("254722000000")
        assert isinstance(pulled, Accepted)
        assert pulled.value.before
