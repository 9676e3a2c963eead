"""How a deposit ends: by a callback that counts, by asking, or by a late payment.

A callback is a claim. It counts with our open id, the exact amount, a new receipt, a trusted source
and token; otherwise M-Pesa is asked first. Money received is booked to the customer whatever the
product that it was meant for says.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from hazina.desk.debts.repay import DebtOutstanding
from hazina.desk.debts.service import Debts, Loss
from hazina.desk.limits import Limits
from hazina.flows.deposits import postings
from hazina.flows.deposits import repository as sql
from hazina.flows.deposits.purpose import DepositFact, DepositPurposes
from hazina.flows.deposits.request import LIMIT_KIND, TABLE
from hazina.flows.deposits.states import DepositEvent, DepositState
from hazina.flows.plan import Plan
from hazina.flows.treasury.tariffs import Tariffs
from hazina.flows.treasury.terms import TariffKind
from hazina.infra.alarms import Alarm
from hazina.infra.db import RETRYABLE, RetryTransaction, Row, Tx
from hazina.infra.outbox import Outbox
from hazina.infra.settings import Settings
from hazina.kernel.actor import SYSTEM, Actor
from hazina.kernel.ids import new_id
from hazina.kernel.machine import StateMoved
from hazina.kernel.money import KES, Money
from hazina.ledger.codes import Code
from hazina.ledger.core import Result, ResultCode, Transfer, first_fault, linked
from hazina.ledger.service import Ledger

log = structlog.stdlib.get_logger()
UNPLANNED = Alarm("product-not-planned")
UNPAID = Loss(Code.DEPOSIT_UNPAID, "customer.unpaid", "customer.unpaid_owes")
CLOSED_WORDS = "It was paid after the account had been closed. We are looking into it."


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment that counts: what M-Pesa's receipt says of it."""

    receipt: str
    amount: Money
    completed_at: datetime | None


class ReceiptTaken(Exception):
    """The receipt belongs to another deposit: a forgery, or a fault of ours. Never credited."""


class NotBooked(Exception):
    """The ledger refused to book money that was received: an alarm, and the job tries again."""


class AccountGone(NotBooked):
    """The customer's account was closed meanwhile: the money goes to suspense."""


