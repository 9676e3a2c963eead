"""The world of the security tests: three shells, a victim's belongings, and everybody else.

Whoever knocks is a ``Knocker``: headers for JSON, cookies for pages, a signature for machines.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
from fastapi import FastAPI

from hazina.bootstrap.registry import manifests
from hazina.client.signing import signed_headers
from hazina.identity.api_keys import ApiKeys, KeyScope, NewKey
from hazina.identity.credentials import Credentials, NewCredential, Scope
from hazina.identity.login import CustomerLogin, OperatorLogin
from hazina.identity.operators import Operators
from hazina.identity.people import CONSOLE, WALLET, Customer, Role
from hazina.identity.register import Application, Registration
from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.kernel.actor import SYSTEM, Actor, ActorKind
from hazina.kernel.ids import new_id, wire_id
from hazina.kernel.money import KES
from hazina.ledger.chart import Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, first_fault, move
from hazina.ledger.service import Ledger
from hazina.web.console.app import create_console_app
from hazina.web.internal.app import create_internal_app
from hazina.web.wallet.app import create_wallet_app
from tests.gold.desk import GoldDesk
from tests.identity.people import PASSWORD, Person, new_person

ADDRESS = "192.0.2.7"
ORIGIN = Actor(ActorKind.SYSTEM, ip=ADDRESS, user_agent="test")


@dataclass(slots=True)
class Knocker:
    """Somebody at a door. ``role`` is an operator's, ``scopes`` a key's or a service's."""

    name: str
    token: str = ""
    cookie: str = ""
    customer: bool = False
    role: Role | None = None
    key: tuple[str, str] | None = None
    scopes: frozenset[str] | None = None
    csrf: dict[str, str] = field(default_factory=dict)

    def headers(self, method: str, target: str, body: bytes) -> dict[str, str]:
        """What proves who it is to a JSON route."""
        if self.key is not None:
            return dict(
                signed_headers(
                    self.key[0],
                    bytes.fromhex(self.key[1]),
                    method=method,
                    target=target,
                    timestamp=str(int(STANDING_AT)),
                    nonce=new_id().hex,
                    body=body,
                )
            )
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    @property
    def cookies(self) -> dict[str, str]:
        """A browser's: the session under both shells' names, for a shell must know its own."""
        return {WALLET.cookie: self.cookie, CONSOLE.cookie: self.cookie} if self.cookie else {}


STANDING_AT = 0.0  # set when the world is made: its clock stands still


