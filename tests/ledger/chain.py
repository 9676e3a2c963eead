"""Sealing as tests speak of it, and blocks hashed again in plain Python."""

import asyncio
import hashlib
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hazina.infra.db import Database
from hazina.ledger.sealing import BLOCK_SIZE, find_lag, seal


async def seal_all(db: Database, size: int = BLOCK_SIZE) -> int:
    """Seals until nothing is left. Writers in other databases of this server may hold it up."""
    made = 0
    async with asyncio.timeout(60):
        while True:
            while await db.run(lambda tx: seal(tx, size)) is not None:
                made += 1
            if await find_lag(db) is None:
                return made


OIDS = {
    "uuid": 2950, "text": 25, "numeric": 1700, "bool": 16, "timestamptz": 1184, "int4": 23,
    "int8": 20,
}  # fmt: skip
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def record(values: Sequence[tuple[str, object]]) -> bytes:
    """PostgreSQL's binary form of a row."""
    out = struct.pack("!i", len(values))
    for kind, value in values:
        raw = None if value is None else _binary(kind, value)
        out += struct.pack("!Ii", OIDS[kind], -1 if raw is None else len(raw))
        out += raw or b""
    return out


def _binary(kind: str, value: object) -> bytes:
    match value:
        case bool():
            return b"\1" if value else b"\0"
        case int():
            return struct.pack("!q" if kind == "int8" else "!i", value)
        case str():
            return value.encode()
        case UUID():
            return value.bytes
        case datetime():
            return struct.pack("!q", (value - EPOCH) // timedelta(microseconds=1))
        case Decimal():
            return _numeric(int(value))
    raise TypeError(value)


def _numeric(value: int) -> bytes:
    """Base 10,000 digits without the zeros at the end: count, weight, sign, scale, digits."""
    digits: list[int] = []
    left = abs(value)
    while left:
        left, digit = divmod(left, 10_000)
        digits.insert(0, digit)
    weight = len(digits) - 1 if digits else 0
    while digits and digits[-1] == 0:
        digits.pop()
    sign = 0x4000 if value < 0 else 0
    head = struct.pack("!hhHh", len(digits), weight, sign, 0)
    return head + b"".join(struct.pack("!h", digit) for digit in digits)


SEALED = """
SELECT q.block, t.*, d.id AS d_id, d.purpose AS d_purpose, d.owner_id AS d_owner, c.id AS c_id,
       c.purpose AS c_purpose, c.owner_id AS c_owner
FROM ledger.block_transfer q
JOIN ledger.transfer t ON t.id = q.transfer_id
JOIN ledger.account d ON d.key = t.debit_key JOIN ledger.account c ON c.key = t.credit_key
WHERE q.block = $1 ORDER BY q.position
"""
FIELDS = [
    ("uuid", "id"), ("text", "kind"), ("text", "code"), ("uuid", "d_id"), ("text", "d_purpose"),
    ("uuid", "d_owner"), ("uuid", "c_id"), ("text", "c_purpose"), ("uuid", "c_owner"),
    ("numeric", "amount"), ("numeric", "asked"), ("text", "asset"), ("uuid", "pending_id"),
    ("int4", "pending_seq"), ("bool", "keep_rest"), ("timestamptz", "expires_at"),
    ("uuid", "group_id"), ("text", "reference_type"), ("uuid", "reference_id"), ("text", "actor"),
    ("timestamptz", "booked_at"), ("timestamptz", "effective_at"), ("bool", "up_to"),
    ("uuid", "refund_of"), ("uuid", "reverses"), ("uuid", "corrects"),
    ("int8", "if_debit_version"), ("int8", "if_credit_version"),
]  # fmt: skip


async def content_of(db: Database, block: int) -> bytes:
    """The hash of a block's transfers, as docs/money/history.md describes it."""
    leaves = b"".join(
        hashlib.sha256(record([(kind, row[name]) for kind, name in FIELDS])).digest()
        for row in await db.fetch(SEALED, block)
    )
    return hashlib.sha256(leaves).digest()


async def sealed_at_last(db: Database) -> None:
    """Seals one block; writers in other databases of this server may hold it up for a while."""
    async with asyncio.timeout(60):
        while await db.run(seal) is None:  # noqa: ASYNC110 - what is awaited is a server
            await asyncio.sleep(0.02)
