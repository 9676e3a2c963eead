"""Accounts of other institutions' customers, as the door for services reads them.

Invariant: whatever is external meets nothing of the house's own; ``CLAIM`` proves it. Who owns
which of these accounts is identity's to say: an owner here is an id.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.infra.db import Row
from hazina.kernel.money import ASSETS, Asset, Money
from hazina.ledger.chart import AccountRef, Purpose
from hazina.ledger.core import Balance, TransferKind
from hazina.ledger.service import Reader

REFERENCE_TYPE = "external"
WALLET, WORLD = Purpose.EXTERNAL_WALLET, Purpose.EXTERNAL_WORLD
PURPOSES = [WALLET.value, WORLD.value]

ACCOUNT = """
a.id, a.purpose, a.asset, a.owner_id, a.state, a.bounded, a.debits_posted, a.credits_posted,
a.debits_pending, a.credits_pending, a.version, a.created_at
"""
BY_REF = f"""
SELECT {ACCOUNT}
FROM unnest($1::text[], $2::text[], $3::uuid[]) q (purpose, asset, owner_id)
JOIN ledger.account a
    ON a.owner_id = q.owner_id AND a.asset = q.asset AND a.purpose = q.purpose
"""  # noqa: S608 - a constant
BY_ID = f"""
SELECT {ACCOUNT} FROM ledger.account a WHERE a.id = $1 AND a.purpose = ANY($2)
"""  # noqa: S608 - a constant
SIDES = """
SELECT t.id, t.kind, t.asset, d.purpose AS debit_purpose, d.owner_id AS debit_owner,
       c.purpose AS credit_purpose, c.owner_id AS credit_owner
FROM ledger.transfer t
JOIN ledger.account d ON d.key = t.debit_key JOIN ledger.account c ON c.key = t.credit_key
WHERE t.id = ANY($1)
"""
TRANSFER = """
SELECT t.id, t.kind, t.asset, t.amount, t.pending_id, t.keep_rest, t.expires_at, t.group_id,
       t.reference_id, t.booked_at, d.purpose AS debit_purpose, d.owner_id AS debit_owner,
       c.purpose AS credit_purpose, c.owner_id AS credit_owner
FROM ledger.transfer t
JOIN ledger.account d ON d.key = t.debit_key JOIN ledger.account c ON c.key = t.credit_key
WHERE t.id = $1
"""
# (id): references of holds between external accounts. Whether somebody still needs such a hold is
# known outside; that it is not one of ours that lost its owner, here.
LIVING = """
SELECT h.reference_id AS id FROM open_hold h
JOIN ledger.account d ON d.key = h.debit_key JOIN ledger.account c ON c.key = h.credit_key
WHERE h.reference_type = 'external'
  AND d.purpose LIKE 'external:%' AND c.purpose LIKE 'external:%'
"""
CLAIM = "what other institutions keep here meets nothing of the house's"
MIXED = """
SELECT format('transfer %s: from %s to %s as %s', t.id, d.purpose, c.purpose, t.reference_type)
FROM {transfers} t
JOIN ledger.account d ON d.key = t.debit_key JOIN ledger.account c ON c.key = t.credit_key
WHERE (d.purpose LIKE 'external:%') <> (c.purpose LIKE 'external:%')
   OR (d.purpose LIKE 'external:%') <> (t.reference_type = 'external')
"""


@dataclass(frozen=True, slots=True)
class ExternalAccount:
    """``balance`` is None for the world, which has no floor and whose rows count nothing."""

    id: UUID
    ref: AccountRef
    state: str
    balance: Balance | None
    version: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Sides:
    """The two accounts of a stored transfer, whoever's they are."""

    kind: TransferKind
    asset: Asset
    debit: AccountRef
    credit: AccountRef


@dataclass(frozen=True, slots=True)
class ExternalTransfer:
    """One booked transfer between external accounts."""

    id: UUID
    sides: Sides
    amount: Money
    pending_id: UUID | None
    keep_rest: bool
    expires_at: datetime | None
    group: UUID | None
    reference: UUID
    booked_at: datetime


async def accounts_of(
    reader: Reader, refs: Sequence[AccountRef]
) -> dict[AccountRef, ExternalAccount]:
    """Those of ``refs`` that were opened, in one query."""
    rows = await reader.fetch(
        BY_REF,
        [ref.purpose.value for ref in refs],
        [ref.asset.code for ref in refs],
        [ref.owner for ref in refs],
    )
    found = (_account(row) for row in rows)
    return {one.ref: one for one in found}


async def find_account(reader: Reader, id_: UUID) -> ExternalAccount | None:
    """The external account of that public id; None also where it is one of the house's."""
    rows = await reader.fetch(BY_ID, id_, PURPOSES)
    return _account(rows[0]) if rows else None


async def sides_of(reader: Reader, ids: Sequence[UUID]) -> dict[UUID, Sides]:
    """The accounts of stored transfers, the house's own included: for saying no to them."""
    return {row["id"]: _sides(row) for row in await reader.fetch(SIDES, list(ids))}


async def find_transfer(reader: Reader, id_: UUID) -> ExternalTransfer | None:
    """One booked transfer, whoever's it is: the caller looks at its sides."""
    rows = await reader.fetch(TRANSFER, id_)
    if not rows:
        return None
    row = rows[0]
    return ExternalTransfer(
        id=row["id"],
        sides=_sides(row),
        amount=ASSETS[row["asset"]].units(int(row["amount"])),
        pending_id=row["pending_id"],
        keep_rest=row["keep_rest"],
        expires_at=row["expires_at"],
        group=row["group_id"],
        reference=row["reference_id"],
        booked_at=row["booked_at"],
    )


def _sides(row: Row) -> Sides:
    asset = ASSETS[row["asset"]]
    return Sides(
        TransferKind(row["kind"]),
        asset,
        AccountRef(Purpose(row["debit_purpose"]), asset, row["debit_owner"]),
        AccountRef(Purpose(row["credit_purpose"]), asset, row["credit_owner"]),
    )


def _account(row: Row) -> ExternalAccount:
    asset = ASSETS[row["asset"]]
    posted = asset.units(int(row["credits_posted"]) - int(row["debits_posted"]))
    held, incoming = int(row["debits_pending"]), int(row["credits_pending"])
    balance = Balance(posted, asset.units(held), asset.units(incoming))
    return ExternalAccount(
        id=row["id"],
        ref=AccountRef(Purpose(row["purpose"]), asset, row["owner_id"]),
        state=row["state"],
        balance=balance if row["bounded"] else None,
        version=row["version"],
        created_at=row["created_at"],
    )
