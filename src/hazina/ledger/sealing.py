"""Sealing: what is booked is put into blocks, each holding the hash of the one before it.

Off the writers' path: a sweeper takes the transfers of transactions that have ended, in the order
(tx, id), and appends a block, its list of transfers and checkpoints of the unbounded accounts it
touched. This order is also the feed's.

**Invariant**: a block takes whole transactions, all up to its ``last_tx``, and only those below the
oldest one still running. So a transaction that commits late is never skipped, and what is not
sealed is ``tx > last_tx``: a look into an index, however long the history is. Prepared and long
transactions hold sealing up, loudly.

What it does not seal: metadata, refusals, floors and states of accounts.
"""

# ruff: noqa: S608 - every part of these queries stands in this file

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from prometheus_client import Gauge

from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, Tx
from hazina.infra.observability import REGISTRY
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, TransferKind
from hazina.ledger.service import Reader

UNSEALED_LONG = Alarm("ledger-unsealed")

FORMAT = 1
BLOCK_SIZE = 2_000
SEAL_EVERY_S = 5
MAX_UNSEALED_S = 60
# A block that holds something booked this long before what earlier blocks reach is *late*: looking
# back, the few late ones are asked one by one, and all others are neighbours of the moment.
LATE_S = 10
NO_BLOCK = b"\0" * 32
LOCKS, SEALER = 20261121, 1  # an advisory lock: one sealer at a time, however many workers

UNSEALED = Gauge(
    "hazina_ledger_unsealed_seconds",
    "Age of the oldest transfer that is in no block yet.",
    registry=REGISTRY,
    multiprocess_mode="mostrecent",
)

# record_send is PostgreSQL's binary form of a row: for each value its type, length and bytes, so
# that no two rows have the same bytes. docs/money/history.md says how to recompute it elsewhere.
# t is the transfer, d and c its two accounts, whose keys are only ours.
LEAF = """sha256(record_send(ROW(
    t.id, t.kind, t.code, d.id, d.purpose, d.owner_id, c.id, c.purpose, c.owner_id, t.amount,
    t.asked, t.asset, t.pending_id, t.pending_seq, t.keep_rest, t.expires_at, t.group_id,
    t.reference_type, t.reference_id, t.actor, t.booked_at, t.effective_at, t.up_to, t.refund_of,
    t.reverses, t.corrects, t.if_debit_version, t.if_credit_version)))"""
HEADER = """sha256(record_send(ROW(
    b.number, b.format, b.previous, b.after_tx, b.last_tx, b.first_id, b.last_id, b.size,
    b.transfers, b.totals::text, b.booked_from, b.reach, b.late, b.sealed_at, b.content,
    b.checkpoints)))"""
# Digest of a block's checkpoints, k.
CHECKPOINTS = """sha256(coalesce(string_agg(
    record_send(ROW(k.account_key, k.debits, k.credits)), ''::bytea ORDER BY k.account_key), ''))"""

