"""Steps of somebody with a browser: sign in, ask for money to move, read what a page says."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape

import httpx

from hazina.identity.operators import Operators
from hazina.identity.people import Role
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from tests.journeys.world import PASSWORD, Person, World
from tests.loopback import NO_CERTIFICATES
from tests.web.conftest import Browser

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)" value="([^"]*)">')


@asynccontextmanager
async def signed_in(base: str, username: str) -> AsyncIterator[Browser]:
    async with httpx.AsyncClient(base_url=base, timeout=30, verify=NO_CERTIFICATES) as http:
        browser = Browser(http)
        answer = await browser.send("/login", {"username": username, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        yield browser


@asynccontextmanager
async def customer(world: World, **how: str) -> AsyncIterator[tuple[Person, Browser]]:
    person = await world.customer(**how)
    async with signed_in(world.wallet, person.username) as browser:
        yield person, browser


async def operator(world: World) -> str:
    username = f"clerk-{new_id().hex[-8:]}"
    now = world.house.clock.now()
    await world.house.get(Operators).create(username, PASSWORD, Role.AUDITOR, SYSTEM, now)
    return username


def confirmation(page: str, action: str) -> dict[str, str]:
    """The hidden fields of the form that goes to ``action``."""
    form = page.split(f'action="{action}"', 1)[1].split("</form>", 1)[0]
    return {name: unescape(value) for name, value in HIDDEN.findall(form)}


def words(page: str) -> str:
    """What a person reads, on one line."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).replace("\u00a0", " ").split())


async def reviewed(browser: Browser, what: str, amount: str, phone: str = "") -> dict[str, str]:
    answer = await browser.send(
        f"/{what}/review", {"amount": amount, "phone": phone}, page=f"/{what}/new"
    )
    assert answer.status_code == 200, words(answer.text)
    return confirmation(answer.text, f"/{what}")


async def asked(browser: Browser, what: str, amount: str, phone: str = "") -> str:
    """The path of the timeline of a new act."""
    form = await reviewed(browser, what, amount, phone)
    answer = await browser.http.post(f"/{what}", data=form)
    assert answer.status_code == 303, words(answer.text)
    return str(answer.headers["location"])


async def seen(browser: Browser, path: str) -> str:
    answer = await browser.http.get(path)
    assert answer.status_code == 200, answer.text
    return words(answer.text)


async def funded(world: World, person: Person, amount: str) -> None:
    await person.post("/wallet/deposits", amount_kes=amount)
    await world.work()
    await world.answer_prompt(person.phone)
    await world.settle()
