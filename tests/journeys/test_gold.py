"""Gold bought and sold, through HTTP, the handset and the ledger: the story, and what spoils it."""

import asyncio
from datetime import timedelta

import pytest

from hazina.identity.register import Application, Registration
from hazina.identity.sessions import CustomerSessions
from hazina.kernel.actor import SYSTEM
from tests.journeys.world import PASSWORD, Person, World, one

BUY, SELL = "13333.33", "12900.00"


async def stocked(world: World, *grams: str) -> Person:
    """An operator who has set the price and filled lots."""
    clerk = await world.operator()
    answer = await clerk.post("/gold/prices", buy_price_per_gram=BUY, sell_price_per_gram=SELL)
    assert answer.status_code == 201, answer.text
    for number, amount in enumerate(grams, start=1):
        answer = await clerk.post(
            "/gold/pools", name=f"Lot {number}", total_grams=amount, purity="24k", priority=number
        )
        assert answer.status_code == 201, answer.text
    return clerk


async def buy(person: Person, **order: object) -> str:
    answer = await person.post("/gold/trade/buy", **order)
    assert answer.status_code == 202, answer.text
    assert answer.json()["stk_push_initiated"] is True
    found: str = answer.json()["trade_id"]
    return found


async def trade(person: Person, trade_id: str) -> dict[str, object]:
    found: dict[str, object] = await person.get(f"/gold/trade/{trade_id}")
    return found


class TestTheStory:
    async def test_grams_for_shillings_and_half_of_them_back(self, world: World) -> None:
        await stocked(world, "1000")
        person = await world.customer()
        trade_id = await buy(person, amount_kes="5000")
        assert (await trade(person, trade_id))["state"] == "requested"
        await world.work()
        await world.answer_prompt(person.phone)
        await world.settle()
        # 5000 / 13333.33 = 0.37500009375…, rounded down to the microgram
        assert (await world.balances(person))["XAU"] == ("0.375000", "0.000000")
        assert (await world.balances(person))["KES"] == ("0.00", "0.00")
        assert (await world.handset(person.phone))["balance"] == "95000.00"

        answer = await person.post("/gold/trade/sell", grams="0.1875")
        assert answer.status_code == 202, answer.text
        assert (await world.balances(person))["XAU"] == ("0.187500", "0.187500")
        await world.settle()
        # 0.1875 × 12900 = 2418.75, paid in whole shillings, down
        assert (await world.handset(person.phone))["balance"] == "97418.00"
        assert (await world.balances(person))["XAU"] == ("0.187500", "0.000000")
        assert (await world.balances(person))["KES"] == ("0.00", "0.00")

    async def test_cancelled_gives_the_gold_back(self, world: World) -> None:
        await stocked(world, "1")
        person = await world.customer()
        trade_id = await buy(person, amount_kes="5000")
        await world.work()
        await world.answer_prompt(person.phone, "cancel")
        await world.settle()
        assert (await trade(person, trade_id))["state"] == "cancelled"
        other = await world.customer(auto="pay")
        await buy(other, grams="1")
        await world.settle()
        assert (await world.balances(other))["XAU"][0] == "1.000000"

    async def test_paid_late_is_filled_when_the_gold_is_there(self, world: World) -> None:
        await stocked(world, "1")
        person = await world.customer(auto="pay")
        await world.fault("query_contradicts", operation="query", count=None)
        await world.fault("callback_late", operation="stk", delay_s=1)
        trade_id = await buy(person, amount_kes="5000")
        await world.work()
        world.clock.advance(timedelta(minutes=6))
        await world.sweep()
        await world.settle()
        found = await trade(person, trade_id)
        assert found["state"] == "completed", found
        assert (await world.balances(person))["XAU"][0] == "0.375000"

    async def test_a_failed_payout_gives_the_grams_back(self, world: World) -> None:
        await stocked(world, "10")
        person = await world.customer(auto="pay")
        await buy(person, grams="1")
        await world.settle()
        await world.fault("b2c_fail", operation="b2c", result_code="2040")
        await person.post("/gold/trade/sell", grams="1")
        await world.settle()
        assert (await world.balances(person))["XAU"] == ("1.000000", "0.000000")

    async def test_sold_to_the_wallet_to_the_cent(self, world: World) -> None:
        await stocked(world, "10")
        person = await world.customer(auto="pay")
        await buy(person, grams="1")
        await world.settle()
        answer = await person.post("/gold/trade/sell", grams="0.333333", payout_to="wallet")
        assert answer.status_code == 202, answer.text
        # 0.333333 × 12900 = 4299.9957, down to the cent
        assert (await world.balances(person))["KES"] == ("4299.99", "0.00")