class Estate:
    """The three shells and what a test asks of them."""

    def __init__(self, house: House, owner: Database) -> None:
        self.house, self.owner = house, owner
        self.apps: dict[str, FastAPI] = {
            "wallet": create_wallet_app(house, manifests()),
            "console": create_console_app(house, manifests()),
            "internal": create_internal_app(house),
        }
        self.shells: dict[str, httpx.AsyncClient] = {}
        self.knockers: dict[str, Knocker] = {}
        self.victim = new_person()
        self.victim_id: UUID = new_id()
        self.secrets: dict[str, str] = {}
        self.ids: dict[str, str] = {}  # path parameter → the victim's
        self.markers: set[str] = set()  # what must appear in nobody else's answers

    async def knock(
        self,
        shell: str,
        method: str,
        path: str,
        who: Knocker,
        *,
        json: bytes | None = None,
        form: Mapping[str, str] | None = None,
        page: bool = False,
        more: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """One request with everything that ``who`` could prove themselves by at that door."""
        http = self.shells[shell]
        if page:
            http.cookies.clear()
            cookies = dict(who.cookies)
            data = dict(form or {})
            if method not in ("GET", "HEAD"):
                cookies["hz_csrf"], data["csrf"] = await self.csrf(shell, who)
            header = "; ".join(f"{name}={value}" for name, value in cookies.items())
            headers = {"Cookie": header, **(more or {})}
            if method in ("GET", "HEAD"):
                return await http.request(method, path, headers=headers)
            return await http.request(method, path, headers=headers, data=data)
        body = json if json is not None else b"" if method in ("GET", "DELETE") else b"{}"
        headers = {**who.headers(method, path, body), **(more or {})}
        if body:
            headers["Content-Type"] = "application/json"
        if method in ("POST", "PUT", "PATCH"):
            headers.setdefault("Idempotency-Key", new_id().hex)
        return await http.request(method, path, headers=headers, content=body)

    async def csrf(self, shell: str, who: Knocker) -> tuple[str, str]:
        """A browser's half and a token out of a page that this browser was shown."""
        known = who.csrf.get(shell)
        if known is None:
            secret = hashlib.sha256(who.name.encode()).hexdigest()[:32]
            cookies = "; ".join(f"{k}={v}" for k, v in (who.cookies | {"hz_csrf": secret}).items())
            http = self.shells[shell]
            for path in ("/login", "/"):
                shown = await http.get(path, headers={"Cookie": cookies})
                http.cookies.clear()
                if 'name="csrf" value="' in shown.text:
                    break
            token = shown.text.split('name="csrf" value="', 1)[1].split('"', 1)[0]
            known = who.csrf[shell] = f"{secret} {token}"
        secret, _, token = known.partition(" ")
        return secret, token

    async def customer(self, name: str, person: Person | None = None) -> tuple[Customer, Knocker]:
        """Somebody registered, signed in by token and by cookie."""
        person, now = person or new_person(), self.house.clock.now()
        made = await self.house.get(Registration).register(
            Application(person.username, person.email, person.phone, person.password), ORIGIN, now
        )
        login = self.house.get(CustomerLogin)
        tokens = await login.for_tokens(person.username, PASSWORD, ORIGIN, now)
        session = await login.for_page(person.username, PASSWORD, ORIGIN, now)
        return made, Knocker(name, tokens.access, session.secret, customer=True)

    async def operator(self, role: Role) -> Knocker:
        username, now = f"op{new_id().hex[-16:]}", self.house.clock.now()
        await self.house.get(Operators).create(username, PASSWORD, role, SYSTEM, now)
        login = self.house.get(OperatorLogin)
        tokens = await login.for_tokens(username, PASSWORD, ORIGIN, now)
        session = await login.for_page(username, PASSWORD, ORIGIN, now)
        return Knocker(role.value, tokens.access, session.secret, role=role)

    async def key(self, of: UUID, *scopes: KeyScope) -> Knocker:
        keys, now = self.house.get(ApiKeys), self.house.clock.now()
        wanted = NewKey("machine", frozenset(scopes), (f"{ADDRESS}/32",), timedelta(days=30))
        made, secret = await self.house.db.run(lambda tx: keys.create(tx, of, wanted, ORIGIN, now))
        name = f"key {'+'.join(sorted(scopes))}"
        return Knocker(name, key=(made.wire_id, secret), scopes=frozenset(scopes), customer=True)

    async def service(self, *scopes: Scope) -> Knocker:
        wanted = NewCredential(f"n{new_id().hex[-16:]}", "test", frozenset(scopes))
        credentials, now = self.house.get(Credentials), self.house.clock.now()
        made, secret = await self.house.db.run(
            lambda tx: credentials.create(tx, wanted, SYSTEM, now)
        )
        name = f"service {'+'.join(sorted(scopes))}"
        return Knocker(name, key=(made.wire_id, secret), scopes=frozenset(scopes))

    async def belongings(self) -> str:
        """All that the database has of the victim, apart from when a thing was last used."""
        lines = []
        for table, columns in BELONGINGS.items():
            whose = "account_id" if table.endswith("_session") else "customer_id"
            rows = await self.owner.fetch(
                f"SELECT ({columns})::text AS line FROM {table} WHERE {whose} = $1 ORDER BY 1",
                self.victim_id,
            )
            lines += [f"{table} {row['line']}" for row in rows]
        return "\n".join(lines)


BELONGINGS = {
    "identity.customer_session": "id, revoked_at",
    "identity.device": "id, name",
    "identity.payout_phone": "id, phone_masked",
    "identity.api_key": "id, scopes, revoked_at",
    "deposits.deposit": "id, state",
    "withdrawals.withdrawal": "id, state",
    "gold.trade": "id, state",
    "gold.quote": "id, trade_id",
    "desk.message": "id, channel",
}


@asynccontextmanager
async def furnished(house: House, owner: Database) -> AsyncIterator[Estate]:
    """An estate with a victim who has one of everything, and everybody who will knock."""
    global STANDING_AT
    STANDING_AT = house.clock.now().timestamp()
    estate = Estate(house, owner)
    async with AsyncExitStack() as stack:
        for name, app in estate.apps.items():
            transport = httpx.ASGITransport(app=app, client=(ADDRESS, 1234))
            client = httpx.AsyncClient(transport=transport, base_url=f"http://{name}.test")
            estate.shells[name] = await stack.enter_async_context(client)
        await _knockers(estate)
        await _victim(estate)
        yield estate


async def _knockers(estate: Estate) -> None:
    found = [Knocker("anonymous")]
    attacker, signed_in = await estate.customer("customer")
    found.append(signed_in)
    developer, signed_in = await estate.customer("developer")
    await estate.owner.execute(
        "UPDATE identity.customer SET kind = 'developer' WHERE id = $1", developer.id
    )
    found.append(signed_in)
    disabled, signed_in = await estate.customer("disabled customer")
    signed_in.customer = False
    locked = await estate.key(disabled.id, *KeyScope)
    locked.name, locked.customer = "key of a disabled customer", False
    found += [signed_in, locked]
    await estate.owner.execute(
        "UPDATE identity.customer SET disabled_at = now() WHERE id = $1", disabled.id
    )
    found += [await estate.operator(role) for role in Role]
    found += [await estate.key(attacker.id, scope) for scope in KeyScope]
    found += [await estate.service(*Scope)]
    found += [await estate.service(scope) for scope in Scope]
    estate.knockers = {one.name: one for one in found}


async def _victim(estate: Estate) -> None:
    """One deposit, withdrawal, trade, quote, session, device, key, phone, message and account of
    another institution: what the others' requests will name."""
    house = estate.house
    alice, me = await estate.customer("victim", estate.victim)
    estate.victim_id = alice.id
    desk = GoldDesk(house, estate.owner.execute)
    await desk.price("13000", "12900")
    lot = await desk.lot("lot 1", "1000")
    await _give(house, alice.id, "900000")
    api = "/api/v1"
    quote = await _make(estate, me, f"{api}/gold/quotes", {"side": "buy", "amount_kes": "500"})
    trade = await _make(
        estate, me, f"{api}/gold/trade/buy", {"amount_kes": "700", "pay_from": "wallet"}
    )
    deposit = await _make(estate, me, f"{api}/wallet/deposits", {"amount_kes": "1234"})
    payout = await _make(estate, me, f"{api}/wallet/withdrawals", {"amount_kes": "4321"})
    await _make(estate, me, f"{api}/user/payout-phones", {"phone": "0733123456"})
    key = await _make(estate, me, f"{api}/user/api-keys", {"label": "mine", "scopes": ["read"]})
    recovery = await _make(estate, me, f"{api}/auth/recovery", {"username": estate.victim.username})
    phones, devices, sessions = [
        (await estate.knock("wallet", "GET", f"{api}{path}", me)).json()["items"]
        for path in ("/user/payout-phones", "/user/devices", "/auth/sessions")
    ]
    estate.ids = {
        "lot_id": wire_id("lot", lot.id),
        "pool_id": wire_id("lot", lot.id),
        "quote_id": quote["quote_id"],
        "trade_id": trade["trade_id"],
        "deposit_id": deposit["deposit_id"],
        "withdrawal_id": payout["withdrawal_id"],
        "phone_id": phones[0]["id"],
        "key_id": key["id"],
        "recovery_id": recovery["recovery_id"],
        "device_id": devices[0]["id"],
        "session_id": sessions[0]["id"],
    }
    estate.markers = {estate.victim.username, alice.id.hex, str(alice.id), "1234.00", "4321.00"}
    # Who is told a recovery's id is who asked for it: it is said back.
    own = {name: id_ for name, id_ in estate.ids.items() if name != "recovery_id"}
    estate.markers |= {id_.partition("_")[2] for id_ in own.values()}
    await _institution(estate)


async def _make(estate: Estate, who: Knocker, path: str, body: dict[str, object]) -> dict[str, str]:
    answer = await estate.knock("wallet", "POST", path, who, json=json.dumps(body).encode())
    assert answer.is_success, (path, answer.text)
    made: dict[str, str] = answer.json()
    return made


async def _give(house: House, customer_id: UUID, shillings: str) -> None:
    utility = system(Purpose.MPESA_UTILITY)
    reference = Reference("test", new_id())
    gift = move(utility, customer(customer_id, KES), KES.money(shillings), Code.DEPOSIT, reference)
    ledger = house.get(Ledger)
    results = await house.db.run(lambda tx: ledger.post(tx, [gift], ORIGIN))
    assert first_fault(results) is None


async def _institution(estate: Estate) -> None:
    """Another institution's account and a transfer into it."""
    bank, transfer = await estate.service(*Scope), new_id()

    async def ask(path: str, body: dict[str, object]) -> dict[str, Any]:
        sent = json.dumps(body).encode()
        answer = await estate.knock("internal", "POST", f"/internal/ledger{path}", bank, json=sent)
        assert answer.is_success, answer.text
        found: dict[str, Any] = answer.json()
        return found

    opened = await ask(
        "/accounts",
        {"accounts": [{"owner": "alice", "asset": "KES"}, {"owner": "$world", "asset": "KES"}]},
    )
    asked = {
        "id": str(transfer), "kind": "post", "debit": "$world", "credit": "alice",
        "asset": "KES", "amount": "55",
    }  # fmt: skip
    booked = await ask("/transfers", {"transfers": [asked]})
    assert booked["results"][0]["result"] == "created", booked
    estate.ids |= {"account_id": opened["accounts"][0]["id"], "transfer_id": str(transfer)}
