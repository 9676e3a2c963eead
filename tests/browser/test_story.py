"""The story, clicked: an operator fills the lot, a customer buys gold, sees why, and sells half.

A real Chromium against the real shells, a running worker and the simulated handset; at the width of
a phone and of a desk. No complaint in the console, nothing to scroll sideways, every page taken as
a picture into ``.cache/pictures`` for people to look at.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from playwright.async_api import Page, async_playwright, expect

from hazina.identity.people import Role
from hazina.infra.db import Database
from hazina.infra.settings import Settings
from hazina.infra.worker import Worker
from hazina.kernel.clock import SystemClock
from hazina.simulators.daraja import SimConfig
from tests.conftest import Place
from tests.journeys.world import PASSWORD, World, one, world_on
from tests.web.browser import CHROMIUM

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]
PICTURES = Path(os.environ.get("HAZINA_PICTURES", ".cache/pictures"))
PHONE = "254711000222"
PATIENCE_MS = 30_000


@asynccontextmanager
async def working(world: World) -> AsyncIterator[None]:
    """A worker beside the shells, as ``up`` runs one."""
    stop = asyncio.Event()
    task = asyncio.create_task(Worker(world.house).run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


class Visitor:
    """One tab of a person, with everything its console complained of."""

    def __init__(self, page: Page, width: int) -> None:
        self.page, self.width, self.complaints = page, width, list[str]()
        page.on(
            "console",
            lambda m: self.complaints.append(m.text) if m.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.set_default_timeout(PATIENCE_MS)

    async def look(self, name: str) -> None:
        """Takes the picture; nothing may stick out sideways, nothing may have complained."""
        await self.page.screenshot(path=PICTURES / f"{name}-{self.width}.png", full_page=True)
        wide = await self.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= self.width, f"{name} is {wide} px wide on {self.width}"
        assert self.complaints == [], f"{name}: {self.complaints}"

    async def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            await self.page.fill(f"main [name={name}]", value)

    async def press(self, label: str) -> None:
        await self.page.locator("main").get_by_role("button", name=label).first.click()

    async def sees(self, text: str) -> None:
        await expect(self.page.locator("main").get_by_text(text).first).to_be_visible(
            timeout=PATIENCE_MS
        )


@pytest.fixture(params=[360, 1280])
async def story(
    request: pytest.FixtureRequest,
    settings: Settings,
    fresh: Database,
    fresh_place: Place,
    daraja: tuple[str, SimConfig],
) -> AsyncIterator[tuple[World, int]]:
    sim, config = daraja
    quick = settings.model_copy(update={"mpesa_query_after_s": 1, "mpesa_status_after_s": 1})
    async with (
        world_on(quick, fresh, SystemClock(), sim, config, fresh_place.app) as world,
        working(world),
    ):
        yield world, request.param


async def fill_the_lot(world: World, visitor: Visitor) -> None:
    """The operator's part, in the console."""
    clerk = await world.operator(Role.ADMINISTRATOR)
    page = visitor.page
    await page.goto(f"{world.console}/login")
    await visitor.look("console-login")
    await visitor.fill(username=clerk.username, password=PASSWORD)
    await visitor.press("Sign in")
    await page.goto(f"{world.console}/gold/prices")
    await visitor.fill(buy_price_per_gram="13333.33", sell_price_per_gram="12900")
    await page.locator("main form button[type=submit]").last.click()
    await visitor.sees("13,333.33")
    await visitor.look("console-prices")
    await page.goto(f"{world.console}/gold/lots")
    await visitor.fill(name="Lot 1, 1 kg", purity="999.9", grams="1000", priority="1")
    await page.locator("main form button[type=submit]").last.click()
    await visitor.sees("Lot 1, 1 kg")
    await visitor.look("console-lots")


