"""Who is let in at the door for services, and that all others look alike."""

import asyncio
import hashlib
import hmac
from collections.abc import Mapping
from datetime import timedelta

import httpx
import pytest
from structlog.testing import capture_logs

from hazina.client import Account
from hazina.client.signing import signed_headers
from hazina.identity.credentials import (
    Credential,
    CredentialInvalid,
    Credentials,
    NewCredential,
    Scope,
)
from hazina.identity.external import owner_id
from hazina.identity.signing import Claim, sign
from hazina.infra.audit import Audit
from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import SettableClock
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import new_id
from tests.internal.conftest import ADDRESS, Services

PATH = "/internal/ledger/balances"
BODY = b'{"accounts":[{"owner":"alice","asset":"KES"}]}'


class Knock:
    """One signed request, and what can be wrong with it."""

    def __init__(self, services: Services, issued: tuple[Credential, str]) -> None:
        self.services = services
        credential, secret = issued
        self.credential, self.secret = credential.wire_id, bytes.fromhex(secret)
        self.target, self.body, self.nonce = PATH, BODY, new_id().hex
        self.late_s = 0
        self.change: dict[str, str] = {}
        self.sent_body: bytes | None = None
        self.sent_to: str | None = None

    def headers(self) -> dict[str, str]:
        now = int(self.services.house.clock.now().timestamp()) - self.late_s
        made = signed_headers(
            self.credential, self.secret, method="POST", target=self.target, timestamp=str(now),
            nonce=self.nonce, body=self.body,
        )  # fmt: skip
        return {**made, **self.change}

    async def send(self, headers: Mapping[str, str] | None = None) -> httpx.Response:
        transport = self.services.transport()
        async with httpx.AsyncClient(transport=transport, base_url="http://ledger.test") as http:
            return await http.post(
                self.sent_to or self.target,
                content=self.body if self.sent_body is None else self.sent_body,
                headers=self.headers() if headers is None else headers,
            )


def face(answer: httpx.Response) -> object:
    """All that somebody outside sees, but time and request id."""
    error = answer.json()["error"]
    shown = {k: v for k, v in error.items() if k not in ("timestamp", "request_id")}
    headers = {k: v for k, v in answer.headers.items() if k != "x-request-id"}
    headers.pop("content-length")
    return answer.status_code, shown, headers


class TestTheSignature:
    def test_follows_the_documented_vector(self) -> None:
        claim = Claim(
            "POST", PATH, "crd_0199f1c2a7b47c3e9f7d5b8a6c4e2f10", "1795165200",
            "3q2-7wAAAAAAAAAAAAAAAA", "",
        )  # fmt: skip
        secret = bytes(range(32))
        lines = "\n".join(
            [
                "HAZINA-HMAC-SHA256",
                "POST",
                "/internal/ledger/balances",
                "1795165200",
                "3q2-7wAAAAAAAAAAAAAAAA",
                "926e14255d5c93d669455839b53e7d01007f1b371a51a0524cd41897087e9b45",
            ]
        )
        expected = "a325f60580e9982275dfe73ed70685dfb5c2a7da490acf65fe7487cbe6751375"
        assert hmac.new(secret, lines.encode(), hashlib.sha256).hexdigest() == expected
        assert sign(secret, claim, BODY) == expected
        told = signed_headers(
            claim.credential, secret, method="POST", target=PATH, timestamp=claim.timestamp,
            nonce=claim.nonce, body=BODY,
        )  # fmt: skip
        assert told["Hazina-Signature"] == expected

    def test_owner_ids_never_change(self) -> None:
        """Every account of every institution is found by them."""
        namespace = new_id().__class__("0199f1c2-a7b4-7c3e-9f7d-5b8a6c4e2f10")
        assert str(owner_id(namespace, "alice")) == "33e5e027-639d-8636-8f88-51923175310d"
        assert owner_id(namespace, "alice") != owner_id(namespace, "alicf")
        assert owner_id(namespace, "alice") != owner_id(new_id(), "alice")

    async def test_opens_the_door(self, services: Services) -> None:
        assert (await Knock(services, await services.issue()).send()).status_code == 200

    async def test_covers_the_query(self, services: Services) -> None:
        issued = await services.issue()
        knock = Knock(services, issued)
        knock.target = f"{PATH}?a=1"
        assert (await knock.send()).status_code == 200
        knock = Knock(services, issued)
        knock.sent_to = f"{PATH}?a=1"
        assert (await knock.send()).status_code == 401

    async def test_window_is_five_minutes_either_way(self, services: Services) -> None:
        issued = await services.issue()
        found = []
        for late_s in (-301, -300, 300, 301):
            knock = Knock(services, issued)
            knock.late_s = late_s
            found.append((await knock.send()).status_code)
        assert found == [401, 200, 200, 401]


