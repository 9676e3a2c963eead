"""A prompt of which nobody ever heard again, or that M-Pesa called paid and has no receipt of: two
persons end it, once M-Pesa's list cannot have it.

M-Pesa cannot be asked about a prompt whose ids never came, and its list goes back 48 hours. Where
it said *paid* its word stands against its books: then a complete statement must lack it too, and
what the customer was given on its word is taken back. Should it be paid after all, the payment
still counts: a deposit that failed takes a late one.
"""

from datetime import datetime, timedelta
from uuid import UUID

from hazina.desk.approvals import Approval, Approvals, Wish
from hazina.flows.deposits.request import TABLE
from hazina.flows.deposits.settle import Settlement
from hazina.flows.deposits.states import DepositEvent, DepositState
from hazina.flows.receipts import repository as sql
from hazina.flows.receipts.statements import covering
from hazina.identity.people import Operator
from hazina.infra.db import Row, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.ids import wire_id
from hazina.kernel.money import KES
from hazina.rails.receipts import ReceiptRail

ABSENT = "deposit.absent"
AFTER = timedelta(hours=48)  # what M-Pesa's list shows
PAYABLE = timedelta(hours=1)  # no prompt is answered later than this
WORDS = "M-Pesa never told of a payment, and its list has none."
UNPAID_WORDS = "M-Pesa called it paid, and has no receipt of it in its list or its statement."
MAY_END = (DepositState.UNKNOWN, DepositState.CONFIRMED)


class PromptMayBePaid(Refusal):
    """It is too early to call a prompt unpaid, or M-Pesa's list was not read far enough."""

    code = "prompt_may_be_paid"
    kind = Kind.CONFLICT
    message = "It is not yet sure that this prompt was never paid."
    action = "Look at what is still needed."


class Unanswered:
    """What must be true before two persons may end a prompt, and the end."""

    def __init__(self, rail: ReceiptRail, approvals: Approvals, settlement: Settlement) -> None:
        self._rail, self._approvals, self._settlement = rail, approvals, settlement
        approvals.register(ABSENT, self._end, subject="dep")

    async def ask_absent(
        self,
        tx: Tx,
        deposit_id: UUID,
        *,
        reason: str,
        operator: Operator,
        actor: Actor,
        now: datetime,
    ) -> Approval:
        """This will ask a second person to call a prompt never paid.

        Raises: PromptMayBePaid, NotFound, and as ``Approvals.request``.
        """
        row = await self._prove(tx, deposit_id, now)
        amount = KES.units(int(row["amount"]))
        taken = ", and take back what was given" if int(row["credited"]) else ""
        summary = f"{wire_id('dep', deposit_id)} of {amount} was never paid: end it{taken}"
        wish = Wish(ABSENT, deposit_id, {}, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def missing(self, tx: Tx, row: Row, now: datetime) -> list[str]:
        """What is still needed before a deposit can be called never paid, in sentences."""
        state = DepositState(row["state"])
        if state not in MAY_END:
            return [f"It is {state.value}: its ending is known."]
        found = []
        if now < row["requested_at"] + AFTER:
            found.append("48 hours have not passed: M-Pesa may still tell of it.")
        read_to = await tx.fetchval(sql.READ_TO, self._rail.shortcode)
        if read_to is None or read_to < row["requested_at"] + PAYABLE:
            found.append("M-Pesa's list was not read past the time when it could be paid.")
        if state is DepositState.CONFIRMED:
            found += await self._missing_of_paid(tx, row)
        return found

    async def _missing_of_paid(self, tx: Tx, row: Row) -> list[str]:
        found, until = [], row["requested_at"] + PAYABLE
        if not await tx.fetchval(sql.COVERED, row["requested_at"], until):
            found.append(covering(row["requested_at"], until))
        if row["plan"] == "due":
            found.append("What it was paid for has not been booked yet.")
        return found

    async def _prove(self, tx: Tx, deposit_id: UUID, now: datetime) -> Row:
        row = await TABLE.lock(tx, deposit_id)
        if missing := await self.missing(tx, row, now):
            raise PromptMayBePaid(" ".join(missing), details={"missing": missing})
        return row

    async def _end(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        row = await self._prove(tx, approval.subject, now)
        if row["state"] == DepositState.CONFIRMED.value:
            await self._settlement.unpaid(tx, row, UNPAID_WORDS, actor, now)
            return
        await self._settlement.fail(
            tx, row, DepositEvent.ABSENT, code="absent", words=WORDS, now=now
        )
