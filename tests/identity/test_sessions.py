"""Sessions: refreshed once per token, listed and ended by their owner, gone the moment they end."""

import asyncio
from datetime import timedelta
from uuid import UUID

import httpx
import pytest

from hazina.identity.login import OperatorLogin
from hazina.identity.operators import Operators
from hazina.identity.people import WALLET, Role
from hazina.identity.repository import Accounts
from hazina.identity.sessions import CustomerSessions, OperatorSessions, RefreshRefused
from hazina.identity.tokens import NotSignedIn
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Row
from hazina.infra.house import House
from hazina.infra.jobs import Jobs
from hazina.kernel.actor import Actor
from hazina.kernel.clock import SettableClock
from hazina.kernel.ids import new_id
from tests.identity.people import (
    API,
    PASSWORD,
    Person,
    Tokens,
    bearer,
    code_of,
    new_person,
    sign_in,
)

ME = f"{API}/user/me"
NEW = "and four quite other words"


async def status(web: httpx.AsyncClient, tokens: Tokens) -> int:
    return (await web.get(ME, headers=tokens.header)).status_code


async def refresh(web: httpx.AsyncClient, token: str) -> httpx.Response:
    return await web.post(f"{API}/auth/refresh", json={"refresh_token": token})


async def test_without_a_token_nobody_is_known(web: httpx.AsyncClient) -> None:
    for header in ({}, bearer("nonsense"), {"Authorization": "Basic ZGVtbzpkZW1v"}):
        answer = await web.get(ME, headers=header)
        assert answer.status_code == 401
        assert code_of(answer) == "not_signed_in"


async def test_a_refresh_gives_the_next_pair_of_the_same_session(
    web: httpx.AsyncClient, person: Person
) -> None:
    first = await sign_in(web, person)
    second = (await refresh(web, first.refresh)).json()
    assert second["session_id"] == first.session_id
    assert second["refresh_token"] != first.refresh
    third = await refresh(web, second["refresh_token"])
    assert third.status_code == 200
    answer = await web.get(ME, headers=bearer(third.json()["access_token"]))
    assert answer.json()["username"] == person.username


async def test_a_refresh_token_seen_twice_ends_its_session_for_both(
    web: httpx.AsyncClient, house: House, person: Person
) -> None:
    other = await sign_in(web, person)
    stolen = await sign_in(web, person)
    second = (await refresh(web, stolen.refresh)).json()
    again = await refresh(web, stolen.refresh)
    assert again.status_code == 401
    assert code_of(again) == "refresh_refused"
    assert (await refresh(web, second["refresh_token"])).status_code == 401
    assert (await web.get(ME, headers=bearer(second["access_token"]))).status_code == 401
    assert await status(web, other) == 200
    session_id = UUID(stolen.session_id.removeprefix("ses_"))
    trail = await house.get(Audit).list_of_object(house.db, "customer_session", session_id)
    assert [event.action for event in trail.items] == ["session.refresh_reused"]


