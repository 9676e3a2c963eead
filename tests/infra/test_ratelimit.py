"""Rate limits count by key and say when to come back: in memory, and in a real Redis."""

import asyncio
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.process.waiting import wait_until

from hazina.infra.ratelimit import LimitsUnreachable, RateLimited, RateLimiter
from hazina.kernel.errors import Kind
from hazina.kernel.ids import new_id

REDIS = shutil.which("redis-server")


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as line:
            line.sendall(b"PING\r\n")
            return line.recv(16).startswith(b"+PONG")
    except OSError:
        return False


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the module's own, on loopback, that keeps nothing."""
    if REDIS is None:
        pytest.skip("redis-server is not installed here")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    folder: Path = tmp_path_factory.mktemp("redis")
    options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    server = subprocess.Popen([REDIS, *options], stdout=subprocess.DEVNULL)
    try:
        wait_until("Redis answers", lambda: answers(port))
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


@pytest.fixture(params=["memory", "redis"])
def storage(request: pytest.FixtureRequest) -> str:
    if request.param == "memory":
        return "memory://"
    found: str = request.getfixturevalue("redis")
    return found


class TestRateLimit:
    async def test_the_hit_after_the_last_allowed_is_refused(self, storage: str) -> None:
        limiter, who = RateLimiter(storage), new_id().hex
        for _ in range(3):
            await limiter.check("3/minute", "login", who)
        with pytest.raises(RateLimited) as refused:
            await limiter.check("3/minute", "login", who)
        assert refused.value.kind is Kind.LIMITED
        wait = refused.value.details["retry_after_s"]
        assert isinstance(wait, int)
        assert 1 <= wait <= 60
        await limiter.close()

    async def test_keys_are_counted_apart(self, storage: str) -> None:
        limiter, one, two = RateLimiter(storage), new_id().hex, new_id().hex
        await limiter.check("1/minute", "login", one)
        await limiter.check("1/minute", "login", two)
        await limiter.check("1/minute", "register", one)
        with pytest.raises(RateLimited):
            await limiter.check("1/minute", "login", one)
        await limiter.close()

    async def test_of_many_at_once_as_many_pass_as_are_allowed(self, storage: str) -> None:
        limiter, who = RateLimiter(storage), new_id().hex
        hits = [limiter.check("5/minute", "login", who) for _ in range(40)]
        answers = await asyncio.gather(*hits, return_exceptions=True)
        assert sum(answer is None for answer in answers) == 5
        assert all(answer is None or isinstance(answer, RateLimited) for answer in answers)
        await limiter.close()

    async def test_a_refused_hit_is_not_counted(self, storage: str) -> None:
        """Who keeps trying is let in when the first hits are old, not when the trying ends."""
        limiter, who = RateLimiter(storage), new_id().hex
        await limiter.check("1/2second", "login", who)
        waits = []
        for _ in range(5):
            with pytest.raises(RateLimited) as refused:
                await limiter.check("1/2second", "login", who)
            waits.append(refused.value.details["retry_after_s"])
        assert max(waits) <= 2
        assert waits == sorted(waits, reverse=True)
        await limiter.close()

    async def test_what_is_forgotten_begins_anew(self, storage: str) -> None:
        limiter = RateLimiter(storage)
        key = new_id().hex
        for _ in range(2):
            for _ in range(3):
                await limiter.check("3/minute", key)
            with pytest.raises(RateLimited):
                await limiter.check("3/minute", key)
            await limiter.forget("3/minute", key)
        await limiter.close()

    async def test_without_its_redis_nothing_passes_uncounted(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            limiter = RateLimiter(f"redis://127.0.0.1:{probe.getsockname()[1]}")
            with capture_logs() as logged, pytest.raises(LimitsUnreachable) as refused:
                await limiter.check("1/minute", "login", "somebody")
        assert refused.value.kind is Kind.UNAVAILABLE
        assert logged[0]["event"] == "rate limits cannot be asked"
        await limiter.close()

    async def test_processes_share_what_redis_counts(self, redis: str) -> None:
        one, another, who = RateLimiter(redis), RateLimiter(redis), new_id().hex
        await one.check("1/minute", "login", who)
        with pytest.raises(RateLimited):
            await another.check("1/minute", "login", who)
        await one.close()
        await another.close()
