"""The simulated SMS gateway by itself, as anybody's client meets it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from hazina.simulators.sms import SmsConfig, create_app

NOON = datetime(2026, 11, 20, 9, tzinfo=UTC)
KEY = {"apiKey": "sim-sms-key"}
SMS = {"username": "sandbox", "to": "+254711000111", "message": "Habari", "from": "HAZINA"}


def client(config: SmsConfig | None = None) -> httpx.AsyncClient:
    app = create_app(config, clock=lambda: NOON)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sms.test")


@pytest_asyncio.fixture(loop_scope="session")
async def gateway() -> AsyncIterator[httpx.AsyncClient]:
    async with client() as found:
        yield found


async def send(gateway: httpx.AsyncClient, **change: str) -> httpx.Response:
    return await gateway.post("/version1/messaging", data={**SMS, **change}, headers=KEY)


class TestAMessage:
    async def test_lies_in_the_phones_inbox(self, gateway: httpx.AsyncClient) -> None:
        answer = await send(gateway)
        assert answer.status_code == 201
        (one,) = answer.json()["SMSMessageData"]["Recipients"]
        assert (one["statusCode"], one["status"], one["number"]) == (101, "Success", SMS["to"])
        assert one["messageId"].startswith("ATXid_")
        (kept,) = (await gateway.get("/sim/messages?phone=254711000111")).json()
        assert (kept["text"], kept["sender"], kept["at"]) == ("Habari", "HAZINA", NOON.isoformat())
        assert "Habari" in (await gateway.get("/?phone=254711000111")).text
        assert "Habari" not in (await gateway.get("/?phone=254711000112")).text

    async def test_to_many_is_answered_one_by_one(self, gateway: httpx.AsyncClient) -> None:
        told = (await send(gateway, to="+254711000111, 0711000112")).json()["SMSMessageData"]
        assert told["Message"].startswith("Sent to 1/2")
        assert [one["statusCode"] for one in told["Recipients"]] == [101, 403]

    async def test_with_markup_in_it_stays_text(self, gateway: httpx.AsyncClient) -> None:
        await send(gateway, message="<script>alert(1)</script>")
        assert "<script>alert" not in (await gateway.get("/")).text

    @pytest.mark.parametrize(
        ("change", "key", "status"),
        [
            ({}, {"apiKey": "another"}, 401),
            ({"username": "another"}, KEY, 401),
            ({"to": ""}, KEY, 400),
            ({"message": ""}, KEY, 400),
            ({"message": "x" * 1_601}, KEY, 400),
        ],
    )
    async def test_is_refused_where_the_gateway_would_refuse_it(
        self, gateway: httpx.AsyncClient, change: dict[str, str], key: dict[str, str], status: int
    ) -> None:
        form = {**SMS, **change}
        answer = await gateway.post("/version1/messaging", data=form, headers=key)
        assert answer.status_code == status
        assert (await gateway.get("/sim/messages")).json() == []


class TestAFault:
    async def test_is_for_one_message_and_in_order(self, gateway: httpx.AsyncClient) -> None:
        faults = [
            {"kind": "recipient", "code": 405},
            {"kind": "http", "code": 503},
            {"kind": "garbage", "taken": True},
        ]
        assert (await gateway.put("/sim/faults", json={"next": faults})).status_code == 204
        refused = (await send(gateway)).json()["SMSMessageData"]["Recipients"][0]
        assert (refused["statusCode"], refused["messageId"]) == (405, "None")
        assert (await send(gateway)).status_code == 503
        assert "<html>" in (await send(gateway, message="was taken")).text
        assert (await send(gateway, message="goes")).status_code == 201
        kept = (await gateway.get("/sim/messages")).json()
        assert [one["text"] for one in kept] == ["goes", "was taken"]

    async def test_breaks_the_line(self, gateway: httpx.AsyncClient) -> None:
        await gateway.put("/sim/faults", json={"next": [{"kind": "drop"}]})
        with pytest.raises(httpx.RemoteProtocolError):
            await send(gateway)

    async def test_that_there_is_none_of_is_refused(self, gateway: httpx.AsyncClient) -> None:
        answer = await gateway.put("/sim/faults", json={"next": [{"kind": "fire"}]})
        assert answer.status_code == 422


async def test_the_inboxes_survive_a_restart_and_can_be_emptied(tmp_path: Path) -> None:
    kept = SmsConfig(data=tmp_path / "sms.sqlite")
    async with client(kept) as first:
        await send(first)
    async with client(kept) as second:
        assert len((await second.get("/sim/messages")).json()) == 1
        assert (await second.delete("/sim/messages")).status_code == 204
        assert (await second.get("/sim/messages")).json() == []
