"""How a withdrawal ends: paid, on M-Pesa's word with our id and amount, or failed, on evidence.

What M-Pesa paid is booked whatever it takes; what is not known stays reserved.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from hazina.desk.debts.service import Debts, Loss
from hazina.desk.limits import Limits
from hazina.flows.plan import Plan
from hazina.flows.treasury.postings import payout_charge
from hazina.flows.treasury.tariffs import Tariffs
from hazina.flows.treasury.terms import TariffKind
from hazina.flows.withdrawals import postings
from hazina.flows.withdrawals import repository as sql
from hazina.flows.withdrawals.purpose import PayoutFact, PayoutPurposes
from hazina.flows.withdrawals.repository import holds_of
from hazina.flows.withdrawals.request import LIMIT_KIND, TABLE
from hazina.flows.withdrawals.states import WithdrawalEvent, WithdrawalState
from hazina.flows.withdrawals.terms import Fee
from hazina.infra.db import Row, Tx
from hazina.infra.outbox import Outbox
from hazina.kernel.actor import SYSTEM, Actor
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, Money
from hazina.ledger.accounts import AccountIsClosed
from hazina.ledger.chart import AccountRef, customer
from hazina.ledger.codes import Code
from hazina.ledger.core import Leg, ResultCode, Transfer, first_fault, linked
from hazina.ledger.service import Ledger

LATE = Loss(Code.WITHDRAWAL_LATE, "customer.paid_late", "customer.paid_late_owes")
LATE_WORDS = "M-Pesa paid it after it had said that it did not."
UNPAID, UNPAID_WORDS = (
    "given_back",
    ("M-Pesa had told us that it was paid; its own statement shows that it never was."),
)


class NotBooked(Exception):
    """The ledger refused what M-Pesa has done: an alarm, and the job tries again."""


class Settlement:
    """The transitions that move money. Every method joins the caller's transaction, in which the
    withdrawal's row is locked, and posts once, last."""

    def __init__(
        self,
        ledger: Ledger,
        limits: Limits,
        outbox: Outbox,
        tariffs: Tariffs,
        purposes: PayoutPurposes,
        debts: Debts,
    ) -> None:
        self._ledger = ledger
        self._limits = limits
        self._tariffs = tariffs
        self._outbox = outbox
        self._purposes = purposes
        self._debts = debts

    async def pay(self, tx: Tx, row: Row, receipt: str, now: datetime) -> None:
        """This will book a payout that M-Pesa has made. Raises: StateMoved, NotBooked."""
        amount = KES.units(int(row["amount"]))
        charge = await self._tariffs.charge(tx, TariffKind.PAYOUT, amount, now)
        holds, plan = holds_of(row), Plan()
        if holds is not None:
            transfers = postings.paid(row["id"], holds, charge)
        else:
            handler = self._purposes.get(row["purpose"])
            wallet = customer(row["customer_id"], KES)
            stopped = await self._ledger.list_stopped(tx, [wallet])
            payer = postings.IN_TRANSIT if stopped else wallet
            plan = await handler.paid(tx, _fact(row, receipt, None, payer), now)
            payout = postings.paid_funded(row["id"], payer, amount, charge)
            transfers = [*plan.transfers, *payout]
        group = new_id()
        changes: dict[str, object] = {
            "receipt": receipt,
            "group_id": group,
            "code": None,
            "words": None,
        }
        await self._move(tx, row, WithdrawalEvent.PAID, changes, now)
        await self._post(tx, linked(transfers, group), plan)

    async def fail(
        self, tx: Tx, row: Row, event: WithdrawalEvent, *, code: str, words: str, now: datetime
    ) -> None:
        """This will free what was reserved, on positive evidence that nothing was paid."""
        amount, holds, plan = KES.units(int(row["amount"])), holds_of(row), Plan()
        if holds is not None:
            transfers: list[Transfer] = postings.failed(holds)
        else:
            handler = self._purposes.get(row["purpose"])
            plan = await handler.failed(tx, _fact(row, None, words), now)
            transfers = list(plan.transfers)
        await self._limits.release(tx, row["customer_id"], LIMIT_KIND, amount, row["limit_day"])
        changes: dict[str, object] = {"code": code[:60], "words": words[:300]}
        await self._move(tx, row, event, changes, now, note=words[:300])
        await self._post(tx, linked(transfers), plan)

    async def pay_late(
        self, tx: Tx, row: Row, receipt: str, now: datetime, *, actor: Actor = SYSTEM
    ) -> None:
        """This will book a payout that was made after it had ended as not paid, and its money was
        free again: what the customer has goes after it, the rest they owe. Our fee is not asked
        for, and what a product let go of stays let go of. Raises: StateMoved."""
        amount = asked_amount(row)
        charge = await self._tariffs.charge(tx, TariffKind.PAYOUT, amount, now)
        group, about = new_id(), postings.reference(row["id"])
        changes: dict[str, object] = {
            "receipt": receipt,
            "group_id": group,
            "code": None,
            "words": LATE_WORDS,
        }
        await self._move(tx, row, WithdrawalEvent.PAID_LATE, changes, now, actor=actor)
        await self._debts.claw_back(
            tx,
            customer_id=row["customer_id"],
            amount=amount,
            to=postings.UTILITY,
            cause=receipt,
            about=about,
            group=group,
            actor=actor,
            now=now,
            why=LATE,
            also=payout_charge(about, charge),
        )

    async def give_back(self, tx: Tx, row: Row, now: datetime, *, actor: Actor) -> None:
        """This will undo a payout that was booked as paid and never made: the amount is the
        customer's again, and our fee and M-Pesa's charge are undone as far as they were booked.
        Should the receipt turn up, it is told as paid after its end.

        Raises: StateMoved, AccountIsClosed.
        """
        legs = await self._ledger.legs(tx, row["group_id"])
        amount, group, receipt = asked_amount(row), new_id(), row["receipt"]
        fee = Fee(_moved(legs, Code.WITHDRAWAL_FEE, Code.FEE_EXCISE), _moved(legs, Code.FEE_EXCISE))
        charge = _moved(legs, Code.MPESA_CHARGE)
        if _moved(legs, Code.WITHDRAWAL):  # one that was paid late is not counted on its day
            owner, day = row["customer_id"], row["limit_day"]
            await self._limits.release(tx, owner, LIMIT_KIND, amount, day)
        changes: dict[str, object] = {
            "receipt": None,
            "group_id": None,
            "code": UNPAID,
            "words": UNPAID_WORDS,
        }
        given = (row["group_id"], group, row["id"], receipt, amount.units, now)
        await tx.execute(sql.GIVE_BACK, *given)
        note = f"it was booked under receipt {receipt}"
        event = WithdrawalEvent.GIVEN_BACK
        await self._move(tx, row, event, changes, now, note=note, actor=actor)
        transfers = postings.given_back(row["id"], row["customer_id"], amount, fee, charge, receipt)
        fault = first_fault(await self._ledger.post(tx, linked(transfers, group), actor))
        if fault is not None and fault.code is ResultCode.ACCOUNT_CLOSED:
            raise AccountIsClosed
        if fault is not None:
            raise NotBooked(f"{fault.code.value} for transfer {fault.id}")

    async def _post(self, tx: Tx, transfers: list[Transfer], plan: Plan) -> None:
        results = await self._ledger.post(tx, transfers, SYSTEM)
        if fault := first_fault(results):
            raise NotBooked(f"{fault.code.value} for transfer {fault.id}")
        await plan.booked(tx)

    async def _move(
        self,
        tx: Tx,
        row: Row,
        event: WithdrawalEvent,
        changes: dict[str, object],
        now: datetime,
        *,
        note: str | None = None,
        actor: Actor = SYSTEM,
    ) -> None:
        changes = {**changes, "next_attempt_at": None}
        await TABLE.move(tx, row, event, now=now, actor=actor, note=note, changes=changes)
        payload = {
            "customer_id": str(row["customer_id"]),
            "amount": KES.units(int(row["amount"])).decimal,
            "purpose": row["purpose"],
            "receipt": changes.get("receipt"),
            "phone": row["phone_masked"],
        }
        await self._outbox.emit(tx, f"withdrawal.{event.value}", row["id"], payload, now)


def is_open(row: Row) -> bool:
    """Whether M-Pesa may still decide about it."""
    return row["state"] in (
        WithdrawalState.SENDING.value,
        WithdrawalState.SENT.value,
        WithdrawalState.UNKNOWN.value,
    )


def _moved(legs: Sequence[Leg], *codes: Code) -> Money:
    """What a group moved under any of ``codes``."""
    return KES.units(sum(leg.amount.units for leg in legs if leg.code in codes))


def asked_amount(row: Row) -> Money:
    return KES.units(int(row["amount"]))


def _fact(
    row: Row, receipt: str | None, words: str | None, payer: AccountRef | None = None
) -> PayoutFact:
    owner: UUID = row["customer_id"]
    payer = payer or customer(owner, KES)
    return PayoutFact(row["id"], owner, asked_amount(row), row["purpose_id"], receipt, words, payer)
