"""Where a proven payment goes: to its prompt, to a customer, or into suspense.

Proven means that M-Pesa itself, asked by us, calls it completed, for our shortcode, with that
amount. Every method joins a transaction in which the payment's row is locked, and posts once, last.
"""

from datetime import datetime
from uuid import UUID

import structlog

from hazina.flows.deposits.accounts import AccountNumbers
from hazina.flows.deposits.arrivals import Arrivals, is_prompt
from hazina.flows.deposits.settle import NotBooked, Payment
from hazina.flows.receipts import postings
from hazina.flows.receipts.states import MACHINE, PaymentEvent
from hazina.infra.db import Row, Tx
from hazina.infra.outbox import Outbox
from hazina.infra.states import StateTable
from hazina.kernel.actor import SYSTEM
from hazina.kernel.money import KES
from hazina.ledger.core import Transfer, first_fault
from hazina.ledger.service import Ledger

log = structlog.stdlib.get_logger()

TABLE = StateTable("receipts.payment", MACHINE)


class ReceiptElsewhere(Exception):
    """The receipt was booked to something else meanwhile."""


class Settlement:
    """The transitions that book a payment."""

    def __init__(
        self, ledger: Ledger, arrivals: Arrivals, accounts: AccountNumbers, outbox: Outbox
    ) -> None:
        self._ledger, self._arrivals = ledger, arrivals
        self._accounts, self._outbox = accounts, outbox

    async def book(self, tx: Tx, row: Row, now: datetime, *, nobodys: str | None = None) -> None:
        """This will book a proven payment; ``nobodys`` says why it must go to suspense.

        Raises: NotBooked, ReceiptElsewhere.
        """
        payment = payment_of(row)
        taken = await self._arrivals.find_receipt(tx, payment.receipt)
        if taken is not None and taken.deposit_id is not None:
            if taken.amount != payment.amount:
                raise ReceiptElsewhere(f"{payment.receipt} was booked with another amount")
            await self._bind(tx, row, taken.deposit_id, now)
            return
        if nobodys is None and is_prompt(row["account"]):
            found = await self._arrivals.find_prompt(tx, row["account"])
            if found is not None and await self._arrivals.settle(tx, found, payment, now):
                await self._bind(tx, row, found, now)
                return
            nobodys = "it carries a prompt's reference, but is not that prompt's payment"
        owner = None
        if nobodys is None:
            owner = await self._accounts.find_owner(tx, row["account"])
            nobodys = "nobody has that account number"
        if owner is not None:
            await self._credit(tx, row, payment, owner, now)
        else:
            await self._suspend(tx, row, payment, nobodys or "", now)

    async def _bind(self, tx: Tx, row: Row, deposit_id: UUID, now: datetime) -> None:
        changes: dict[str, object] = {"deposit_id": deposit_id}
        if await self._arrivals.is_suspended(tx, deposit_id):
            # Booked into suspense by the deposit: from here two persons can clear it.
            changes["why"] = await self._arrivals.why_suspended(tx, deposit_id)
            changes["suggested_id"] = await self._accounts.find_payer(tx, row["payer_index"])
            await self._move(tx, row, PaymentEvent.SUSPENDED, changes, now)
            return
        await self._move(tx, row, PaymentEvent.BOUND, changes, now)

    async def _credit(self, tx: Tx, row: Row, payment: Payment, owner: UUID, now: datetime) -> None:
        charge = await self._arrivals.charge(tx, payment, now)
        transfers = postings.credited(row["id"], owner, payment.amount, payment.receipt, charge)
        await self._take(tx, row, payment, transfers, now)
        changes: dict[str, object] = {"customer_id": owner, "group_id": transfers[0].group}
        await self._move(tx, row, PaymentEvent.CREDITED, changes, now)
        await self._post(tx, transfers)

    async def _suspend(self, tx: Tx, row: Row, payment: Payment, why: str, now: datetime) -> None:
        charge = await self._arrivals.charge(tx, payment, now)
        transfers = postings.suspended(row["id"], payment.amount, payment.receipt, charge)
        await self._take(tx, row, payment, transfers, now)
        changes: dict[str, object] = {
            "suggested_id": await self._accounts.find_payer(tx, row["payer_index"]),
            "group_id": transfers[0].group,
            "why": why[:300],
        }
        await self._move(tx, row, PaymentEvent.SUSPENDED, changes, now, note=why[:300])
        await self._post(tx, transfers)

    async def _take(
        self, tx: Tx, row: Row, payment: Payment, transfers: list[Transfer], now: datetime
    ) -> None:
        group = transfers[0].group
        assert group is not None
        if not await self._arrivals.take(tx, payment, row["id"], group, now):
            raise ReceiptElsewhere(payment.receipt)

    async def _post(self, tx: Tx, transfers: list[Transfer]) -> None:
        if fault := first_fault(await self._ledger.post(tx, transfers, SYSTEM)):
            raise NotBooked(f"{fault.code.value} for transfer {fault.id}")

    async def _move(
        self,
        tx: Tx,
        row: Row,
        event: PaymentEvent,
        changes: dict[str, object],
        now: datetime,
        *,
        note: str | None = None,
    ) -> None:
        changes = {**changes, "next_attempt_at": None}
        await TABLE.move(tx, row, event, now=now, actor=SYSTEM, note=note, changes=changes)
        payload = {
            "customer_id": str(changes.get("customer_id") or "") or None,
            "amount": payment_of(row).amount.decimal,
        }
        await self._outbox.emit(tx, f"payment.{event.value}", row["id"], payload, now)


def payment_of(row: Row) -> Payment:
    return Payment(row["receipt"], KES.units(int(row["amount"])), row["paid_at"])
