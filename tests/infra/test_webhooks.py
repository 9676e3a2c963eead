"""Calls to addresses that somebody gave us, over real sockets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest

from hazina.infra.http import HttpNotSent, HttpUnknown, InsecureAddress
from hazina.infra.settings import Mode
from hazina.infra.webhooks import MAX_ANSWER, Webhooks

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[tuple[str, Callable[[], list[bytes]]]]:
    """A plain server on loopback: its URL, and the requests it heard."""
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://localhost:{server.sockets[0].getsockname()[1]}/hook", lambda: heard
    finally:
        server.close()


@pytest.fixture
async def webhooks() -> AsyncIterator[Webhooks]:
    made = Webhooks(Mode.DEVELOPMENT)
    yield made
    await made.close()


async def send(webhooks: Webhooks, url: str) -> int:
    return (
        await webhooks.post(url, b"{}", {"content-type": "application/json"}, operation="test")
    ).status


class TestACall:
    async def test_goes_to_the_address_that_was_looked_at_under_its_own_name(
        self, webhooks: Webhooks
    ) -> None:
        async with listening(ANSWER) as (url, heard):
            assert await send(webhooks, url) == 200
            [request] = heard()
        assert request.startswith(b"POST /hook HTTP/1.1\r\n")
        assert f"host: {url.split('/')[2]}\r\n".encode() in request.lower()

    async def test_follows_nobody_elsewhere(self, webhooks: Webhooks) -> None:
        away = (
            b"HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/\r\ncontent-length: 0\r\n\r\n"
        )
        async with listening(away) as (url, heard):
            assert await send(webhooks, url) == 302
            assert len(heard()) == 1

    async def test_reads_no_more_than_64_kib(self, webhooks: Webhooks) -> None:
        large = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (MAX_ANSWER + 1)
        async with listening(large) as (url, _):
            with pytest.raises(HttpUnknown):
                await send(webhooks, url)


class TestAnAddressThatIsNotFit:
    @pytest.mark.parametrize(
        "url",
        [
            "http://198.51.100.7/", "ftp://example.com/", "https:///path", "nonsense",
            "https://user:secret@example.com/", "https://[::1", "https://example.com:99999/",
            "https://10.0.0.8/", "https://172.16.3.4/", "https://192.168.1.1/",
            "https://169.254.169.254/latest/meta-data", "https://100.64.0.1/", "https://0.0.0.0/",
            "https://[::ffff:10.0.0.8]/", "https://[fe80::1]/", "https://[fd00::1]/",
            "https://[64:ff9b::a00:8]/", "https://[2002:a00:8::1]/", "https://224.0.0.1/",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("mode", [Mode.DEVELOPMENT, Mode.PRODUCTION])
    async def test_is_never_called(self, url: str, mode: Mode) -> None:
        webhooks = Webhooks(mode)
        with pytest.raises(InsecureAddress):
            await send(webhooks, url)
        await webhooks.close()

    async def test_is_loopback_where_money_is_real(self) -> None:
        webhooks = Webhooks(Mode.PRODUCTION)
        async with listening(ANSWER) as (url, heard):
            for one in (
                url,
                url.replace("http://", "https://"),
                "https://127.0.0.1/",
                "https://0x7f.1/",
            ):
                with pytest.raises(InsecureAddress):
                    await send(webhooks, one)
            assert heard() == []
        await webhooks.close()

    async def test_that_nobody_knows_is_not_sent(self, webhooks: Webhooks) -> None:
        with pytest.raises(HttpNotSent):
            await send(webhooks, "https://nobody.invalid/")

    def test_and_one_that_is(self) -> None:
        fit = Webhooks(Mode.PRODUCTION)._is_fit
        assert fit(ip_address("93.184.216.34"))
        assert fit(ip_address("2606:2800:220:1::1"))
