"""Sending a payment back: the outward call, and what M-Pesa says of it.

A reversal has no id of ours, so it is never sent twice; but a payment goes back once, which M-Pesa
itself sees to. Its result comes to the order's own token.
"""

from datetime import datetime, timedelta
from uuid import UUID

from hazina.desk.switches import Switch, Switches
from hazina.flows.outward import OutwardCall
from hazina.flows.receipts.reversals import Reversals
from hazina.flows.receipts.states import ReturnEvent, ReturnState
from hazina.flows.receipts.suspense import ORDERS, RETURN_JOB, Suspense
from hazina.infra.alarms import Alarm
from hazina.infra.attempts import Attempts
from hazina.infra.db import Database, Row, Tx
from hazina.infra.inbox import InboxMessage, InboxState
from hazina.infra.jobs import Jobs
from hazina.infra.settings import Settings
from hazina.infra.vault import CustomerVault
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.kernel.money import KES
from hazina.kernel.outcome import Outcome
from hazina.rails.callbacks import Settled, callback_token
from hazina.rails.ports import Event, PreparedCall, ReturnResult, StatusTimeoutNotice
from hazina.rails.receipts import ReceiptRail, ReturnAccepted, ReturnOrder

UNKNOWN = Alarm("return-unknown")

ORDER = "SELECT receipt, amount FROM receipts.return_order WHERE id = $1"
OF_ADDRESS = "SELECT id FROM receipts.return_order WHERE token = $1"
DUE = """
SELECT id FROM receipts.return_order
WHERE next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2
"""
OPEN = (ReturnState.SENDING, ReturnState.SENT, ReturnState.UNKNOWN)
LATE = timedelta(minutes=15)
SWEEP, SWEEP_EVERY_S, BATCH = "return.sweep", 5, 100
STRANGER = Settled(InboxState.REFUSED, "from a stranger")
FOREIGN = Settled(InboxState.REFUSED, "speaks of another payment than its address")


