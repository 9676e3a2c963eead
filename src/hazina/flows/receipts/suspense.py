"""Clearing suspense: what two persons may do with shillings that are nobody's.

Give them to a customer, or have M-Pesa send them back to who paid. The handlers here are registered
as approvable acts: they run in the transaction of the second person's yes, and post last.
"""

import secrets
from datetime import datetime
from uuid import UUID

from hazina.desk.approvals import Approval, Approvals, Wish
from hazina.flows.deposits.arrivals import Arrivals, Resolution
from hazina.flows.deposits.settle import NotBooked
from hazina.flows.receipts import postings
from hazina.flows.receipts.settle import TABLE, payment_of
from hazina.flows.receipts.states import RETURNS, PaymentEvent, PaymentState, ReturnEvent
from hazina.identity.customers import Customers
from hazina.identity.people import Operator
from hazina.infra.db import Row, Tx
from hazina.infra.jobs import Jobs
from hazina.infra.outbox import Outbox
from hazina.infra.states import StateTable
from hazina.kernel.actor import SYSTEM, Actor
from hazina.kernel.errors import Kind, NotFound, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.machine import StateMoved
from hazina.ledger.accounts import AccountIsClosed
from hazina.ledger.core import ResultCode, Transfer, first_fault
from hazina.ledger.service import Ledger

ALLOCATE, RETURN = "payment.allocate", "payment.return"
RETURN_DONE, RETURN_ABSENT = "return.done", "return.absent"
RETURN_JOB = "return.advance"
ORDERS = StateTable("receipts.return_order", RETURNS)
ADD_ORDER = """
INSERT INTO receipts.return_order
    (id, payment_id, receipt, amount, token, state, state_since, ordered_at, next_attempt_at)
VALUES ($1, $2, $3, $4, $5, 'ordered', $6, $6, $6)
"""
OPEN_ORDER = "SELECT id FROM receipts.return_order WHERE payment_id = $1 AND state <> 'failed'"


class CustomerUnknown(Refusal):
    """Nobody has that username."""

    code = "customer_unknown"
    kind = Kind.INVALID
    message = "No customer has that username."
    action = "Check how it is written."


