"""Shillings out: every way a payout can go, through HTTP, the rail and the ledger."""

from datetime import timedelta

from tests.journeys.world import Person, World, one


async def rich(world: World, amount: str = "1000") -> Person:
    """A customer with ``amount`` shillings in the wallet and none on the phone."""
    person = await world.customer(auto="pay")
    await person.post("/wallet/deposits", amount_kes=amount)
    await world.settle()
    await world.handset(person.phone, balance="0.00")
    return person


async def withdraw(person: Person, amount: str = "600") -> str:
    answer = await person.post("/wallet/withdrawals", amount_kes=amount)
    assert answer.status_code == 202, answer.text
    found: str = answer.json()["withdrawal_id"]
    return found


async def state(person: Person, withdrawal_id: str) -> str:
    found: str = (await person.get(f"/wallet/withdrawals/{withdrawal_id}"))["state"]
    return found


async def later(world: World, **by: float) -> None:
    world.clock.advance(timedelta(**by))
    await world.sweep()
    await world.settle()


class TestAPaidPayout:
    async def test_is_held_sent_and_booked(self, world: World) -> None:
        person = await rich(world)
        withdrawal_id = await withdraw(person)
        assert await world.balances(person) == {"KES": ("400.00", "600.00")}
        await world.settle()
        found = await person.get(f"/wallet/withdrawals/{withdrawal_id}")
        assert found["state"] == "paid"
        assert found["receipt"]
        assert await world.balances(person) == {"KES": ("400.00", "0.00")}
        assert (await world.handset(person.phone))["balance"] == "600.00"

    async def test_charges_are_booked_as_our_expense(self, world: World) -> None:
        person = await rich(world, "10000")
        await withdraw(person, "6000")
        await world.settle()
        charged = await one(
            world.house.db,
            "SELECT sum(e.debit) FROM ledger.entry_unbounded e JOIN ledger.account a"
            " ON a.key = e.account_key WHERE a.purpose = 'expense:mpesa'",
        )
        assert charged == 1_100


class TestAPayoutThatFails:
    async def test_frees_the_money_and_says_why(self, world: World) -> None:
        person = await rich(world)
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        withdrawal_id = await withdraw(person)
        await world.settle()
        found = await person.get(f"/wallet/withdrawals/{withdrawal_id}")
        assert (found["state"], bool(found["words"])) == ("failed", True)
        assert await world.balances(person) == {"KES": ("1000.00", "0.00")}


class TestRefusals:
    async def test_more_than_there_is(self, world: World) -> None:
        person = await rich(world, "100")
        answer = await person.post("/wallet/withdrawals", "a-key-of-mine", amount_kes="101")
        assert answer.status_code == 409
        error = answer.json()["error"]
        assert (error["code"], error["details"]["available"]) == ("insufficient_funds", "100.00")
        again = await person.post("/wallet/withdrawals", "a-key-of-mine", amount_kes="101")
        assert again.json() == answer.json()
        assert await one(world.house.db, "SELECT count(*) FROM withdrawals.withdrawal") == 0

    async def test_more_than_a_day_allows(self, world: World) -> None:
        person = await world.customer(auto="pay", balance="500000.00")
        for _ in range(2):
            answer = await person.post("/wallet/deposits", amount_kes="250000")
            assert answer.status_code == 202, answer.text
            await world.settle()
        answer = await person.post("/wallet/deposits", amount_kes="10")
        assert (answer.status_code, answer.json()["error"]["code"]) == (429, "daily_limit_reached")
        world.clock.advance(timedelta(days=1))
        await world.handset(person.phone, balance="1000.00")
        login = {"username": person.username, "password": "correct horse battery"}
        fresh = await person.api.post("/api/v1/auth/login", json=login)
        person.api.headers["Authorization"] = f"Bearer {fresh.json()['access_token']}"
        answer = await person.post("/wallet/deposits", amount_kes="10")
        assert answer.status_code == 202, answer.text
