"""Devices a customer signs in on: known by a secret that they keep, never by what they say of
themselves. A new one is told to the customer and cools outward money down; the first one is not,
since an account that nobody has ever opened has nobody to warn. One that was not used for as long
as browsers keep a cookie is new again: what a thief copied once is not good for ever.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from hazina.identity.device_names import device_name
from hazina.identity.freeze import Guards
from hazina.identity.repository import Reads
from hazina.identity.tokens import hash_secret, new_secret
from hazina.infra.audit import Audit
from hazina.infra.db import Tx
from hazina.infra.outbox import Outbox
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Invalid, NotFound
from hazina.kernel.ids import new_id

PREFIX = "dev"
MAX_TOKEN = 128
MAX_NAME = 64
MOST = 100
KNOWN_FOR = timedelta(days=400)  # since it was used last

SEEN = """
UPDATE identity.device SET last_seen_at = $3
WHERE token_hash = $1 AND customer_id = $2 AND forgotten_at IS NULL AND last_seen_at > $4
RETURNING id
"""
ANY = "SELECT EXISTS (SELECT 1 FROM identity.device WHERE customer_id = $1)"
ADD = """
INSERT INTO identity.device (id, customer_id, token_hash, name, first_seen_at, last_seen_at)
VALUES ($1, $2, $3, $4, $5, $5)
"""
KNOWS = """
SELECT id FROM identity.device
WHERE token_hash = $1 AND customer_id = $2 AND forgotten_at IS NULL AND last_seen_at > $3
"""
LIST = """
SELECT id, name, first_seen_at, last_seen_at FROM identity.device
WHERE customer_id = $1 AND forgotten_at IS NULL AND last_seen_at > $3 ORDER BY id DESC LIMIT $2
"""
RENAME = """
UPDATE identity.device SET name = $3
WHERE customer_id = $1 AND id = $2 AND forgotten_at IS NULL
"""
FORGET = """
UPDATE identity.device SET forgotten_at = $3
WHERE customer_id = $1 AND id = $2 AND forgotten_at IS NULL
"""
END_SESSIONS = """
UPDATE identity.customer_session SET revoked_at = $3, revoked_why = 'device forgotten'
WHERE account_id = $1 AND device_id = $2 AND revoked_at IS NULL AND expires_at > $3
"""
BIND_SESSION = "UPDATE identity.customer_session SET device_id = $2 WHERE id = $1"


@dataclass(frozen=True, slots=True)
class Device:
    """One device as its owner sees it."""

    id: UUID
    name: str
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class KnownDevice:
    """The device a login came from; ``token`` is set where it must keep a new one."""

    id: UUID
    token: str | None = field(repr=False)


class Devices:
    """The device table."""

    def __init__(self, *, guards: Guards, audit: Audit, outbox: Outbox) -> None:
        self._guards = guards
        self._audit = audit
        self._outbox = outbox

    async def recognize(
        self, tx: Tx, customer_id: UUID, token: str | None, actor: Actor, now: datetime
    ) -> KnownDevice:
        """This will find the device by its token, or take a new one in: with a notice and a
        cool-down, unless it is the account's first."""
        if token and len(token) <= MAX_TOKEN:
            hashed = hash_secret(token)
            known = await tx.fetchval(SEEN, hashed, customer_id, now, now - KNOWN_FOR)
            if known is not None:
                return KnownDevice(known, None)
        first = not await tx.fetchval(ANY, customer_id)
        device_id, fresh, name = new_id(), new_secret("hzd_"), device_name(actor.user_agent)
        await tx.execute(ADD, device_id, customer_id, hash_secret(fresh), name, now)
        await self._audit.record(
            tx, actor, "device.added", "device", device_id,
            after={"name": name, "customer_id": str(customer_id), "first": first}, now=now,
        )  # fmt: skip
        if not first:
            await self._guards.cool(tx, customer_id, "new_device", actor, now)
            payload = {"customer_id": str(customer_id), "device": name}
            await self._outbox.emit(tx, "customer.new_device", customer_id, payload, now)
        return KnownDevice(device_id, fresh)

    async def knows(
        self, reader: Reads, customer_id: UUID | None, token: str | None, now: datetime
    ) -> bool:
        """Whether a token is of a device that is known to this account; asks even for nobody's."""
        if not token or len(token) > MAX_TOKEN:
            return False
        hashed = hash_secret(token)
        return await reader.fetchrow(KNOWS, hashed, customer_id, now - KNOWN_FOR) is not None

    async def bind(self, tx: Tx, session_id: UUID, device_id: UUID) -> None:
        """This will note on which device a session lives, so that forgetting it ends both."""
        await tx.execute(BIND_SESSION, session_id, device_id)

    async def list_devices(self, tx: Tx, customer_id: UUID, now: datetime) -> list[Device]:
        """Those that are known now, newest first."""
        rows = await tx.fetch(LIST, customer_id, MOST, now - KNOWN_FOR)
        return [Device(**row) for row in rows]

    async def rename(
        self, tx: Tx, customer_id: UUID, device_id: UUID, name: str, actor: Actor, now: datetime
    ) -> None:
        """Raises: Invalid, NotFound."""
        name = " ".join(name.split())
        if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
            raise Invalid.field("name", f"A device's name has 1 to {MAX_NAME} characters.")
        if not await tx.execute(RENAME, customer_id, device_id, name):
            raise NotFound
        await self._audit.record(
            tx, actor, "device.renamed", "device", device_id, after={"name": name}, now=now
        )

    async def forget(
        self, tx: Tx, customer_id: UUID, device_id: UUID, actor: Actor, now: datetime
    ) -> int:
        """This will end a device's sessions and know it no more; how many sessions ended.
        Raises: NotFound."""
        if not await tx.execute(FORGET, customer_id, device_id, now):
            raise NotFound
        ended = await tx.execute(END_SESSIONS, customer_id, device_id, now)
        await self._audit.record(
            tx, actor, "device.forgotten", "device", device_id, after={"ended": ended}, now=now
        )
        return ended
