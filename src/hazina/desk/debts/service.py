"""Debts: taking back what the outside has taken back, collecting it, giving it up.

**Invariant:** what a customer owes is what their receivable account holds, debt by debt; the proof
compares the two. Every method joins the caller's transaction; those that post do so last.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hazina.desk.approvals import Approval, Approvals, Wish
from hazina.desk.debts import postings
from hazina.desk.debts import repository as sql
from hazina.desk.debts.repay import TABLE, RepayFirst
from hazina.desk.debts.repository import Debt, Reader
from hazina.desk.debts.states import DebtEvent, DebtState
from hazina.identity.customers import Customers
from hazina.identity.people import Operator
from hazina.infra.db import RetryTransaction, Tx
from hazina.infra.outbox import Outbox
from hazina.kernel.actor import Actor
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import new_id
from hazina.kernel.machine import StateMoved
from hazina.kernel.money import Money
from hazina.ledger.chart import AccountRef, customer
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, ResultCode, Terms, Transfer, first_fault, linked, move
from hazina.ledger.service import Ledger

WRITE_OFF = "debt.write_off"
MOST_LISTED = 500


@dataclass(frozen=True, slots=True)
class Loss:
    """Why something is taken from a customer: what the movement is called in the books, and the
    facts that are told, where they had all of it and where they owe some."""

    code: Code
    told: str
    told_owing: str


REVERSED = Loss(Code.CLAW_BACK, "customer.clawed_back", "customer.owes")


class Debts:
    """What flows and the shells may ask."""

    def __init__(
        self,
        ledger: Ledger,
        rule: RepayFirst,
        approvals: Approvals,
        customers: Customers,
        outbox: Outbox,
    ) -> None:
        self._ledger, self._rule, self._approvals = ledger, rule, approvals
        self._customers, self._outbox = customers, outbox
        approvals.register(WRITE_OFF, self._write_off)

    async def claw_back(
        self,
        tx: Tx,
        *,
        customer_id: UUID,
        amount: Money,
        to: AccountRef,
        cause: str,
        about: Reference,
        group: UUID,
        actor: Actor,
        now: datetime,
        why: Loss = REVERSED,
        also: Sequence[Transfer] = (),
    ) -> Money:
        """This will give ``to`` back what a customer was given, as ``group``: what they have of it,
        and for the rest a debt. ``also`` is booked with it. Answers what is owed now.

        Waits for whatever is being booked for the customer. Posts, as the last act.
        """
        await tx.execute(sql.BAR, customer_id)
        wallet = customer(customer_id, amount.asset)
        balance = await self._ledger.balance(tx, wallet)
        stopped = await self._ledger.list_stopped(tx, [wallet])
        free = amount.asset.units(0) if stopped else max(balance.available, amount.asset.units(0))
        taken = min(free, amount)
        owed = amount - taken
        transfers: list[Transfer] = []
        if taken:
            still = Terms(if_debit_version=balance.version)
            facts = {"receipt": cause}
            transfers = [move(wallet, to, taken, why.code, about, metadata=facts, terms=still)]
        if owed:
            transfers.append(await self._open(tx, customer_id, owed, to, cause, actor, now))
        payload = {
            "customer_id": str(customer_id),
            "amount": amount.decimal,
            "owed": owed.decimal,
            "receipt": cause,
        }
        topic = why.told_owing if owed else why.told
        await self._outbox.emit(tx, topic, customer_id, payload, now)
        results = await self._ledger.post(tx, linked([*transfers, *also], group), actor)
        if fault := first_fault(results):
            # A hold of the customer's was let go of, or the account frozen, since we looked.
            raise RetryTransaction(fault.code.value)
        return owed

    async def list_of(self, reader: Reader, customer_id: UUID) -> Sequence[Debt]:
        """What a customer owes, the oldest first."""
        return [Debt.of(row) for row in await reader.fetch(sql.OPEN_OF, customer_id)]

    async def list_open(self, reader: Reader, *, limit: int = MOST_LISTED) -> Sequence[Debt]:
        """What anybody owes, the oldest first."""
        return [Debt.of(row) for row in await reader.fetch(sql.OPEN, limit)]

    async def get(self, reader: Reader, debt_id: UUID) -> Debt:
        """Raises: NotFound."""
        rows = await reader.fetch(sql.GET, debt_id)
        if not rows:
            raise NotFound
        return Debt.of(rows[0])

    async def collect(self, tx: Tx, debt_id: UUID, actor: Actor) -> None:
        """This will take what came free, when a hold ended, for a debt. Posts."""
        row = await TABLE.lock(tx, debt_id)
        debt = Debt.of(row)
        if debt.state is not DebtState.OPEN:
            return
        wallet = customer(debt.customer_id, debt.outstanding.asset)
        free = (await self._ledger.balance(tx, wallet)).available.units
        if free <= 0 or await self._ledger.list_stopped(tx, [wallet]):
            return
        transfer = postings.collected(debt_id, debt.customer_id, debt.outstanding)
        [result] = await self._ledger.post(tx, [transfer], actor)
        if result.code is ResultCode.CREATED and result.amount_units:
            part = debt.outstanding.asset.units(result.amount_units)
            await self._rule.repaid(tx, row, part, (debt.outstanding - part).units)

    async def ask_write_off(
        self,
        tx: Tx,
        debt_id: UUID,
        *,
        reason: str,
        operator: Operator,
        actor: Actor,
        now: datetime,
    ) -> Approval:
        """This will ask a second person to give up what is left of a debt.

        Raises: StateMoved, NotFound, and as ``Approvals.request``.
        """
        debt = Debt.of(await TABLE.lock(tx, debt_id))
        if debt.state is not DebtState.OPEN:
            raise StateMoved(details={"state": debt.state.value})
        owner = await self._customers.get(tx, debt.customer_id)
        summary = f"Give up {debt.outstanding} that {owner.username} owes since {debt.since:%F}"
        facts = {"outstanding": debt.outstanding.decimal}
        wish = Wish(WRITE_OFF, debt_id, facts, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def _open(
        self,
        tx: Tx,
        customer_id: UUID,
        owed: Money,
        to: AccountRef,
        cause: str,
        actor: Actor,
        now: datetime,
    ) -> Transfer:
        debt_id = new_id()
        await tx.execute(
            sql.ADD, debt_id, customer_id, owed.asset.code, owed.units, cause[:60], now
        )
        await TABLE.begin(tx, debt_id, now=now, actor=actor)
        return postings.owed(debt_id, customer_id, to, owed)

    async def _write_off(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        """What came back since it was asked is not given up."""
        row = await TABLE.lock(tx, approval.subject)
        debt = Debt.of(row)
        note = approval.reason[:300]
        await TABLE.move(
            tx,
            row,
            DebtEvent.WRITTEN_OFF,
            now=now,
            actor=actor,
            note=note,
            changes={"outstanding": 0},
        )
        transfers = postings.written_off(debt.id, debt.customer_id, debt.outstanding)
        if fault := first_fault(await self._ledger.post(tx, transfers, actor)):
            raise AssertionError(f"giving a debt up was refused: {fault.code.value}")
