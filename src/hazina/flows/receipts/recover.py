"""Orders to send payments back, of a house restored from a copy: never given again.

An order that was waiting in the copy may have been carried out since. A reversal has no id of ours
to ask by: M-Pesa's statement, or two persons, say how it ended. Payments and reversals that were
being asked about are asked about at once.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar

from hazina.desk.recovery import Moved, Question, Reader
from hazina.flows.receipts.states import ReturnState
from hazina.flows.receipts.suspense import ORDERS
from hazina.flows.recovering import RecoverCalls
from hazina.infra.attempts import Attempts
from hazina.infra.db import Tx
from hazina.kernel.ids import wire_id
from hazina.kernel.money import KES

NOTE = "restored from a copy: it may have gone back since"
HINT = "M-Pesa's statement; else two persons say whether it went back"
OPEN = "state NOT IN ('done', 'failed')"
QUESTIONS = f"""
SELECT o.payment_id, o.amount, p.payer_shown, o.state, o.state_since, o.attempts
FROM receipts.return_order o JOIN receipts.payment p ON p.id = o.payment_id
WHERE o.{OPEN} ORDER BY o.state_since, o.id LIMIT $1
"""  # noqa: S608 - a constant
ASK_PAYMENTS = "UPDATE receipts.payment SET next_attempt_at = $1 WHERE state = 'incoming'"
ASK_REVERSALS = "UPDATE receipts.reversal SET next_attempt_at = $1 WHERE state = 'claimed'"
# What took a payment back: M-Pesa by itself, or it by our order.
EXPLAINED = """
SELECT r.by_receipt AS receipt, NULL AS original FROM receipts.reversal r
WHERE r.by_receipt = ANY($1)
UNION ALL
SELECT NULL, p.receipt FROM receipts.payment p WHERE p.receipt = ANY($2) AND p.state = 'returned'
"""


class RecoverReturns(RecoverCalls):
    """What ``desk.recovery`` may ask of payments that came unasked."""

    table = ORDERS
    attempts = Attempts("receipts.attempt")
    ready, sending = ReturnState.ORDERED.value, ReturnState.SENDING.value
    open_where, note = OPEN, NOTE
    changes: ClassVar[Mapping[str, object]] = {"next_attempt_at": None, "words": NOTE}

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