async def register(world: World, visitor: Visitor) -> None:
    page = visitor.page
    await page.goto(world.wallet)
    await visitor.look("landing")
    await page.goto(f"{world.wallet}/register")
    await visitor.look("register")
    await visitor.fill(
        username="demo", phone="0711 000 222", email="demo@example.com", password=PASSWORD
    )
    await visitor.press("Create account")
    await page.wait_for_url(f"{world.wallet}/**")
    await visitor.look("home-empty")


async def buy(world: World, visitor: Visitor, handset: Visitor) -> None:
    page = visitor.page
    await page.goto(f"{world.wallet}/gold/buy")
    await visitor.look("buy")
    await visitor.fill(amount="5000")
    await visitor.press("See what it comes to")
    await visitor.sees("KES")
    await visitor.look("buy-review")
    await visitor.press("Buy, and prompt my phone")
    await page.wait_for_url("**/gold/trades/**")
    await visitor.look("trade-asked")
    await handset.page.goto(f"{world.sim.base_url}/handset/{PHONE}")
    pin = handset.page.locator("input[name=pin]")
    await pin.wait_for()
    await handset.look("handset-prompt")
    await pin.fill("1234")
    await handset.page.get_by_role("button", name="Pay").click()
    # The page moves by itself: no reload here.
    await visitor.sees("0.375")
    await visitor.sees("Why it comes to this")
    await visitor.look("trade-completed")


async def sell(world: World, visitor: Visitor, handset: Visitor) -> None:
    page = visitor.page
    await page.goto(f"{world.wallet}/gold/sell")
    await visitor.fill(grams="0.1875")
    await visitor.look("sell")
    await page.locator("main form button[type=submit]").last.click()
    await visitor.look("sell-review")
    await visitor.press("Sell")
    await page.wait_for_url("**/gold/trades/**")
    await visitor.sees("Why it comes to this")
    await visitor.look("sale-completed")
    await handset.page.goto(f"{world.sim.base_url}/handset/{PHONE}")
    # 100,000 − 5,000 + 2,418 (0.1875 g at 12,900, whole shillings)
    await expect(handset.page.get_by_text("97,418").first).to_be_visible(timeout=PATIENCE_MS)
    await handset.look("handset-paid")


async def move_shillings(world: World, visitor: Visitor) -> None:
    page = visitor.page
    await world.handset(PHONE, auto="pay")
    await page.goto(f"{world.wallet}/deposits/new")
    await visitor.fill(amount="1000")
    await visitor.look("deposit")
    await page.locator("main form button[type=submit]").last.click()
    await visitor.look("deposit-review")
    await page.locator("main form button[type=submit]").first.click()
    await page.wait_for_url("**/deposits/dep_*")
    await visitor.sees("are in your treasury")
    await visitor.look("deposit-paid")
    await page.goto(f"{world.wallet}/withdrawals/new")
    await visitor.fill(amount="600")
    await page.locator("main form button[type=submit]").last.click()
    await visitor.look("withdrawal-review")
    await page.locator("main form button[type=submit]").first.click()
    await page.wait_for_url("**/withdrawals/wdr_*")
    await visitor.sees("have left your treasury")
    await visitor.look("withdrawal-paid")


async def test_the_story(story: tuple[World, int]) -> None:
    world, width = story
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        size = {"width": width, "height": 800}

        async def tab() -> Visitor:
            context = await chromium.new_context(viewport=size)  # type: ignore[arg-type]
            return Visitor(await context.new_page(), width)

        await fill_the_lot(world, await tab())
        visitor, handset = await tab(), await tab()
        await register(world, visitor)
        await buy(world, visitor, handset)
        await sell(world, visitor, handset)
        await move_shillings(world, visitor)
        for path in ("", "gold", "activity", "security", "docs", "components"):
            await visitor.page.goto(f"{world.wallet}/{path}")
            await visitor.look(f"page-{path or 'home'}")
        await chromium.close()
    owned = await one(
        world.house.db,
        "SELECT sum(credits_posted - debits_posted) FROM ledger.account"
        " WHERE purpose = 'wallet' AND asset = 'XAU'",
    )
    assert owned == 187_500
    await world.prove()
