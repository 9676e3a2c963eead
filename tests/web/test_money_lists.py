"""Home, activity and the console's lists: what is there, what is under way, what happened."""

import csv
import io
import re
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from hazina.desk.webkit.csv_text import csv_lines, defused
from hazina.kernel.ids import new_id
from tests.journeys import conftest as journeys
from tests.journeys.world import World, one
from tests.web.conftest import Browser
from tests.web.money import asked, customer, funded, operator, seen, signed_in, words

# A world with a simulator, as the journeys have it.
daraja = journeys.daraja
world = journeys.world


class TestTheHome:
    async def test_of_a_stranger_is_the_landing(self, wallet: Browser) -> None:
        assert "A treasury of your own." in await seen(wallet, "/")

    async def test_of_a_newcomer_leads_to_ten_shillings_and_the_handset(self, world: World) -> None:
        async with customer(world) as (person, browser):
            page = await browser.http.get("/")
            assert "Put in KES 10" in words(page.text)
            assert "/deposits/new?amount=10" in page.text
            assert f"/handset/{person.phone}" in page.text

    async def test_shows_what_is_there_what_is_held_and_what_is_under_way(
        self,
        world: World,
    ) -> None:
        async with customer(world) as (person, browser):
            await funded(world, person, "3000")
            path = await asked(browser, "withdrawals", "1200")
            answer = await browser.http.get("/")
            page = words(answer.text)
            assert "Your treasury KES 3,000.00" in page
            assert "Shillings KES 1,800.00 KES 1,200.00 KES 0.00" in page
            assert f'href="{path}"' in answer.text
            assert "Thirty days" in page
            assert "+ KES 3,000.00" in page

    async def test_hides_every_amount_of_the_list_from_a_neighbour(self, world: World) -> None:
        async with customer(world) as (_person, browser):
            await asked(browser, "deposits", "777")
            browser.http.cookies.set("hz_amounts", "hidden")
            page = (await browser.http.get("/")).text
            assert 'data-amounts="hidden"' in page
            assert re.findall(r"[^>]*777\.00[^<]*", page) == ["777.00"]
            assert '<span class="num">777.00</span>' in page


class TestTheActivity:
    async def test_has_a_line_for_each_booking_with_the_balance_after_it(
        self, world: World
    ) -> None:
        async with customer(world) as (person, browser):
            await funded(world, person, "3000")
            path = await asked(browser, "withdrawals", "1200")
            await world.settle()
            answer = await browser.http.get("/activity?asset=KES")
            page = words(answer.text)
            assert f'<a href="{path}">Withdrawal</a>' in answer.text
            assert page.index("− KES 1,200.00 KES 1,800.00") < page.index(
                "+ KES 3,000.00 KES 3,000.00"
            )
            assert "Nothing is booked yet" in await seen(browser, "/activity?asset=XAU")

    async def test_comes_as_csv(self, world: World) -> None:
        async with customer(world) as (person, browser):
            await funded(world, person, "3000")
            await asked(browser, "withdrawals", "1200")
            await world.settle()
            answer = await browser.http.get("/activity/statement.csv?asset=KES")
            assert answer.headers["content-type"] == "text/csv; charset=utf-8"
            assert "attachment" in answer.headers["content-disposition"]
            head, *rows = csv.reader(io.StringIO(answer.text))
            lines = [dict(zip(head, row, strict=True)) for row in rows]
            assert [(x["what"], x["in"], x["out"], x["balance"]) for x in lines] == [
                ("Withdrawal", "", "1200.00", "1800.00"),
                ("Deposit", "3000.00", "", "3000.00"),
            ]

    @pytest.mark.parametrize("query", ["asset=DOGE", "cursor=x", "cursor=KES.1~", "asset=%00"])
    async def test_says_no_to_what_it_does_not_have(self, wallet: Browser, query: str) -> None:
        await wallet.register()
        assert (await wallet.http.get(f"/activity?{query}")).status_code == 400

    async def test_pages_through_both_assets_without_gap_or_repeat(self, world: World) -> None:
        async with customer(world) as (person, _browser):
            for amount in ("100", "200", "300"):
                await funded(world, person, amount)
            found: list[str] = []
            cursor = ""
            while True:
                page = await person.get(f"/user/ledger?limit=2{cursor}")
                found += [item["change"] for item in page["items"]]
                if page["next_cursor"] is None:
                    break
                cursor = f"&cursor={page['next_cursor']}"
            assert found == ["300.00", "200.00", "100.00"]


