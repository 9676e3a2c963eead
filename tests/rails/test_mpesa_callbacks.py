"""The callbacks' door on a real socket and a real database: stored first, answered after."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI
from tests.loopback import NO_CERTIFICATES
from tests.rails.conftest import served
from tests.rails.samples import STK_CANCELLED, STK_PAID

from hazina.infra import manifest as infra
from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.infra.inbox import InboxMessage, InboxState
from hazina.infra.jobs import Jobs
from hazina.infra.settings import Settings
from hazina.kernel.clock import SettableClock
from hazina.rails.callbacks import Callbacks, Settled, callback_token
from hazina.rails.mpesa import manifest as mpesa
from hazina.rails.mpesa.callbacks import BODY_MAX, CallbackDoor
from hazina.rails.ports import CallbackKind, CollectionResult, Event
from hazina.web.errors import install_errors

FLOOD = "203.0.113.77"
ACKNOWLEDGED = {"ResultCode": 0, "ResultDesc": "Accepted"}


@dataclass
class Door:
    """A house with the rail in it, served on loopback, and a caller."""

    house: House
    http: httpx.AsyncClient

    async def post(
        self, token: str, body: bytes, letter: str = "c", **headers: str
    ) -> httpx.Response:
        return await self.http.post(f"/hooks/{token}/{letter}", content=body, headers=headers)

    async def rows(self, token: str) -> list[dict]:
        found = await self.house.db.fetch(
            "SELECT * FROM infra.inbox WHERE source = 'mpesa' AND external_id LIKE $1 ORDER BY id",
            f"{token}:%",
        )
        return [dict(row) for row in found]

    async def queued(self, token: str) -> int:
        return await self.house.db.fetchval(
            "SELECT count(*) FROM pgqueuer.pgqueuer q JOIN infra.inbox i"
            " ON q.payload = uuid_send(i.id)"
            " WHERE q.entrypoint = 'mpesa.callback' AND i.external_id LIKE $1",
            f"{token}:%",
        )


def build(settings: Settings, db: Database, clock: SettableClock, **changes: object) -> House:
    house = House(settings.model_copy(update=changes), db, clock)
    infra.build(house)
    mpesa.build(house)
    return house


@pytest.fixture
async def door(settings: Settings, db: Database, clock: SettableClock) -> AsyncIterator[Door]:
    changes = {"mpesa_callback_sources": "196.201.214.0/24", "trusted_proxies": "127.0.0.1"}
    house, app = build(settings, db, clock, **changes), FastAPI()
    app.state.house = house
    install_errors(app)
    for router in mpesa.MANIFEST.callbacks:
        app.include_router(router)
    async with (
        served(app) as base,
        httpx.AsyncClient(base_url=base, verify=NO_CERTIFICATES) as http,
    ):
        yield Door(house, http)


@pytest.fixture
def token() -> str:
    return secrets.token_hex(16)


class TestTheDoor:
    async def test_a_callback_is_stored_raw_with_its_job_before_it_is_answered(
        self, door: Door, token: str, clock: SettableClock
    ) -> None:
        answer = await door.post(
            token, STK_PAID, **{"X-Forwarded-For": "196.201.214.200", "Cookie": "a=b"}
        )
        assert (answer.status_code, answer.json()) == (200, ACKNOWLEDGED)
        (row,) = await door.rows(token)
        assert bytes(row["body"]) == STK_PAID
        assert (row["kind"], row["state"], row["trusted"]) == ("collection", "new", True)
        assert row["external_id"] == f"{token}:ws_CO_20112026143007123711000111"
        assert (row["ip"], row["received_at"]) == ("196.201.214.200", clock.now())
        assert "cookie" not in row["headers"]
        assert await door.queued(token) == 1

    async def test_the_same_message_again_is_one_row_and_one_job(
        self, door: Door, token: str
    ) -> None:
        answers = await asyncio.gather(*(door.post(token, STK_PAID) for _ in range(10)))
        assert [answer.json() for answer in answers] == [ACKNOWLEDGED] * 10
        assert len(await door.rows(token)) == 1
        assert await door.queued(token) == 1

    async def test_a_flood_of_strangers_is_turned_away_and_m_pesa_is_not(
        self, door: Door, token: str
    ) -> None:
        def forged(number: int) -> bytes:
            return STK_PAID.replace(b"UKK4A1B2C3", b"UKK%07d" % number)

        async def send(numbers: range, source: str) -> list[int]:
            found = []
            for some in range(numbers.start, numbers.stop, 10):
                calls = [
                    door.post(token, forged(n), **{"X-Forwarded-For": source})
                    for n in range(some, some + 10)
                ]
                found += [answer.status_code for answer in await asyncio.gather(*calls)]
            return found

        assert sorted(await send(range(130), FLOOD)) == [200] * 120 + [429] * 10
        assert len(await door.rows(token)) == 120
        assert await send(range(200, 210), "203.0.113.8") == [200] * 10
        assert await send(range(300, 430), "196.201.214.200") == [200] * 130

    async def test_a_forged_message_does_not_block_the_genuine_one(
        self, door: Door, token: str
    ) -> None:
        await door.post(token, STK_CANCELLED, **{"X-Forwarded-For": "203.0.113.9"})
        await door.post(token, STK_PAID, **{"X-Forwarded-For": "196.201.214.206"})
        assert [row["trusted"] for row in await door.rows(token)] == [False, True]

    @pytest.mark.parametrize(
        "hops",
        [
            "203.0.113.9",
            "196.201.214.200, 203.0.113.9",  # the caller wrote the first part himself
            "196.201.214.200, nonsense, 203.0.113.9",
        ],
    )
    async def test_a_strange_source_is_stored_untrusted_and_answered_alike(
        self, door: Door, token: str, hops: str
    ) -> None:
        answer = await door.post(token, STK_PAID, **{"X-Forwarded-For": hops})
        assert (answer.status_code, answer.json()) == (200, ACKNOWLEDGED)
        (row,) = await door.rows(token)
        assert (row["trusted"], row["ip"]) == (False, "203.0.113.9")

    @pytest.mark.parametrize("body", [b"", b"<html>", b"\x00\xff", b"[]", b"{" * 1000])
    async def test_what_cannot_be_read_is_stored_and_answered_alike(
        self, door: Door, token: str, body: bytes
    ) -> None:
        answer = await door.post(token, body)
        assert (answer.status_code, answer.json()) == (200, ACKNOWLEDGED)
        (row,) = await door.rows(token)
        assert bytes(row["body"]) == body

    async def test_a_body_of_64_kib_is_taken_and_a_longer_one_is_not(
        self, door: Door, token: str
    ) -> None:
        assert (await door.post(token, b" " * BODY_MAX)).status_code == 200
        assert (await door.post(token, b" " * (BODY_MAX + 1))).status_code == 413
        assert len(await door.rows(token)) == 1

    async def test_a_long_body_without_a_length_is_cut_off_while_it_comes(
        self, door: Door, token: str
    ) -> None:
        async def endless() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b" " * 32 * 1024

        answer = await door.http.post(f"/hooks/{token}/c", content=endless())
        assert answer.status_code == 413
        assert await door.rows(token) == []

    @pytest.mark.parametrize(
        "path",
        ["/hooks/nothex0000000000/c", "/hooks/abcd/c", f"/hooks/{'a' * 65}/c",
         f"/hooks/{'A' * 32}/c", f"/hooks/{'a' * 32}/x", f"/hooks/{'a' * 32}/collection"],
    )  # fmt: skip
    async def test_an_address_that_is_none_of_ours_is_not_there(
        self, door: Door, path: str
    ) -> None:
        assert (await door.http.post(path, content=STK_PAID)).status_code == 404

    async def test_when_it_cannot_be_stored_it_is_not_acknowledged(
        self, door: Door, token: str, clock: SettableClock
    ) -> None:
        await door.post(token, STK_PAID)
        closed = await Database.connect(door.house.settings.database_url.get_secret_value(), size=2)
        await closed.close()
        app = FastAPI()
        app.state.house = build(door.house.settings, closed, clock)
        app.state.house.get(CallbackDoor).patience_s = 0.2
        app.include_router(mpesa.MANIFEST.callbacks[0])
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://house") as http:
            answer = await http.post(f"/hooks/{token}/c", content=STK_CANCELLED)
        assert answer.status_code == 500
        assert len(await door.rows(token)) == 1


class Flow:
    """What a flow does with callbacks: remembers them and answers as told."""

    def __init__(self, answer: Settled | None = None) -> None:
        self.answer = answer
        self.seen: list[tuple[InboxMessage, Event]] = []

    async def handle(self, message: InboxMessage, event: Event) -> Settled | None:
        self.seen.append((message, event))
        return self.answer


class TestFromInboxToFlow:
    async def work(self, door: Door, token: str) -> list[dict]:
        for row in await door.rows(token):
            await door.house.get(Jobs).run_now("mpesa.callback", row["id"])
        return await door.rows(token)

    async def test_the_flow_that_subscribed_gets_the_event_and_the_token(
        self, door: Door, token: str
    ) -> None:
        flow = Flow()
        door.house.get(Callbacks).subscribe(CallbackKind.COLLECTION, flow.handle)
        await door.post(token, STK_PAID)
        (row,) = await self.work(door, token)
        ((message, event),) = flow.seen
        assert callback_token(message) == token
        assert isinstance(event, CollectionResult)
        assert event.success
        assert (row["state"], row["note"]) == ("done", None)
        await self.work(door, token)
        assert len(flow.seen) == 1

    async def test_a_flow_may_refuse_and_the_note_is_kept(self, door: Door, token: str) -> None:
        flow = Flow(Settled(InboxState.REFUSED, "nobody asked"))
        door.house.get(Callbacks).subscribe(CallbackKind.COLLECTION, flow.handle)
        await door.post(token, STK_PAID)
        (row,) = await self.work(door, token)
        assert (row["state"], row["note"]) == ("refused", "nobody asked")

    async def test_what_cannot_be_read_is_refused_without_asking_the_flow(
        self, door: Door, token: str
    ) -> None:
        flow = Flow()
        door.house.get(Callbacks).subscribe(CallbackKind.COLLECTION, flow.handle)
        await door.post(token, b"<html>")
        (row,) = await self.work(door, token)
        assert (row["state"], flow.seen) == ("refused", [])

    async def test_a_refused_copy_that_comes_again_from_a_trusted_source_is_worked_on(
        self, door: Door, token: str
    ) -> None:
        flow = Flow(Settled(InboxState.REFUSED, "untrusted"))
        door.house.get(Callbacks).subscribe(CallbackKind.COLLECTION, flow.handle)
        await door.post(token, STK_PAID, **{"X-Forwarded-For": "203.0.113.9"})
        await self.work(door, token)
        flow.answer = None
        await door.post(token, STK_PAID, **{"X-Forwarded-For": "196.201.214.200"})
        (row,) = await self.work(door, token)
        assert [message.trusted for message, _ in flow.seen] == [False, True]
        assert (row["state"], await door.queued(token)) == ("done", 2)

    async def test_a_handler_that_fails_leaves_the_message_for_another_try(
        self, door: Door, token: str
    ) -> None:
        calls = []

        async def handle(message: InboxMessage, event: Event) -> None:
            calls.append(message.id)
            if len(calls) == 1:
                raise RuntimeError("the database went away")

        door.house.get(Callbacks).subscribe(CallbackKind.COLLECTION, handle)
        await door.post(token, STK_PAID)
        with pytest.raises(RuntimeError):
            await self.work(door, token)
        assert [row["state"] for row in await door.rows(token)] == ["new"]
        assert [row["state"] for row in await self.work(door, token)] == ["done"]

    async def test_the_sweeper_brings_back_what_lies_and_gives_up_after_two_days(
        self, settings: Settings, fresh: Database, clock: SettableClock, token: str
    ) -> None:
        house, app = build(settings, fresh, clock), FastAPI()
        app.state.house = house
        app.include_router(mpesa.MANIFEST.callbacks[0])
        callbacks, flow = house.get(Callbacks), Flow(Settled(InboxState.WAITING, "too early"))
        callbacks.subscribe(CallbackKind.COLLECTION, flow.handle)
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://h"
        ) as http:
            door = Door(house, http)
            await door.post(token, STK_PAID)
        (row,) = await self.work(door, token)
        assert row["state"] == "waiting"
        await callbacks.sweep()
        assert await door.queued(token) == 1
        clock.advance(timedelta(minutes=3))
        for _ in range(2):
            await callbacks.sweep()
        assert await door.queued(token) == 2
        clock.advance(timedelta(days=2))
        await callbacks.sweep()
        (row,) = await door.rows(token)
        assert row["state"] == "refused"
        assert row["note"] == "given up after two days: too early"

    async def test_two_flows_cannot_take_the_same_kind(self, door: Door) -> None:
        callbacks = door.house.get(Callbacks)
        callbacks.subscribe(CallbackKind.PAYOUT, Flow().handle)
        with pytest.raises(ValueError, match="already"):
            callbacks.subscribe(CallbackKind.PAYOUT, Flow().handle)

    async def test_every_letter_is_its_kind(self, door: Door, token: str) -> None:
        kinds = {}
        for letter in "crtsu":
            await door.post(token, json.dumps({"letter": letter}).encode(), letter)
        for row in await door.rows(token):
            kinds[json.loads(bytes(row["body"]))["letter"]] = row["kind"]
        assert kinds == {
            "c": "collection",
            "r": "payout",
            "t": "payout_timeout",
            "s": "status",
            "u": "status_timeout",
        }