LAST = "SELECT number, hash, last_tx FROM ledger.block ORDER BY number DESC LIMIT 1"
LOCK = "SELECT pg_try_advisory_xact_lock($1, $2)"
# Where the next block ends: the transaction of the n-th unsealed transfer, or the last finished.
UNTIL = """
SELECT coalesce(
    (SELECT t.tx FROM ledger.transfer t
     WHERE t.tx > $1::xid8 AND t.tx < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY t.tx OFFSET $2::bigint - 1 LIMIT 1),
    (SELECT t.tx FROM ledger.transfer t
     WHERE t.tx > $1::xid8 AND t.tx < pg_snapshot_xmin(pg_current_snapshot())
     ORDER BY t.tx DESC LIMIT 1)) AS until
"""
# $1 and $2: from and to (transactions), $3 the number before, $4 its hash.
SEAL = f"""
WITH leaves AS MATERIALIZED (
    SELECT row_number() OVER (ORDER BY t.tx, t.id)::integer AS position, t.id, t.asset, t.booked_at,
           CASE WHEN t.kind IN ('post', 'post_pending') THEN t.amount ELSE 0 END AS moved,
           t.debit_key, t.credit_key, d.bounded AS from_bounded, c.bounded AS to_bounded,
           {LEAF} AS leaf
    FROM ledger.transfer t
    JOIN ledger.account d ON d.key = t.debit_key
    JOIN ledger.account c ON c.key = t.credit_key
    WHERE t.tx > $1::xid8 AND t.tx <= $2::xid8
), placed AS (
    INSERT INTO ledger.block_transfer (block, transfer_id, position, mark)
    SELECT $3::bigint + 1, l.id, l.position, substr(l.leaf, 1, 8) FROM leaves l ORDER BY l.position
), touched AS (
    SELECT s.key, sum(s.debit) AS debit, sum(s.credit) AS credit FROM (
        SELECT debit_key AS key, moved AS debit, 0 AS credit FROM leaves WHERE NOT from_bounded
        UNION ALL
        SELECT credit_key, 0, moved FROM leaves WHERE NOT to_bounded) s
    WHERE s.debit + s.credit > 0 GROUP BY 1
), checkpoints AS (
    INSERT INTO ledger.checkpoint (account_key, block, debits, credits)
    SELECT s.key, $3::bigint + 1, s.debit + coalesce(p.debits, 0), s.credit + coalesce(p.credits, 0)
    FROM touched s
    LEFT JOIN LATERAL (SELECT k.debits, k.credits FROM ledger.checkpoint k
                       WHERE k.account_key = s.key ORDER BY k.block DESC LIMIT 1) p ON true
    ORDER BY s.key
    RETURNING account_key, debits, credits
), summed AS (
    SELECT count(*)::integer AS size,
           min(l.booked_at) AS booked_from, max(l.booked_at) AS booked_to,
           sha256(string_agg(l.leaf, ''::bytea ORDER BY l.position)) AS content
    FROM leaves l
), b AS (
    SELECT $3::bigint + 1 AS number, {FORMAT}::smallint AS format, $4::bytea AS previous,
           $1::xid8 AS after_tx, $2::xid8 AS last_tx,
           (SELECT l.id FROM leaves l WHERE l.position = 1) AS first_id,
           (SELECT l.id FROM leaves l WHERE l.position = s.size) AS last_id, s.size,
           coalesce(p.transfers, 0) + s.size AS transfers,
           (SELECT jsonb_object_agg(x.asset, x.total::text) FROM (
                SELECT y.asset, sum(y.units) AS total FROM (
                    SELECT l.asset, l.moved AS units FROM leaves l UNION ALL
                    SELECT key, value::numeric FROM jsonb_each_text(coalesce(p.totals, '{{}}'))
                ) y GROUP BY 1) x) AS totals,
           s.booked_from, greatest(s.booked_to, p.reach) AS reach,
           coalesce(s.booked_from < p.reach - interval '{LATE_S} seconds', false) AS late,
           clock_timestamp() AS sealed_at, s.content,
           (SELECT {CHECKPOINTS} FROM checkpoints k) AS checkpoints
    FROM summed s LEFT JOIN ledger.block p ON p.number = $3::bigint
)
INSERT INTO ledger.block (number, format, previous, after_tx, last_tx, first_id, last_id, size,
    transfers, totals, booked_from, reach, late, sealed_at, content, checkpoints, hash)
SELECT b.*, {HEADER} FROM b
RETURNING number, size, hash
"""
# Which holds are open, as of the block: the proof reads them, not all that ever were.
FOLLOW_HOLDS = "SELECT ledger.follow_holds($1::xid8, $2::xid8)"
# The first unsealed transfer in the order of sealing: others may be older, but hardly.
LAG = """
SELECT extract(epoch FROM clock_timestamp() - t.booked_at)::integer AS age, t.id,
       (t.tx >= pg_snapshot_xmin(pg_current_snapshot())) AS waits
FROM ledger.transfer t
WHERE t.tx > coalesce((SELECT b.last_tx FROM ledger.block b ORDER BY b.number DESC LIMIT 1), '0')
ORDER BY t.tx LIMIT 1
"""
# A copy restored by dump into a younger server counts transactions from below its own history.
AHEAD = """
SELECT b.last_tx >= pg_snapshot_xmax(pg_current_snapshot()) AS ahead
FROM ledger.block b ORDER BY b.number DESC LIMIT 1
"""
FEED = """
SELECT q.block, q.position, t.id, t.kind, t.code, t.debit_key, t.credit_key, t.amount, t.asset,
       t.pending_id, t.group_id, t.reference_type, t.reference_id, t.booked_at, t.effective_at,
       d.id AS debit_id, c.id AS credit_id
FROM (SELECT bt.* FROM ledger.block_transfer bt WHERE (bt.block, bt.position) > ($1, $2)
      ORDER BY bt.block, bt.position LIMIT $3) q
JOIN ledger.transfer t ON t.id = q.transfer_id
JOIN ledger.account d ON d.key = t.debit_key
JOIN ledger.account c ON c.key = t.credit_key
ORDER BY q.block, q.position
"""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A block just written."""

    number: int
    size: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Lag:
    """The oldest transfer in no block. ``waits``: a transaction older than it is still open."""

    age_s: int
    transfer_id: UUID
    waits: bool


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One sealed transfer at its place; accounts by their public ids."""

    block: int
    position: int
    id: UUID
    kind: TransferKind
    code: Code
    debit: UUID
    credit: UUID
    amount_units: int
    asset: str
    pending_id: UUID | None
    group: UUID | None
    reference: Reference
    booked_at: datetime
    effective_at: datetime


