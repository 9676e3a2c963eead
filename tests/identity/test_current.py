"""Who is asking: tokens for JSON, cookies for pages, and each realm by its own door."""

from datetime import timedelta

import httpx
import pytest

from hazina.desk.webkit.current import LoginRequired
from hazina.identity.operators import Operators
from hazina.identity.people import Role
from hazina.infra.db import Database, Row
from hazina.infra.house import House
from hazina.infra.settings import Settings
from hazina.kernel.actor import SYSTEM, Actor
from hazina.kernel.clock import SettableClock
from tests.identity.conftest import make_app
from tests.identity.people import API, PASSWORD, Person, bearer, code_of, new_person, sign_in


def cookie_of(answer: httpx.Response, name: str) -> str:
    found = [one for one in answer.headers.get_list("set-cookie") if one.startswith(f"{name}=")]
    assert len(found) == 1
    return found[0]


async def page_sign_in(web: httpx.AsyncClient, person: Person, door: str = "page") -> str:
    form = {"username": person.username, "password": person.password}
    answer = await web.post(f"/{door}/login", params=form)
    assert answer.status_code == 200, answer.text
    name = "hz_wallet" if door == "page" else "hz_console"
    return cookie_of(answer, name).partition(";")[0].partition("=")[2]


async def operator(house: House, role: Role = Role.OPERATOR) -> Person:
    made = new_person()
    now = house.clock.now()
    await house.get(Operators).create(made.username, made.password, role, SYSTEM, now)
    return made


def cookies(**values: str) -> dict[str, str]:
    return {"cookie": "; ".join(f"{name}={value}" for name, value in values.items())}


async def test_a_page_knows_its_reader_by_the_cookie(
    web: httpx.AsyncClient, person: Person
) -> None:
    secret = await page_sign_in(web, person)
    web.cookies.clear()
    answer = await web.get("/page/home", headers=cookies(hz_wallet=secret))
    assert answer.json()["username"] == person.username
    assert answer.json()["actor"].startswith("customer:")


async def test_the_cookie_is_unreadable_to_scripts_and_not_sent_by_other_sites(
    web: httpx.AsyncClient, person: Person
) -> None:
    form = {"username": person.username, "password": PASSWORD}
    line = cookie_of(await web.post("/page/login", params=form), "hz_wallet").lower()
    for part in ("httponly", "samesite=lax", "path=/", f"max-age={30 * 86_400}"):
        assert part in line
    assert "secure" not in line
    assert person.username not in line


async def test_the_cookie_is_secure_where_the_setting_says_so(
    house: House, settings: Settings, person: Person
) -> None:
    house.settings = settings.model_copy(update={"cookie_secure": True})
    transport = httpx.ASGITransport(make_app(house))
    async with httpx.AsyncClient(transport=transport, base_url="https://wallet.test") as web:
        form = {"username": person.username, "password": PASSWORD}
        assert (
            "secure" in cookie_of(await web.post("/page/login", params=form), "hz_wallet").lower()
        )


async def test_clearing_the_cookie_makes_the_browser_forget_it(web: httpx.AsyncClient) -> None:
    line = cookie_of(await web.post("/page/logout"), "hz_wallet").lower()
    assert "max-age=0" in line


@pytest.mark.parametrize(
    ("asked", "next_path"),
    [
        ("/page/home", "%2Fpage%2Fhome"),
        ("/page/home?tab=gold&x=1", "%2Fpage%2Fhome%3Ftab%3Dgold%26x%3D1"),
    ],
)
async def test_a_stranger_is_sent_to_sign_in_and_back(
    web: httpx.AsyncClient, asked: str, next_path: str
) -> None:
    answer = await web.get(asked)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/login?next={next_path}"


async def test_a_form_that_needs_a_login_is_not_a_place_to_come_back_to(
    web: httpx.AsyncClient,
) -> None:
    assert (await web.post("/page/act")).headers["location"] == "/login?next=%2F"


@pytest.mark.parametrize(
    "path", ["//evil.test", "/\\evil.test", "https://evil.test", "javascript:alert(1)", ""]
)
def test_a_path_that_leads_elsewhere_is_not_a_place_to_come_back_to(path: str) -> None:
    assert LoginRequired(path).location == "/login?next=%2F"