async def test_of_two_refreshes_at_once_with_one_token_one_wins(
    web: httpx.AsyncClient, person: Person
) -> None:
    tokens = await sign_in(web, person)
    answers = await asyncio.gather(*(refresh(web, tokens.refresh) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 5
    assert await status(web, tokens) == 401


async def test_an_unknown_refresh_token_is_refused(web: httpx.AsyncClient) -> None:
    for token in ("hzr_unknown", "x" * 300, "\u20ac"):
        assert (await refresh(web, token)).status_code == 401


async def test_an_access_token_is_no_refresh_token_nor_the_other_way_round(
    web: httpx.AsyncClient, person: Person
) -> None:
    tokens = await sign_in(web, person)
    assert (await refresh(web, tokens.access[:250])).status_code == 401
    assert (await web.get(ME, headers=bearer(tokens.refresh))).status_code == 401


async def test_an_access_token_ends_with_its_minutes_and_a_session_with_its_days(
    web: httpx.AsyncClient, clock: SettableClock, person: Person
) -> None:
    tokens = await sign_in(web, person)
    clock.advance(timedelta(minutes=15))
    assert await status(web, tokens) == 401
    fresh = (await refresh(web, tokens.refresh)).json()
    assert (await web.get(ME, headers=bearer(fresh["access_token"]))).status_code == 200
    clock.advance(timedelta(days=30))
    assert (await refresh(web, fresh["refresh_token"])).status_code == 401


async def test_an_operators_session_ends_when_idle_and_after_a_working_day(
    house: House, clock: SettableClock, origin: Actor
) -> None:
    """A console that was left open stayed open for thirty days."""
    name, sessions = new_person().username, house.get(OperatorSessions)
    await house.get(Operators).create(name, PASSWORD, Role.AUDITOR, origin, clock.now())
    login = house.get(OperatorLogin)

    async def opened() -> tuple[str, str, str]:
        page = await login.for_page(name, PASSWORD, origin, clock.now())
        api = await login.for_tokens(name, PASSWORD, origin, clock.now())
        return page.secret, api.access, api.refresh

    async def looks(secret: str) -> bool:
        try:
            await sessions.authenticate_page(house.db, secret, origin, clock.now())
        except NotSignedIn:
            return False
        return True

    page, access, token = await opened()
    for _ in range(30):  # half an hour at a time, eleven and a half hours in all
        clock.advance(timedelta(minutes=23))
        assert await looks(page)
    clock.advance(timedelta(minutes=31))
    assert not await looks(page)
    with pytest.raises(RefreshRefused):
        await sessions.refresh(house.db, token, origin, clock.now())
    page, access, token = await opened()
    clock.advance(timedelta(minutes=31))
    for ended in (
        sessions.authenticate(house.db, access, origin, clock.now()),
        sessions.refresh(house.db, token, origin, clock.now()),
        sessions.authenticate_page(house.db, page, origin, clock.now()),
    ):
        with pytest.raises((NotSignedIn, RefreshRefused)):
            await ended
    page, _, _ = await opened()
    for _ in range(27):
        clock.advance(timedelta(minutes=26))
        assert await looks(page)
    clock.advance(timedelta(minutes=19))
    assert not await looks(page)


async def test_logging_out_ends_the_session_at_once(web: httpx.AsyncClient, person: Person) -> None:
    here, there = await sign_in(web, person), await sign_in(web, person)
    assert (await web.post(f"{API}/auth/logout", headers=here.header)).status_code == 204
    assert await status(web, here) == 401
    assert (await refresh(web, here.refresh)).status_code == 401
    assert await status(web, there) == 200


async def test_a_customer_lists_where_they_are_signed_in(
    web: httpx.AsyncClient, person: Person
) -> None:
    first, second = await sign_in(web, person), await sign_in(web, person)
    await sign_in(web, await _somebody_else(web))
    page = (await web.get(f"{API}/auth/sessions", headers=first.header)).json()
    assert [one["id"] for one in page["items"]] == [second.session_id, first.session_id]
    assert [one["current"] for one in page["items"]] == [False, True]
    assert page["items"][0]["channel"] == "api"
    assert page["items"][0]["user_agent"].startswith("python-httpx")
    assert page["next_cursor"] is None


async def test_the_list_of_sessions_goes_on_from_its_cursor(
    web: httpx.AsyncClient, person: Person
) -> None:
    opened = [await sign_in(web, person) for _ in range(5)]
    seen: list[str] = []
    cursor = None
    while True:
        query = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = await web.get(f"{API}/auth/sessions", params=query, headers=opened[0].header)
        seen += [one["id"] for one in page.json()["items"]]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            break
    assert seen == [one.session_id for one in reversed(opened)]


async def test_a_customer_ends_one_of_their_sessions_at_once(
    web: httpx.AsyncClient, person: Person
) -> None:
    here, lost = await sign_in(web, person), await sign_in(web, person)
    path = f"{API}/auth/sessions/{lost.session_id}"
    assert (await web.delete(path, headers=here.header)).status_code == 204
    assert await status(web, lost) == 401
    assert await status(web, here) == 200
    assert (await web.delete(path, headers=here.header)).status_code == 404


async def test_somebody_elses_session_is_not_there(web: httpx.AsyncClient, person: Person) -> None:
    mine, theirs = await sign_in(web, person), await sign_in(web, await _somebody_else(web))
    unknown = f"ses_{new_id().hex}"
    answers = [
        await web.delete(f"{API}/auth/sessions/{which}", headers=mine.header)
        for which in (theirs.session_id, unknown, "ses_nonsense", "%00")
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert answers[0].json() == answers[1].json()
    assert await status(web, theirs) == 200


async def test_a_password_change_ends_every_other_session(
    web: httpx.AsyncClient, house: House, person: Person
) -> None:
    here, there, api = [await sign_in(web, person) for _ in range(3)]
    form = {"current_password": PASSWORD, "new_password": NEW}
    answer = await web.post(f"{API}/auth/password", json=form, headers=here.header)
    assert answer.json() == {"ended_sessions": 2}
    assert await status(web, here) == 200
    assert await status(web, there) == await status(web, api) == 401
    assert (await refresh(web, there.refresh)).status_code == 401
    old = {"username": person.username, "password": PASSWORD}
    assert (await web.post(f"{API}/auth/login", json=old)).status_code == 401
    await sign_in(web, person, password=NEW)


@pytest.mark.parametrize(
    ("current", "new", "code"),
    [
        ("not the right one", NEW, "password_wrong"),
        (PASSWORD, "short", "password_weak"),
        (PASSWORD, "phone", "password_weak"),
        (PASSWORD, "email", "password_weak"),
        (PASSWORD, "username", "password_weak"),
    ],
)
async def test_a_refused_password_change_changes_nothing(
    web: httpx.AsyncClient, person: Person, current: str, new: str, code: str
) -> None:
    here, there = await sign_in(web, person), await sign_in(web, person)
    form = {"current_password": current, "new_password": getattr(person, new, new)}
    answer = await web.post(f"{API}/auth/password", json=form, headers=here.header)
    assert code_of(answer) == code
    assert await status(web, there) == 200
    await sign_in(web, person)


async def test_of_two_password_changes_at_once_one_wins(
    web: httpx.AsyncClient, person: Person
) -> None:
    here = await sign_in(web, person)
    forms = [{"current_password": PASSWORD, "new_password": f"{NEW} {n}"} for n in range(4)]
    path = f"{API}/auth/password"
    answers = await asyncio.gather(*(web.post(path, json=f, headers=here.header) for f in forms))
    assert sorted(answer.status_code for answer in answers) == [200, 403, 403, 403]
    won = next(n for n, answer in enumerate(answers) if answer.status_code == 200)
    await sign_in(web, person, password=f"{NEW} {won}")


class Counting:
    """A database that counts the statements it is asked."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.asked = 0

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        self.asked += 1
        return await self._db.fetchrow(sql, *args)

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        self.asked += 1
        return await self._db.fetch(sql, *args)


async def test_authentication_is_one_query(
    web: httpx.AsyncClient, house: House, clock: SettableClock, person: Person, origin: Actor
) -> None:
    tokens, db = await sign_in(web, person), Counting(house.db)
    sessions = house.get(CustomerSessions)
    found = await sessions.authenticate(db, tokens.access, origin, clock.now())
    assert found.person.username == person.username
    assert db.asked == 1


async def test_last_seen_is_written_every_few_minutes_only(
    web: httpx.AsyncClient, house: House, clock: SettableClock, person: Person, origin: Actor
) -> None:
    tokens, db = await sign_in(web, person), Counting(house.db)
    sessions = house.get(CustomerSessions)
    clock.advance(timedelta(minutes=6))
    for _ in range(3):
        await sessions.authenticate(db, tokens.access, origin, clock.now())
    assert db.asked == 4
    listed = (await web.get(f"{API}/auth/sessions", headers=tokens.header)).json()["items"]
    assert listed[0]["last_seen_at"] == "2026-11-20T09:06:00Z"
    assert listed[0]["ip"] == origin.ip


async def test_secrets_are_stored_hashed(
    web: httpx.AsyncClient, house: House, db: Database, person: Person
) -> None:
    tokens = await sign_in(web, person)
    known = await Accounts(WALLET).find(db, person.username)
    assert known is not None
    rows = await db.fetch(
        """SELECT s.*, t.* FROM identity.customer_session s
             JOIN identity.customer_refresh_token t ON t.session_id = s.id
            WHERE s.account_id = $1""",
        known.account_id,
    )
    stored = b" ".join(
        value if isinstance(value, bytes) else str(value).encode()
        for row in rows
        for value in dict(row).values()
    )
    assert len(rows) == 1
    assert tokens.refresh.encode() not in stored
    assert tokens.access.encode() not in stored


async def test_reports_read_no_secret(place: object, person: Person) -> None:
    import asyncpg

    readonly = await Database.connect(getattr(place, "readonly"), size=2)  # noqa: B009
    try:
        seen = await readonly.fetchrow(
            "SELECT id, phone_masked FROM identity.customer WHERE username = $1", person.username
        )
        assert seen is not None
        for column in ("password_hash", "phone_sealed", "email_index"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await readonly.fetch(f"SELECT {column} FROM identity.customer LIMIT 1")
    finally:
        await readonly.close()


async def test_ended_sessions_are_pruned_long_after(
    web: httpx.AsyncClient, house: House, clock: SettableClock, db: Database, person: Person
) -> None:
    tokens = await sign_in(web, person)
    await refresh(web, tokens.refresh)
    sweep = house.get(Jobs).sweepers["sessions.prune"].handler
    count = "SELECT count(*) FROM identity.customer_session WHERE id = $1"
    session_id = UUID(tokens.session_id.removeprefix("ses_"))
    clock.advance(timedelta(days=30 + 89))
    await sweep()
    assert await db.fetchval(count, session_id) == 1
    clock.advance(timedelta(days=2))
    await sweep()
    assert await db.fetchval(count, session_id) == 0


async def _somebody_else(web: httpx.AsyncClient) -> Person:
    other = new_person()
    assert (await web.post(f"{API}/auth/register", json=other.form())).status_code == 201
    return other
