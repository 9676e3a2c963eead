"""Shillings that come unasked: the PayBill menu, notices, M-Pesa's own word, and its list."""

from datetime import timedelta

import pytest

from hazina.kernel.outcome import Accepted
from hazina.rails.receipts import ReceiptRail
from hazina.simulators.daraja import SimConfig
from tests.journeys.paying import account_of, back, in_step, pay, payment, registered
from tests.journeys.test_closed_accounts import stop
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

    async def test_to_a_closed_account_is_refused_before_it_is_paid(self, world: World) -> None:
        await registered(world)
        person = await world.customer()
        account = await account_of(person)
        await stop(world, person, "close")
        paid = await pay(world, person.phone, account)
        assert (paid["state"], paid["result_code"]) == ("rejected", "C2B00012")
        frozen = await world.customer()
        await stop(world, frozen, "freeze")
        paid = await pay(world, frozen.phone, await account_of(frozen))
        assert paid["state"] == "paid"

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

    async def test_that_shows_hours_late_in_m_pesas_list_is_found_in_it(self, world: World) -> None:
        """The list is empty for five hours, and has then what was paid in the first of them."""
        await registered(world)
        person = await world.customer()
        await pay(world, person.phone, await account_of(person), "10")
        world.clock.advance(LATER)
        await in_step(world)
        await world.sweep()
        await world.fault("callback_never", operation="c2b")
        await world.fault("pull_empty", operation="pull", count=None)
        await pay(world, person.phone, await account_of(person), "20")
        for _ in range(5):
            world.clock.advance(timedelta(hours=1))
            await in_step(world)
            await world.sweep()
        await world.sim.delete("/sim/faults")
        world.clock.advance(timedelta(hours=1))
        await in_step(world)
        await world.sweep()
        await world.settle(late=False)
        assert await world.balances(await back(person)) == {"KES": ("30.00", "0.00")}


class TestASender:
    @pytest.mark.parametrize("version", ["v1", "v2"])
    async def test_that_m_pesa_hashes_or_masks_is_known_by_their_own_phone(
        self, world: World, daraja: tuple[str, SimConfig], version: str
    ) -> None:
        """v1 tells SHA-256 of the number, v2 seven of its digits; nobody had to look at a page."""
        await in_step(world)
        await told_to(world, daraja[1], version)
        await world.sim.put("/sim/settings", json={"c2b_external_validation": False})
        person, _other = await world.customer(), await world.customer()
        world.clock.advance(timedelta(minutes=2))
        await in_step(world)
        await world.sweep()
        paid = await pay(world, person.phone, "SHOP RENT")
        found = await payment(world, paid["receipt"])
        assert (found["state"], found["heard_from"]) == ("suspended", "notice")
        assert found["suggested_id"] == await one(
            world.house.db, "SELECT id FROM identity.customer WHERE username = $1", person.username
        )
        assert person.phone not in found["payer_shown"]
        await pay(world, person.phone, await account_of(person), "300")
        assert await world.balances(person) == {"KES": ("300.00", "0.00")}


async def told_to(world: World, config: SimConfig, version: str) -> None:
    """Our addresses, registered with one version of C2B by hand."""
    rail: ReceiptRail = world.house.get(ReceiptRail)  # type: ignore[type-abstract]
    key = (config.consumer_key, config.consumer_secret)
    grant = {"grant_type": "client_credentials"}
    token = (await world.sim.get("/oauth/v1/generate", params=grant, auth=key)).json()
    hooks = f"{world.wallet}/hooks/{rail.notice_token}"
    answer = await world.sim.post(
        f"/mpesa/c2b/{version}/registerurl",
        headers={"Authorization": f"Bearer {token['access_token']}"},
        json={
            "ShortCode": config.shortcode,
            "ResponseType": "Completed",
            "ConfirmationURL": f"{hooks}/n",
            "ValidationURL": f"{hooks}/v",
        },
    )
    assert answer.status_code == 200, answer.text


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


class TestRegistering:
    async def test_twice_is_as_good_as_once(self, world: World) -> None:
        rail = await registered(world)
        again = await rail.register_notices()
        assert isinstance(again, Accepted)
        assert again.value.before
        pulled = await rail.register_pull("254722000000")
        assert isinstance(pulled, Accepted)
        assert pulled.value.before


class TestStrangers:
    async def test_who_tell_of_many_payments_do_not_have_m_pesa_asked_for_each(
        self, world: World
    ) -> None:
        await registered(world)
        person = await world.customer()
        lie = {"phone": person.phone, "amount": "900", "account_number": await account_of(person)}
        for number in range(30):
            answer = await world.sim.post(
                "/sim/c2b/forge",
                json={**lie, "receipt": f"UKK{number:07d}", "source": "203.0.113.9"},
            )
            assert answer.status_code == 200, answer.text
        await world.settle()
        await world.sweep()
        asked = "SELECT count(DISTINCT payment_id) FROM receipts.question"
        assert await one(world.house.db, asked) <= 21
        genuine = await pay(world, person.phone, lie["account_number"], "300")
        assert (await payment(world, genuine["receipt"]))["state"] == "credited"
        for _ in range(6):
            world.clock.advance(LATER)
            await in_step(world)
            await world.sweep()
        states = "SELECT array_agg(DISTINCT state ORDER BY state) FROM receipts.payment"
        assert await one(world.house.db, states) == ["credited", "dismissed"]
