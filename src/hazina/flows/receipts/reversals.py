"""Payments that M-Pesa took back by itself, after they were booked.

Nobody calls us back for these: a statement shows them, or M-Pesa's list, or a late result. What a
statement says is a claim, since a person brought the file: M-Pesa is asked about the reversing
movement, and it must be completed, of that amount, and paid by us. Then the shillings go the way
they came: out of suspense, or out of the customer's account, and what is spent becomes a debt.
"""

import secrets
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from hazina.desk.debts.service import Debts
from hazina.flows.deposits.arrivals import Arrivals
from hazina.flows.receipts import repository as sql
from hazina.flows.receipts.hear import Listener
from hazina.flows.receipts.postings import COLLECTION
from hazina.flows.receipts.settle import TABLE
from hazina.flows.receipts.states import (
    REVERSALS,
    UNPROVEN,
    PaymentEvent,
    PaymentState,
    ReturnEvent,
    ReturnState,
    ReversalEvent,
    ReversalState,
)
from hazina.flows.receipts.suspense import OPEN_ORDER, ORDERS, Suspense
from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, Row, Tx
from hazina.infra.inbox import InboxMessage, InboxState
from hazina.infra.jobs import Jobs
from hazina.infra.states import StateTable
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, Money
from hazina.ledger.core import Reference
from hazina.rails.callbacks import Settled, callback_token
from hazina.rails.ports import Event, StatusResult, StatusState
from hazina.rails.receipts import PulledReturn, ReceiptRail, StatementLine

log = structlog.stdlib.get_logger()
UNCLEAR = Alarm("reversal-unclear")

ROWS = StateTable("receipts.reversal", REVERSALS)
JOB, SWEEP, SWEEP_EVERY_S, BATCH = "reversal.advance", "reversal.sweep", 5, 100
FIRST_PAUSE, MAX_PAUSE = timedelta(seconds=30), timedelta(minutes=30)
GIVE_UP_ASKING = timedelta(hours=48)
LOOK_AGAIN = timedelta(minutes=10)
STRANGER = Settled(InboxState.REFUSED, "from a stranger: M-Pesa is asked again")
ADD = """
INSERT INTO receipts.reversal (id, receipt, by_receipt, amount, heard_from, heard_at, proven, token,
    state, state_since, next_attempt_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'claimed', $6, $6)
ON CONFLICT DO NOTHING
"""
KNOWN = "SELECT id FROM receipts.reversal WHERE receipt = $1 OR by_receipt = $2"
CORRECT = """
UPDATE receipts.reversal
SET receipt = $2, by_receipt = coalesce($3, by_receipt), amount = $4, heard_from = $5,
    heard_at = $6, proven = $7, token = $8, next_attempt_at = $6, questions = 0, why = NULL
WHERE id = $1
"""
OF_ADDRESS = "SELECT id FROM receipts.reversal WHERE token = $1"
ASKED = """
UPDATE receipts.reversal SET questions = questions + 1, next_attempt_at = $2 WHERE id = $1
"""
PROVEN = "UPDATE receipts.reversal SET proven = true WHERE id = $1"
WAIT = "UPDATE receipts.reversal SET next_attempt_at = $2, why = $3 WHERE id = $1"
DUE = """
SELECT id FROM receipts.reversal WHERE next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2
"""


