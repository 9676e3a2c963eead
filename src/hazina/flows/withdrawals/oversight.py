"""Withdrawals as operators see them: what each waits for, and what else they look up."""

from collections.abc import Sequence
from uuid import UUID

from hazina.flows.deposits.repository import Reader
from hazina.flows.overseen import Overseen
from hazina.flows.watch import at
from hazina.flows.withdrawals.doubt import UNLISTED
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.flows.withdrawals.story import CHIPS
from hazina.infra.db import Row

S = WithdrawalState
DUE_NOW = """
UPDATE withdrawals.withdrawal SET next_attempt_at = $2
WHERE id = $1 AND state IN ('sent', 'unknown', 'contradicted', 'doubted')
"""
ASKED = "SELECT asked_at FROM withdrawals.question WHERE withdrawal_id = $1 ORDER BY asked_at"
KNOWN = """
SELECT receipt FROM withdrawals.withdrawal WHERE receipt = ANY($1)
UNION SELECT receipt FROM withdrawals.given_back WHERE receipt = ANY($1)
"""
OWNER = "SELECT customer_id FROM withdrawals.withdrawal WHERE receipt = $1"


async def known_receipts(reader: Reader, receipts: Sequence[str]) -> set[str]:
    """Those of ``receipts`` that belong to a payout of ours, or did before it was given back: that
    is a question of its own."""
    rows = await reader.fetch(KNOWN, list(receipts)) if receipts else []
    return {row["receipt"] for row in rows}


async def find_owner(reader: Reader, receipt: str) -> UUID | None:
    """Who was paid out under that receipt."""
    row = await reader.fetchrow(OWNER, receipt)
    return row["customer_id"] if row else None


def waiting(row: Row) -> tuple[str, str]:
    """What a withdrawal waits for, and what happens next by itself or by whom."""
    due = row["next_attempt_at"]
    match S(row["state"]):
        case S.HELD if row["held_back"]:
            return row["held_back"], at("It is looked at again", due)
        case S.HELD:
            return "A worker", at("M-Pesa is asked to pay", due)
        case S.SENDING:
            return "M-Pesa's answer", at("Without one it counts as unknown", due)
        case S.SENT:
            return "M-Pesa's result", at("M-Pesa is asked how it stands", due)
        case S.UNKNOWN if due:
            return "M-Pesa's word; the money stays held", at("M-Pesa is asked", due)
        case S.UNKNOWN:
            return "A person; the money stays held", "Look for it in M-Pesa's statement"
        case S.CONTRADICTED:
            words = "M-Pesa's word: it ended as not paid, then it was told as paid"
            return words, at("M-Pesa is asked", due) + "; else its statement and two persons"
        case S.DOUBTED if row["code"] == UNLISTED:
            words = "M-Pesa's statement: it lacks the receipt of what is booked as paid"
            return words, "Two persons say that it was never made, or bring one that has it"
        case S.DOUBTED:
            words = "M-Pesa's word: it is booked as paid, then it was told as not paid"
            return words, at("M-Pesa is asked", due) + "; else its statement, and two persons"
        case S.PAID | S.FAILED:
            return "", ""


WITHDRAWALS = Overseen(
    "withdrawals.withdrawal",
    "wdr",
    "/withdrawals",
    CHIPS,
    settled=(S.PAID, S.FAILED),
    questions=(S.UNKNOWN, S.CONTRADICTED, S.DOUBTED),
    waiting=waiting,
)