class Suspense:
    """Asking for the acts, and carrying them out."""

    def __init__(
        self,
        approvals: Approvals,
        customers: Customers,
        ledger: Ledger,
        jobs: Jobs,
        outbox: Outbox,
        arrivals: Arrivals,
    ) -> None:
        self._approvals, self._customers, self._ledger = approvals, customers, ledger
        self._jobs, self._outbox, self._arrivals = jobs, outbox, arrivals
        approvals.register(ALLOCATE, self._allocate, subject="pay")
        approvals.register(RETURN, self._order_return, subject="pay")
        approvals.register(RETURN_DONE, self._found, subject="pay")
        approvals.register(RETURN_ABSENT, self._absent, subject="pay")

    async def ask_allocate(
        self,
        tx: Tx,
        payment_id: UUID,
        username: str,
        *,
        reason: str,
        operator: Operator,
        actor: Actor,
        now: datetime,
    ) -> Approval:
        """This will ask a second person to give a payment to a customer. An account that is closed
        by then takes none: the second person's yes is refused with ``AccountIsClosed``.

        Raises: CustomerUnknown, StateMoved, and as ``Approvals.request``.
        """
        row = await _expect(tx, payment_id, PaymentState.SUSPENDED)
        customer = await self._customers.find_by_username(tx, username.strip().lower())
        if customer is None:
            raise CustomerUnknown(details={"field": "username"})
        amount = payment_of(row).amount
        summary = f"Give {amount}, receipt {row['receipt']}, to {customer.username}"
        facts = {"customer_id": str(customer.id)}
        wish = Wish(ALLOCATE, payment_id, facts, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def ask_return(
        self,
        tx: Tx,
        payment_id: UUID,
        *,
        reason: str,
        operator: Operator,
        actor: Actor,
        now: datetime,
    ) -> Approval:
        """This will ask a second person to have a payment sent back. Raises as above."""
        row = await _expect(tx, payment_id, PaymentState.SUSPENDED)
        summary = f"Send {payment_of(row).amount}, receipt {row['receipt']}, back to who paid it"
        wish = Wish(RETURN, payment_id, {}, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def ask_return_ended(
        self,
        tx: Tx,
        payment_id: UUID,
        *,
        went_back: bool,
        reason: str,
        operator: Operator,
        actor: Actor,
        now: datetime,
    ) -> Approval:
        """This will ask a second person to say how an unknown return ended. Raises as above."""
        row = await _expect(tx, payment_id, PaymentState.RETURNING)
        said = "went back" if went_back else "did not go back"
        summary = f"{payment_of(row).amount}, receipt {row['receipt']}, {said}"
        act = RETURN_DONE if went_back else RETURN_ABSENT
        wish = Wish(act, payment_id, {}, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def done(
        self,
        tx: Tx,
        order: Row,
        event: ReturnEvent,
        receipt: str | None,
        actor: Actor,
        now: datetime,
    ) -> None:
        """This will book that a payment went back. The order's row is locked; posts, last."""
        row = await TABLE.lock(tx, order["payment_id"])
        await ORDERS.move(tx, order, event, now=now, actor=actor, changes={"next_attempt_at": None})
        await TABLE.move(tx, row, PaymentEvent.RETURNED, now=now, actor=actor)
        await self._resolve(tx, row, Resolution.SENT_BACK, actor, now)
        await self._emit(tx, row, PaymentEvent.RETURNED, now)
        await self._post(tx, postings.returned(row["id"], payment_of(row).amount, receipt), actor)

    async def kept(
        self,
        tx: Tx,
        order: Row,
        event: ReturnEvent,
        *,
        code: str,
        words: str,
        actor: Actor,
        now: datetime,
    ) -> None:
        """This will say that a payment did not go back: it waits in suspense again."""
        row = await TABLE.lock(tx, order["payment_id"])
        changes = {"next_attempt_at": None, "code": code[:60], "words": words[:300]}
        await ORDERS.move(tx, order, event, now=now, actor=actor, note=words[:300], changes=changes)
        await TABLE.move(tx, row, PaymentEvent.KEPT, now=now, actor=actor, note=words[:300])

    async def taken_back(self, tx: Tx, row: Row, receipt: str | None, now: datetime) -> None:
        """This will book that M-Pesa took a suspended payment back by itself. The payment's row is
        locked; posts, last."""
        await TABLE.move(tx, row, PaymentEvent.REVERSED, now=now, actor=SYSTEM)
        await self._resolve(tx, row, Resolution.SENT_BACK, SYSTEM, now)
        await self._emit(tx, row, PaymentEvent.REVERSED, now)
        await self._post(tx, postings.returned(row["id"], payment_of(row).amount, receipt), SYSTEM)

    async def _allocate(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        row = await TABLE.lock(tx, approval.subject)
        owner = UUID(approval.facts["customer_id"])
        transfers = postings.allocated(row["id"], owner, payment_of(row).amount)
        changes: dict[str, object] = {"customer_id": owner, "group_id": transfers[0].group}
        await TABLE.move(
            tx,
            row,
            PaymentEvent.ALLOCATED,
            now=now,
            actor=actor,
            note=approval.reason[:300],
            changes=changes,
        )
        await self._resolve(tx, row, await self._given(tx, row, owner), actor, now)
        await self._emit(tx, row, PaymentEvent.ALLOCATED, now, owner)
        await self._post(tx, transfers, actor)

    async def _order_return(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        row = await TABLE.lock(tx, approval.subject)
        note = approval.reason[:300]
        await TABLE.move(tx, row, PaymentEvent.RETURNING, now=now, actor=actor, note=note)
        order_id, token = new_id(), secrets.token_hex(16)
        await tx.execute(ADD_ORDER, order_id, row["id"], row["receipt"], row["amount"], token, now)
        await ORDERS.begin(tx, order_id, now=now, actor=actor)
        await self._jobs.enqueue(tx, RETURN_JOB, order_id)

    async def _found(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        order = await self._order_of(tx, approval.subject)
        await self.done(tx, order, ReturnEvent.FOUND, None, actor, now)

    async def _absent(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        order = await self._order_of(tx, approval.subject)
        await self.kept(
            tx,
            order,
            ReturnEvent.ABSENT,
            code="absent",
            words=approval.reason,
            actor=actor,
            now=now,
        )

    async def _order_of(self, tx: Tx, payment_id: UUID) -> Row:
        found = await tx.fetchval(OPEN_ORDER, payment_id)
        if found is None:
            raise NotFound
        return await ORDERS.lock(tx, found)

    async def _given(self, tx: Tx, row: Row, owner: UUID) -> Resolution:
        """Whoever asked to pay hears it where their shillings become somebody else's."""
        asked = row["deposit_id"] and await self._arrivals.owner_of(tx, row["deposit_id"])
        return Resolution.GIVEN if asked in (None, owner) else Resolution.GIVEN_AWAY

    async def _resolve(
        self, tx: Tx, row: Row, ending: Resolution, actor: Actor, now: datetime
    ) -> None:
        """A prompt that was paid with another amount has waited for this."""
        if row["deposit_id"] is not None:
            paid = payment_of(row).amount
            await self._arrivals.resolve(tx, row["deposit_id"], paid, ending, actor, now)

    async def _emit(
        self, tx: Tx, row: Row, event: PaymentEvent, now: datetime, owner: UUID | None = None
    ) -> None:
        payload = {
            "customer_id": str(owner) if owner else None,
            "amount": payment_of(row).amount.decimal,
        }
        await self._outbox.emit(tx, f"payment.{event.value}", row["id"], payload, now)

    async def _post(self, tx: Tx, transfers: list[Transfer], actor: Actor) -> None:
        if fault := first_fault(await self._ledger.post(tx, transfers, actor)):
            if fault.code is ResultCode.ACCOUNT_CLOSED:
                raise AccountIsClosed
            raise NotBooked(f"{fault.code.value} for transfer {fault.id}")


async def _expect(tx: Tx, payment_id: UUID, state: PaymentState) -> Row:
    row = await TABLE.lock(tx, payment_id)
    if row["state"] != state.value:
        raise StateMoved(details={"state": row["state"]})
    return row
