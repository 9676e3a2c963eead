"""The payments' SQL, and a payment as others may see it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hazina.flows.receipts.states import PaymentState
from hazina.infra.db import Row
from hazina.kernel.money import KES, Money

# A claim may be the first word of a payment: whoever is first writes the row.
ADD = """
INSERT INTO receipts.payment (
    id, receipt, amount, account, payer_index, payer_shown, paid_at, heard_at, heard_from, trusted,
    state, state_since, next_attempt_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 'incoming', $8, $8)
ON CONFLICT (receipt) DO NOTHING
"""
BY_RECEIPT = "SELECT id FROM receipts.payment WHERE receipt = $1"
# A better source corrects what a worse one said, while nothing is booked.
CORRECT = """
UPDATE receipts.payment
SET amount = $2, account = $3, payer_index = coalesce($4, payer_index), payer_shown = $5,
    paid_at = coalesce($6, paid_at), heard_from = $7, trusted = $8, next_attempt_at = $9
WHERE id = $1 AND state IN ('incoming', 'dismissed')
"""
STATE_OF = "SELECT state FROM receipts.payment WHERE receipt = $1"
REVERSAL_DUE_NOW = """
UPDATE receipts.reversal SET next_attempt_at = $2 WHERE id = $1 AND state = 'claimed'
"""
REVERSAL = "SELECT * FROM receipts.reversal WHERE id = $1"
REVERSALS_OPEN = """
SELECT id, receipt, amount, heard_from, state, state_since, next_attempt_at, why
FROM receipts.reversal
WHERE state = 'claimed' AND (state_since, id) > ($2, $3) ORDER BY state_since, id LIMIT $1
"""
DUE = """
SELECT id FROM receipts.payment
WHERE next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2
"""
ASK = "INSERT INTO receipts.question (token, payment_id, asked_at) VALUES ($1, $2, $3)"
ASKED = """
UPDATE receipts.payment SET questions = questions + 1, next_attempt_at = $2 WHERE id = $1
"""
OF_QUESTION = "SELECT payment_id FROM receipts.question WHERE token = $1"
STRANGERS = """
SELECT count(*) FROM receipts.payment
WHERE state IN ('incoming', 'suspended', 'returning') AND state = 'incoming' AND NOT trusted
"""
LOOK_AGAIN = "UPDATE receipts.payment SET next_attempt_at = $2 WHERE id = $1"
NOT_FOUND = """
UPDATE receipts.payment SET not_found = not_found + 1 WHERE id = $1
"""
FOUND = "UPDATE receipts.payment SET not_found = 0 WHERE id = $1"
READ_TO = "SELECT read_to FROM receipts.pulled WHERE shortcode = $1"
HAS_READ = """
INSERT INTO receipts.pulled (shortcode, read_to, read_at, answered_to) VALUES ($1, $2, $3, $4)
ON CONFLICT (shortcode) DO UPDATE
    SET read_to = greatest(pulled.read_to, excluded.read_to), read_at = excluded.read_at,
        answered_to = greatest(pulled.answered_to, excluded.answered_to)
"""
OPEN = """
SELECT * FROM receipts.payment
WHERE state IN ('incoming', 'suspended', 'returning') AND (state_since, id) > ($2, $3)
ORDER BY state_since, id LIMIT $1
"""
# What is nobody's; the rows of the same partial index that hold money.
NOBODYS = """
SELECT * FROM receipts.payment
WHERE state IN ('incoming', 'suspended', 'returning') AND state <> 'incoming'
    AND (state_since, id) > ($2, $3)
ORDER BY state_since, id LIMIT $1
"""
NEWEST_FIRST = """
SELECT * FROM receipts.payment WHERE id < $2 ORDER BY id DESC LIMIT $1
"""
OF_DEPOSIT = """
SELECT id FROM receipts.payment WHERE deposit_id = $1 AND state IN ('suspended', 'returning')
"""
DUE_NOW = """
UPDATE receipts.payment SET next_attempt_at = $2 WHERE id = $1 AND state = 'incoming'
"""
ORDERS_OF = "SELECT id FROM receipts.return_order WHERE payment_id = $1 ORDER BY id"
READ = "SELECT read_to, read_at, answered_to FROM receipts.pulled WHERE shortcode = $1"
STATEMENTS = """
SELECT id, covers_from, covers_to, complete, lines, imported_by, imported_at
FROM receipts.statement WHERE id < $2 ORDER BY id DESC LIMIT $1
"""
COVERED = """
SELECT count(*) FROM receipts.statement
WHERE complete AND covers_from <= $1 AND covers_to >= $2
"""
OF_RECEIPT = "SELECT * FROM receipts.payment WHERE receipt = $1"
GET = "SELECT * FROM receipts.payment WHERE id = $1"


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...
    async def fetchrow(self, sql: str, *args: object) -> Row | None: ...


@dataclass(frozen=True, slots=True)
class PaymentView:
    """A payment as operators see it. ``account`` is what the payer typed."""

    id: UUID
    receipt: str
    amount: Money
    account: str
    payer: str
    state: PaymentState
    since: datetime
    paid_at: datetime | None
    heard_from: str
    trusted: bool
    questions: int
    next_attempt_at: datetime | None
    customer_id: UUID | None
    suggested_id: UUID | None
    deposit_id: UUID | None
    why: str | None

    @classmethod
    def of(cls, row: Row) -> "PaymentView":
        return cls(
            row["id"],
            row["receipt"],
            KES.units(int(row["amount"])),
            row["account"],
            row["payer_shown"],
            PaymentState(row["state"]),
            row["state_since"],
            row["paid_at"],
            row["heard_from"],
            row["trusted"],
            row["questions"],
            row["next_attempt_at"],
            row["customer_id"],
            row["suggested_id"],
            row["deposit_id"],
            row["why"],
        )
