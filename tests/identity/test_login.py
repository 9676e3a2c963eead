"""Signing in: one answer to every wrong pair, in one time, and not too often."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import httpx
import pytest

from hazina.identity.devices import Devices
from hazina.identity.lockout import Lockouts
from hazina.identity.login import CustomerLogin, Login, LoginRefused
from hazina.identity.passwords import Cost, Passwords
from hazina.identity.people import CONSOLE, WALLET
from hazina.identity.repository import Accounts, Credentials
from hazina.identity.second_factor import CustomerFactors, OperatorFactors
from hazina.identity.sessions import CustomerSessions, OperatorSessions
from hazina.identity.tickets import Tickets
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Tx
from hazina.infra.house import House
from hazina.infra.ratelimit import RateLimited, RateLimiter
from hazina.kernel.actor import Actor, ActorKind
from tests.identity.people import API, PASSWORD, Person, code_of, new_person, sign_in

LOGIN = f"{API}/auth/login"
CHEAP = Cost(memory_kib=64, time=1, lanes=1)


def make_login(
    house: House,
    *,
    passwords: Passwords | None = None,
    limit: str = "1000/minute",
    limiter: RateLimiter | None = None,
    devices: Devices | None = None,
) -> CustomerLogin:
    return CustomerLogin(
        WALLET,
        house.db,
        passwords=passwords or Passwords(CHEAP),
        sessions=house.get(CustomerSessions),
        factors=house.get(CustomerFactors),
        lockouts=house.get(Lockouts),
        tickets=Tickets(bytes(32)),
        limiter=limiter or RateLimiter("memory://"),
        limit=limit,
        audit=house.get(Audit),
        devices=devices,
    )


async def test_a_right_pair_gets_tokens_that_no_cache_keeps(
    web: httpx.AsyncClient, person: Person
) -> None:
    form = {"username": person.username.upper(), "password": person.password}
    answer = await web.post(LOGIN, json=form)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 900)
    assert body["refresh_token"].startswith("hzr_")
    assert body["session_id"].startswith("ses_")


async def test_unknown_name_and_wrong_password_get_one_and_the_same_answer(
    web: httpx.AsyncClient, person: Person
) -> None:
    wrong = await web.post(LOGIN, json={"username": person.username, "password": "not the right"})
    unknown = await web.post(LOGIN, json={"username": new_person().username, "password": PASSWORD})
    malformed = await web.post(LOGIN, json={"username": "no such name!", "password": PASSWORD})
    assert wrong.status_code == unknown.status_code == malformed.status_code == 401
    assert wrong.json() == unknown.json() == malformed.json()
    assert code_of(wrong) == "login_refused"


async def test_nobody_takes_as_long_to_refuse_as_somebody(
    house: House, person: Person, origin: Actor
) -> None:
    # Slow enough for the hashing to stand out from everything else there is to wait for.
    passwords = Passwords(Cost(memory_kib=19_456, time=4, lanes=1))
    login, now = make_login(house, passwords=passwords), house.clock.now()
    known = await Accounts(WALLET).find(house.db, person.username)
    assert known is not None
    await house.db.run(lambda tx: _rehash(tx, known, passwords))

    somebody: list[float] = []
    nobody: list[float] = []

    async def took(username: str) -> float:
        # From another address each time: what fails often from one is made to wait.
        elsewhere = replace(origin, ip=f"192.0.2.{len(somebody) + 1}")
        began = perf_counter()
        with pytest.raises(LoginRefused):
            await login.for_tokens(username, "not the right", elsewhere, now)
        return perf_counter() - began

    for _ in range(7):
        somebody.append(await took(person.username))
        nobody.append(await took(new_person().username))
    # The shortest of each: load on the machine only ever makes one longer.
    ratio = min(nobody) / min(somebody)
    assert 0.6 < ratio < 1.7


async def _rehash(tx: Tx, known: Credentials, passwords: Passwords) -> None:
    better = await passwords.hash(PASSWORD)
    await Accounts(WALLET).rehash(tx, known, better)


async def test_a_hash_of_yesterdays_parameters_is_made_anew(
    house: House, person: Person, origin: Actor
) -> None:
    accounts, now = Accounts(WALLET), house.clock.now()
    before = await accounts.find(house.db, person.username)
    stronger = Passwords(Cost(memory_kib=20_000, time=2, lanes=1))
    await make_login(house, passwords=stronger).for_tokens(person.username, PASSWORD, origin, now)
    after = await accounts.find(house.db, person.username)
    assert before is not None
    assert after is not None
    assert "m=20000," not in before.password_hash
    assert "m=20000," in after.password_hash
    assert after.password_version == before.password_version


async def test_two_logins_that_both_rehash_both_get_in(
    house: House, person: Person, origin: Actor
) -> None:
    login = make_login(house, passwords=Passwords(Cost(memory_kib=20_000, time=1, lanes=1)))
    now = house.clock.now()
    opened = await asyncio.gather(
        *(login.for_tokens(person.username, PASSWORD, origin, now) for _ in range(4))
    )
    assert len({tokens.session_id for tokens in opened}) == 4


async def test_a_password_changed_while_it_is_checked_opens_nothing(
    house: House, person: Person, origin: Actor
) -> None:
    class ChangedMeanwhile(Passwords):
        async def matches(self, stored: str | None, password: str) -> bool:
            right = await super().matches(stored, password)
            fresh = await self.hash("another password entirely")
            known = await Accounts(WALLET).find(house.db, person.username)
            assert known is not None
            change = Accounts(WALLET).set_password
            await house.db.run(lambda tx: change(tx, known, fresh, house.clock.now()))
            return right

    login = make_login(house, passwords=ChangedMeanwhile(CHEAP))
    with pytest.raises(LoginRefused):
        await login.for_tokens(person.username, PASSWORD, origin, house.clock.now())


async def test_a_disabled_account_gets_the_answer_of_a_wrong_password(
    web: httpx.AsyncClient, owner_db: Database, person: Person
) -> None:
    tokens = await sign_in(web, person)
    disable = "UPDATE identity.customer SET disabled_at = now() WHERE username = $1"
    await owner_db.fetch(disable, person.username)
    answer = await web.post(LOGIN, json={"username": person.username, "password": PASSWORD})
    assert code_of(answer) == "login_refused"
    assert (await web.get(f"{API}/user/me", headers=tokens.header)).status_code == 401
    again = await web.post(f"{API}/auth/refresh", json={"refresh_token": tokens.refresh})
    assert again.status_code == 401


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8:7:7::{}"])
async def test_too_many_tries_from_one_network_are_held_up(house: House, address: str) -> None:
    """An IPv6 line has more addresses than anybody has guesses: all of it is one."""
    login, now = make_login(house, limit="3/minute"), house.clock.now()
    for turn in range(3):
        with pytest.raises(LoginRefused):
            await login.for_tokens(
                new_person().username, PASSWORD, _from(address.format(turn)), now
            )
    with pytest.raises(RateLimited) as limited:
        await login.for_tokens(new_person().username, PASSWORD, _from(address.format(9)), now)
    assert limited.value.details["retry_after_s"]


async def test_waiting_after_wrong_passwords_is_a_whole_lines(house: House, person: Person) -> None:
    login, now = make_login(house), house.clock.now()
    for turn in range(6):
        with pytest.raises(LoginRefused):
            await login.for_tokens(
                person.username, "guess", _from(f"2001:db8:8:8::{turn + 1}"), now
            )
    with pytest.raises(RateLimited):
        await login.for_tokens(person.username, PASSWORD, _from("2001:db8:8:8::99"), now)


@pytest.mark.parametrize("known", [True, False])
async def test_strangers_use_up_strangers_tries_at_a_name_and_not_its_owners(
    house: House, person: Person, *, known: bool
) -> None:
    """Ten tries a minute at a name were everybody's together: whoever spent them kept its owner
    out for as long as they liked."""
    limiter, now = RateLimiter("memory://"), house.clock.now()
    login = make_login(house, limiter=limiter, devices=house.get(Devices))
    name = person.username if known else new_person().username
    home, device = _from("203.0.113.7"), None
    if known:
        device = (await login.for_tokens(name, PASSWORD, home, now)).device_token
    for turn in range(60):
        with pytest.raises(LoginRefused):
            await login.for_tokens(name, "guess", _from(f"198.51.100.{turn + 1}"), now)
    with pytest.raises(RateLimited):
        await login.for_tokens(name, PASSWORD, _from("198.51.100.99"), now)
    if known:
        there = _from("198.51.100.98")
        assert (await login.for_tokens(name, PASSWORD, there, now, device=device)).refresh
        assert (await login.for_tokens(name, PASSWORD, home, now)).refresh


async def test_an_address_over_its_limit_uses_up_nobody_elses(house: House, person: Person) -> None:
    login, now = make_login(house, limit="3/minute"), house.clock.now()
    for _ in range(3):
        with pytest.raises(LoginRefused):
            await login.for_tokens(new_person().username, PASSWORD, _from("192.0.2.1"), now)
    for _ in range(5):
        with pytest.raises(RateLimited):
            await login.for_tokens(person.username, "guess", _from("192.0.2.1"), now)
    opened = await login.for_tokens(person.username, PASSWORD, _from("192.0.2.2"), now)
    assert opened.refresh


async def test_tries_are_audited_without_what_was_typed(
    web: httpx.AsyncClient, house: House, db: Database, person: Person
) -> None:
    await web.post(LOGIN, json={"username": "my-password-by-mistake", "password": PASSWORD})
    await web.post(LOGIN, json={"username": person.username, "password": "not the right"})
    await sign_in(web, person)
    known = await Accounts(WALLET).find(db, person.username)
    assert known is not None
    page = await house.get(Audit).list_of_object(db, "customer", known.account_id)
    assert [(event.action, event.actor_kind) for event in page.items] == [
        ("customer.logged_in", "customer"),
        ("customer.login_refused", "system"),
        ("customer.registered", "customer"),
    ]
    typed = "SELECT count(*) FROM infra.audit_event e WHERE to_jsonb(e)::text LIKE $1"
    for text in ("my-password-by-mistake", "not the right", PASSWORD):
        assert await db.fetchval(typed, f"%{text}%") == 0


async def test_a_login_is_never_wired_to_the_other_realms_sessions(house: House) -> None:
    def wired(sessions: CustomerSessions | OperatorSessions) -> Callable[[], Login]:
        return lambda: Login(
            CONSOLE,
            house.db,
            passwords=Passwords(CHEAP),
            sessions=sessions,
            factors=house.get(OperatorFactors),
            lockouts=house.get(Lockouts),
            tickets=Tickets(bytes(32)),
            limiter=house.get(RateLimiter),
            limit="1/minute",
            audit=house.get(Audit),
        )

    wired(house.get(OperatorSessions))()
    with pytest.raises(ValueError, match="wallet in the login of console"):
        wired(house.get(CustomerSessions))()


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b"null",
        b'{"username": "demo"}',
        b'{"username": 7, "password": "four random words"}',
        b'{"username": "demo", "password": "four random words", "role": "administrator"}',
        b'{"username": "demo", "password": "' + b"x" * 5_000 + b'"}',
        b'{"username": "demo", "password": "\\ud800 lone surrogate"}',
    ],
)
async def test_a_body_of_the_wrong_shape_is_refused_and_never_a_crash(
    web: httpx.AsyncClient, body: bytes
) -> None:
    answer = await web.post(LOGIN, content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 401)


def _from(address: str) -> Actor:
    return Actor(ActorKind.SYSTEM, ip=address)
