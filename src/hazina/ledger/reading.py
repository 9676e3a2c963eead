"""Reads for the slices above: many balances in one query, one account, one transfer, and what
their claims compare with.

The texts at the end are sub-queries for proofs, so that no other slice names a ledger table.
"""

# ruff: noqa: S608 - every part of these queries stands in this file or in past

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.kernel.errors import NotFound
from hazina.kernel.money import ASSETS, Money
from hazina.ledger.chart import AccountRef
from hazina.ledger.core import Balance, Reference, TransferKind
from hazina.ledger.past import RANGES, TAIL
from hazina.ledger.service import Reader

BALANCES_OF = """
SELECT q.ord, a.debits_posted, a.credits_posted, a.debits_pending, a.credits_pending
FROM unnest($1::text[], $2::text[], $3::uuid[]) WITH ORDINALITY q (purpose, asset, owner_id, ord)
JOIN ledger.account a
    ON a.owner_id = q.owner_id AND a.asset = q.asset AND a.purpose = q.purpose AND a.bounded
"""
# (reference_type, reference_id, code, amount): what was booked for each business row.
BOOKED = """
SELECT t.reference_type, t.reference_id, t.code, sum(t.amount) AS amount
FROM ledger.transfer t WHERE t.kind IN ('post', 'post_pending') GROUP BY 1, 2, 3
"""
# (purpose, asset, owner_id, posted): bounded accounts, on the side of who is owed.
POSTED = """
SELECT a.purpose, a.asset, a.owner_id, a.credits_posted - a.debits_posted AS posted
FROM ledger.account a WHERE a.bounded
"""
# (purpose, asset, posted): the house's own accounts, on the credit side.
POSTED_UNBOUNDED = f"""
WITH {RANGES.format(than="<=", at="'infinity'::timestamptz")}
SELECT a.purpose, a.asset,
       sum(coalesce(k.credits - k.debits, 0) + coalesce(s.credit - s.debit, 0)) AS posted
FROM ledger.account a
LEFT JOIN LATERAL (
    SELECT k.debits, k.credits FROM ledger.checkpoint k
    WHERE k.account_key = a.key ORDER BY k.block DESC LIMIT 1) k ON true
LEFT JOIN ({TAIL.format(than="<=", at="'infinity'::timestamptz")}) s ON s.key = a.key
WHERE NOT a.bounded GROUP BY 1, 2
"""
ACCOUNT = """
SELECT a.id, a.owner_id, a.purpose, a.asset, a.bounded, a.debit_normal, a.state, a.floor,
       a.version, a.created_at
FROM ledger.account a WHERE {}
"""
ACCOUNT_OF_OWNER = ACCOUNT.format("a.owner_id = $3 AND a.asset = $1 AND a.purpose = $2")
ACCOUNT_OF_HOUSE = ACCOUNT.format("a.owner_id IS NULL AND a.asset = $1 AND a.purpose = $2")
# The block of a transaction is the first that reaches it: blocks are whole transactions.
TRANSFER = """
SELECT t.id, t.kind, t.code, t.amount, t.asset, t.pending_id, t.group_id, t.reference_type,
       t.reference_id, t.actor, t.booked_at, t.effective_at, t.expires_at, m.metadata,
       d.id AS debit_id, d.purpose AS debit_purpose, d.owner_id AS debit_owner,
       c.id AS credit_id, c.purpose AS credit_purpose, c.owner_id AS credit_owner,
       q.block, q.position
FROM ledger.transfer t
JOIN ledger.account d ON d.key = t.debit_key
JOIN ledger.account c ON c.key = t.credit_key
LEFT JOIN ledger.transfer_metadata m ON m.id = t.id
LEFT JOIN LATERAL (
    SELECT x.block, x.position
    FROM (SELECT b.number FROM ledger.block b WHERE b.last_tx >= t.tx
          ORDER BY b.last_tx LIMIT 1) b
    JOIN ledger.block_transfer x ON x.block = b.number AND x.transfer_id = t.id) q ON true
WHERE t.id = $1
"""


class NoSuchAccount(NotFound):
    """An account was never opened."""

    code = "account_not_found"
    message = "That account was never opened."


class NoSuchTransfer(NotFound):
    """No transfer was booked under that id."""

    code = "transfer_not_found"
    message = "No transfer was booked under that id."


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """An account as it is; what it is worth is ``past``'s to say."""

    id: UUID
    ref: AccountRef
    state: str
    floor: Money
    version: int
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class Side:
    """One of a transfer's two accounts."""

    id: UUID
    purpose: str
    owner: UUID | None


@dataclass(frozen=True, slots=True)
class TransferFacts:
    """A booked transfer and its place in the chain; no place: it is not sealed yet."""

    id: UUID
    kind: TransferKind
    code: str
    debit: Side
    credit: Side
    amount: Money
    pending_id: UUID | None
    group: UUID | None
    reference: Reference
    actor: str
    booked_at: datetime
    effective_at: datetime
    expires_at: datetime | None
    metadata: Mapping[str, object] | None
    block: int | None
    position: int | None


async def account_facts(reader: Reader, ref: AccountRef) -> AccountFacts:
    """Raises: NoSuchAccount."""
    name = (ref.asset.code, ref.purpose.value)
    if ref.owner is None:
        rows = await reader.fetch(ACCOUNT_OF_HOUSE, *name)
    else:
        rows = await reader.fetch(ACCOUNT_OF_OWNER, *name, ref.owner)
    if not rows:
        raise NoSuchAccount
    row = rows[0]
    return AccountFacts(
        row["id"], ref, row["state"], ref.asset.units(int(row["floor"])), row["version"],
        row["created_at"],
    )  # fmt: skip


async def transfer_facts(reader: Reader, transfer_id: UUID) -> TransferFacts:
    """Raises: NoSuchTransfer."""
    rows = await reader.fetch(TRANSFER, transfer_id)
    if not rows:
        raise NoSuchTransfer
    row = rows[0]
    return TransferFacts(
        row["id"],
        TransferKind(row["kind"]),
        row["code"],
        Side(row["debit_id"], row["debit_purpose"], row["debit_owner"]),
        Side(row["credit_id"], row["credit_purpose"], row["credit_owner"]),
        ASSETS[row["asset"]].units(int(row["amount"])),
        row["pending_id"],
        row["group_id"],
        Reference(row["reference_type"], row["reference_id"]),
        row["actor"],
        row["booked_at"],
        row["effective_at"],
        row["expires_at"],
        row["metadata"],
        row["block"],
        row["position"],
    )


async def balances_of(reader: Reader, refs: Sequence[AccountRef]) -> dict[AccountRef, Balance]:
    """This will read bounded accounts in one query; one never opened holds nothing."""
    rows = await reader.fetch(
        BALANCES_OF,
        [ref.purpose.value for ref in refs],
        [ref.asset.code for ref in refs],
        [ref.owner for ref in refs],
    )
    found = {ref: _balance(ref, 0, 0, 0) for ref in refs}
    for row in rows:
        ref = refs[row["ord"] - 1]
        posted = int(row["credits_posted"]) - int(row["debits_posted"])
        found[ref] = _balance(ref, posted, int(row["debits_pending"]), int(row["credits_pending"]))
    return found


def _balance(ref: AccountRef, posted: int, held: int, incoming: int) -> Balance:
    return Balance(ref.asset.units(posted), ref.asset.units(held), ref.asset.units(incoming))
