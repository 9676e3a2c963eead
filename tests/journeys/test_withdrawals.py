"""Shillings out: every way a payout can go, through HTTP, the rail and the ledger."""

from datetime import timedelta

import pytest

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

    @pytest.mark.parametrize("fault", ["callback_twice", "callback_before_response"])
    async def test_once_however_the_result_comes(self, world: World, fault: str) -> None:
        person = await rich(world)
        await world.fault(fault, operation="b2c")
        withdrawal_id = await withdraw(person)
        await world.settle()
        assert await state(person, withdrawal_id) == "paid"
        assert (await world.handset(person.phone))["balance"] == "600.00"

    async def test_in_the_odd_shape_too(self, world: World) -> None:
        person = await rich(world)
        await world.fault("result_object_shape", operation="b2c")
        withdrawal_id = await withdraw(person)
        await world.settle()
        await later(world, seconds=61)
        assert await state(person, withdrawal_id) == "paid"

    async def test_found_by_asking_when_no_result_comes(self, world: World) -> None:
        person = await rich(world)
        await world.fault("callback_never", operation="b2c")
        withdrawal_id = await withdraw(person)
        await world.settle()
        assert await state(person, withdrawal_id) == "sent"
        await later(world, seconds=61)
        assert await state(person, withdrawal_id) == "paid"

    async def test_found_by_asking_when_the_connection_dropped(self, world: World) -> None:
        person = await rich(world)
        await world.fault("drop_after_accept", operation="b2c")
        await world.fault("callback_never", operation="b2c")
        withdrawal_id = await withdraw(person)
        await world.work()
        assert await state(person, withdrawal_id) == "unknown"
        assert await world.balances(person) == {"KES": ("400.00", "600.00")}
        await later(world, seconds=1)
        assert await state(person, withdrawal_id) == "paid"

    async def test_after_a_queue_notice(self, world: World) -> None:
        person = await rich(world)
        await world.fault("b2c_timeout_notice", operation="b2c", delay_s=0)
        withdrawal_id = await withdraw(person)
        await world.settle()
        await later(world, seconds=1)
        assert await state(person, withdrawal_id) == "paid"
        assert (await world.handset(person.phone))["balance"] == "600.00"


class TestAPayoutThatFails:
    async def test_frees_the_money_and_says_why(self, world: World) -> None:
        person = await rich(world)
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        withdrawal_id = await withdraw(person)
        await world.settle()
        found = await person.get(f"/wallet/withdrawals/{withdrawal_id}")
        assert (found["state"], bool(found["words"])) == ("failed", True)
        assert await world.balances(person) == {"KES": ("1000.00", "0.00")}

    async def test_never_sent_is_sent_later(self, world: World) -> None:
        person = await rich(world)
        await world.fault("http_500", operation="b2c")
        withdrawal_id = await withdraw(person)
        await world.settle()
        assert await state(person, withdrawal_id) == "held"
        await later(world, minutes=2)
        assert await state(person, withdrawal_id) == "paid"


class TestAStranger:
    async def test_saying_it_failed_frees_nothing(self, world: World) -> None:
        person = await rich(world)
        await world.fault("callback_never", operation="b2c")
        withdrawal_id = await withdraw(person)
        await world.settle()
        row = await world.house.db.fetchrow("SELECT id, token FROM withdrawals.withdrawal")
        assert row is not None
        forged = {
            "Result": {
                "ResultType": 0,
                "ResultCode": 2001,
                "ResultDesc": "The initiator information is invalid.",
                "OriginatorConversationID": "somebody-elses",
                "ConversationID": "AG_1",
                "TransactionID": "XXX0000000",
            }
        }
        await person.api.post(f"/hooks/{row['token']}/r", json=forged)
        await world.settle()
        assert await state(person, withdrawal_id) == "sent"
        await later(world, seconds=61)
        assert await state(person, withdrawal_id) == "paid"


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