class TestEveryRefusalLooksAlike:
    async def test_whatever_is_wrong(self, services: Services, clock: SettableClock) -> None:
        good = await services.issue()
        stranger = (Credential(**{**_fields(good[0]), "id": new_id()}), good[1])
        forged = Knock(services, (good[0], new_id().hex * 2))
        unknown = Knock(services, stranger)
        stale = Knock(services, good)
        stale.late_s = 3_000
        tampered = Knock(services, good)
        tampered.sent_body = BODY.replace(b"alice", b"clara")
        elsewhere = Knock(services, good)
        elsewhere.sent_to = "/internal/ledger/accounts/query"
        replayed = Knock(services, good)
        assert (await replayed.send()).status_code == 200
        scopeless = Knock(services, await services.issue(scopes=frozenset({Scope.POST})))
        fenced = Knock(services, await services.issue(networks=("10.0.0.0/8",)))
        revoked_one = await services.issue()
        credentials = services.house.get(Credentials)
        await services.house.db.run(
            lambda tx: credentials.revoke(tx, revoked_one[0].wire_id, SYSTEM, clock.now())
        )
        revoked = Knock(services, revoked_one)
        short = Knock(services, await services.issue(lifetime=timedelta(seconds=1)))
        malformed = [Knock(services, good) for _ in range(6)]
        malformed[0].change = {"Hazina-Credential": "crd_zz"}
        malformed[1].change = {"Hazina-Timestamp": "yesterday"}
        malformed[2].change = {"Hazina-Nonce": "short"}
        malformed[3].change = {"Hazina-Signature": "0" * 63}
        malformed[4].change = {"Hazina-Signature": "٠" * 64}
        malformed[5].change = {"Hazina-Timestamp": "-1"}
        clock.advance(timedelta(seconds=1))
        knocks = {
            "forged": forged, "unknown": unknown, "stale": stale, "tampered": tampered,
            "elsewhere": elsewhere, "replayed": replayed, "scope": scopeless, "fenced": fenced,
            "revoked": revoked, "expired": short,
            **{f"malformed {n}": one for n, one in enumerate(malformed)},
        }  # fmt: skip
        faces = {}
        with capture_logs() as logged:
            for name, knock in knocks.items():
                told = {k: v.encode() for k, v in knock.headers().items()}
                answer = await knock.send(told)  # type: ignore[arg-type]
                assert answer.status_code == 401, name
                faces[name] = face(answer)
            bare = await forged.send({})
        faces["unsigned"] = face(bare)
        first = faces["forged"]
        assert {name for name, seen in faces.items() if seen != first} == set()
        # The log tells them apart.
        whys = {entry["why"] for entry in logged if entry["event"] == "a service was refused"}
        assert whys >= {
            "signature", "unknown", "timestamp", "nonce", "scope ledger:read", "address",
            "revoked", "expired", "headers",
        }  # fmt: skip

    async def test_before_anything_is_parsed(self, services: Services) -> None:
        knock = Knock(services, ((await services.issue())[0], new_id().hex * 2))
        knock.body = b"{ not json"
        assert (await knock.send()).status_code == 401
        knock = Knock(services, await services.issue())
        knock.body = b"{ not json"
        assert (await knock.send()).status_code == 400

    async def test_a_nonce_counts_once_among_many_at_once(self, services: Services) -> None:
        knock = Knock(services, await services.issue())
        headers = knock.headers()
        found = await asyncio.gather(*(knock.send(headers) for _ in range(12)))
        assert sorted(one.status_code for one in found) == [200] + [401] * 11

    async def test_a_refused_request_uses_up_no_nonce(self, services: Services) -> None:
        issued = await services.issue()
        knock = Knock(services, issued)
        knock.sent_body = b"{}"
        assert (await knock.send()).status_code == 401
        knock.sent_body = None
        assert (await knock.send()).status_code == 200

    async def test_allowed_networks_let_in(self, services: Services) -> None:
        issued = await services.issue(networks=("10.0.0.0/8", f"{ADDRESS}/32"))
        assert (await Knock(services, issued).send()).status_code == 200


