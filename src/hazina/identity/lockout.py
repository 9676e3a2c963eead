"""Waiting after wrong passwords: longer each time, per name and address, and saying nothing.

A name that nobody has is counted like any other, and the right password is refused like a wrong
one while the wait lasts: who asks learns neither which names there are nor when they have guessed.
Only the network that fails waits, so that nobody can lock somebody else out.
"""

import hmac
from datetime import datetime, timedelta

from hazina.identity.repository import Reads
from hazina.infra.client_ip import network_of
from hazina.infra.db import Tx
from hazina.infra.ratelimit import RateLimited
from hazina.infra.vault import Vault

FREE = 5  # wrong ones before the first wait
LONGEST = timedelta(minutes=15)
FORGOTTEN_AFTER = timedelta(hours=24)

FIND = "SELECT blocked_until FROM identity.login_failure WHERE who = $1"
FAIL = """
INSERT INTO identity.login_failure AS f (who, failures, last_at) VALUES ($1, 1, $2)
ON CONFLICT (who) DO UPDATE SET last_at = excluded.last_at,
    failures = CASE WHEN f.last_at < $3 THEN 1 ELSE f.failures + 1 END
RETURNING failures
"""
BLOCK = "UPDATE identity.login_failure SET blocked_until = $2 WHERE who = $1"
CLEAR = "DELETE FROM identity.login_failure WHERE who = $1"
PRUNE = """
DELETE FROM identity.login_failure WHERE who IN (
  SELECT who FROM identity.login_failure WHERE last_at < $1 ORDER BY last_at LIMIT $2)
"""


class Lockouts:
    """The table of failures, by a keyed hash: it is no list of who signs in from where."""

    def __init__(self, vault: Vault) -> None:
        self._key = vault.derive("identity.login-failure")

    def who(self, realm: str, username: str, ip: str | None) -> bytes:
        """A name as asked for from one network: an IPv6 line has more addresses than guesses."""
        return hmac.digest(self._key, f"{realm}\0{username}\0{network_of(ip)}".encode(), "sha256")

    async def require_free(self, reader: Reads, who: bytes, now: datetime) -> None:
        """Raises: RateLimited while a wait lasts."""
        row = await reader.fetchrow(FIND, who)
        until = row["blocked_until"] if row else None
        if until is not None and until > now:
            raise RateLimited(max(1, int((until - now).total_seconds() + 0.999)))

    async def failed(self, tx: Tx, who: bytes, now: datetime) -> None:
        """This will count one wrong password, and from the sixth on make the next ones wait."""
        failures = await tx.fetchval(FAIL, who, now, now - FORGOTTEN_AFTER)
        if failures > FREE:
            await tx.execute(BLOCK, who, now + wait_after(failures))

    async def succeeded(self, tx: Tx, who: bytes) -> None:
        await tx.execute(CLEAR, who)

    async def prune(self, tx: Tx, before: datetime, limit: int) -> int:
        return await tx.execute(PRUNE, before, limit)


def wait_after(failures: int) -> timedelta:
    """2, 4, 8 … seconds after the sixth, seventh, eighth; a quarter of an hour at most."""
    if failures <= FREE:
        return timedelta(0)
    return min(timedelta(seconds=2 ** min(failures - FREE, 20)), LONGEST)