async def test_json_takes_no_cookie_and_pages_take_no_token(
    web: httpx.AsyncClient, person: Person
) -> None:
    secret, tokens = await page_sign_in(web, person), await sign_in(web, person)
    web.cookies.clear()
    for path in ("/user/me", "/mine", "/either"):
        refused = await web.get(f"{API}{path}", headers=cookies(hz_wallet=secret))
        assert refused.status_code == 401, path
        assert (await web.get(f"{API}{path}", headers=tokens.header)).status_code == 200
        as_token = await web.get(f"{API}{path}", headers=bearer(secret))
        assert as_token.status_code == 401
    assert (await web.get("/page/home", headers=tokens.header)).status_code == 303
    as_cookie = await web.get("/page/home", headers=cookies(hz_wallet=tokens.refresh))
    assert as_cookie.status_code == 303


async def test_a_customers_session_never_opens_the_console_nor_the_other_way_round(
    web: httpx.AsyncClient, house: House, person: Person
) -> None:
    clerk = await operator(house)
    secret = await page_sign_in(web, person)
    desk_secret = await page_sign_in(web, clerk, "desk")
    web.cookies.clear()
    for name in ("hz_console", "hz_wallet"):
        desk = await web.get("/desk/home", headers=cookies(**{name: secret}))
        home = await web.get("/page/home", headers=cookies(**{name: desk_secret}))
        assert desk.status_code == home.status_code == 303
    seen = await web.get("/desk/home", headers=cookies(hz_console=desk_secret))
    assert seen.json()["actor"].startswith("operator:")

    tokens = await sign_in(web, person)
    desk_tokens = await sign_in(web, clerk, realm="/operator")
    assert (await web.get(f"{API}/operator/me", headers=tokens.header)).status_code == 401
    assert (await web.get(f"{API}/user/me", headers=desk_tokens.header)).status_code == 401
    body = {"refresh_token": tokens.refresh}
    assert (await web.post(f"{API}/operator/auth/refresh", json=body)).status_code == 401
    body = {"refresh_token": desk_tokens.refresh}
    assert (await web.post(f"{API}/auth/refresh", json=body)).status_code == 401


async def test_names_and_passwords_of_one_realm_do_not_open_the_other(
    web: httpx.AsyncClient, house: House, person: Person
) -> None:
    clerk = await operator(house)
    for realm, who in (("/operator", person), ("", clerk)):
        form = {"username": who.username, "password": who.password}
        answer = await web.post(f"{API}{realm}/auth/login", json=form)
        assert code_of(answer) == "login_refused"


async def test_a_page_session_ends_at_once_too(
    web: httpx.AsyncClient, person: Person, clock: SettableClock
) -> None:
    secret, tokens = await page_sign_in(web, person), await sign_in(web, person)
    web.cookies.clear()
    listed = (await web.get(f"{API}/auth/sessions", headers=tokens.header)).json()["items"]
    page = next(one for one in listed if one["channel"] == "page")
    await web.delete(f"{API}/auth/sessions/{page['id']}", headers=tokens.header)
    assert (await web.get("/page/home", headers=cookies(hz_wallet=secret))).status_code == 303
    secret = await page_sign_in(web, person)
    web.cookies.clear()
    clock.advance(timedelta(days=30))
    assert (await web.get("/page/home", headers=cookies(hz_wallet=secret))).status_code == 303


async def test_a_front_page_knows_a_reader_and_bears_a_stranger(
    web: httpx.AsyncClient, person: Person
) -> None:
    assert (await web.get("/page/front")).json() == {"username": None}
    secret = await page_sign_in(web, person)
    web.cookies.clear()
    answer = await web.get("/page/front", headers=cookies(hz_wallet=secret))
    assert answer.json() == {"username": person.username}


@pytest.mark.parametrize(
    ("role", "status"),
    [
        (Role.ADMINISTRATOR, 200),
        (Role.MANAGER, 200),
        (Role.OPERATOR, 403),
        (Role.AUDITOR, 403),
    ],
)
async def test_a_role_opens_what_it_is_for(
    web: httpx.AsyncClient, house: House, role: Role, status: int
) -> None:
    tokens = await sign_in(web, await operator(house, role), realm="/operator")
    answer = await web.get(f"{API}/desk/prices", headers=tokens.header)
    assert answer.status_code == status
    if status == 403:
        assert code_of(answer) == "role_missing"


