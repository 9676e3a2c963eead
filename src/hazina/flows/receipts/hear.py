"""What is said of payments that came unasked, by notices and by answers to our questions.

A notice is a claim: it writes a row, *incoming*, and has M-Pesa asked. Only M-Pesa's own answer,
for our shortcode and with that amount, books it; a stranger's word names no account number, so it
waits for M-Pesa's list, which carries the number itself.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hazina.flows.deposits.accounts import AccountNumbers
from hazina.flows.deposits.arrivals import Arrivals, is_prompt
from hazina.flows.deposits.settle import NotBooked
from hazina.flows.receipts import repository as sql
from hazina.flows.receipts.settle import TABLE, ReceiptElsewhere, Settlement
from hazina.flows.receipts.states import UNPROVEN, PaymentEvent, PaymentState
from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, Row, Tx
from hazina.infra.inbox import InboxMessage, InboxState
from hazina.infra.jobs import Jobs
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES
from hazina.ledger.chart import customer
from hazina.ledger.service import Ledger
from hazina.rails.callbacks import Settled, callback_token
from hazina.rails.ports import (
    Event,
    PaymentNotice,
    StatusResult,
    StatusState,
    StatusTimeoutNotice,
)
from hazina.rails.receipts import PulledPayment, ReceiptRail, StatementLine

CONTRADICTED = Alarm("payment-contradicted")

ADVANCE = "payment.advance"
FIRST_PAUSE, MAX_PAUSE = timedelta(seconds=30), timedelta(minutes=10)
GIVE_UP_ASKING = timedelta(hours=48)  # M-Pesa's list goes no further back: a person
ENOUGH_NOT_FOUND = 2
MOST_STRANGERS = 20  # whose claims M-Pesa is asked about; above, its list alone decides
STRANGER = Settled(InboxState.REFUSED, "from a stranger: M-Pesa is asked instead")
FOREIGN = Settled(InboxState.REFUSED, "speaks of another payment than its address")


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says of a payment."""

    receipt: str
    amount_units: int
    account: str
    payer_index: bytes | None
    payer_shown: str
    paid_at: datetime | None
    heard_from: str
    trusted: bool


