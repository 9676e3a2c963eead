"""The one door into mpesa:collection, and payments whose reference names a prompt of ours."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import structlog

from hazina.flows.deposits.repository import Reader
from hazina.flows.deposits.request import REFERENCE_PREFIX, TABLE
from hazina.flows.deposits.settle import Payment, ReceiptTaken, Settlement
from hazina.flows.deposits.states import DepositEvent, DepositState
from hazina.infra.db import Tx
from hazina.infra.outbox import Outbox
from hazina.kernel.actor import SYSTEM, Actor
from hazina.kernel.errors import NotFound
from hazina.kernel.machine import StateMoved
from hazina.kernel.money import KES, Money

log = structlog.stdlib.get_logger()

BY_REFERENCE = "SELECT id, receipt FROM deposits.deposit WHERE reference = $1"
STATE = "SELECT state, code FROM deposits.deposit WHERE id = $1"
OTHER_AMOUNT = "another amount than the prompt asked for"
OWNER = "SELECT customer_id FROM deposits.deposit WHERE id = $1"
RECEIPT = """
SELECT receipt, amount, deposit_id, payment_id FROM deposits.mpesa_receipt WHERE receipt = $1
"""
KNOWN = "SELECT receipt FROM deposits.mpesa_receipt WHERE receipt = ANY($1)"
TAKE = """
INSERT INTO deposits.mpesa_receipt
    (receipt, amount, payment_id, group_id, completed_at, received_at)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (receipt) DO NOTHING RETURNING true
"""


class Resolution(StrEnum):
    """How shillings that were paid otherwise than asked left suspense."""

    GIVEN = "given"  # two persons gave them to who had asked to pay
    GIVEN_AWAY = "given_away"  # two persons gave them to another customer
    SENT_BACK = "sent_back"  # they went back to who paid


OPEN_WORDS = "We are looking into it."  # ends the words of a deposit that waits for a person
ENDINGS = {
    Resolution.GIVEN: "Two persons decided whose it is.",
    Resolution.GIVEN_AWAY: "Two persons decided that it is another customer's.",
    Resolution.SENT_BACK: "M-Pesa sent it back to who paid it.",
}


@dataclass(frozen=True, slots=True)
class Taken:
    """A receipt that has opened the door, and for which of the two."""

    receipt: str
    amount: Money
    deposit_id: UUID | None
    payment_id: UUID | None


class Arrivals:
    """What the slice of unasked payments may do with deposits and their receipts."""

    def __init__(self, settlement: Settlement, outbox: Outbox) -> None:
        self._settlement, self._outbox = settlement, outbox

    async def find_receipt(self, reader: Reader, receipt: str) -> Taken | None:
        row = await reader.fetchrow(RECEIPT, receipt)
        if row is None:
            return None
        amount = KES.units(int(row["amount"]))
        return Taken(row["receipt"], amount, row["deposit_id"], row["payment_id"])

    async def known_receipts(self, reader: Reader, receipts: Sequence[str]) -> set[str]:
        """Those of ``receipts`` that have opened the door."""
        return {row["receipt"] for row in await reader.fetch(KNOWN, list(receipts))}

    async def take(
        self, tx: Tx, payment: Payment, payment_id: UUID, group: UUID, now: datetime
    ) -> bool:
        """This will open the door for a payment that is no prompt's; False: it was opened."""
        taken = await tx.fetchval(
            TAKE,
            payment.receipt,
            payment.amount.units,
            payment_id,
            group,
            payment.completed_at,
            now,
        )
        return bool(taken)

    async def charge(self, tx: Tx, payment: Payment, now: datetime) -> Money:
        """What M-Pesa keeps of a payment to us."""
        return await self._settlement.charge(tx, payment, now)

    async def is_suspended(self, reader: Reader, deposit_id: UUID) -> bool:
        """Whether a prompt was paid with another amount, and the shillings wait in suspense."""
        row = await reader.fetchrow(STATE, deposit_id)
        return row is not None and row["state"] == DepositState.SUSPENDED.value

    async def why_suspended(self, reader: Reader, deposit_id: UUID) -> str:
        """Why a prompt's shillings wait in suspense."""
        row = await reader.fetchrow(STATE, deposit_id)
        gone = row is not None and row["code"] == "account_closed"
        return "the customer's account is closed" if gone else OTHER_AMOUNT

    async def owner_of(self, reader: Reader, deposit_id: UUID) -> UUID:
        """Whose deposit it is. Raises: NotFound."""
        row = await reader.fetchrow(OWNER, deposit_id)
        if row is None:
            raise NotFound
        owner: UUID = row["customer_id"]
        return owner

    async def resolve(
        self,
        tx: Tx,
        deposit_id: UUID,
        paid: Money,
        ending: Resolution,
        actor: Actor,
        now: datetime,
    ) -> None:
        """This will end a deposit whose suspended shillings were given to somebody or went back,
        and state it: ``deposit.resolved``."""
        row = await TABLE.lock(tx, deposit_id)
        if row["state"] != DepositState.SUSPENDED.value:
            return
        words = ENDINGS[ending]
        told = f"{(row['words'] or '').removesuffix(OPEN_WORDS).strip()} {words}"[:300]
        await TABLE.move(
            tx, row, DepositEvent.RESOLVED, now=now, actor=actor, note=words,
            changes={"words": told, "code": ending.value},
        )  # fmt: skip
        payload = {
            "customer_id": str(row["customer_id"]),
            "amount": paid.decimal,
            "receipt": row["receipt"],
            "ending": ending.value,
        }
        await self._outbox.emit(tx, "deposit.resolved", deposit_id, payload, now)

    async def taken_back(self, tx: Tx, deposit_id: UUID, amount: Money, now: datetime) -> None:
        """This will let a paid deposit say that M-Pesa took its payment, or some of it, back.

        Locks the deposit; the shillings are the caller's to book.
        """
        row = await TABLE.lock(tx, deposit_id)
        if row["state"] != DepositState.PAID.value:
            return
        words = f"M-Pesa took {amount} back and returned it to who paid."
        await TABLE.move(
            tx, row, DepositEvent.TAKEN_BACK, now=now, actor=SYSTEM, note=words,
            changes={"words": words},
        )  # fmt: skip

    async def find_prompt(self, reader: Reader, account: str) -> UUID | None:
        """The deposit whose prompt carries this reference."""
        row = await reader.fetchrow(BY_REFERENCE, account.upper()) if is_prompt(account) else None
        return row["id"] if row else None

    async def settle(self, tx: Tx, deposit_id: UUID, payment: Payment, now: datetime) -> bool:
        """This will book a proven payment to its prompt; False where it is not the prompt's.

        Locks the deposit. Posts, as the last act, unless the receipt was booked to it before.
        """
        row = await TABLE.lock(tx, deposit_id)
        if row["receipt"] == payment.receipt:
            return True
        try:
            async with tx.savepoint():
                await self._settlement.pay(tx, row, payment, now)
        except (ReceiptTaken, StateMoved):
            log.warning("a second payment under a prompt's reference", deposit=str(deposit_id))
            return False
        return True


def is_prompt(account: str) -> bool:
    """Whether what was typed, or carried, begins as only a prompt's reference does."""
    return account.upper().startswith(REFERENCE_PREFIX)