class TestACell:
    @pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
    def test_that_a_spreadsheet_would_execute_becomes_text(self, cell: str) -> None:
        assert defused(cell) == f"'{cell}"

    def test_with_quotes_commas_and_lines_survives(self) -> None:
        rows = [['a "b", c', "two\nlines"], ["=x", "5.00"]]
        assert list(csv.reader(io.StringIO(csv_lines(rows)))) == [rows[0], ["'=x", "5.00"]]


class TestTheConsole:
    async def test_asks_who_is_there(self, console: Browser) -> None:
        for path in ("/deposits", "/withdrawals", "/open-questions"):
            answer = await console.http.get(path)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/login")

    async def test_lists_by_state_and_shows_every_event_and_attempt(self, world: World) -> None:
        async with (
            customer(world) as (person, browser),
            signed_in(world.console, await operator(world)) as desk,
        ):
            path = await asked(browser, "deposits", "500")
            assert "Requested" in await seen(desk, "/deposits")
            await world.work()
            page = await seen(desk, "/deposits?state=prompted")
            assert "The PIN, then M-Pesa's callback" in page
            assert "None of these" in await seen(desk, "/deposits?state=paid")
            await world.answer_prompt(person.phone)
            await world.settle()
            page = await seen(desk, urlsplit(path).path)
            assert person.username in page
            for said in ("Created", "Claim", "Accepted", "Paid", "accepted", "taken"):
                assert said in page
            assert person.phone not in page
            receipt = await one(world.house.db, "SELECT receipt FROM deposits.mpesa_receipt")
            assert receipt in page

    async def test_lists_what_is_unknown_with_its_age(self, world: World) -> None:
        await world.fault("drop_after_accept", operation="b2c")
        await world.fault("callback_never", operation="b2c")
        async with (
            customer(world) as (person, browser),
            signed_in(world.console, await operator(world)) as desk,
        ):
            await funded(world, person, "3000")
            path = await asked(browser, "withdrawals", "1200")
            await world.work()
            world.clock.advance(timedelta(minutes=17))
            page = await desk.http.get("/open-questions")
            assert f'href="/open-questions/{path.rsplit("/", 1)[1]}"' in page.text
            assert "The oldest for 17 min" in words(page.text)
            assert "the money stays held" in words(page.text)
            assert "Attempts to pay" in await seen(desk, path)

    async def test_knows_no_other_state_and_no_other_id(self, world: World) -> None:
        async with signed_in(world.console, await operator(world)) as desk:
            assert (await desk.http.get("/deposits?state=%27")).status_code == 400
            assert (await desk.http.get(f"/deposits/dep_{new_id().hex}")).status_code == 404
            assert (await desk.http.get("/withdrawals/x")).status_code == 404


class TestABalance:
    async def test_lists_only_assets_with_an_account(self, world: World) -> None:
        person = await world.customer()
        assert await person.get("/user/balance") == {"balances": []}
        await funded(world, person, "3000")
        assert await person.get("/user/balance") == {
            "balances": [
                {
                    "asset": "KES",
                    "available": "3000.00",
                    "held": "0.00",
                    "incoming": "0.00",
                    "posted": "3000.00",
                }
            ]
        }

    async def test_and_ledger_are_for_their_owner_alone(self, world: World) -> None:
        person, other = await world.customer(), await world.customer()
        await funded(world, person, "3000")
        assert (await other.get("/user/ledger"))["items"] == []
        line = (await person.get("/user/ledger?asset=KES"))["items"][0]
        assert (line["code"], line["change"], line["balance"]) == ("deposit", "3000.00", "3000.00")
        assert line["reference"]["type"] == "deposit"
        assert (await person.api.get("/api/v1/user/ledger?asset=BTC")).status_code == 400
