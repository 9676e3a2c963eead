"""Shillings in: every way a prompt can go, through HTTP, the rail and the ledger."""

import pytest

from tests.journeys.world import Person, World, one


async def deposit(world: World, person: Person, amount: str = "500") -> str:
    answer = await person.post("/wallet/deposits", amount_kes=amount)
    assert answer.status_code == 202, answer.text
    found: str = answer.json()["deposit_id"]
    return found


async def state(person: Person, deposit_id: str) -> str:
    found: str = (await person.get(f"/wallet/deposits/{deposit_id}"))["state"]
    return found


class TestAPaidPrompt:
    async def test_is_booked_with_its_receipt(self, world: World) -> None:
        person = await world.customer()
        deposit_id = await deposit(world, person)
        assert await state(person, deposit_id) == "requested"
        await world.work()
        assert await state(person, deposit_id) == "prompted"
        await world.answer_prompt(person.phone)
        await world.settle()
        found = await person.get(f"/wallet/deposits/{deposit_id}")
        assert found["state"] == "paid"
        assert found["receipt"] is not None
        assert await world.balances(person) == {"KES": ("500.00", "0.00")}
        assert (await world.handset(person.phone))["balance"] == "99500.00"


class TestAPromptThatFails:
    @pytest.mark.parametrize("fault", ["cancel", "no_answer"])
    async def test_is_told_in_words_and_frees_the_limit(self, world: World, fault: str) -> None:
        person = await world.customer(auto="pay")
        await world.fault(fault, operation="stk")
        await world.sim.put("/sim/settings", json={"prompt_lifetime_s": 0.05})
        deposit_id = await deposit(world, person)
        await world.settle()
        found = await person.get(f"/wallet/deposits/{deposit_id}")
        assert found["state"] == "failed"
        assert found["words"]
        assert await world.balances(person) == {}
        assert await one(world.house.db, "SELECT sum(used) FROM desk.limit_use") == 0


class TestAnUnknown:
    async def test_dropped_response_is_unknown_until_the_callback_and_a_query_agree(
        self, world: World
    ) -> None:
        person = await world.customer()
        await world.fault("drop_after_accept", operation="stk")
        deposit_id = await deposit(world, person)
        await world.work()
        assert await state(person, deposit_id) == "unknown"
        again = await person.post("/wallet/deposits", amount_kes="500")
        assert again.status_code == 409
        assert again.json()["error"]["code"] == "prompt_unresolved"
        await world.answer_prompt(person.phone)
        await world.settle()
        assert await state(person, deposit_id) == "paid"
        assert await world.balances(person) == {"KES": ("500.00", "0.00")}


class TestAForger:
    async def test_without_the_token_is_nobody(self, world: World) -> None:
        person = await world.customer()
        deposit_id = await deposit(world, person)
        await world.work()
        body = success("ws_CO_forged", 500)
        answer = await person.api.post("/hooks/" + "ab" * 16 + "/c", json=body)
        assert answer.status_code == 200
        await world.settle()
        assert await state(person, deposit_id) == "prompted"
        assert await world.balances(person) == {}
        noted = await one(
            world.house.db,
            "SELECT count(*) FROM infra.audit_event WHERE action = 'callback.refused'",
        )
        assert noted == 1
        await world.answer_prompt(person.phone)


def success(checkout: str, amount: int, receipt: str = "UKK0000000") -> dict[str, object]:
    """A callback in Daraja's shape."""
    items = [
        {"Name": "Amount", "Value": amount},
        {"Name": "MpesaReceiptNumber", "Value": receipt},
        {"Name": "TransactionDate", "Value": 20261120120000},
        {"Name": "PhoneNumber", "Value": 254700000001},
    ]
    callback = {
        "MerchantRequestID": "forged",
        "CheckoutRequestID": checkout,
        "ResultCode": 0,
        "ResultDesc": "The service request is processed successfully.",
        "CallbackMetadata": {"Item": items},
    }
    return {"Body": {"stkCallback": callback}}


class TestBadInput:
    @pytest.mark.parametrize(
        ("amount", "code"),
        [
            ("-5", "amount_out_of_range"),
            ("0", "amount_out_of_range"),
            ("10.50", "amount_invalid"),
            ("10.505", "amount_invalid"),
            ("9" * 39, "amount_invalid"),
            ("250001", "amount_out_of_range"),
            ("ten", "amount_invalid"),
            ("1e3", "amount_invalid"),
            ("", "amount_invalid"),
            (" 10", "amount_invalid"),
        ],
    )
    async def test_is_refused_by_name(self, world: World, amount: str, code: str) -> None:
        person = await world.customer()
        answer = await person.post("/wallet/deposits", amount_kes=amount)
        assert answer.status_code == 400, answer.text
        assert answer.json()["error"]["code"] == code
        assert await one(world.house.db, "SELECT count(*) FROM deposits.deposit") == 0
        noted = await one(
            world.house.db,
            "SELECT after->>'code' FROM infra.audit_event WHERE action = 'request.refused'",
        )
        assert noted == code

    async def test_another_customers_deposit_is_not_there(self, world: World) -> None:
        mine, theirs = await world.customer(auto="pay"), await world.customer()
        deposit_id = await deposit(world, mine)
        answer = await theirs.api.get(f"/api/v1/wallet/deposits/{deposit_id}")
        assert answer.status_code == 404

    async def test_a_key_gives_its_answer_again(self, world: World) -> None:
        person = await world.customer(auto="pay")
        first = await person.post("/wallet/deposits", "key-of-mine", amount_kes="500")
        again = await person.post("/wallet/deposits", "key-of-mine", amount_kes="500")
        other = await person.post("/wallet/deposits", "key-of-mine", amount_kes="501")
        assert first.json() == again.json()
        assert other.json()["error"]["code"] == "idempotency_conflict"
        assert await one(world.house.db, "SELECT count(*) FROM deposits.deposit") == 1