class Sealing:
    """Writes blocks and reads their order."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def sweep(self) -> None:
        """This will seal whatever can be, block by block, and raise the alarm where it cannot."""
        while await self._db.run(seal) is not None:
            pass
        await self.watch()

    async def watch(self) -> Lag | None:
        """This will set the metric, and log an error for rows unsealed longer than a minute."""
        lag = await find_lag(self._db)
        UNSEALED.set(lag.age_s if lag else 0)
        if lag is None or lag.age_s <= MAX_UNSEALED_S:
            return lag
        why = "a transaction that is older is still open" if lag.waits else "nobody seals"
        if await self._db.fetchval(AHEAD):
            why = "the server's transaction counter is behind the ledger's: see docs/money/history"
        UNSEALED_LONG.ring(
            "ledger rows unsealed for a minute",
            transfer=str(lag.transfer_id),
            age_s=lag.age_s,
            why=why,
        )
        return lag


async def seal(tx: Tx, size: int = BLOCK_SIZE) -> Sealed | None:
    """This will write the next block, of at least ``size`` transfers where there are so many.

    None: nothing to seal, or another worker is at it. All of a block is one transaction: killed in
    the middle, nothing of it is there, and the next call begins where this one did.
    """
    if not await tx.fetchval(LOCK, LOCKS, SEALER):
        return None
    # Read after the lock: the block that its last holder wrote is among them.
    last = await tx.fetchrow(LAST)
    if last is None:
        number, previous, after = 0, NO_BLOCK, 0
    else:
        number, previous, after = last["number"], last["hash"], last["last_tx"]
    until = await tx.fetchval(UNTIL, after, size)
    if until is None:
        return None
    made = await tx.fetchrow(SEAL, after, until, number, previous)
    assert made is not None
    await tx.execute(FOLLOW_HOLDS, after, until)
    return Sealed(made["number"], made["size"], bytes(made["hash"]))


async def find_lag(reader: Reader) -> Lag | None:
    """The oldest unsealed transfer; None where everything is sealed."""
    rows = await reader.fetch(LAG)
    return Lag(rows[0]["age"], rows[0]["id"], rows[0]["waits"]) if rows else None


async def feed(
    reader: Reader, after_block: int = 0, after_position: int = 0, limit: int = 1_000
) -> list[FeedItem]:
    """Sealed transfers after a place, in the one order that never changes: nothing is ever put
    before what was read."""
    return [
        FeedItem(
            row["block"],
            row["position"],
            row["id"],
            TransferKind(row["kind"]),
            Code(row["code"]),
            row["debit_id"],
            row["credit_id"],
            int(row["amount"]),
            row["asset"],
            row["pending_id"],
            row["group_id"],
            Reference(row["reference_type"], row["reference_id"]),
            row["booked_at"],
            row["effective_at"],
        )
        for row in await reader.fetch(FEED, after_block, after_position, limit)
    ]
