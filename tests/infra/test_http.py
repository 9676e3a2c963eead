"""The HTTP client tells what was certainly not sent from what nobody knows."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from hazina.infra.db import Database, Tx
from hazina.infra.http import Http, HttpAnswer, HttpNotSent, HttpUnknown, InsecureAddress
from hazina.infra.observability import REGISTRY
from hazina.infra.settings import Mode

Talk = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Mark: Yes\r\n\r\nhi"


@pytest_asyncio.fixture(loop_scope="session")
async def http() -> AsyncIterator[Http]:
    client = Http(Mode.DEVELOPMENT)
    yield client
    await client.close()


@asynccontextmanager
async def server(talk: Talk) -> AsyncIterator[str]:
    """A real socket on loopback that does with each request whatever ``talk`` says."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await talk(head, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = running.sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        running.close()


def say(answer: bytes) -> Talk:
    async def talk(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await writer.drain()

    return talk


async def ask(http: Http, url: str, *, timeout_s: float = 5) -> HttpAnswer:
    return await http.request("POST", url, content=b"{}", timeout_s=timeout_s, rail="test")


class TestAnswers:
    async def test_an_answer_is_an_answer_whatever_its_status(self, http: Http) -> None:
        async with server(say(OK)) as url:
            answer = await ask(http, url)
        assert (answer.status, answer.headers["x-mark"], answer.body) == (200, "Yes", b"hi")
        async with server(say(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")) as url:
            assert (await ask(http, url)).status == 503

    async def test_redirects_are_not_followed(self, http: Http) -> None:
        moved = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        async with server(say(moved)) as url:
            assert (await ask(http, url)).status == 302

    async def test_cookies_are_not_kept(self, http: Http) -> None:
        heads: list[bytes] = []

        async def talk(head: bytes, writer: asyncio.StreamWriter) -> None:
            heads.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()

        async with server(talk) as url:
            await ask(http, url)
            await ask(http, url)
        assert len(heads) == 2
        assert b"cookie" not in heads[1].lower()

    async def test_nothing_of_an_answer_shows_in_its_repr(self, http: Http) -> None:
        async with server(say(OK)) as url:
            assert repr(await ask(http, url)) == "HttpAnswer(status=200)"


class TestNotSent:
    async def test_a_refused_connection_sent_nothing(self, http: Http) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))  # bound, not listening: nobody can answer there
            with pytest.raises(HttpNotSent):
                await ask(http, f"http://127.0.0.1:{taken.getsockname()[1]}")


class TestUnknown:
    async def test_dropped_after_the_request_is_unknown(self, http: Http) -> None:
        async with server(say(b"")) as url:
            with pytest.raises(HttpUnknown):
                await ask(http, url)

    async def test_cut_short_is_unknown(self, http: Http) -> None:
        async with server(say(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")) as url:
            with pytest.raises(HttpUnknown):
                await ask(http, url)

    async def test_no_http_at_all_is_unknown(self, http: Http) -> None:
        async with server(say(b"220 smtp ready\r\n")) as url:
            with pytest.raises(HttpUnknown):
                await ask(http, url)

    async def test_no_answer_in_time_is_unknown(self, http: Http) -> None:
        over = asyncio.Event()

        async def talk(head: bytes, writer: asyncio.StreamWriter) -> None:
            await over.wait()

        async with server(talk) as url:
            with pytest.raises(HttpUnknown):
                await ask(http, url, timeout_s=0.1)
            over.set()

    async def test_an_answer_that_drips_is_unknown_when_the_time_is_over(self, http: Http) -> None:
        async def talk(head: bytes, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            for _ in range(1000):
                writer.write(b".")
                await writer.drain()
                await asyncio.sleep(0.01)

        async with server(talk) as url:
            with pytest.raises(HttpUnknown, match="in time"):
                await ask(http, url, timeout_s=0.3)

    async def test_a_huge_answer_is_unknown(self, http: Http) -> None:
        small = Http(Mode.DEVELOPMENT, max_answer=1000)
        huge = b"HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001
        async with server(say(huge)) as url:
            with pytest.raises(HttpUnknown, match="larger"):
                await ask(small, url)
        await small.close()


class TestLaws:
    async def test_no_network_inside_a_transaction(self, http: Http, db: Database) -> None:
        async def use_case(tx: Tx) -> None:
            await ask(http, "http://127.0.0.1:9")

        with pytest.raises(AssertionError, match="inside a transaction"):
            await db.run(use_case)

    @pytest.mark.parametrize(
        ("mode", "url"),
        [
            (Mode.DEVELOPMENT, "http://example.com/"),
            (Mode.DEVELOPMENT, "http://127.0.0.1.example.com/"),
            (Mode.DEVELOPMENT, "http://user@example.com:80/#@127.0.0.1"),
            (Mode.DEVELOPMENT, "file:///etc/passwd"),
            (Mode.PRODUCTION, "http://127.0.0.1:8420/"),
        ],
    )
    async def test_plain_http_only_to_loopback_in_development(self, mode: Mode, url: str) -> None:
        with pytest.raises(InsecureAddress):
            await ask(Http(mode), url)

    async def test_every_call_is_counted_by_its_outcome(self, http: Http) -> None:
        def count(outcome: str) -> float:
            labels = {"rail": "counted", "operation": "pay", "outcome": outcome}
            return REGISTRY.get_sample_value("hazina_rail_call_seconds_count", labels) or 0

        named = {"timeout_s": 5.0, "rail": "counted", "operation": "pay"}
        async with server(say(OK)) as url:
            await http.request("GET", url, **named)  # type: ignore[arg-type]
        async with server(say(b"")) as url:
            with pytest.raises(HttpUnknown):
                await http.request("GET", url, **named)  # type: ignore[arg-type]
        assert (count("2xx"), count("unknown")) == (1, 1)
