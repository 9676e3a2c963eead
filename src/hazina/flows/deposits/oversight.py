"""Deposits as operators see them: what each waits for, and what else they look up."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from hazina.flows.deposits.repository import Reader
from hazina.flows.deposits.states import DepositState
from hazina.flows.deposits.story import CHIPS
from hazina.flows.overseen import Overseen
from hazina.flows.watch import at
from hazina.infra.db import Row

S = DepositState
# Without M-Pesa's id there is nothing to ask about.
DUE_NOW = """
UPDATE deposits.deposit SET next_attempt_at = $2
WHERE id = $1 AND state IN ('prompted', 'unknown') AND checkout_request_id IS NOT NULL
"""
# M-Pesa's list shows 48 hours: what was asked for before it can no longer be found there.
LISTED_SINCE = """
SELECT min(requested_at) AS since FROM deposits.deposit
WHERE state IN ('unknown', 'confirmed') AND state_since > $1
"""
LISTED = "M-Pesa's list is read for it; after 48 hours the statement, then two persons"
RECEIPTS = """
SELECT receipt, amount, completed_at, received_at, group_id FROM deposits.mpesa_receipt
WHERE deposit_id = $1 ORDER BY received_at
"""
# The index is of when it came here, which is never before M-Pesa's time but for the clocks.
BOOKED = """
SELECT receipt, amount, coalesce(completed_at, received_at) AS at FROM deposits.mpesa_receipt
WHERE received_at >= $1::timestamptz - interval '5 minutes'
    AND coalesce(completed_at, received_at) >= $1 AND coalesce(completed_at, received_at) <= $2
ORDER BY receipt
"""
OWNER = """
SELECT d.customer_id FROM deposits.mpesa_receipt r
JOIN deposits.deposit d ON d.id = r.deposit_id WHERE r.receipt = $1
"""


async def booked_between(reader: Reader, since: datetime, until: datetime) -> Sequence[Row]:
    """Receipt, amount and time (M-Pesa's own, where told) of what was booked as paid to us."""
    return await reader.fetch(BOOKED, since, until)


async def find_owner(reader: Reader, receipt: str) -> UUID | None:
    """Whose prompt was paid under that receipt."""
    row = await reader.fetchrow(OWNER, receipt)
    return row["customer_id"] if row else None


async def oldest_unlisted(reader: Reader, since: datetime) -> datetime | None:
    """When the oldest prompt was asked for that came to wait for M-Pesa's list after ``since``."""
    row = await reader.fetchrow(LISTED_SINCE, since)
    return row["since"] if row else None


def waiting(row: Row) -> tuple[str, str]:
    """What a deposit waits for, and what happens next by itself or by whom."""
    due = row["next_attempt_at"]
    match S(row["state"]):
        case S.REQUESTED:
            return "A worker", at("The prompt is sent", due)
        case S.SENDING:
            return "M-Pesa's answer", at("Without one it counts as unknown", due)
        case S.PROMPTED:
            return "The PIN, then M-Pesa's callback", at("M-Pesa is asked", due)
        case S.UNKNOWN if due:
            return "M-Pesa's word", at("M-Pesa is asked", due)
        case S.UNKNOWN:
            return "A callback, or M-Pesa's list", LISTED
        case S.CONFIRMED:
            return "M-Pesa's receipt", LISTED
        case S.SUSPENDED:
            return "A person", "Give the shillings to whom they belong, or send them back"
        case S.PAID | S.TAKEN_BACK | S.FAILED:
            return "", ""


DEPOSITS = Overseen(
    "deposits.deposit",
    "dep",
    "/deposits",
    CHIPS,
    settled=(S.PAID, S.TAKEN_BACK, S.FAILED),
    questions=(S.UNKNOWN, S.CONFIRMED, S.SUSPENDED),
    waiting=waiting,
)
