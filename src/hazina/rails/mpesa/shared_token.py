"""The access token as all processes know it: one row, sealed, fetched by one of them at a time.

Safaricom says that a new token ends the one before, so processes that each fetch their own end each
other's. Who may fetch is decided by a conditional update that gives a lease; nobody holds a
transaction or a lock while the network is asked. A process that dies with the lease blocks the
others until it ends, no longer.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256

from hazina.infra.db import Database, Tx
from hazina.infra.vault import Vault, VaultError
from hazina.kernel.clock import Clock

FIND = "SELECT sealed, valid_until FROM mpesa.access_token WHERE app = $1 AND valid_until > $2"
ADD = "INSERT INTO mpesa.access_token (app) VALUES ($1) ON CONFLICT DO NOTHING"
LEASE = """
UPDATE mpesa.access_token SET fetching_until = $3
WHERE app = $1 AND (fetching_until IS NULL OR fetching_until <= $2)
    AND (valid_until IS NULL OR valid_until <= $2)
"""
KEEP = """
UPDATE mpesa.access_token SET sealed = $2, digest = $3, valid_until = $4, fetching_until = NULL
WHERE app = $1
"""
GIVE_UP = """
UPDATE mpesa.access_token SET fetching_until = NULL WHERE app = $1 AND fetching_until = $2
"""
DROP = """
UPDATE mpesa.access_token SET sealed = NULL, digest = NULL, valid_until = NULL
WHERE app = $1 AND digest = $2
"""


@dataclass(frozen=True, slots=True)
class SharedToken:
    """A token and until when it may be used."""

    token: str = field(repr=False)
    until: datetime


class TokenRow:
    """The row of one app on one environment."""

    def __init__(
        self, db: Database, vault: Vault, clock: Clock, *, base_url: str, consumer_key: str
    ) -> None:
        self._db, self._vault, self._clock = db, vault, clock
        # The secret is the vault's to keep; which app it is need not be told by the row.
        self._app = sha256(f"{base_url}\n{consumer_key}".encode()).hexdigest()
        self._context = f"mpesa.access_token:{self._app}"

    async def find(self) -> SharedToken | None:
        """The token in force, whoever fetched it."""
        row = await self._db.fetchrow(FIND, self._app, self._clock.now())
        if row is None:
            return None
        try:
            token = self._vault.open(row["sealed"], context=self._context).decode()
        except VaultError:
            return None  # restored beside another key: fetch anew
        return SharedToken(token, row["valid_until"])

    async def lease(self, length: timedelta) -> datetime | None:
        """This will reserve the fetching; None: somebody else fetches, or has fetched."""
        now = self._clock.now()
        until = now + length

        async def take(tx: Tx) -> bool:
            await tx.execute(ADD, self._app)
            return await tx.execute(LEASE, self._app, now, until) == 1

        return until if await self._db.run(take) else None

    async def keep(self, token: str, until: datetime) -> None:
        """This will give a new token to all, and end the lease."""
        sealed = self._vault.seal(token.encode(), context=self._context)
        await self._db.run(lambda tx: tx.execute(KEEP, self._app, sealed, _digest(token), until))

    async def give_up(self, lease: datetime) -> None:
        """This will let somebody else try."""
        await self._db.run(lambda tx: tx.execute(GIVE_UP, self._app, lease))

    async def drop(self, token: str) -> None:
        """This will forget a token that was refused, if it is still the one in force."""
        await self._db.run(lambda tx: tx.execute(DROP, self._app, _digest(token)))


def _digest(token: str) -> bytes:
    return sha256(token.encode()).digest()
