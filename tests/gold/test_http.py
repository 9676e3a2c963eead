"""Gold over HTTP: the specification's paths, who may what, repeats, and bad input."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio

from hazina.bootstrap.registry import manifests
from hazina.identity.operators import Operators
from hazina.identity.people import Role
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from hazina.products.gold.trades import Trades
from hazina.web.wallet.app import create_wallet_app
from tests.gold.desk import GoldDesk
from tests.identity.people import PASSWORD, Person, bearer, code_of, new_person, sign_in

GOLD = "/api/v1/gold"


@dataclass
class Caller:
    """Somebody who is signed in."""

    http: httpx.AsyncClient
    headers: dict[str, str]

    async def get(self, path: str, **query: str) -> httpx.Response:
        return await self.http.get(GOLD + path, headers=self.headers, params=query)

    async def post(self, path: str, body: Any, key: str | None = None) -> httpx.Response:
        headers = {**self.headers, "Idempotency-Key": key or new_id().hex}
        return await self.http.post(GOLD + path, headers=headers, json=body)


@dataclass
class Doors:
    """The JSON API of one house, and people at its door."""

    http: httpx.AsyncClient
    desk: GoldDesk

    async def customer(self) -> Caller:
        person = new_person()
        answer = await self.http.post("/api/v1/auth/register", json=person.form())
        assert answer.status_code == 201, answer.text
        return Caller(self.http, (await sign_in(self.http, person)).header)

    async def operator(self, role: Role) -> Caller:
        name = new_person().username
        operators = self.desk.house.get(Operators)
        await operators.create(name, PASSWORD, role, SYSTEM, self.desk.now)
        person = Person(name, "", "")
        tokens = await sign_in(self.http, person, realm="/operator")
        return Caller(self.http, bearer(tokens.access))


@pytest_asyncio.fixture(loop_scope="session")
async def doors(market: GoldDesk) -> AsyncIterator[Doors]:
    app = create_wallet_app(market.house, manifests())
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://wallet.test") as http:
        yield Doors(http, market)


class TestACustomer:
    async def test_sees_the_price_without_signing_in(self, doors: Doors) -> None:
        answer = await doors.http.get(GOLD + "/prices/current")
        assert answer.status_code == 200
        assert answer.json()["buy_price_per_gram"] == "13333.3300"

    async def test_quotes_buys_and_reads_the_story(self, doors: Doors) -> None:
        me = await doors.customer()
        quoted = (await me.post("/quotes", {"side": "buy", "amount_kes": "5000"})).json()
        assert (quoted["grams"], quoted["total"], quoted["spread"]) == (
            "0.375000",
            "5000.00",
            "81.25",
        )
        order = {"quote_id": quoted["quote_id"], "phone_for_stk": "0712 345 678"}
        answer = await me.post("/trade/buy", order)
        assert answer.status_code == 202, answer.text
        body = answer.json()
        assert body["stk_push_initiated"] is True
        story = (await me.get(f"/trade/{body['trade_id']}")).json()
        assert [(s["label"], s["state"]) for s in story["timeline"]] == [
            ("Requested", "done"),
            ("Accepted by M-Pesa", "now"),
            ("Paid", "next"),
            ("Booked", "next"),
        ]
        assert story["lots"] == [{"lot": "Lot 1, 10 g 24k", "grams": "0.375000"}]

    async def test_reads_how_it_ended(self, doors: Doors) -> None:
        me = await doors.customer()
        trade_id = (await me.post("/trade/buy", {"grams": "1"})).json()["trade_id"]
        row = await doors.desk.db.fetchrow("SELECT id, customer_id FROM gold.trade")
        assert row is not None
        trade = await doors.desk.house.get(Trades).get(doors.desk.db, row["id"], row["customer_id"])
        await doors.desk.pay(trade)
        story = (await me.get(f"/trade/{trade_id}")).json()
        assert story["state"] == "completed"
        assert {s["state"] for s in story["timeline"]} == {"done"}
        assert story["receipt"] in story["timeline"][2]["note"]
        sold = (await me.post("/trade/sell", {"grams": "0.5", "payout_to": "wallet"})).json()
        assert (sold["state"], sold["payout_initiated"]) == ("completed", False)
        listed = (await me.get("/trades", limit="1")).json()
        assert [one["trade_id"] for one in listed["items"]] == [sold["trade_id"]]
        rest = (await me.get("/trades", cursor=listed["next_cursor"])).json()
        assert [one["trade_id"] for one in rest["items"]] == [trade_id]

    async def test_who_repeats_a_request_gets_the_same_trade(self, doors: Doors) -> None:
        me, key = await doors.customer(), new_id().hex
        first = await me.post("/trade/buy", {"amount_kes": "5000"}, key)
        again = await me.post("/trade/buy", {"amount_kes": "5000"}, key)
        assert (again.status_code, again.json()) == (first.status_code, first.json())
        other = await me.post("/trade/buy", {"amount_kes": "6000"}, key)
        assert (other.status_code, code_of(other)) == (409, "idempotency_conflict")
        assert await doors.desk.db.fetchval("SELECT count(*) FROM gold.trade") == 1

    async def test_who_repeats_a_refused_request_is_refused_the_same_way(
        self, doors: Doors
    ) -> None:
        me, key = await doors.customer(), new_id().hex
        first = await me.post("/trade/buy", {"grams": "11"}, key)
        assert (first.status_code, code_of(first)) == (409, "insufficient_gold")
        await doors.desk.lot("More", "100")
        assert (await me.post("/trade/buy", {"grams": "11"}, key)).json() == first.json()
        assert (await me.post("/trade/buy", {"grams": "11"})).status_code == 202

    async def test_never_sees_anothers_trade(self, doors: Doors) -> None:
        me, other = await doors.customer(), await doors.customer()
        trade_id = (await me.post("/trade/buy", {"amount_kes": "5000"})).json()["trade_id"]
        answer = await other.get(f"/trade/{trade_id}")
        assert (answer.status_code, code_of(answer)) == (404, "not_found")
        assert (await other.get("/trades")).json()["items"] == []

    async def test_without_a_key_moves_nothing(self, doors: Doors) -> None:
        me = await doors.customer()
        for path, body in (("/trade/buy", {"grams": "1"}), ("/trade/sell", {"grams": "1"})):
            answer = await me.http.post(GOLD + path, headers=me.headers, json=body)
            assert code_of(answer) == "idempotency_key_needed"

    async def test_may_not_touch_prices_or_pools(self, doors: Doors) -> None:
        me = await doors.customer()
        assert (await me.get("/pools")).status_code == 401
        assert (await me.post("/pools", {"name": "x", "total_grams": "1"})).status_code == 401
        assert (await me.get("/prices")).status_code == 401


BAD_ORDERS: list[tuple[dict[str, object], str]] = [
    ({}, "invalid_request"),
    ({"amount_kes": "5000", "grams": "1"}, "invalid_request"),
    ({"amount_kes": "5000", "quote_id": "quo_" + "0" * 32}, "invalid_request"),
    ({"amount_kes": "0"}, "amount_invalid"),
    ({"amount_kes": "-5"}, "amount_invalid"),
    ({"amount_kes": "10.50"}, "amount_invalid"),
    ({"amount_kes": "10.555"}, "amount_invalid"),
    ({"amount_kes": "1e3"}, "amount_invalid"),
    ({"amount_kes": "NaN"}, "amount_invalid"),
    ({"amount_kes": "٥٠٠٠"}, "amount_invalid"),
    ({"amount_kes": "9" * 39}, "amount_invalid"),
    ({"amount_kes": "9" * 65}, "invalid_request"),
    ({"amount_kes": 5000.5}, "invalid_request"),
    ({"amount_kes": "9"}, "trade_too_small"),
    ({"amount_kes": "5000001"}, "trade_too_large"),
    ({"grams": "0.0000001"}, "amount_invalid"),
    ({"grams": "0"}, "amount_invalid"),
    ({"grams": "99999999999999999999"}, "trade_too_large"),
    ({"quote_id": "nonsense"}, "not_found"),
    ({"quote_id": "quo_" + "0" * 32}, "not_found"),
    ({"grams": "1", "pay_from": "bank"}, "invalid_request"),
    ({"grams": "1", "surprise": True}, "invalid_request"),
    ({"grams": "1", "phone_for_stk": "+1 202 555 0100"}, "phone_invalid"),
    ({"grams": "0.5", "pay_from": "wallet"}, "insufficient_funds"),
]


class TestBadInput:
    async def test_is_refused_with_a_code_and_leaves_nothing_behind(self, doors: Doors) -> None:
        me = await doors.customer()
        for body, code in BAD_ORDERS:
            answer = await me.post("/trade/buy", body)
            assert (code_of(answer), 400 <= answer.status_code < 500) == (code, True), body
        assert await doors.desk.db.fetchval("SELECT count(*) FROM gold.trade") == 0

    async def test_of_a_seller_too(self, doors: Doors) -> None:
        me = await doors.customer()
        for body, code in (
            ({"grams": "1"}, "insufficient_grams"),
            ({"grams": "0.0005"}, "trade_too_small"),
            ({"grams": "20"}, "payout_out_of_range"),
            ({"grams": "-1"}, "amount_invalid"),
        ):
            assert code_of(await me.post("/trade/sell", body)) == code, body

    @pytest.mark.parametrize("trade_id", ["nonsense", "trd_" + "0" * 32, "quo_x", "%00"])
    async def test_ids_that_cannot_be_are_not_there(self, doors: Doors, trade_id: str) -> None:
        me = await doors.customer()
        assert (await me.get(f"/trade/{trade_id}")).status_code == 404


class TestOperators:
    async def test_a_manager_sets_prices_and_keeps_lots(self, doors: Doors) -> None:
        manager = await doors.operator(Role.MANAGER)
        price = {"buy_price_per_gram": "13500", "sell_price_per_gram": "13000"}
        assert (await manager.post("/prices", price)).status_code == 201
        far = {"buy_price_per_gram": "135000", "sell_price_per_gram": "130000"}
        jump = await manager.post("/prices", far)
        assert code_of(jump) == "price_jump"
        assert (await manager.post("/prices", {**far, "confirm": True})).status_code == 201
        lot = (await manager.post("/pools", {"name": "Bar", "total_grams": "1000"})).json()
        top = {"added_grams": "12.5", "note": "Second delivery"}
        key = new_id().hex
        for _ in range(2):
            answer = await manager.post(f"/pools/{lot['pool_id']}/topup", top, key)
            assert answer.status_code == 200, answer.text
        pools = (await manager.get("/pools")).json()["items"]
        assert [(p["name"], p["total_grams"]) for p in pools] == [
            ("Lot 1, 10 g 24k", "10.000000"),
            ("Bar", "1012.500000"),
        ]
        no_note = await manager.post(
            f"/pools/{lot['pool_id']}/topup", {"added_grams": "1", "note": " "}
        )
        assert code_of(no_note) == "invalid_request"

    async def test_an_auditor_reads_and_changes_nothing(self, doors: Doors) -> None:
        auditor = await doors.operator(Role.AUDITOR)
        assert (await auditor.get("/pools")).status_code == 200
        assert (await auditor.get("/prices")).status_code == 200
        price = {"buy_price_per_gram": "13500", "sell_price_per_gram": "13000"}
        for path, body in (
            ("/prices", price),
            ("/pools", {"name": "Bar", "total_grams": "1"}),
            (f"/pools/lot_{'0' * 32}/topup", {"added_grams": "1", "note": "x"}),
        ):
            answer = await auditor.post(path, body)
            assert (answer.status_code, code_of(answer)) == (403, "role_missing")