class Reversals:
    """Hears of them, has M-Pesa asked, and books them."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        jobs: Jobs,
        rail: ReceiptRail,
        arrivals: Arrivals,
        listener: Listener,
        suspense: Suspense,
        debts: Debts,
    ) -> None:
        self._db, self._clock, self._jobs, self._rail = db, clock, jobs, rail
        self._arrivals, self._listener = arrivals, listener
        self._suspense, self._debts = suspense, debts
        jobs.register(JOB, self.advance)
        jobs.every(SWEEP, SWEEP_EVERY_S, self.sweep)

    async def stated(self, line: StatementLine) -> bool:
        """This will treat a returning line of a statement as a claim; False: known already."""
        if line.linked is None:
            return False
        return await self._hear(line.linked, line.receipt, line.amount_units, "statement")

    async def pulled(self, one: PulledReturn) -> None:
        """This will act on a returning line of M-Pesa's own list, which proves it by itself."""
        if one.original is None:
            UNCLEAR.ring("M-Pesa took a payment back and does not say which", receipt=one.receipt)
            return
        await self._hear(one.original, one.receipt, one.amount_units, "pull")

    async def resulted(self, receipt: str, by_receipt: str | None, amount: Money) -> None:
        """This will act on a late result of a reversal that we had called failed."""
        await self._hear(receipt, by_receipt, amount.units, "result")

    async def on_status(self, message: InboxMessage, event: Event) -> Settled | None:
        """This will act on M-Pesa's answer about a reversing movement. Others are the payments'."""
        found = await self._db.fetchval(OF_ADDRESS, callback_token(message))
        if found is None:
            return await self._listener.on_status(message, event)
        if not isinstance(event, StatusResult):
            return None  # the next question is due anyway
        if not message.trusted:
            return STRANGER
        await self._db.run(lambda tx: self._answer(tx, found, event))
        return None

    async def advance(self, reversal_id: UUID) -> None:
        """This will book what is proven, or ask M-Pesa, if it is time. Safe to run twice."""

        async def step(tx: Tx) -> tuple[str, str] | None:
            now = self._clock.now()
            row = await ROWS.lock(tx, reversal_id)
            due = row["next_attempt_at"]
            if row["state"] != ReversalState.CLAIMED.value or due is None or due > now:
                return None
            if row["proven"]:
                await self._book(tx, row, now)
                return None
            pause = min(FIRST_PAUSE * 2 ** min(row["questions"], 8), MAX_PAUSE)
            again = now + pause if now - row["heard_at"] < GIVE_UP_ASKING else None
            await tx.execute(ASKED, reversal_id, again)
            return row["by_receipt"], row["token"]

        question = await self._db.run(step)
        if question is not None:
            await self._rail.ask_payment(*question)

    async def sweep(self) -> None:
        """This will queue what is due, oldest first."""
        now = self._clock.now()

        async def queue(tx: Tx) -> None:
            for row in await tx.fetch(DUE, now, BATCH):
                await self._jobs.enqueue(tx, JOB, row["id"], once=True)

        await self._db.run(queue)

    async def _hear(self, receipt: str, by: str | None, units: int, heard_from: str) -> bool:
        async def write(tx: Tx) -> bool:
            now, reversal_id = self._clock.now(), new_id()
            if await self._sent_back(tx, receipt):
                return False
            proven, token = heard_from != "statement", secrets.token_hex(16)
            claim = (receipt, by, units, heard_from, now, proven, token)
            if await tx.execute(ADD, reversal_id, *claim) == 1:
                await ROWS.begin(tx, reversal_id, now=now, actor=SYSTEM)
                await self._jobs.enqueue(tx, JOB, reversal_id)
                return True
            found = await self._find_worse(tx, receipt, by, units, proven=proven)
            if found is None:
                return False
            log.warning("a reversal is told otherwise than before", reversal=str(found))
            await tx.execute(CORRECT, found, *claim)
            await self._jobs.enqueue(tx, JOB, found)
            return True

        return await self._db.run(write)

    async def _find_worse(
        self, tx: Tx, receipt: str, by: str | None, units: int, *, proven: bool
    ) -> UUID | None:
        """The claim that this one takes the place of: M-Pesa's own word that of a file, and a file
        that of one which M-Pesa has contradicted, or never agreed with. Whoever brings a file that
        somebody has changed must not block the true one."""
        known = await tx.fetch(KNOWN, receipt, by)
        if len(known) != 1:
            return None
        row = await ROWS.lock(tx, known[0]["id"])
        if row["state"] != ReversalState.CLAIMED.value or row["proven"]:
            return None
        same = (row["receipt"], row["by_receipt"], int(row["amount"])) == (receipt, by, units)
        found: UUID = row["id"]
        return found if proven or (not same and row["next_attempt_at"] is None) else None

    async def _sent_back(self, tx: Tx, receipt: str) -> bool:
        """We had it sent back ourselves, and that is booked."""
        row = await tx.fetchrow(sql.STATE_OF, receipt)
        return row is not None and row["state"] == PaymentState.RETURNED.value

    async def _answer(self, tx: Tx, reversal_id: UUID, event: StatusResult) -> None:
        row = await ROWS.lock(tx, reversal_id)
        if row["state"] != ReversalState.CLAIMED.value or row["proven"]:
            return
        if event.state is not StatusState.COMPLETED:
            return
        told = (event.receipt, event.amount_units, event.payer)
        claimed = (row["by_receipt"], int(row["amount"]), self._rail.shortcode)
        if any(one not in (None, two) for one, two in zip(told, claimed, strict=True)):
            UNCLEAR.ring("M-Pesa tells another reversal than a statement", id=str(reversal_id))
            await tx.execute(WAIT, reversal_id, None, "M-Pesa tells it otherwise: a person")
            return
        if None in told:
            return  # one of M-Pesa's shapes says less: it is asked again
        await tx.execute(PROVEN, reversal_id)
        await self._book(tx, row, self._clock.now())

    async def _book(self, tx: Tx, row: Row, now: datetime) -> None:
        """The reversal's row is locked. Posts, as the last act, unless it has to wait."""
        found = await tx.fetchval(sql.BY_RECEIPT, row["receipt"])
        if found is not None:
            await self._of_payment(tx, row, await TABLE.lock(tx, found), now)
            return
        taken = await self._arrivals.find_receipt(tx, row["receipt"])
        if taken is None or taken.deposit_id is None:
            await self._wait(tx, row, "no payment with that receipt is known", now)
        elif await self._arrivals.is_suspended(tx, taken.deposit_id):
            await self._wait(tx, row, "M-Pesa's list has not told that payment yet", now)
        else:
            await self._claw_back(tx, row, taken.amount, taken.deposit_id, now)

    async def _of_payment(self, tx: Tx, row: Row, payment: Row, now: datetime) -> None:
        state, amount = PaymentState(payment["state"]), KES.units(int(payment["amount"]))
        if state is PaymentState.RETURNING:
            await self._sent_by_us(tx, row, payment, now)
        elif state is PaymentState.RETURNED:
            await self._end(tx, row, now, {"why": "it was sent back by us"})
        elif state in UNPROVEN:
            await self._wait(tx, row, "the payment itself is not proven yet", now)
        elif int(row["amount"]) > amount.units or (
            state is PaymentState.SUSPENDED and int(row["amount"]) != amount.units
        ):
            await self._wait(tx, row, "another amount than the payment's: a person", None)
        elif state is PaymentState.SUSPENDED:
            await self._end(tx, row, now, {})
            await self._suspense.taken_back(tx, payment, row["by_receipt"], now)
        else:
            await TABLE.move(tx, payment, PaymentEvent.REVERSED, now=now, actor=SYSTEM)
            await self._claw_back(
                tx, row, amount, payment["deposit_id"], now, payment["customer_id"]
            )

    async def _sent_by_us(self, tx: Tx, row: Row, payment: Row, now: datetime) -> None:
        order_id = await tx.fetchval(OPEN_ORDER, payment["id"])
        order = await ORDERS.lock(tx, order_id)
        if order["state"] not in (ReturnState.SENT.value, ReturnState.UNKNOWN.value):
            await self._wait(tx, row, "our own order is under way", now)
            return
        await self._end(tx, row, now, {"why": "it is our own order's"})
        await self._suspense.done(tx, order, ReturnEvent.FOUND, row["by_receipt"], SYSTEM, now)

    async def _claw_back(
        self,
        tx: Tx,
        row: Row,
        paid: Money,
        deposit_id: UUID | None,
        now: datetime,
        customer_id: UUID | None = None,
    ) -> None:
        amount = KES.units(int(row["amount"]))
        if amount > paid:
            await self._wait(tx, row, "more than the payment was: a person", None)
            return
        owner = customer_id
        if owner is None:
            assert deposit_id is not None
            owner = await self._arrivals.owner_of(tx, deposit_id)
        group = new_id()
        await self._end(tx, row, now, {"customer_id": owner, "group_id": group})
        if deposit_id is not None:
            await self._arrivals.taken_back(tx, deposit_id, amount, now)
        await self._debts.claw_back(
            tx,
            customer_id=owner,
            amount=amount,
            to=COLLECTION,
            cause=row["receipt"],
            about=Reference("reversal", row["id"]),
            group=group,
            actor=SYSTEM,
            now=now,
        )

    async def _wait(self, tx: Tx, row: Row, why: str, now: datetime | None) -> None:
        log.warning("a reversal at M-Pesa cannot be booked yet", receipt=row["receipt"], why=why)
        old = now is not None and now - row["heard_at"] > GIVE_UP_ASKING
        again = now + LOOK_AGAIN if now is not None and not old else None
        await tx.execute(WAIT, row["id"], again, why)

    async def _end(self, tx: Tx, row: Row, now: datetime, changes: dict[str, object]) -> None:
        await ROWS.move(
            tx,
            row,
            ReversalEvent.BOOKED,
            now=now,
            actor=SYSTEM,
            changes={**changes, "next_attempt_at": None},
        )
