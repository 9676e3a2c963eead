"""Owners in other institutions' books: named by them, known to us by an id of our own.

The id follows from namespace and name alone, so that a service cannot say the id of anybody else's
account, whatever name it thinks of. The table is the way back from id to name, and what tells that
an id is of a namespace at all.
"""

import hashlib
from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from hazina.identity.repository import Reads
from hazina.infra.db import Tx

REGISTER = """
INSERT INTO identity.external_owner (id, namespace_id, name, created_at)
SELECT q.id, $2, q.name, $4 FROM unnest($1::uuid[], $3::text[]) q (id, name) ORDER BY q.id
ON CONFLICT (id) DO NOTHING
"""
NAMES = "SELECT id, name FROM identity.external_owner WHERE namespace_id = $1 AND id = ANY($2)"


def owner_id(namespace: UUID, name: str) -> UUID:
    """The ledger's id of one owner in one namespace: 122 bits of SHA-256, as a UUIDv8."""
    told = hashlib.sha256(b"hazina/external-owner\0" + namespace.bytes + name.encode()).digest()
    value = int.from_bytes(told[:16], "big")
    value = value & ~(0xF << 76) | 0x8 << 76
    return UUID(int=value & ~(0b11 << 62) | 0b10 << 62)


async def register_owners(tx: Tx, namespace: UUID, names: Iterable[str], now: datetime) -> None:
    """This will remember the names; a second time is harmless."""
    known = sorted(set(names))
    ids = [owner_id(namespace, name) for name in known]
    await tx.execute(REGISTER, ids, namespace, known, now)


async def names_of(reader: Reads, namespace: UUID, owners: Iterable[UUID]) -> dict[UUID, str]:
    """Those of ``owners`` that are of this namespace, with the names it gave them."""
    rows = await reader.fetch(NAMES, namespace, list(set(owners)))
    return {row["id"]: row["name"] for row in rows}
