"""The withdrawals' SQL. Every read for a customer carries the customer."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.flows.withdrawals.postings import Holds
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.infra.db import Row
from hazina.kernel.money import KES, Money

INSERT = """
INSERT INTO withdrawals.withdrawal (
    id, customer_id, amount, fee, excise, phone_sealed, phone_masked, token, purpose, purpose_id,
    limit_day, hold_id, fee_hold_id, excise_hold_id, state, state_since, requested_at,
    next_attempt_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'held', $15, $15, $16)
"""
GET = "SELECT * FROM withdrawals.withdrawal WHERE id = $1 AND customer_id = $2"
LIST = """
SELECT * FROM withdrawals.withdrawal
WHERE customer_id = $1 AND ($2::uuid IS NULL OR id < $2)
ORDER BY id DESC LIMIT $3
"""
LIST_OPEN = """
SELECT * FROM withdrawals.withdrawal
WHERE customer_id = $1 AND state NOT IN ('paid', 'failed')
ORDER BY id DESC LIMIT $2
"""
BY_PURPOSE = """
SELECT * FROM withdrawals.withdrawal WHERE purpose_id = $1 AND customer_id = $2
ORDER BY id DESC LIMIT 1
"""
FIND_BY_CALLBACK = "SELECT id FROM withdrawals.withdrawal WHERE token = $1"
FIND_BY_QUESTION = """
SELECT withdrawal_id, asked_at FROM withdrawals.question WHERE token = $1
"""
NOT_FOUND = """
UPDATE withdrawals.withdrawal SET not_found = not_found + 1
WHERE id = $1 AND state IN ('sent', 'unknown')
"""
RECEIPT_TAKEN = """
SELECT count(*) FROM withdrawals.withdrawal WHERE receipt = $1 AND id <> $2
"""
REFUSED_CREDENTIALS = """
SELECT count(*) FROM withdrawals.credential_refusal WHERE at > $1
"""
REFUSE_CREDENTIAL = """
INSERT INTO withdrawals.credential_refusal (withdrawal_id, code, at) VALUES ($1, $2, $3)
ON CONFLICT (withdrawal_id) DO NOTHING
"""
DUE = """
SELECT id FROM withdrawals.withdrawal
WHERE next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2
"""
LIVING = """
SELECT id FROM withdrawals.withdrawal WHERE state IN ('held', 'sending', 'sent', 'unknown')
"""
PAID_GROUPS = """
SELECT group_id, amount FROM withdrawals.withdrawal WHERE state IN ('paid', 'doubted')
UNION ALL SELECT paid_group, amount FROM withdrawals.given_back
"""
GIVE_BACK = """
INSERT INTO withdrawals.given_back (paid_group, group_id, withdrawal_id, receipt, amount, at)
VALUES ($1, $2, $3, $4, $5, $6)
"""
GIVEN_BACK_UNDER = """
SELECT count(*) FROM withdrawals.given_back WHERE withdrawal_id = $1 AND receipt = $2
"""


@dataclass(frozen=True, slots=True)
class WithdrawalView:
    """A withdrawal as its owner may see it."""

    id: UUID
    customer_id: UUID
    amount: Money
    fee: Money
    phone_masked: str
    state: WithdrawalState
    state_since: datetime
    requested_at: datetime
    receipt: str | None
    code: str | None
    words: str | None
    purpose: str | None
    purpose_id: UUID | None
    held_back: str | None = None

    @classmethod
    def of(cls, row: Row) -> "WithdrawalView":
        return cls(
            row["id"],
            row["customer_id"],
            KES.units(int(row["amount"])),
            KES.units(int(row["fee"])),
            row["phone_masked"],
            WithdrawalState(row["state"]),
            row["state_since"],
            row["requested_at"],
            row["receipt"],
            row["code"],
            row["words"],
            row["purpose"],
            row["purpose_id"],
            row["held_back"],
        )


def holds_of(row: Row) -> Holds | None:
    """What the row holds of the customer's; None for a funded payout."""
    if row["hold_id"] is None:
        return None
    return Holds.of(row["id"], row["hold_id"], row["fee_hold_id"], row["excise_hold_id"])
