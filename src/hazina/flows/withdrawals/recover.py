"""Withdrawals of a house restored from a copy: asked about, never sent.

One that was ``held`` in the copy may have been sent a moment later; the copy cannot know. It is
unknown, and M-Pesa is asked under our id. The same for one whose call was under way.
"""

from collections.abc import Sequence
from datetime import datetime

from hazina.desk.recovery import Moved, Question, Reader
from hazina.flows.recovering import RecoverCalls
from hazina.flows.withdrawals.request import TABLE
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.infra.attempts import Attempts
from hazina.infra.db import Tx
from hazina.kernel.ids import wire_id
from hazina.kernel.money import KES

NOTE = "restored from a copy: it may have been paid since"
OPEN = "state NOT IN ('paid', 'failed')"
ASK_NOW = """
UPDATE withdrawals.withdrawal SET next_attempt_at = $1
WHERE state IN ('sent', 'unknown', 'contradicted', 'doubted')
"""
QUESTIONS = f"""
SELECT id, amount, phone_masked, state, state_since, questions FROM withdrawals.withdrawal
WHERE {OPEN} ORDER BY state_since, id LIMIT $1
"""  # noqa: S608 - a constant
EXPLAINED = """
SELECT receipt, id FROM withdrawals.withdrawal WHERE receipt = ANY($1) OR id = ANY($2)
"""


class RecoverWithdrawals(RecoverCalls):
    """What ``desk.recovery`` may ask of withdrawals."""

    table = TABLE
    attempts = Attempts("withdrawals.attempt")
    ready, sending = WithdrawalState.HELD.value, WithdrawalState.SENDING.value
    open_where, note = OPEN, NOTE

    async def ask_now(self, tx: Tx, now: datetime) -> None:
        await tx.execute(ASK_NOW, now)

    async def questions(self, reader: Reader, limit: int) -> list[Question]:
        return [
            Question(
                "withdrawal",
                wire_id("wdr", row["id"]),
                KES.units(int(row["amount"])),
                row["phone_masked"],
                row["state"],
                row["state_since"],
                row["questions"],
                "M-Pesa is asked by its status; else the statement, and two persons",
            )
            for row in await reader.fetch(QUESTIONS, limit)
        ]

    async def explained(self, reader: Reader, moved: Sequence[Moved]) -> set[str]:
        """Payments out that carry a receipt or an id of ours."""
        outward = [line for line in moved if not line.inward]
        ids = [line.our_id for line in outward if line.our_id is not None]
        rows = await reader.fetch(EXPLAINED, [line.receipt for line in outward], ids)
        receipts, known = {row["receipt"] for row in rows}, {row["id"] for row in rows}
        return {
            line.receipt for line in outward if line.receipt in receipts or line.our_id in known
        }