class TestTheDoor:
    async def test_is_not_in_the_customers_app(self, house: House) -> None:
        from hazina.bootstrap.registry import manifests
        from hazina.web.wallet.app import create_wallet_app

        transport = httpx.ASGITransport(app=create_wallet_app(house, manifests()))
        async with httpx.AsyncClient(transport=transport, base_url="http://wallet.test") as http:
            answer = await http.post(PATH, content=BODY)
        assert answer.status_code == 404

    async def test_answers_in_json_whatever_is_asked(self, services: Services) -> None:
        transport = services.transport()
        async with httpx.AsyncClient(transport=transport, base_url="http://ledger.test") as http:
            nothing = await http.get("/")
            huge = await http.post(PATH, content=b"x" * (8 * 1024 * 1024 + 1))
        assert (nothing.status_code, nothing.json()["error"]["code"]) == (404, "not_found")
        assert (huge.status_code, huge.json()["error"]["code"]) == (413, "body_too_large")


class TestCredentials:
    async def test_are_audited_and_never_tell_their_secret(
        self, services: Services, house: House, db: Database, clock: SettableClock
    ) -> None:
        made, secret = await services.issue()
        credentials = house.get(Credentials)
        for _ in range(2):
            ended = await db.run(
                lambda tx: credentials.revoke(tx, made.wire_id, SYSTEM, clock.now())
            )
        assert ended.revoked_at == clock.now()
        events = await house.get(Audit).list_of_object(db, "service_credential", made.id)
        assert [one.action for one in events.items] == [
            "credential.revoked", "credential.created",
        ]  # fmt: skip
        row = await db.fetchrow("SELECT * FROM identity.service_credential WHERE id = $1", made.id)
        assert row is not None
        said = repr([dict(row), events, made, ended, credentials])
        assert secret not in said
        assert repr(bytes.fromhex(secret))[2:-1] not in said

    async def test_note_when_they_were_used(
        self, services: Services, house: House, db: Database, clock: SettableClock
    ) -> None:
        made, secret = await services.issue()
        client = await services.client((made, secret))
        credentials = house.get(Credentials)
        for _ in range(2):
            await client.balances([Account("alice", "KES")])
            clock.advance(timedelta(seconds=30))
        found = await credentials.get(db, made.wire_id)
        assert found.last_used_at == clock.now() - timedelta(seconds=60)

    async def test_nonces_are_forgotten_when_their_requests_are_too_old_anyway(
        self, services: Services, house: House, db: Database, clock: SettableClock
    ) -> None:
        made, secret = await services.issue()
        knock = Knock(services, (made, secret))
        knock.late_s = -300
        headers = knock.headers()
        assert (await knock.send(headers)).status_code == 200
        credentials = house.get(Credentials)
        count = "SELECT count(*) FROM identity.request_nonce WHERE credential_id = $1"
        for minutes, left in ((10, 1), (1, 0)):
            clock.advance(timedelta(minutes=minutes))
            await db.run(lambda tx: credentials.prune(tx, now=clock.now(), limit=10_000))
            assert await db.fetchval(count, made.id) == left
            assert (await knock.send(headers)).status_code == 401

    @pytest.mark.parametrize(
        "wrong",
        [
            NewCredential("UPPER", "x", frozenset({Scope.READ})),
            NewCredential("n", "x", frozenset({Scope.READ})),
            NewCredential("name", "", frozenset({Scope.READ})),
            NewCredential("name", "x", frozenset()),
            NewCredential("name", "x", frozenset({Scope.READ}), ("nowhere",)),
            NewCredential("name", "x", frozenset({Scope.READ}), (), timedelta(0)),
            NewCredential("name", "x", frozenset({Scope.READ}), (), timedelta(days=731)),
        ],
    )
    async def test_that_make_no_sense_are_not_made(
        self, house: House, db: Database, clock: SettableClock, wrong: NewCredential
    ) -> None:
        credentials = house.get(Credentials)
        with pytest.raises(CredentialInvalid):
            await db.run(lambda tx: credentials.create(tx, wrong, SYSTEM, clock.now()))

    async def test_are_listed_page_by_page_and_found_by_id(
        self, services: Services, house: House, db: Database
    ) -> None:
        made = [(await services.issue())[0] for _ in range(3)]
        credentials = house.get(Credentials)
        page = await credentials.list_credentials(db, after=made[0].wire_id, limit=1)
        assert list(page.items) == [made[1]]
        assert page.next_cursor == made[1].wire_id
        with pytest.raises(NotFound):
            await credentials.get(db, f"crd_{new_id().hex}")


def _fields(credential: Credential) -> dict[str, object]:
    return {name: getattr(credential, name) for name in Credential.__slots__}
