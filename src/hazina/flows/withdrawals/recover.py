"""Withdrawals of a house restored from a copy: asked about, never sent.

One that was ``held`` in the copy may have been sent a moment later; the copy cannot know. It is
unknown, and M-Pesa is asked under our id. The same for one whose call was under way.
"""

from collections.abc import Sequence
from datetime import datetime

from hazina.desk.recovery import Moved, Question, Reader
from hazina.flows.withdrawals.request import TABLE
from hazina.flows.withdrawals.states import WithdrawalEvent, WithdrawalState
from hazina.infra.attempts import Attempts
from hazina.infra.db import Row, Tx
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import wire_id
from hazina.kernel.money import KES

NOTE = "restored from a copy: it may have been paid since"
OPEN = "state NOT IN ('paid', 'failed')"
UNSENT = """
SELECT * FROM withdrawals.withdrawal WHERE state IN ('held', 'sending') ORDER BY id FOR UPDATE
"""
ASK_NOW = """
UPDATE withdrawals.withdrawal SET next_attempt_at = $1
WHERE state IN ('sent', 'unknown', 'contradicted')
"""
QUESTIONS = f"""
SELECT id, amount, phone_masked, state, state_since, questions FROM withdrawals.withdrawal
WHERE {OPEN} ORDER BY state_since, id LIMIT $1
"""  # noqa: S608 - a constant
COUNT = f"SELECT count(*) AS n FROM withdrawals.withdrawal WHERE {OPEN}"  # noqa: S608
EXPLAINED = """
SELECT receipt, id FROM withdrawals.withdrawal WHERE receipt = ANY($1) OR id = ANY($2)
"""


class RecoverWithdrawals:
    """What ``desk.recovery`` may ask of withdrawals."""

    def __init__(self) -> None:
        self._attempts = Attempts("withdrawals.attempt")

    async def recover(self, tx: Tx, now: datetime) -> int:
        """This will move what could be sent to ``unknown`` and make all that is open due."""
        for row in await tx.fetch(UNSENT):
            await self._doubt(tx, row, now)
        await self.ask_now(tx, now)
        return await self.count(tx)

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

    async def count(self, reader: Reader) -> int:
        row = await reader.fetchrow(COUNT)
        return int(row["n"]) if row else 0

    async def explained(self, reader: Reader, moved: Sequence[Moved]) -> set[str]:
        """Payments out that carry a receipt or an id of ours."""
        outward = [line for line in moved if not line.inward]
        ids = [line.our_id for line in outward if line.our_id is not None]
        rows = await reader.fetch(EXPLAINED, [line.receipt for line in outward], ids)
        receipts, known = {row["receipt"] for row in rows}, {row["id"] for row in rows}
        return {
            line.receipt for line in outward if line.receipt in receipts or line.our_id in known
        }

    async def _doubt(self, tx: Tx, row: Row, now: datetime) -> None:
        if row["state"] == WithdrawalState.SENDING.value:
            await self._attempts.end(
                tx, row["id"], row["attempts"], outcome="lost", note=NOTE, now=now
            )
        await TABLE.move(tx, row, WithdrawalEvent.RECOVERED, now=now, actor=SYSTEM, note=NOTE)
