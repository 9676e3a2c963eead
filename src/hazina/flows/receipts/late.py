"""A payout that was made after it had ended as not paid, by M-Pesa's statement and two persons.

M-Pesa's own answer ends most of them (``flows/withdrawals/listen.py``). Where it keeps saying
otherwise, or says nothing, the statement decides: the receipt has to stand there as a payout of
that very amount, and of no other row of ours.
"""

from datetime import datetime
from uuid import UUID

from hazina.desk.approvals import Approval, Approvals, Wish
from hazina.flows.withdrawals.absence import Absence
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.identity.people import Operator
from hazina.infra.db import Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.ids import wire_id

PAID_LATE = "withdrawal.paid_late"
MAY_BE_LATE = (WithdrawalState.FAILED, WithdrawalState.CONTRADICTED, WithdrawalState.DOUBTED)
LINE = """
SELECT count(*) FROM receipts.statement_line
WHERE receipt = $1 AND kind = 'payout' AND NOT inward AND amount = $2
"""


class NotProvenPaid(Refusal):
    """No imported statement shows that the payout was made."""

    code = "not_proven_paid"
    kind = Kind.CONFLICT
    message = "It is not proven that M-Pesa made this payout."
    action = "See what is missing; bring M-Pesa's statement first."


class LatePayouts:
    """Asking for the act, and carrying it out."""

    def __init__(self, approvals: Approvals, absence: Absence) -> None:
        self._approvals, self._absence = approvals, absence
        approvals.register(PAID_LATE, self._book, subject="wdr")

    async def ask_paid(
        self,
        tx: Tx,
        withdrawal_id: UUID,
        receipt: str,
        *,
        reason: str,
        operator: Operator,
        actor: Actor,
        now: datetime,
    ) -> Approval:
        """This will ask a second person to book a payout as made after all.

        Raises: NotProvenPaid, NotFound, and as ``Approvals.request``.
        """
        told = receipt.strip().upper()
        await self._prove(tx, withdrawal_id, told)
        facts = await self._absence.facts(tx, withdrawal_id)
        wire = wire_id("wdr", withdrawal_id)
        effect = "take it back"
        if facts.state is WithdrawalState.DOUBTED:
            effect = f"not under {facts.receipt}, as it is booked"
        summary = f"{wire} of {facts.amount} was paid after all, receipt {told}: {effect}"
        wish = Wish(PAID_LATE, withdrawal_id, {"receipt": told}, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def _prove(self, tx: Tx, withdrawal_id: UUID, receipt: str) -> None:
        facts = await self._absence.facts(tx, withdrawal_id)
        missing = []
        if facts.state not in MAY_BE_LATE:
            missing.append(f"It is {facts.state.value}: only what ended as not paid is paid late.")
        if not await tx.fetchval(LINE, receipt, facts.amount.units):
            missing.append(f"No statement has a payout of {facts.amount} with that receipt.")
        if await self._absence.known_receipts(tx, [receipt]):
            missing.append("That receipt is another payout's.")
        if missing:
            raise NotProvenPaid(" ".join(missing), details={"missing": missing, "field": "receipt"})

    async def _book(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        receipt = approval.facts["receipt"]
        await self._prove(tx, approval.subject, receipt)
        await self._absence.mark_paid(tx, approval.subject, receipt, actor, now)
