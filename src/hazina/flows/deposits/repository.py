"""The deposits' SQL. Every read for a customer carries the customer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hazina.flows.deposits.states import DepositState
from hazina.infra.db import Row
from hazina.kernel.money import KES, Money

INSERT = """
INSERT INTO deposits.deposit (
    id, customer_id, amount, phone_sealed, phone_masked, phone_index, reference, token, purpose,
    purpose_id, limit_day, state, state_since, requested_at, next_attempt_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'requested', $12, $12, $13)
"""
GET = "SELECT * FROM deposits.deposit WHERE id = $1 AND customer_id = $2"
LIST = """
SELECT * FROM deposits.deposit
WHERE customer_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3
"""
LIST_OPEN = """
SELECT * FROM deposits.deposit
WHERE customer_id = $1 AND state NOT IN ('paid', 'failed') AND state <> 'taken_back'
ORDER BY id DESC LIMIT $2
"""
BY_PURPOSE = """
SELECT * FROM deposits.deposit WHERE purpose_id = $1 AND customer_id = $2
ORDER BY id DESC LIMIT 1
"""
FIND_BY_CALLBACK = "SELECT id FROM deposits.deposit WHERE token = $1"
# What is open on one phone: a second prompt would be refused by the phone, or be paid twice.
OPEN_ON_PHONE = """
SELECT state, amount FROM deposits.deposit
WHERE phone_index = $1 AND state IN ('requested', 'sending', 'prompted', 'unknown')
LIMIT 20
"""
DUE = """
SELECT id FROM deposits.deposit
WHERE next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2
"""
PLAN_DUE = """
SELECT id FROM deposits.deposit WHERE plan = 'due' AND state_since < $1 ORDER BY id LIMIT $2
"""
INCOMING = """
SELECT coalesce(sum(amount), 0) FROM deposits.deposit
WHERE customer_id = $1 AND state IN ('requested', 'sending', 'prompted', 'unknown')
  AND id > $2
"""
TAKE_RECEIPT = """
INSERT INTO deposits.mpesa_receipt
    (receipt, amount, deposit_id, group_id, completed_at, received_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (receipt) DO NOTHING RETURNING true
"""
# Ids make a deposit one that can be asked about: an unknown one that waited for them is due then.
_ADOPT = """
UPDATE deposits.deposit
SET merchant_request_id = $2, checkout_request_id = $3, ids_from = '{}',
    next_attempt_at = CASE WHEN state = 'unknown' THEN coalesce(next_attempt_at, $4)
                           ELSE next_attempt_at END
WHERE id = $1
"""
ADOPT_FROM_CALLBACK = _ADOPT.format("callback")
ADOPT_FROM_RESPONSE = _ADOPT.format("response")
PLANNED = "UPDATE deposits.deposit SET plan = $2 WHERE id = $1"
RECEIPT_OWNER = "SELECT deposit_id FROM deposits.mpesa_receipt WHERE receipt = $1"


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...
    async def fetchrow(self, sql: str, *args: object) -> Row | None: ...


@dataclass(frozen=True, slots=True)
class DepositView:
    """A deposit as its owner may see it."""

    id: UUID
    customer_id: UUID
    amount: Money
    phone_masked: str
    reference: str
    state: DepositState
    state_since: datetime
    requested_at: datetime
    receipt: str | None
    code: str | None
    words: str | None
    purpose: str | None
    purpose_id: UUID | None
    credited: Money  # what the customer was given for it so far

    @classmethod
    def of(cls, row: Row) -> "DepositView":
        return cls(
            row["id"],
            row["customer_id"],
            KES.units(int(row["amount"])),
            row["phone_masked"],
            row["reference"],
            DepositState(row["state"]),
            row["state_since"],
            row["requested_at"],
            row["receipt"],
            row["code"],
            row["words"],
            row["purpose"],
            row["purpose_id"],
            KES.units(int(row["credited"])),
        )