class Settlement:
    """The transitions that move money. Every method joins the caller's transaction, in which the
    deposit's row is locked, and posts at most once, last."""

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        limits: Limits,
        outbox: Outbox,
        tariffs: Tariffs,
        purposes: DepositPurposes,
        debts: Debts,
    ) -> None:
        self._ledger = ledger
        self._debts = debts
        # Whose wallet was found closed: that is for ever, and asking each time costs every deposit.
        self._closed: set[UUID] = set()
        self._limits = limits
        self._outbox = outbox
        self._tariffs = tariffs
        self._purposes = purposes
        self._in_transit_limit = KES.units(settings.in_transit_limit_kes * 100)

    async def pay(self, tx: Tx, row: Row, payment: Payment, now: datetime) -> None:
        """This will book a payment with its receipt. Repeating it with the same receipt is nothing.

        Raises: ReceiptTaken, StateMoved, NotBooked.
        """
        if row["receipt"] == payment.receipt:
            return
        asked = KES.units(int(row["amount"]))
        charge = await self.charge(tx, payment, now)
        if payment.amount != asked:
            words = f"{payment.amount} was paid where {asked} was asked. We are looking into it."
            await self._set_aside(tx, row, payment, charge, "mispaid", words, now)
        elif int(row["credited"]):
            transfers = postings.receipted(row["id"], asked, payment.receipt, charge)
            changes: dict[str, object] = {"receipt": payment.receipt, "next_attempt_at": None}
            await self._take_receipt(tx, row, payment, transfers, now)
            await self._move(tx, row, DepositEvent.PAID, changes, now)
            await self._post(tx, transfers, Plan())
        elif row["customer_id"] in self._closed:
            await self._set_aside(tx, row, payment, charge, "account_closed", CLOSED_WORDS, now)
        else:
            transfers = postings.paid(row["id"], row["customer_id"], asked, payment.receipt, charge)
            await self._take_receipt(tx, row, payment, transfers, now)
            await self._credit(tx, row, DepositEvent.PAID, transfers, payment.receipt, now)

    async def charge(self, tx: Tx, payment: Payment, now: datetime) -> Money:
        """What M-Pesa keeps of a payment to us."""
        at = payment.completed_at or now
        return await self._tariffs.charge(tx, TariffKind.PAYMENT, payment.amount, at)

    async def confirm(self, tx: Tx, row: Row, now: datetime) -> None:
        """This will take M-Pesa's word, given without a receipt, up to the set amount.

        Above it, or where the account is closed, the deposit waits, confirmed but not credited, for
        its receipt.
        """
        amount = KES.units(int(row["amount"]))
        if amount > self._in_transit_limit or row["customer_id"] in self._closed:
            log.warning("a deposit is confirmed and not credited", deposit=str(row["id"]))
            changes: dict[str, object] = {"next_attempt_at": None}
            await self._move(tx, row, DepositEvent.CONFIRMED, changes, now)
            return
        transfers = postings.confirmed(row["id"], row["customer_id"], amount)
        await self._credit(tx, row, DepositEvent.CONFIRMED, transfers, None, now)

    async def fail(
        self, tx: Tx, row: Row, event: DepositEvent, *, code: str, words: str, now: datetime
    ) -> None:
        """This will end a deposit without money and let go of what was reserved for it."""
        plan = await self._release(tx, row, words, now)
        changes: dict[str, object] = {
            "code": code[:60],
            "words": words[:300],
            "next_attempt_at": None,
            "plan": row["plan"] if row["purpose"] is None else "released",
        }
        await self._move(tx, row, event, changes, now, note=words[:300])
        await self._post(tx, [], plan)

    async def unpaid(self, tx: Tx, row: Row, words: str, actor: Actor, now: datetime) -> None:
        """This will end a deposit that M-Pesa called paid and has no receipt of: what was given for
        it is taken back, and what is spent of it is owed. Paid after all it counts anew.

        Raises: StateMoved.
        """
        if not int(row["credited"]):
            await self.fail(tx, row, DepositEvent.ABSENT, code="absent", words=words, now=now)
            return
        amount = KES.units(int(row["credited"]))
        await self._limits.release(tx, row["customer_id"], LIMIT_KIND, amount, row["limit_day"])
        changes: dict[str, object] = {
            "credited": 0,
            "code": "absent",
            "words": words[:300],
            "next_attempt_at": None,
        }
        await self._move(tx, row, DepositEvent.ABSENT, changes, now, note=words[:300])
        await self._debts.claw_back(
            tx,
            customer_id=row["customer_id"],
            amount=amount,
            to=postings.IN_TRANSIT,
            cause=row["reference"],
            about=postings.reference(row["id"]),
            group=new_id(),
            actor=actor,
            now=now,
            why=UNPAID,
        )

    async def apply_due_plan(self, tx: Tx, row: Row, now: datetime) -> None:
        """This will try again what a product could not say when its deposit was paid."""
        if row["plan"] != "due":
            return
        handler = self._purposes.get(row["purpose"])
        plan = await handler.paid(tx, _fact(row, row["receipt"], None), now)
        try:
            await self._post_plan(tx, row["id"], [], plan)
        except DebtOutstanding:
            # The money that came has repaid a debt meanwhile: there is none for the product.
            lacking = Result(plan.transfers[0].id, ResultCode.INSUFFICIENT_FUNDS, None, None)
            await plan.refused(tx, lacking)
            await tx.execute(sql.PLANNED, row["id"], "refused")

    async def _credit(
        self,
        tx: Tx,
        row: Row,
        event: DepositEvent,
        transfers: list[Transfer],
        receipt: str | None,
        now: datetime,
    ) -> None:
        """The money and, in a group of its own, what the product makes of it."""
        plan = await self._plan(tx, row, receipt, now)
        changes: dict[str, object] = {
            "receipt": receipt,
            "credited": row["amount"],
            "code": None,
            "words": None,
            "next_attempt_at": None,
            "plan": "due" if plan is None else row["plan"],
        }
        await self._move(tx, row, event, changes, now)
        try:
            if plan is None or row["purpose"] is None:
                await self._post(tx, transfers, Plan())
            else:
                await self._post_plan(tx, row["id"], transfers, plan)
        except AccountGone as gone:
            self._closed.add(row["customer_id"])
            raise RetryTransaction(str(gone)) from gone

    async def _set_aside(
        self,
        tx: Tx,
        row: Row,
        payment: Payment,
        charge: Money,
        code: str,
        words: str,
        now: datetime,
    ) -> None:
        """The shillings wait in suspense for two persons."""
        if int(row["credited"]):
            raise StateMoved(details={"state": row["state"]})  # given already, by M-Pesa's word
        transfers = postings.mispaid(row["id"], payment.amount, payment.receipt, charge)
        await self._take_receipt(tx, row, payment, transfers, now)
        plan = await self._release(tx, row, words, now)
        changes: dict[str, object] = {
            "receipt": payment.receipt,
            "code": code,
            "words": words,
            "next_attempt_at": None,
            "plan": row["plan"] if row["purpose"] is None else "released",
        }
        await self._move(tx, row, DepositEvent.MISPAID, changes, now, note=words)
        await self._post(tx, transfers, plan)

    async def _release(self, tx: Tx, row: Row, words: str, now: datetime) -> Plan:
        """What was reserved, limit and goods, is let go of; once."""
        if row["state"] == DepositState.FAILED.value:
            return Plan()
        amount = KES.units(int(row["amount"]))
        plan = Plan()
        if row["purpose"] is not None:
            handler = self._purposes.get(row["purpose"])
            plan = await handler.failed(tx, _fact(row, None, words), now)
        await self._limits.release(tx, row["customer_id"], LIMIT_KIND, amount, row["limit_day"])
        return plan

    async def _plan(self, tx: Tx, row: Row, receipt: str | None, now: datetime) -> Plan | None:
        """The product's plan; None where it could not say. Money comes first."""
        if row["purpose"] is None:
            return Plan()
        handler = self._purposes.get(row["purpose"])
        try:
            async with tx.savepoint():
                return await handler.paid(tx, _fact(row, receipt, None), now)
        except RETRYABLE:
            raise
        except Exception as bug:  # noqa: BLE001 - the money is booked whatever a product does
            words = "a product could not plan, its money is booked"
            UNPLANNED.ring(words, exc_info=bug, deposit=str(row["id"]))
            return None

    async def _post_plan(
        self, tx: Tx, deposit_id: UUID, transfers: list[Transfer], plan: Plan
    ) -> None:
        fault = await self._post(tx, transfers, plan)
        await tx.execute(sql.PLANNED, deposit_id, "booked" if fault is None else "refused")

    async def _post(self, tx: Tx, ours: list[Transfer], plan: Plan) -> Result | None:
        """Both groups in one posting; then the plan hears how its own went."""
        theirs = linked(list(plan.transfers))
        results = await self._ledger.post(tx, [*ours, *theirs], SYSTEM)
        if fault := first_fault(results[: len(ours)]):
            if fault.code is ResultCode.ACCOUNT_CLOSED:
                raise AccountGone(f"account_closed for transfer {fault.id}")
            raise NotBooked(f"{fault.code.value} for transfer {fault.id}")
        refused = first_fault(results[len(ours) :])
        if refused is None:
            await plan.booked(tx)
        else:
            await plan.refused(tx, refused)
        return refused

    async def _take_receipt(
        self, tx: Tx, row: Row, payment: Payment, transfers: list[Transfer], now: datetime
    ) -> None:
        """The one door into mpesa:collection: a receipt opens it once, for ever."""
        taken = await tx.fetchval(
            sql.TAKE_RECEIPT,
            payment.receipt,
            payment.amount.units,
            row["id"],
            transfers[0].group,
            payment.completed_at,
            now,
        )
        if not taken:
            raise ReceiptTaken(f"the receipt claimed for deposit {row['id']} is another's")

    async def _move(
        self,
        tx: Tx,
        row: Row,
        event: DepositEvent,
        changes: dict[str, object],
        now: datetime,
        *,
        note: str | None = None,
    ) -> None:
        await TABLE.move(tx, row, event, now=now, actor=SYSTEM, note=note, changes=changes)
        payload = {
            "customer_id": str(row["customer_id"]),
            "amount": KES.units(int(row["amount"])).decimal,
            "purpose": row["purpose"],
            "receipt": changes.get("receipt"),
            "code": changes.get("code"),
        }
        await self._outbox.emit(tx, f"deposit.{event.value}", row["id"], payload, now)


def _fact(row: Row, receipt: str | None, words: str | None) -> DepositFact:
    return DepositFact(
        row["id"],
        row["customer_id"],
        KES.units(int(row["amount"])),
        row["purpose_id"],
        receipt,
        words,
    )
