"""Deposits of a house restored from a copy: asked about or awaited, no phone is prompted again.

One that was only requested in the copy may have been prompted and paid since. Without M-Pesa's id
nothing can be asked: its callback, the statement or a person tells.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from hazina.desk.recovery import Moved, Question, Reader
from hazina.flows.deposits.request import TABLE
from hazina.flows.deposits.states import DepositState
from hazina.flows.recovering import RecoverCalls
from hazina.infra.attempts import Attempts
from hazina.infra.db import Tx
from hazina.kernel.ids import wire_id
from hazina.kernel.money import KES

NOTE = "restored from a copy: the phone may have been prompted since"
OPEN = "state IN ('requested', 'sending', 'prompted', 'unknown')"
ASK_NOW = """
UPDATE deposits.deposit SET next_attempt_at = $1
WHERE state IN ('prompted', 'unknown') AND checkout_request_id IS NOT NULL
"""
QUESTIONS = f"""
SELECT id, amount, phone_masked, state, state_since, queries, checkout_request_id
FROM deposits.deposit WHERE {OPEN} ORDER BY state_since, id LIMIT $1
"""  # noqa: S608 - a constant
EXPLAINED = "SELECT receipt FROM deposits.mpesa_receipt WHERE receipt = ANY($1)"


class RecoverDeposits(RecoverCalls):
    """What ``desk.recovery`` may ask of deposits."""

    table = TABLE
    attempts = Attempts("deposits.attempt")
    ready, sending = DepositState.REQUESTED.value, DepositState.SENDING.value
    open_where, note = OPEN, NOTE
    changes: ClassVar[Mapping[str, object]] = {"next_attempt_at": None}

    async def ask_now(self, tx: Tx, now: datetime) -> None:
        await tx.execute(ASK_NOW, now)

    async def questions(self, reader: Reader, limit: int) -> list[Question]:
        return [
            Question(
                "deposit",
                wire_id("dep", row["id"]),
                KES.units(int(row["amount"])),
                row["phone_masked"],
                row["state"],
                row["state_since"],
                row["queries"],
                "M-Pesa is asked by its id"
                if row["checkout_request_id"]
                else "no id of M-Pesa's: its callback, or the statement",
            )
            for row in await reader.fetch(QUESTIONS, limit)
        ]

    async def explained(self, reader: Reader, moved: Sequence[Moved]) -> set[str]:
        """Payments in whose receipt opened the door, a prompt's or one that came unasked."""
        inward = [line.receipt for line in moved if line.inward]
        return {row["receipt"] for row in await reader.fetch(EXPLAINED, inward)}
