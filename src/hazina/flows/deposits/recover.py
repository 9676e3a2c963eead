"""Deposits of a house restored from a copy: asked about or awaited, no phone is prompted again.

One that was only requested in the copy may have been prompted and paid since. Without M-Pesa's id
nothing can be asked: its callback, the statement or a person tells.
"""

from collections.abc import Sequence
from datetime import datetime

from hazina.desk.recovery import Moved, Question, Reader
from hazina.flows.deposits.request import TABLE
from hazina.flows.deposits.states import DepositEvent, DepositState
from hazina.infra.attempts import Attempts
from hazina.infra.db import Row, Tx
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import wire_id
from hazina.kernel.money import KES

NOTE = "restored from a copy: the phone may have been prompted since"
OPEN = "state IN ('requested', 'sending', 'prompted', 'unknown')"
UNSENT = """
SELECT * FROM deposits.deposit WHERE state IN ('requested', 'sending') ORDER BY id FOR UPDATE
"""
ASK_NOW = """
UPDATE deposits.deposit SET next_attempt_at = $1
WHERE state IN ('prompted', 'unknown') AND checkout_request_id IS NOT NULL
"""
QUESTIONS = f"""
SELECT id, amount, phone_masked, state, state_since, queries, checkout_request_id
FROM deposits.deposit WHERE {OPEN} ORDER BY state_since, id LIMIT $1
"""  # noqa: S608 - a constant
COUNT = f"SELECT count(*) AS n FROM deposits.deposit WHERE {OPEN}"  # noqa: S608
EXPLAINED = "SELECT receipt FROM deposits.mpesa_receipt WHERE receipt = ANY($1)"


class RecoverDeposits:
    """What ``desk.recovery`` may ask of deposits."""

    def __init__(self) -> None:
        self._attempts = Attempts("deposits.attempt")

    async def recover(self, tx: Tx, now: datetime) -> int:
        """This will move what could be prompted to ``unknown`` and make the rest due."""
        for row in await tx.fetch(UNSENT):
            await self._doubt(tx, row, now)
        await self.ask_now(tx, now)
        return await self.count(tx)

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

    async def count(self, reader: Reader) -> int:
        row = await reader.fetchrow(COUNT)
        return int(row["n"]) if row else 0

    async def explained(self, reader: Reader, moved: Sequence[Moved]) -> set[str]:
        """Payments in whose receipt opened the door, a prompt's or one that came unasked."""
        inward = [line.receipt for line in moved if line.inward]
        return {row["receipt"] for row in await reader.fetch(EXPLAINED, inward)}

    async def _doubt(self, tx: Tx, row: Row, now: datetime) -> None:
        if row["state"] == DepositState.SENDING.value:
            await self._attempts.end(
                tx, row["id"], row["attempts"], outcome="lost", note=NOTE, now=now
            )
        changes = {"next_attempt_at": None}
        await TABLE.move(
            tx, row, DepositEvent.RECOVERED, now=now, actor=SYSTEM, note=NOTE, changes=changes
        )
