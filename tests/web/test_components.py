"""The page of all macros: complete, escaped, and sound in a real browser at both widths."""

import re
from pathlib import Path

import pytest
from fastapi import FastAPI

from hazina.desk.webkit.templates import FOLDER
from hazina.infra.house import House
from hazina.web.wallet.components import HOSTILE
from tests.web.browser import CHROMIUM, serving, tab
from tests.web.conftest import SECRET, Browser

PAGES = ["/", "/components", "/docs", "/login", "/register"]


async def test_every_macro_is_shown(wallet: Browser) -> None:
    shown = (FOLDER.parents[2] / "web/wallet/templates/components.html").read_text()
    exported = re.findall(r"{% set (\w+) = ", (FOLDER / "ui.html").read_text())
    inside_others = {"icon", "brand_mark", "hidden", "field", "small_action"}
    missing = {name for name in exported if f"ui.{name}(" not in shown} - inside_others
    assert not missing


async def test_hostile_text_stays_text(wallet: Browser) -> None:
    page = (await wallet.http.get("/components")).text
    assert HOSTILE not in page
    assert "&lt;script&gt;alert" in page
    assert page.count("<script") == 1  # our own module


async def test_words_for_those_who_do_not_see(wallet: Browser) -> None:
    page = (await wallet.http.get("/components")).text
    for needed in ('href="#main"', "aria-describedby=", 'role="img"', 'role="meter"', "<caption"):
        assert needed in page


@pytest.mark.browser
@pytest.mark.skipif(not Path(CHROMIUM).exists(), reason="no Chromium on this machine")
class TestBrowser:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    @pytest.mark.parametrize(("width", "height"), [(360, 740), (1280, 860)])
    async def test_pages_are_quiet_and_never_wider_than_the_screen(
        self, wallet_app: FastAPI, width: int, height: int, scheme: str
    ) -> None:
        async with serving(wallet_app) as url, tab(width, height, scheme=scheme) as (page, said):
            for path in PAGES:
                await page.goto(url + path)
                wide = await page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, f"{path} is {wide} px wide"
            assert said == []

    async def test_the_ring_runs_down_and_takes_the_button_with_it(
        self, wallet_app: FastAPI
    ) -> None:
        async with serving(wallet_app) as url, tab() as (page, said):
            await page.clock.install()
            await page.goto(url + "/components")
            left = page.locator("[data-countdown-left]")
            assert await left.text_content() == "0:48"
            await page.clock.run_for(20_000)
            assert await left.text_content() == "0:28"
            await page.clock.run_for(30_000)
            assert await page.locator("[data-countdown-over]").is_visible()
            assert await page.locator("[data-expires]").is_disabled()
            assert said == []

    async def test_toggles_act_at_once_and_are_remembered(self, wallet_app: FastAPI) -> None:
        async with serving(wallet_app) as url, tab() as (page, _):
            await page.goto(url + "/")
            await page.click("[data-toggle=theme]")
            assert await page.get_attribute("html", "data-theme") == "dark"
            await page.reload()
            assert await page.get_attribute("html", "data-theme") == "dark"

    async def test_a_double_click_is_one_request(self, wallet_app: FastAPI, house: House) -> None:
        async with serving(wallet_app) as url, tab() as (page, _):
            sent: list[str] = []
            page.on("request", lambda r: sent.append(r.url) if r.method == "POST" else None)
            await page.goto(url + "/login")
            await page.fill("#username", "no_such_one")
            await page.fill("#password", SECRET)
            await page.dblclick("main button[type=submit]")
            await page.wait_for_selector(".callout.bad")
            assert sent == [url + "/login"]
