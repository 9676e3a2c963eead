"""Orders to send payments back, of a house restored from a copy: never given again.

An order that was waiting in the copy may have been carried out since. A reversal has no id of ours
to ask by: M-Pesa's statement, or two persons, say how it ended. Payments and reversals that were
being asked about are asked about at once.
"""

from collections.abc import Sequence
from datetime import datetime

from hazina.desk.recovery import Moved, Question, Reader
from hazina.flows.receipts.states import ReturnEvent, ReturnState
from hazina.flows.receipts.suspense import ORDERS
from hazina.infra.attempts import Attempts
from hazina.infra.db import Tx
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import wire_id
from hazina.kernel.money import KES

NOTE = "restored from a copy: it may have gone back since"
HINT = "M-Pesa's statement; else two persons say whether it went back"
UNSENT = """
SELECT * FROM receipts.return_order WHERE state IN ('ordered', 'sending') ORDER BY id FOR UPDATE
"""
OPEN = "o.state NOT IN ('done', 'failed')"
QUESTIONS = f"""
SELECT o.payment_id, o.amount, p.payer_shown, o.state, o.state_since, o.attempts
FROM receipts.return_order o JOIN receipts.payment p ON p.id = o.payment_id
WHERE {OPEN} ORDER BY o.state_since, o.id LIMIT $1
"""  # noqa: S608 - a constant
COUNT = f"SELECT count(*) AS n FROM receipts.return_order o WHERE {OPEN}"  # noqa: S608
ASK_PAYMENTS = "UPDATE receipts.payment SET next_attempt_at = $1 WHERE state = 'incoming'"
ASK_REVERSALS = "UPDATE receipts.reversal SET next_attempt_at = $1 WHERE state = 'claimed'"
# What took a payment back: M-Pesa by itself, or it by our order.
EXPLAINED = """
SELECT r.by_receipt AS receipt, NULL AS original FROM receipts.reversal r
WHERE r.by_receipt = ANY($1)
UNION ALL
SELECT NULL, p.receipt FROM receipts.payment p WHERE p.receipt = ANY($2) AND p.state = 'returned'
"""


class RecoverReturns:
    """What ``desk.recovery`` may ask of payments that came unasked."""

    def __init__(self) -> None:
        self._attempts = Attempts("receipts.attempt")

    async def recover(self, tx: Tx, now: datetime) -> int:
        """This will move every order that could be given to ``unknown``."""
        for row in await tx.fetch(UNSENT):
            if row["state"] == ReturnState.SENDING.value:
                await self._attempts.end(
                    tx, row["id"], row["attempts"], outcome="lost", note=NOTE, now=now
                )
            await ORDERS.move(
                tx, row, ReturnEvent.RECOVERED, now=now, actor=SYSTEM, note=NOTE,
                changes={"next_attempt_at": None, "words": NOTE},
            )  # fmt: skip
        await self.ask_now(tx, now)
        return await self.count(tx)

    async def ask_now(self, tx: Tx, now: datetime) -> None:
        await tx.execute(ASK_PAYMENTS, now)
        await tx.execute(ASK_REVERSALS, now)

    async def questions(self, reader: Reader, limit: int) -> list[Question]:
        return [
            Question(
                "return",
                wire_id("pay", row["payment_id"]),
                KES.units(int(row["amount"])),
                row["payer_shown"],
                row["state"],
                row["state_since"],
                row["attempts"],
                HINT,
            )
            for row in await reader.fetch(QUESTIONS, limit)
        ]

    async def count(self, reader: Reader) -> int:
        row = await reader.fetchrow(COUNT)
        return int(row["n"]) if row else 0

    async def explained(self, reader: Reader, moved: Sequence[Moved]) -> set[str]:
        outward = [line for line in moved if not line.inward]
        originals = [line.original for line in outward if line.original is not None]
        rows = await reader.fetch(EXPLAINED, [line.receipt for line in outward], originals)
        receipts, back = {row["receipt"] for row in rows}, {row["original"] for row in rows}
        return {
            line.receipt
            for line in outward
            if line.receipt in receipts or (line.original and line.original in back)
        }
