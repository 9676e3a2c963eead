"""The console, clicked: an operator with a second factor opens a question and matches a payment
that is nobody's; another one agrees. At the width of a desk, and looked at on a phone as well.
"""

from dataclasses import dataclass
from datetime import timedelta

import pyotp
import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from hazina.identity.operators import Operators
from hazina.identity.people import Operator, Role
from hazina.identity.second_factor import OperatorFactors
from hazina.kernel.actor import SYSTEM
from tests.browser.test_story import PICTURES
from tests.journeys.conftest import world
from tests.journeys.paying import pay, registered
from tests.journeys.test_unknown import unknown
from tests.journeys.world import PASSWORD, World
from tests.web.browser import CHROMIUM

__all__ = ["world"]
pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
WIDTHS = (1280, 360)


@dataclass
class Keeper:
    """An operator at a browser of their own, with an app and written codes."""

    operator: Operator
    totp: pyotp.TOTP
    codes: list[str]
    page: Page
    complaints: list[str]

    async def sign_in(self, world: World) -> None:
        world.clock.advance(timedelta(seconds=30))
        await self.page.goto(f"{world.console}/login")
        await self.page.fill("main [name=username]", self.operator.username)
        await self.page.fill("main [name=password]", PASSWORD)
        await self.press("Sign in")
        await self.page.fill("main [name=otp]", self.totp.at(world.clock.now()))
        await self.page.locator("main form button[type=submit]").first.click()
        await expect(self.page.locator("main")).to_contain_text(self.operator.username)

    async def press(self, label: str) -> None:
        await self.page.locator("main").get_by_role("button", name=label).first.click()

    async def look(self, name: str) -> None:
        """A picture at each width; nothing sticks out sideways, nothing has complained."""
        for width in WIDTHS:
            await self.page.set_viewport_size({"width": width, "height": 800})
            await self.page.screenshot(path=PICTURES / f"{name}-{width}.png", full_page=True)
            wide = await self.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= width, f"{name} is {wide} px wide on {width}"
        await self.page.set_viewport_size({"width": WIDTHS[0], "height": 800})
        assert self.complaints == [], f"{name}: {self.complaints}"


async def keeper(world: World, chromium: Browser, role: Role) -> Keeper:
    house, now, name = world.house, world.clock.now(), f"keeper-{role.value}"
    operator = await house.get(Operators).create(name, PASSWORD, role, SYSTEM, now)
    factors = house.get(OperatorFactors)
    begun = await house.db.run(lambda tx: factors.begin(tx, operator.id, name, now))
    totp = pyotp.TOTP(begun.secret)
    codes = await house.db.run(
        lambda tx: factors.confirm(tx, operator.id, totp.at(now), SYSTEM, now)
    )
    page = await (await chromium.new_context()).new_page()
    complaints: list[str] = []
    page.on(
        "console", lambda m: complaints.append(m.text) if m.type in ("error", "warning") else None
    )
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.set_default_timeout(10_000)
    return Keeper(operator, totp, codes, page, complaints)


async def test_a_payment_in_suspense_is_matched_by_two(world: World) -> None:
    await registered(world)
    await world.sim.put("/sim/settings", json={"c2b_external_validation": False})
    owner = await world.customer()
    await pay(world, owner.phone, "SHOP RENT")
    await unknown(world)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        first = await keeper(world, chromium, Role.MANAGER)
        second = await keeper(world, chromium, Role.ADMINISTRATOR)
        await first.sign_in(world)
        await first.page.goto(f"{world.console}/open-questions")
        await first.look("console-questions")
        await first.page.locator("main a", has_text="wdr_").first.click()
        await expect(first.page.locator("main")).to_contain_text("Send it again")
        await first.look("console-question")
        await first.page.locator("main a", has_text="Look again, then send").click()
        await expect(first.page.locator("main [name=otp]")).to_be_visible()
        await first.look("console-resend")
        for path in ("messages", "suspense", "debts", "statements"):
            await first.page.goto(f"{world.console}/{path}")
            await first.look(f"console-{path}")
        await first.page.goto(f"{world.console}/suspense")
        await first.page.locator("main a", has_text="pay_").first.click()
        await first.page.fill("main [name=username]", owner.username)
        await first.page.fill("main [name=give_reason]", "They showed the M-Pesa message.")
        await first.page.locator("main form[action$='/give'] button[type=submit]").click()
        await expect(first.page.locator("main")).to_contain_text("Waits for a second person")
        await first.look("console-matched")

        await second.sign_in(world)
        await second.page.goto(f"{world.console}/approvals")
        await second.page.locator("main a[href^='/approvals/apr_']").first.click()
        await second.look("console-approval")
        await second.page.fill("main form[action$='/approve'] [name=password]", PASSWORD)
        await second.page.fill("main form[action$='/approve'] [name=otp]", second.codes[0])
        await second.press("Approve and do it")
        await expect(second.page.locator("main")).to_contain_text("Approved and done")
        await second.look("console-approved")
        await chromium.close()
    assert await world.balances(owner) == {"KES": ("750.00", "0.00")}