async def test_a_route_for_both_realms_says_who_acts(
    web: httpx.AsyncClient, house: House, person: Person
) -> None:
    tokens = await sign_in(web, person)
    desk_tokens = await sign_in(web, await operator(house), realm="/operator")
    one = await web.get(f"{API}/either", headers=tokens.header)
    other = await web.get(f"{API}/either", headers=desk_tokens.header)
    assert one.json()["actor"].startswith("customer:")
    assert other.json()["actor"].startswith("operator:")


@pytest.mark.parametrize(
    ("trusted", "forwarded", "ip"),
    [
        ("", "203.0.113.9", "127.0.0.1"),  # nobody is trusted: the header is anybody's text
        ("127.0.0.1", "203.0.113.9", "203.0.113.9"),
        ("127.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9"),
        ("127.0.0.0/8, 10.0.0.0/8", "198.51.100.1, 203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("127.0.0.1", "203.0.113.9, nonsense", "127.0.0.1"),
    ],
)
async def test_the_visitors_address_comes_from_proxies_we_trust_only(
    house: House, settings: Settings, person: Person, trusted: str, forwarded: str, ip: str
) -> None:
    house.settings = settings.model_copy(update={"trusted_proxies": trusted})
    transport = httpx.ASGITransport(make_app(house))
    async with httpx.AsyncClient(transport=transport, base_url="http://wallet.test") as web:
        tokens = await sign_in(web, person)
        header = tokens.header | {"X-Forwarded-For": forwarded}
        assert (await web.get(f"{API}/either", headers=header)).json()["ip"] == ip


async def test_a_browser_that_talks_too_much_is_cut_short(
    web: httpx.AsyncClient, person: Person
) -> None:
    tokens = await sign_in(web, person)
    header = tokens.header | {"User-Agent": "x" * 5_000}
    answer = await web.get(f"{API}/either", headers=header)
    assert answer.json()["user_agent"] == "x" * 256


async def test_an_operators_session_ends_when_they_are_disabled(
    web: httpx.AsyncClient, house: House, origin: Actor
) -> None:
    clerk = await operator(house)
    tokens, secret = (
        await sign_in(web, clerk, realm="/operator"),
        await page_sign_in(web, clerk, "desk"),
    )
    web.cookies.clear()
    now, operators = house.clock.now(), house.get(Operators)
    await house.db.run(lambda tx: operators.disable(tx, clerk.username, origin, now))
    assert (await web.get(f"{API}/operator/me", headers=tokens.header)).status_code == 401
    assert (await web.get("/desk/home", headers=cookies(hz_console=secret))).status_code == 303
    form = {"username": clerk.username, "password": clerk.password}
    assert (await web.post(f"{API}/operator/auth/login", json=form)).status_code == 401


async def test_the_reference_shows_locks_and_an_example_for_every_body(house: House) -> None:
    schema = make_app(house).openapi()
    ours = {p: v for p, v in schema["paths"].items() if p.startswith((f"{API}/auth", f"{API}/us"))}
    locked = {p for p, v in ours.items() for one in v.values() if one.get("security")}
    assert locked == {
        f"{API}/{path}"
        for path in (
            "auth/logout",
            "auth/password",
            "auth/sessions",
            "auth/sessions/{session_id}",
            "user/api-keys",
            "user/api-keys/{key_id}",
            "user/devices",
            "user/devices/{device_id}",
            "user/freeze",
            "user/me",
            "user/payout-phones",
            "user/payout-phones/{phone_id}",
            "user/second-factor",
            "user/second-factor/confirm",
            "user/second-factor/recovery-codes",
            "user/standing",
            "user/unfreeze",
            "user/unfreeze/begin",
        )
    }
    assert schema["paths"][f"{API}/mine"]["get"]["security"]
    for name in ("RegisterIn", "LoginIn", "RefreshIn", "PasswordIn"):
        assert schema["components"]["schemas"][name]["examples"]


async def test_one_request_asks_the_database_once_who_it_is(
    web: httpx.AsyncClient, house: House, person: Person
) -> None:
    secret, asked = await page_sign_in(web, person), 0
    web.cookies.clear()

    class Counting(Database):
        async def fetchrow(self, sql: str, *args: object) -> Row | None:
            nonlocal asked
            asked += "identity." in sql
            return await super().fetchrow(sql, *args)

    counting = house.db = Counting(house.db.pool)
    # Both CurrentCustomer and CustomerActor stand in this page's signature.
    answer = await web.get("/page/home", headers=cookies(hz_wallet=secret))
    await counting.let_go()
    assert answer.json()["actor"].startswith("customer:")
    assert asked == 1
