"""Gold's pages over ASGI: from the form to the trade, and an operator's price and lot."""

import re
from collections.abc import AsyncIterator

import pytest_asyncio

from hazina.bootstrap.registry import manifests
from hazina.identity.operators import Operators
from hazina.identity.people import Role
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import wire_id
from hazina.products.gold.terms import Via
from hazina.products.gold.trades import Trades
from hazina.web.console.app import create_console_app
from hazina.web.wallet.app import create_wallet_app
from tests.gold.desk import GoldDesk, wish
from tests.identity.people import PASSWORD, new_person
from tests.web.conftest import Browser, browsing


@pytest_asyncio.fixture(loop_scope="session")
async def wallet(market: GoldDesk) -> AsyncIterator[Browser]:
    async with browsing(create_wallet_app(market.house, manifests())) as browser:
        await browser.register()
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def console(desk: GoldDesk) -> AsyncIterator[Browser]:
    name = new_person().username
    await desk.house.get(Operators).create(name, PASSWORD, Role.MANAGER, SYSTEM, desk.now)
    async with browsing(create_console_app(desk.house, manifests())) as browser:
        answer = await browser.send("/login", {"username": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield browser


def hidden(page: str) -> dict[str, str]:
    """The hidden fields of a page's first form after its heading."""
    form = page.split("/confirm", 1)[1].split("</form>", 1)[0]
    return dict(re.findall(r'name="([a-z]+)" value="([^"]*)"', form))


class TestAPurchase:
    async def test_goes_from_form_to_review_to_its_own_page(
        self, wallet: Browser, market: GoldDesk
    ) -> None:
        assert "No gold yet" in (await wallet.http.get("/gold")).text
        review = await wallet.send("/gold/buy", {"amount": "5,000", "via": "mpesa"})
        assert review.status_code == 200, review.text
        assert "0.375" in review.text
        assert "data-countdown" in review.text
        sent = hidden(review.text)
        first = await wallet.http.post("/gold/buy/confirm", data=sent)
        again = await wallet.http.post("/gold/buy/confirm", data=sent)
        assert first.status_code == 303, first.text
        assert first.headers["location"] == again.headers["location"]
        page = await wallet.http.get(first.headers["location"])
        assert "Waiting for M-Pesa" in page.text
        assert 'data-live="/gold/trades/trd_' in page.text
        await _pay_all(market)
        done = await wallet.http.get(first.headers["location"])
        assert "Why it comes to this" in done.text
        assert "data-final" in done.text
        stream = await wallet.http.get(first.headers["location"] + "/live")
        assert "event: final" in stream.text
        home = (await wallet.http.get("/gold")).text
        assert "Average cost" in home
        assert "Bought gold" in home

    async def test_of_more_than_there_is_says_so_at_once(self, wallet: Browser) -> None:
        refused = await wallet.send("/gold/buy", {"grams": "11", "via": "mpesa"})
        assert refused.status_code == 409
        assert "10.000000 g for sale now" in refused.text
        part = await wallet.send("/gold/buy", {"grams": "11", "via": "mpesa", "partial": "yes"})
        assert "this is all that is for sale now" in part.text

    async def test_after_its_price_ran_out_asks_again(
        self, wallet: Browser, market: GoldDesk
    ) -> None:
        review = await wallet.send("/gold/buy", {"amount": "5000", "via": "mpesa"})
        market.pass_time(seconds=61)
        late = await wallet.http.post("/gold/buy/confirm", data=hidden(review.text))
        assert late.status_code >= 400
        assert "This quote has run out" in late.text
        assert 'value="5000"' in late.text

    async def test_with_nothing_said_names_the_field(self, wallet: Browser) -> None:
        answer = await wallet.send("/gold/buy", {"via": "mpesa"})
        assert answer.status_code >= 400
        assert "Say how many shillings or how many grams" in answer.text

    async def test_of_somebody_else_is_not_shown(self, wallet: Browser, market: GoldDesk) -> None:
        who = await market.customer("5000")
        trade = await market.buy(who, wish("5000"), via=Via.WALLET)
        missing = await wallet.http.get(f"/gold/trades/{wire_id('trd', trade.id)}")
        assert missing.status_code == 404


class TestASale:
    async def test_to_the_wallet_is_done_at_once(self, wallet: Browser, market: GoldDesk) -> None:
        review = await wallet.send("/gold/buy", {"grams": "1", "via": "mpesa"})
        await wallet.http.post("/gold/buy/confirm", data=hidden(review.text))
        await _pay_all(market)
        sale = await wallet.send("/gold/sell", {"grams": "0.5", "via": "wallet"})
        assert "6,450.00" in sale.text
        sold = await wallet.http.post("/gold/sell/confirm", data=hidden(sale.text))
        page = (await wallet.http.get(sold.headers["location"])).text
        assert "Back to Lot 1, 10 g 24k" in page
        listed = (await wallet.http.get("/gold/trades")).text
        assert "Sold gold" in listed


class TestTheConsole:
    async def test_sets_a_price_and_shows_its_history(self, console: Browser) -> None:
        price = {"buy_price_per_gram": "13333.33", "sell_price_per_gram": "12900"}
        answer = await console.send("/gold/prices", price)
        assert answer.status_code == 303, answer.text
        jump = {"buy_price_per_gram": "23333.33", "sell_price_per_gram": "12900"}
        refused = await console.send("/gold/prices", jump)
        assert "at once" in refused.text
        later = {**price, "effective_from": "2026-11-21 08:00", "note": "Tomorrow"}
        assert (await console.send("/gold/prices", later)).status_code == 303
        page = (await console.http.get("/gold/prices")).text
        assert "Scheduled" in page
        assert "<svg" in page
        bad = await console.send("/gold/prices", {**price, "effective_from": "tomorrow"})
        assert "Write it like 2026-11-21 08:00" in bad.text

    async def test_brings_in_a_lot_and_tops_it_up(self, console: Browser) -> None:
        lot = {"name": "Lot 7", "purity": "24k", "grams": "1000", "priority": "5"}
        assert (await console.send("/gold/lots", lot)).status_code == 303
        again = await console.send("/gold/lots", lot)
        assert "There is a lot of that name already" in again.text
        page = (await console.http.get("/gold/lots")).text
        link = re.search(r'href="(/gold/lots/lot_[0-9a-f]{32}/topup)"', page)
        assert link is not None
        more = await console.send(link.group(1), {"grams": "250.5", "note": "Second bar"})
        assert more.status_code == 303, more.text
        assert "1,250.500" in (await console.http.get("/gold/lots")).text


async def _pay_all(market: GoldDesk) -> None:
    """M-Pesa reports every open prompt as paid."""
    rows = await market.db.fetch(
        "SELECT id, customer_id FROM gold.trade WHERE state = 'requested' AND side = 'buy'"
    )
    for row in rows:
        trades = market.house.get(Trades)
        await market.pay(await trades.get(market.db, row["id"], row["customer_id"]))
