"""A story with known secrets, told at debug level; then each of them is looked for everywhere.

What is meant to be somewhere is said in ``MEANT``, with its reason.
"""

import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx
import pyotp
import pytest
import structlog

from hazina.client.signing import signed_headers
from hazina.identity.people import Role
from hazina.infra.db import Database
from hazina.infra.observability import configure_logging
from hazina.infra.settings import Settings
from hazina.kernel.ids import new_id
from tests import server
from tests.conftest import Place
from tests.journeys.world import PASSWORD, Person, World
from tests.web.conftest import Browser

# M-Pesa's own id of a prompt ends in the payer's number, and one time in ten a nought stands before
# it: as text, and in the hex of a stored body.
PROMPT_ID = re.compile(r"ws_CO_[0-9]+|77735f434f5f(?:3[0-9])+", re.IGNORECASE)
MEANT = {
    # The correlation key of a call: whoever reads the table may forge a callback, and is believed
    # no more than any other forger.
    ("callback token", "deposits.deposit"),
    ("callback token", "infra.inbox"),
    ("payout token", "withdrawals.withdrawal"),
    ("payout token", "infra.inbox"),
    # Kept as it came (S2-72), and M-Pesa names the payer in it.
    ("phone, bare", "infra.inbox"),
}


@dataclass
class Story:
    """What was said, by whom and to whom."""

    secrets: dict[str, str] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@pytest.fixture
def terminal() -> Iterator[io.StringIO]:
    """All that the process logs, from debug on, as a running house would write it."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    configure_logging(Settings(log_json=True, log_level="debug"))
    shown, handler = io.StringIO(), root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(shown)
    yield shown
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.configure(**before)


@pytest.fixture(autouse=True)
def logged() -> None:
    """Instead of this folder's: nothing may stand between the house and its log here."""


async def test_a_secret_is_nowhere_but_where_it_is_meant(
    world: World, terminal: io.StringIO, fresh_place: Place
) -> None:
    story = await told(world)
    places = {
        "the log": terminal.getvalue(),
        "refusals": "\n".join(story.refusals),
        "what others see": "\n".join(story.others),
    }
    dump = await dumped(fresh_place)
    assert len(terminal.getvalue().splitlines()) >= 3
    assert "pgqueuer.pgqueuer" in dump
    searched = {place: PROMPT_ID.sub("", text) for place, text in (places | dump).items()}
    found = {
        (name, place)
        for name, secret in story.secrets.items()
        for place, text in searched.items()
        for form in (secret, secret.encode().hex())
        if form.lower() in text.lower()
    }
    assert found - MEANT == set()
    assert MEANT - found == set(), "what is no longer there is no longer meant"
    for line in terminal.getvalue().splitlines():
        json.loads(line)
    await nothing_for_reports(fresh_place, story)


async def nothing_for_reports(place: Place, story: Story) -> None:
    """Whoever reads for reports sees none of them anywhere, M-Pesa's own ids included."""
    subscriber = story.secrets["phone, local"][1:]
    seen = await dumped_to_reader(place)
    assert {"deposits.deposit", "infra.inbox", "withdrawals.withdrawal"} <= set(seen)
    found = {
        (name, table)
        for name, secret in (story.secrets | {"subscriber": subscriber}).items()
        for table, text in seen.items()
        for form in (secret, secret.encode().hex())
        if form.lower() in text.lower()
    }
    assert found == set()


async def told(world: World) -> Story:
    """Registration, wrong and right sign-in, second factor, key, deposit, callback, withdrawal."""
    story, person = Story(), await world.customer()
    settings = world.house.settings
    story.secrets |= {
        "password": PASSWORD,
        "access token": person.token,
        "phone": f"+{person.phone}",
        "phone, bare": person.phone,
        "phone, local": f"0{person.phone[3:]}",
        "e-mail": f"{person.username}@example.com",
        "consumer secret": settings.mpesa_consumer_secret.get_secret_value(),
        "passkey": settings.mpesa_passkey.get_secret_value(),
        "initiator password": settings.mpesa_initiator_password.get_secret_value(),
    }
    login = {"username": person.username, "password": PASSWORD}
    again = await person.api.post("/api/v1/auth/login", json=login)
    story.secrets |= {
        "refresh token": again.json()["refresh_token"],
        "device token": again.json()["device_token"],
    }
    await wrongly(world, person, story)
    await guarded(world, person, story)
    await money(world, person, story)
    await seen_by_others(world, story)
    return story


async def wrongly(world: World, person: Person, story: Story) -> None:
    """Secrets in wrong places: mistyped, misplaced, too long."""
    api, typed = person.api, "wrong horse battery staple"
    story.secrets["wrong password"] = typed
    sent = [
        await api.post("/api/v1/auth/login", json={"username": person.username, "password": typed}),
        await api.post("/api/v1/auth/login", json={"username": PASSWORD, "password": typed}),
        await api.post("/api/v1/auth/login", json={"password": PASSWORD, "phone": person.phone}),
        await api.post("/api/v1/auth/login", content=f'{{"password": "{PASSWORD}"'),
        await api.post("/api/v1/auth/password", json={"current_password": typed, "new": PASSWORD}),
        await api.post(
            "/api/v1/user/payout-phones", json={"phone": f"{person.phone}{person.phone}"}
        ),
        await api.get("/api/v1/user/me", headers={"Authorization": f"Bearer {person.token}x"}),
        await api.get(f"/api/v1/wallet/deposits/{person.token}"),
        await api.get(f"/api/v1/user/messages?cursor={PASSWORD}"),
    ]
    assert {one.status_code for one in sent} <= {400, 401, 403, 404}
    story.refusals += [one.text for one in sent]