class Returner(OutwardCall[ReturnAccepted]):
    """Takes an order to M-Pesa, and hears how it went."""

    name = "return"
    switch = Switch.MPESA_OUT
    ready = ReturnState.ORDERED.value
    sending = ReturnState.SENDING.value

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        rail: ReceiptRail,
        sealed: CustomerVault,
        switches: Switches,
        jobs: Jobs,
        suspense: Suspense,
        reversals: Reversals,
    ) -> None:
        attempts = Attempts("receipts.attempt")
        super().__init__(db, clock, ORDERS, attempts, sealed, switches, settings.mpesa_timeout_s)
        self._rail, self._jobs, self._suspense = rail, jobs, suspense
        self._reversals = reversals
        jobs.register(RETURN_JOB, self.advance, timeout_s=120)
        jobs.every(SWEEP, SWEEP_EVERY_S, self.sweep)

    def owner(self, row: Row) -> UUID:
        """It belongs to no customer: its bytes are sealed for the payment."""
        found: UUID = row["payment_id"]
        return found

    async def prepare(self, tx: Tx, row: Row, now: datetime) -> PreparedCall:  # noqa: ARG002
        return self._rail.prepare_return(
            ReturnOrder(row["receipt"], int(row["amount"]) // 100, row["token"])
        )

    async def call(self, prepared: PreparedCall) -> Outcome[ReturnAccepted]:
        return await self._rail.send_return(prepared)

    async def accepted(self, tx: Tx, row: Row, value: ReturnAccepted, now: datetime) -> None:
        if row["state"] in (self.sending, ReturnState.UNKNOWN.value):
            changes = {"next_attempt_at": now + LATE, "conversation_id": value.conversation_id}
            await ORDERS.move(tx, row, ReturnEvent.ACCEPTED, now=now, actor=SYSTEM, changes=changes)

    async def rejected(self, tx: Tx, row: Row, code: str, text: str, now: datetime) -> None:
        await self._suspense.kept(
            tx, row, ReturnEvent.REJECTED, code=code, words=text, actor=SYSTEM, now=now
        )

    def ask_at(self, row: Row, now: datetime) -> datetime | None:  # noqa: ARG002
        """Nothing can be asked: its result, the statement or two persons."""
        return None

    async def advance(self, order_id: UUID) -> None:
        """This will do what is next for an order, if it is time. Safe to run twice."""
        now = self.clock.now()
        row = await self.db.fetchrow(
            "SELECT state, next_attempt_at FROM receipts.return_order WHERE id = $1", order_id
        )
        if row is None or row["next_attempt_at"] is None or row["next_attempt_at"] > now:
            return
        match ReturnState(row["state"]):
            case ReturnState.ORDERED:
                await self.send(order_id)
            case ReturnState.SENDING:
                await self.give_up_lease(order_id)
            case ReturnState.SENT:
                await self._lose(order_id, "M-Pesa's result has not come", when=ReturnState.SENT)
            case _:
                return

    async def sweep(self) -> None:
        """This will queue the orders that are due."""
        now = self.clock.now()

        async def queue(tx: Tx) -> None:
            for row in await tx.fetch(DUE, now, BATCH):
                await self._jobs.enqueue(tx, RETURN_JOB, row["id"], once=True)

        await self.db.run(queue)

    async def on_result(self, message: InboxMessage, event: Event) -> Settled | None:
        """This will act on a reversal's result. Safe to run twice."""
        found = await self.db.fetchval(OF_ADDRESS, callback_token(message))
        if found is None:
            return FOREIGN
        if not message.trusted:
            return STRANGER
        if isinstance(event, StatusTimeoutNotice):
            await self._lose(found, "M-Pesa's queue gave it up")
            return None
        if not isinstance(event, ReturnResult):
            return FOREIGN
        if event.already or not event.final:
            await self._lose(found, f"{event.code}: {event.words}")
            return None
        late = await self.db.run(lambda tx: self._hear(tx, found, event, self.clock.now()))
        if late is not None and event.success:
            await self._late(found, event)
            return None
        return late

    async def _late(self, order_id: UUID, event: ReturnResult) -> None:
        """It went back after all, and may be somebody's by now."""
        row = await self.db.fetchrow(ORDER, order_id)
        assert row is not None
        amount = KES.units(event.amount_units or int(row["amount"]))
        await self._reversals.resulted(row["receipt"], event.receipt, amount)

    async def _hear(
        self, tx: Tx, order_id: UUID, event: ReturnResult, now: datetime
    ) -> Settled | None:
        row = await ORDERS.lock(tx, order_id)
        if ReturnState(row["state"]) not in OPEN:
            late = event.success and row["state"] == ReturnState.FAILED.value
            if late:
                UNKNOWN.ring("a payment went back that we had called kept", order=str(order_id))
            return Settled(InboxState.REFUSED, "success after failed") if late else None
        if not event.success:
            words = f"{event.code}: {event.words}"
            await self._suspense.kept(
                tx,
                row,
                ReturnEvent.FAILED,
                code=event.code,
                words=words,
                actor=SYSTEM,
                now=now,
            )
            return None
        told = (event.original or row["receipt"], event.amount_units or int(row["amount"]))
        if told != (row["receipt"], int(row["amount"])):
            return FOREIGN
        await self._suspense.done(tx, row, ReturnEvent.DONE, event.receipt, SYSTEM, now)
        return None

    async def _lose(self, order_id: UUID, note: str, *, when: ReturnState | None = None) -> None:
        async def lose(tx: Tx) -> None:
            now = self.clock.now()
            row = await ORDERS.lock(tx, order_id)
            usual = (ReturnState.SENDING.value, ReturnState.SENT.value)
            if row["state"] not in ((when.value,) if when else usual):
                return
            UNKNOWN.ring("a payment may or may not have gone back", order=str(order_id), why=note)
            changes = {"next_attempt_at": None, "words": note[:300]}
            await ORDERS.move(
                tx, row, ReturnEvent.LOST, now=now, actor=SYSTEM, note=note, changes=changes
            )

        await self.db.run(lose)
