"""A read-only house, endpoint by endpoint: what is refused, and what goes on."""

import re

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from hazina.bootstrap.registry import manifests
from hazina.desk.recovery import Recovery
from hazina.desk.switches import RECOVERY_WORDS, Switch
from hazina.infra.house import House
from hazina.kernel.actor import SYSTEM
from hazina.web.console.app import create_console_app
from hazina.web.internal.app import create_internal_app
from hazina.web.wallet.app import create_wallet_app
from tests.backup.test_switches import turn_off
from tests.journeys.world import World, address, listener, serving

CHANGING = {"POST", "PUT", "PATCH", "DELETE"}
ID = "00000000-0000-7000-8000-000000000000"
TOKEN = "ab" * 16
# Every change that a read-only house still takes. Whoever adds a route has to look at this table:
# what is not in it is refused without being named anywhere.
WALLET_GOES_ON = {
    "/hooks/{token}/{letter}", "/login", "/logout", "/preferences",
    "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout",
    "/api/v1/operator/auth/login", "/api/v1/operator/auth/refresh",
    "/api/v1/operator/auth/logout",
}  # fmt: skip
INTERNAL_GOES_ON = {"/internal/ledger/balances", "/internal/ledger/accounts/query"}
CONSOLE_GOES_ON = {"/login", "/logout", "/preferences"}


def changing(app: FastAPI) -> list[tuple[str, str]]:
    """(method, path) of every route that may change something."""
    return sorted(
        (method, str(found.path))
        for found in iter_route_contexts(app.routes)
        for method in CHANGING & set(found.methods or ())
    )


def concrete(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda m: TOKEN if m[1] == "token" else ID, path)


async def refusals(world: World, base: str, app: FastAPI) -> dict[str, tuple[int, str]]:
    client = world._client(base)
    found = {}
    for method, path in changing(app):
        answer = await client.request(method, concrete(path), headers={"Accept": "text/html"})
        said = re.search(r"maintenance|recovering", answer.text)
        found[path] = (answer.status_code, said[0] if said else "")
        if said:
            assert answer.headers["Retry-After"] == "60"
    return found


@pytest.fixture
def wallet(house: House) -> FastAPI:
    return create_wallet_app(house, manifests())


@pytest.fixture
def console(house: House) -> FastAPI:
    return create_console_app(house, manifests())


async def test_the_table_has_no_route_that_is_gone(wallet: FastAPI, console: FastAPI) -> None:
    assert {path for _, path in changing(wallet)} >= WALLET_GOES_ON
    assert {path for _, path in changing(console)} >= CONSOLE_GOES_ON


@pytest.mark.parametrize("switched", [Switch.WRITES, None])
async def test_services_may_ask_and_change_nothing(world: World, switched: Switch | None) -> None:
    house, door = world.house, create_internal_app(world.house)
    now = house.clock.now()
    if switched is not None:
        await turn_off(world, switched)
    else:
        await house.db.run(
            lambda tx: house.get(Recovery).enter(tx, copied_at=now, actor=SYSTEM, now=now)
        )
    on = listener()
    async with serving(door, on):
        found = await refusals(world, address(on), door)
    assert {path for path, (status, said) in found.items() if not said} == INTERNAL_GOES_ON
    assert {status for status, said in found.values() if said} == {503}
    assert found.keys() > INTERNAL_GOES_ON


async def test_maintenance_refuses_every_change_in_both_shells(
    world: World, wallet: FastAPI, console: FastAPI
) -> None:
    await turn_off(world, Switch.WRITES, "an upgrade")
    for base, app, goes_on in (
        (world.wallet, wallet, WALLET_GOES_ON),
        (world.console, console, CONSOLE_GOES_ON),
    ):
        found = await refusals(world, base, app)
        refused = {
            path for path, (status, said) in found.items() if (status, said) == (503, "maintenance")
        }
        assert refused == set(found) - goes_on
        assert len(refused) >= 3


async def test_a_recovery_refuses_customers_and_lets_operators_work(
    world: World, wallet: FastAPI, console: FastAPI
) -> None:
    house = world.house
    now = house.clock.now()
    await house.db.run(
        lambda tx: house.get(Recovery).enter(tx, copied_at=now, actor=SYSTEM, now=now)
    )
    found = await refusals(world, world.wallet, wallet)
    refused = {
        path for path, (status, said) in found.items() if (status, said) == (503, "recovering")
    }
    assert refused == set(found) - WALLET_GOES_ON
    assert not any(said for _, said in (await refusals(world, world.console, console)).values())


async def test_pages_can_be_read_and_say_so(world: World) -> None:
    person = await world.customer()
    page = await world._client(world.wallet).get("/login")
    assert RECOVERY_WORDS not in page.text
    await turn_off(world, Switch.WRITES, "an upgrade")
    page = await world._client(world.wallet).get("/login")
    assert (page.status_code, 'role="status"' in page.text) == (200, True)
    assert "nothing can be changed" in page.text
    assert "an upgrade" not in page.text
    assert (await person.api.get("/api/v1/user/balance")).status_code == 200
    ready = await world._client(world.wallet).get("/healthz")
    assert ready.status_code == 200


async def test_a_refused_form_says_what_and_when(world: World) -> None:
    await turn_off(world, Switch.WRITES, "an upgrade")
    answer = await world._client(world.wallet).post("/withdrawals", data={"amount": "100"})
    assert answer.status_code == 503
    assert "text/html" in answer.headers["content-type"]
    assert "Your money is safe" in answer.text