class Listener:
    """Notices, answers and questions about payments that came unasked."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        jobs: Jobs,
        rail: ReceiptRail,
        accounts: AccountNumbers,
        arrivals: Arrivals,
        settlement: Settlement,
        ledger: Ledger,
    ) -> None:
        self._db, self._clock, self._jobs, self._rail = db, clock, jobs, rail
        self._ledger = ledger
        self._accounts, self._arrivals, self._settlement = accounts, arrivals, settlement

    async def may_pay(self, token: str, notice: PaymentNotice) -> bool:
        """Whether a payment that is announced names somebody who can be paid: a closed account
        takes nothing. A stranger learns nothing here."""
        if token != self._rail.notice_token or notice.shortcode != self._rail.shortcode:
            return True
        if is_prompt(notice.account):
            return True
        owner = await self._accounts.find_owner(self._db, notice.account)
        if owner is None:
            return False
        return not await self._ledger.list_closed(self._db, [customer(owner, KES)])

    async def on_validation(self, message: InboxMessage, event: Event) -> Settled | None:  # noqa: ARG002
        """It was answered when it came; it is kept as evidence alone."""
        return None

    async def on_notice(self, message: InboxMessage, event: Event) -> Settled | None:
        """This will write a claim down and have M-Pesa asked about it. Safe to run twice."""
        if not isinstance(event, PaymentNotice):
            return Settled(InboxState.REFUSED, "not a payment")
        if not self._rail.notice_token or callback_token(message) != self._rail.notice_token:
            return Settled(InboxState.REFUSED, "not our address")
        if event.shortcode != self._rail.shortcode:
            return Settled(InboxState.REFUSED, "paid to another shortcode")
        digest = event.payer_digest
        claim = Claim(
            event.receipt,
            event.amount_units,
            event.account,
            self._accounts.index_of_payer(digest, event.payer_mask),
            event.payer_shown,
            event.paid_at,
            "notice",
            message.trusted,
        )
        return await self._db.run(lambda tx: self._hear(tx, claim, self._clock.now()))

    async def on_status(self, message: InboxMessage, event: Event) -> Settled | None:
        """This will act on M-Pesa's answer to a question of ours. Safe to run twice."""
        found = await self._db.fetchval(sql.OF_QUESTION, callback_token(message))
        if found is None:
            return FOREIGN
        if isinstance(event, StatusTimeoutNotice):
            return None  # the next question is due anyway
        if not isinstance(event, StatusResult) or not message.trusted:
            return STRANGER
        now = self._clock.now()
        return await self.proving(lambda tx, why: self._answer(tx, found, event, now, why))

    async def pulled(self, payment: PulledPayment) -> None:
        """This will act on one line of M-Pesa's own list, which proves a payment by itself."""
        digest = payment.payer_digest
        claim = Claim(
            payment.receipt,
            payment.amount_units,
            payment.account,
            self._accounts.index_of_payer(digest, None),
            payment.payer_shown,
            payment.paid_at,
            "pull",
            True,
        )
        await self.proving(lambda tx, why: self._prove(tx, claim, self._clock.now(), why))

    async def stated(self, line: StatementLine) -> bool:
        """This will treat a line of an imported statement as a claim; False: known already.

        A person brought the file: M-Pesa is asked before anything is booked.
        """
        digest = line.payer_digest
        claim = Claim(
            line.receipt,
            line.amount_units,
            line.account,
            self._accounts.index_of_payer(digest, line.payer_mask),
            line.payer_shown,
            line.at,
            "statement",
            True,
        )
        if await self._db.fetchval(sql.BY_RECEIPT, line.receipt) is not None:
            return False
        await self._db.run(lambda tx: self._hear(tx, claim, self._clock.now()))
        return True

    async def ask(self, payment_id: UUID) -> None:
        """This will ask M-Pesa about an incoming payment; the answer comes as a callback."""
        token = secrets.token_hex(16)

        async def note(tx: Tx) -> str | None:
            now = self._clock.now()
            row = await TABLE.lock(tx, payment_id)
            due = row["next_attempt_at"]
            if row["state"] != PaymentState.INCOMING.value or due is None or due > now:
                return None
            if await self._dismissed(tx, row, now):
                return None
            if not row["trusted"] and await tx.fetchval(sql.STRANGERS) > MOST_STRANGERS:
                # Asking would only dismiss it sooner, and so many would use up what M-Pesa allows.
                await tx.execute(sql.LOOK_AGAIN, payment_id, now + MAX_PAUSE)
                return None
            pause = min(FIRST_PAUSE * 2 ** min(row["questions"], 8), MAX_PAUSE)
            again = now + pause if now - row["heard_at"] < GIVE_UP_ASKING else None
            await tx.execute(sql.ASK, token, payment_id, now)
            await tx.execute(sql.ASKED, payment_id, again)
            return str(row["receipt"])

        receipt = await self._db.run(note)
        if receipt is not None:
            await self._rail.ask_payment(receipt, token)

    async def proving(
        self, act: Callable[[Tx, str | None], Awaitable[Settled | None]]
    ) -> Settled | None:
        """This will book; what the ledger refuses a customer goes to suspense for a person."""
        try:
            return await self._db.run(lambda tx: act(tx, None))
        except ReceiptElsewhere as contradiction:
            CONTRADICTED.ring("a payment contradicts what is booked", reason=str(contradiction))
            return Settled(InboxState.REFUSED, "that receipt is booked otherwise")
        except NotBooked as refused:
            CONTRADICTED.ring("a payment could not be credited", reason=str(refused))
            why = "the customer's account did not take it"
            return await self._db.run(lambda tx: act(tx, why))

    async def _hear(self, tx: Tx, claim: Claim, now: datetime) -> Settled | None:
        row = await self._write(tx, claim, now)
        if PaymentState(row["state"]) not in UNPROVEN:
            return None if _same(row, claim) else self._contradiction(row)
        if await self._bound_already(tx, row, now):
            return None
        if not _same(row, claim) and row["trusted"]:
            return self._contradiction(row) if claim.trusted else STRANGER
        if claim.trusted and not row["trusted"]:
            await self._correct(tx, row, claim, now)
        if row["state"] == PaymentState.INCOMING.value:
            await self._jobs.enqueue(tx, ADVANCE, row["id"])
        return None

    async def _bound_already(self, tx: Tx, row: Row, now: datetime) -> bool:
        """A prompt has had this receipt from its own callback: then M-Pesa need not be asked."""
        taken = await self._arrivals.find_receipt(tx, row["receipt"])
        if taken is None or taken.deposit_id is None:
            return False
        if taken.amount.units != int(row["amount"]):
            return False  # the claim is wrong, or the deposit is: M-Pesa is asked
        await self._settlement.book(tx, row, now)
        return True

    async def _answer(
        self, tx: Tx, payment_id: UUID, event: StatusResult, now: datetime, why: str | None
    ) -> Settled | None:
        row = await TABLE.lock(tx, payment_id)
        if PaymentState(row["state"]) not in UNPROVEN:
            return None
        if event.receipt is not None and event.receipt != row["receipt"]:
            return FOREIGN
        if event.state is StatusState.NOT_FOUND:
            await tx.execute(sql.NOT_FOUND, payment_id)
            return None
        if event.state is not StatusState.COMPLETED or event.payee != self._rail.shortcode:
            return None
        if event.amount_units != int(row["amount"]):
            CONTRADICTED.ring("a notice of another amount than was paid", payment=str(payment_id))
            return Settled(InboxState.REFUSED, "M-Pesa names another amount: its list decides")
        await tx.execute(sql.FOUND, payment_id)
        if row["trusted"]:
            await self._settlement.book(tx, row, now, nobodys=why)
        return None

    async def _prove(self, tx: Tx, claim: Claim, now: datetime, why: str | None) -> Settled | None:
        taken = await self._arrivals.find_receipt(tx, claim.receipt)
        if taken is not None and taken.deposit_id is not None:
            if taken.amount.units != claim.amount_units:
                CONTRADICTED.ring(
                    "M-Pesa's list has another amount than a deposit", receipt=claim.receipt
                )
            known = await tx.fetchrow(sql.BY_RECEIPT, claim.receipt)
            waits = await self._arrivals.is_suspended(tx, taken.deposit_id)
            if known is None and not waits:
                return None  # an ordinary prompt, settled: nothing came unasked
        row = await self._write(tx, claim, now)
        if PaymentState(row["state"]) not in UNPROVEN:
            return None if _same(row, claim) else self._contradiction(row)
        if not _same(row, claim):
            await self._correct(tx, row, claim, now)
            row = await TABLE.lock(tx, row["id"])
        await self._settlement.book(tx, row, now, nobodys=why)
        return None

    async def _write(self, tx: Tx, claim: Claim, now: datetime) -> Row:
        payment_id = new_id()
        added = await tx.execute(
            sql.ADD,
            payment_id,
            claim.receipt,
            claim.amount_units,
            claim.account,
            claim.payer_index,
            claim.payer_shown,
            claim.paid_at,
            now,
            claim.heard_from,
            claim.trusted,
        )
        if added == 1:
            await TABLE.begin(tx, payment_id, now=now, actor=SYSTEM)
            return await TABLE.lock(tx, payment_id)
        return await TABLE.lock(tx, await tx.fetchval(sql.BY_RECEIPT, claim.receipt))

    async def _correct(self, tx: Tx, row: Row, claim: Claim, now: datetime) -> None:
        await tx.execute(
            sql.CORRECT,
            row["id"],
            claim.amount_units,
            claim.account,
            claim.payer_index,
            claim.payer_shown,
            claim.paid_at,
            claim.heard_from,
            claim.trusted,
            now,
        )

    async def _dismissed(self, tx: Tx, row: Row, now: datetime) -> bool:
        """M-Pesa's list was read well past it, and it was asked twice in vain, or only a stranger
        has told of it, whom nothing but the list can prove right: there is no such payment.

        No money waits for a claim, and should it be listed later it counts all the same.
        """
        read_to = await tx.fetchval(sql.READ_TO, self._rail.shortcode)
        listed_by = row["heard_at"] + timedelta(hours=1)
        asked = row["not_found"] >= ENOUGH_NOT_FOUND
        if (row["trusted"] and not asked) or read_to is None or read_to < listed_by:
            return False
        note = "M-Pesa knows of no such payment, by its own list" + (", asked twice" * asked)
        changes: dict[str, object] = {"next_attempt_at": None, "why": note}
        await TABLE.move(
            tx, row, PaymentEvent.DISMISSED, now=now, actor=SYSTEM, note=note, changes=changes
        )
        return True

    def _contradiction(self, row: Row) -> Settled:
        CONTRADICTED.ring("a claim contradicts a payment", payment=str(row["id"]))
        return Settled(InboxState.REFUSED, "contradicts what is known of that receipt")


def _same(row: Row, claim: Claim) -> bool:
    return int(row["amount"]) == claim.amount_units and row["account"] == claim.account
