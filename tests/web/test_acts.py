"""Form, review, confirm, timeline: the way of every money act, with and without script."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from hazina.infra.house import House
from hazina.kernel.money import KES
from tests.web.acts import Acts
from tests.web.browser import CHROMIUM, serving, tab
from tests.web.conftest import Browser


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found is not None
    return found[1]


async def test_the_key_is_carried_and_sent_twice_is_one_act(wallet: Browser, house: House) -> None:
    form = await wallet.http.get("/sample/act")
    key = hidden(form.text, "key")
    sent = {"csrf": hidden(form.text, "csrf"), "key": key, "amount": "5,000"}
    review = await wallet.http.post("/sample/act/review", data=sent)
    assert hidden(review.text, "key") == key
    assert hidden(review.text, "amount") == "5,000"
    confirm = {name: hidden(review.text, name) for name in ("csrf", "key", "amount")}
    first = await wallet.http.post("/sample/act", data=confirm)
    second = await wallet.http.post("/sample/act", data=confirm)
    assert first.headers["location"] == second.headers["location"]
    assert house.get(Acts).done == {key: KES.money("5000")}


async def test_an_error_asks_again_with_what_was_typed_and_a_new_key(wallet: Browser) -> None:
    form = await wallet.http.get("/sample/act")
    key = hidden(form.text, "key")
    sent = {"csrf": hidden(form.text, "csrf"), "key": key, "amount": "12.50"}
    answer = await wallet.http.post("/sample/act/review", data=sent)
    assert answer.status_code == 400
    assert 'value="12.50"' in answer.text
    assert "whole shillings" in answer.text
    assert hidden(answer.text, "key") != key


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium on this machine")
class TestBrowser:
    @pytest.mark.parametrize("width", [360, 1280])
    async def test_the_timeline_moves_by_itself(
        self, wallet_app: FastAPI, house: House, width: int
    ) -> None:
        async with serving(wallet_app) as url, tab(width) as (page, said):
            await page.goto(url + "/sample/act")
            await page.fill("#amount", "5000")
            await page.click("text=Review")
            assert "KES 5,000.00" in (await page.inner_text(".review")).replace("\u00a0", " ")
            await page.click("button:has-text('Pay KES')")
            await page.wait_for_selector(".timeline .now:has-text('Paid')")
            (key,) = house.get(Acts).done
            house.get(Acts).progress[key] = 2
            await page.wait_for_selector(".timeline .now:has-text('Booked')")
            house.get(Acts).progress[key] = 3
            await page.wait_for_selector("[data-live][data-final]")
            assert await page.locator(".timeline .done").count() == 3
            assert said == []

    async def test_without_script_the_page_asks_again_by_itself(
        self, wallet_app: FastAPI, house: House
    ) -> None:
        async with serving(wallet_app) as url, tab(script=False) as (page, _):
            await page.goto(url + "/sample/act")
            await page.fill("#amount", "5000")
            await page.click("text=Review")
            await page.click("button:has-text('Pay KES')")
            await page.wait_for_selector(".timeline .now:has-text('Paid')")
            (key,) = house.get(Acts).done
            house.get(Acts).progress[key] = 3
            await page.wait_for_selector(".timeline li:nth-child(3).done")
            assert await page.locator("noscript meta").count() == 0