class TestARush:
    async def test_five_hundred_want_what_there_is_for_a_hundred(self, world: World) -> None:
        await stocked(world, "60", "40")
        people = await asyncio.gather(*(crowd(world, number) for number in range(500)))
        # Each wants exactly one gram; the two lots hold a hundred.
        answers = await asyncio.gather(
            *(person.post("/gold/trade/buy", grams="1") for person in people)
        )
        statuses = [answer.status_code for answer in answers]
        assert statuses.count(202) == 100, {s: statuses.count(s) for s in set(statuses)}
        refused = [a.json()["error"] for a in answers if a.status_code != 202]
        assert {error["code"] for error in refused} == {"insufficient_gold"}
        await world.settle()
        held = await one(
            world.house.db,
            "SELECT count(*) FROM ledger.account"
            " WHERE purpose = 'wallet' AND asset = 'XAU' AND credits_posted = 1000000",
        )
        assert held == 100
        left = await one(
            world.house.db,
            "SELECT sum(credits_posted - debits_posted - debits_pending)"
            " FROM ledger.account WHERE purpose = 'lot'",
        )
        assert left == 0


async def crowd(world: World, number: int) -> Person:
    """One of many customers, registered without the wire."""
    house, now = world.house, world.house.clock.now()
    phone = f"2541{number:08d}"
    application = Application(f"crowd{number}", f"crowd{number}@example.com", f"+{phone}", PASSWORD)
    customer = await house.get(Registration).register(application, SYSTEM, now)
    sessions = house.get(CustomerSessions)
    tokens = await house.db.run(lambda tx: sessions.open_api(tx, customer.id, SYSTEM, now))
    await world.handset(phone, auto="pay")
    api = world.shared_client()
    api.headers["Authorization"] = f"Bearer {tokens.access}"
    return Person(application.username, phone, tokens.access, api)


class TestBadOrders:
    @pytest.mark.parametrize(
        ("order", "code"),
        [
            ({"amount_kes": "-5"}, None),
            ({"amount_kes": "0"}, None),
            ({"amount_kes": "100.5"}, None),
            ({"amount_kes": "9" * 60}, None),
            ({"amount_kes": "much"}, None),
            ({"grams": "0.0000001"}, "amount_invalid"),
            ({"grams": "-1"}, None),
            ({"grams": "1", "amount_kes": "5"}, None),
            ({}, None),
            ({"grams": "2"}, "insufficient_gold"),
        ],
    )
    async def test_are_refused_and_leave_nothing(
        self, world: World, order: dict[str, str], code: str | None
    ) -> None:
        await stocked(world, "1")
        person = await world.customer()
        answer = await person.post("/gold/trade/buy", **order)
        assert 400 <= answer.status_code < 500, answer.text
        error = answer.json()["error"]
        assert code is None or error["code"] == code
        assert await one(world.house.db, "SELECT count(*) FROM gold.trade") == 0
        assert await one(world.house.db, "SELECT count(*) FROM deposits.deposit") == 0

    async def test_too_little_gold_says_what_there_is(self, world: World) -> None:
        await stocked(world, "1")
        person = await world.customer(auto="pay")
        answer = await person.post("/gold/trade/buy", grams="2")
        assert answer.json()["error"]["details"]["available_grams"] == "1.000000"
        trade_id = await buy(person, grams="2", partial=True)
        await world.settle()
        assert (await trade(person, trade_id))["state"] == "completed"
        assert (await world.balances(person))["XAU"][0] <= "1.000000"

    async def test_an_expired_quote_is_no_price(self, world: World) -> None:
        await stocked(world, "1")
        person = await world.customer()
        quote = await person.api.post(
            "/api/v1/gold/quotes", json={"side": "buy", "amount_kes": "5000"}
        )
        assert quote.status_code == 201, quote.text
        world.clock.advance(timedelta(seconds=61))
        answer = await person.post("/gold/trade/buy", quote_id=quote.json()["quote_id"])
        assert answer.json()["error"]["code"] == "quote_expired"

    async def test_a_quote_is_its_owners(self, world: World) -> None:
        await stocked(world, "1")
        mine, theirs = await world.customer(), await world.customer()
        quote = await mine.api.post(
            "/api/v1/gold/quotes", json={"side": "buy", "amount_kes": "5000"}
        )
        answer = await theirs.post("/gold/trade/buy", quote_id=quote.json()["quote_id"])
        assert answer.status_code == 404

    async def test_a_customer_sets_no_price(self, world: World) -> None:
        person = await world.customer()
        answer = await person.post("/gold/prices", buy_price_per_gram="1", sell_price_per_gram="1")
        assert answer.status_code == 401, answer.text