async def guarded(world: World, person: Person, story: Story) -> None:
    """A session by cookie, an app's secret, recovery codes, an API key that is used."""
    async with httpx.AsyncClient(base_url=world.wallet) as http:
        signed = {"username": person.username, "password": PASSWORD}
        await Browser(http).send("/login", signed)
        story.secrets["session cookie"] = http.cookies["hz_wallet"]
        story.secrets["csrf cookie"] = http.cookies["hz_csrf"]
    made = await person.post("/user/api-keys", label="machine", scopes=["read"])
    key, secret = made.json()["id"], made.json()["secret"]
    story.secrets["API key secret"] = secret
    path, now = "/api/v1/user/balance", world.clock.now()
    headers = signed_headers(
        key, bytes.fromhex(secret), method="GET", target=path,
        timestamp=str(int(now.timestamp())), nonce=new_id().hex, body=b"",
    )  # fmt: skip
    async with httpx.AsyncClient(base_url=world.wallet) as http:
        assert (await http.get(path, headers=dict(headers))).status_code == 200
        wrong = dict(headers) | {"Hazina-Signature": "0" * 64}
        story.refusals.append((await http.get(path, headers=wrong)).text)
    begun = await person.post("/user/second-factor", password=PASSWORD)
    story.secrets["app secret"] = begun.json()["secret"]
    code = pyotp.TOTP(begun.json()["secret"]).at(now)
    done = await person.post("/user/second-factor/confirm", code=code)
    for number, one in enumerate(done.json()["recovery_codes"]):
        story.secrets[f"recovery code {number}"] = one
        story.secrets[f"recovery code {number}, plain"] = one.replace("-", "")


async def money(world: World, person: Person, story: Story) -> None:
    """In by a prompt that is paid, out to the own phone."""
    assert (await person.post("/wallet/deposits", amount_kes="900")).status_code == 202
    await world.work()
    await world.answer_prompt(person.phone)
    await world.settle()
    assert (await person.post("/wallet/withdrawals", amount_kes="300")).status_code == 202
    await world.settle()
    assert (await world.balances(person))["KES"] == ("600.00", "0.00")
    for name, table in (
        ("callback token", "deposits.deposit"),
        ("payout token", "withdrawals.withdrawal"),
    ):
        token = await world.house.db.fetchval(f"SELECT token FROM {table}")
        story.secrets[name] = token if isinstance(token, str) else token.hex()


async def seen_by_others(world: World, story: Story) -> None:
    """Another customer's lists, what an operator reads, and what anybody may read."""
    other, clerk = await world.customer(), await world.operator(Role.AUDITOR)
    for path in ("/user/me", "/user/ledger", "/wallet/deposits", "/wallet/withdrawals"):
        story.others.append(json.dumps(await other.get(path)))
    story.others.append(json.dumps(await clerk.get("/gold/pools")))
    async with httpx.AsyncClient(base_url=world.console) as http:
        await Browser(http).send("/login", {"username": clerk.username, "password": PASSWORD})
        for path in ("/", "/deposits", "/withdrawals", "/open-questions"):
            page = await http.get(path)
            assert page.status_code == 200
            story.others.append(page.text)
    async with httpx.AsyncClient(base_url=world.wallet) as http:
        for path in ("/metrics", "/openapi.json", "/docs", "/readyz", "/login"):
            story.others.append((await http.get(path)).text)


async def dumped_to_reader(place: Place) -> dict[str, str]:
    """Every column of every table that the role for reports may read, as text."""
    db = await Database.connect(place.readonly, size=1)
    try:
        tables = await db.fetch(
            """
            SELECT c.oid::regclass::text AS name,
                string_agg(quote_ident(a.attname), ', ') AS columns
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
            WHERE c.relkind IN ('r', 'p', 'v') AND n.nspname NOT LIKE 'pg\\_%'
                AND n.nspname <> 'information_schema'
                AND has_schema_privilege(n.oid, 'USAGE')
                AND has_column_privilege(c.oid, a.attnum, 'SELECT')
            GROUP BY c.oid
            """
        )
        found = {}
        for row in tables:
            sql = f"SELECT row({row['columns']})::text AS text FROM {row['name']}"
            found[row["name"]] = "\n".join(line["text"] for line in await db.fetch(sql))
        return found
    finally:
        await db.close()


async def dumped(place: Place) -> dict[str, str]:
    """Every row of every table as text, bytes in hexadecimal."""
    db = await Database.connect(server.at(place.admin, place.name), size=1)
    try:
        tables = await db.fetch(
            "SELECT schemaname || '.' || tablename AS name FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        return {
            row["name"]: "\n".join(
                line["text"]
                for line in await db.fetch(f"SELECT t::text AS text FROM {row['name']} t")
            )
            for row in tables
        }
    finally:
        await db.close()
