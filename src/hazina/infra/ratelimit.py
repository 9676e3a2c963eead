"""Rate limits by the ``limits`` library: in memory by default, in Redis when configured.

Memory counts per process; several API processes that must share a limit need Redis. Its client is
loaded only then: it would be a tenth of every process's start.
"""

import math
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from limits import RateLimitItem, parse
from limits.aio.storage import MemoryStorage, Storage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string

from hazina.infra.alarms import Alarm
from hazina.kernel.clock import SystemClock
from hazina.kernel.errors import Kind, Refusal

if TYPE_CHECKING:
    from redis.asyncio import ConnectionPool

UNASKED = Alarm("limits-unasked")


class RateLimited(Refusal):
    """Too many of one kind from one source; ``details.retry_after_s`` says when to come back."""

    code = "rate_limited"
    kind = Kind.LIMITED
    message = "That was too often."
    action = "Wait a little, then try again."

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(details={"retry_after_s": retry_after_s})


class LimitsUnreachable(Refusal):
    """What counts is shared, and cannot be asked: nothing is let through uncounted."""

    code = "limits_unreachable"
    kind = Kind.UNAVAILABLE
    message = "We cannot take this at the moment."
    action = "Try again in a few seconds."


class RateLimiter:
    """Counts hits in a moving window, by limit and key."""

    def __init__(self, storage_uri: str) -> None:
        self._redis: ConnectionPool | None = None
        self._lost: tuple[type[Exception], ...] = (OSError,)
        options: dict[str, Any] = {}
        if not storage_uri.startswith("memory"):
            from redis import asyncio as redis
            from redis.exceptions import RedisError

            self._lost = (RedisError, OSError)
            self._redis = redis.ConnectionPool.from_url(storage_uri)
            options = {"implementation": "redispy", "connection_pool": self._redis}
        storage = storage_from_string(f"async+{storage_uri}", **options)
        assert isinstance(storage, Storage)
        self._storage = storage
        self._window = MovingWindowRateLimiter(storage)

    async def close(self) -> None:
        """This will give back the connections to Redis, if there are any."""
        if self._redis is not None:
            await self._redis.disconnect()

    async def check(self, limit: str, *key: str) -> None:
        """This will count one hit of ``key`` against ``limit``, as in ``"10/minute"``.

        Raises: RateLimited; a refused hit is not counted. LimitsUnreachable.
        """
        item = _parse(limit)
        try:
            if await self._window.hit(item, *key):
                return
            stats = await self._window.get_window_stats(item, *key)
        except self._lost as error:
            UNASKED.ring("rate limits cannot be asked", error=type(error).__name__)
            raise LimitsUnreachable from None
        # The library counts by the machine's clock, so its answer is read against that one.
        wait = stats.reset_time - SystemClock().now().timestamp()
        raise RateLimited(min(max(math.ceil(wait), 1), item.get_expiry()))

    async def forget(self, limit: str, *key: str) -> None:
        """This will begin the count of ``key`` anew. What counts may be out of reach: then the old
        hits go on counting, which refuses more and never less."""
        item = _parse(limit)
        try:
            if isinstance(self._storage, MemoryStorage):
                await _empty(self._storage, item.key_for(*key))
            else:
                await self._window.clear(item, *key)
        except self._lost as error:
            UNASKED.ring("rate limits cannot be asked", error=type(error).__name__)


async def _empty(storage: MemoryStorage, name: str) -> None:
    # Its own clear() takes the list away from under its sweeper, which then ends in a KeyError.
    async with storage.locks[name]:
        if name in storage.events:
            storage.events[name] = []


@lru_cache(maxsize=256)
def _parse(limit: str) -> RateLimitItem:
    return parse(limit)
