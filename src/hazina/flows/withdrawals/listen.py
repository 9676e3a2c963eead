"""What M-Pesa says of a withdrawal: results, time-out notices and answers to our questions.

Only a trusted source moves money here: a stranger's word makes us ask, nothing else. A success
after a failure, or a failure after a success, contradicts what was done: it is an alarm, M-Pesa is
asked anew, and only its answer to that question is acted on. A success of another amount, or a
second one, is for a person.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hazina.desk.switches import Switch, Switches
from hazina.flows.withdrawals import repository as sql
from hazina.flows.withdrawals.request import TABLE
from hazina.flows.withdrawals.settle import UNPAID, Settlement, asked_amount, is_open
from hazina.flows.withdrawals.states import WithdrawalEvent, WithdrawalState
from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, Row, Tx
from hazina.infra.inbox import InboxMessage, InboxState
from hazina.infra.settings import Settings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.rails.callbacks import Settled, callback_token
from hazina.rails.ports import (
    Event,
    PayoutResult,
    PayoutTimeoutNotice,
    Rails,
    StatusResult,
    StatusState,
    StatusTimeoutNotice,
)

CONTRADICTED = Alarm("payout-contradicted")
STOPPED = Alarm("credential-refused")

TOLD_FAILED = "told_failed"
TOLD_FAILED_WORDS = "M-Pesa told us that it was paid, and then that it was not."
REFUSALS_WITHIN, REFUSALS_STOP = timedelta(minutes=10), 2
MAX_PAUSE = timedelta(minutes=10)
STRANGER = Settled(InboxState.REFUSED, "from a stranger: M-Pesa is asked instead")
FOREIGN = Settled(InboxState.REFUSED, "speaks of another payment than its address")
OTHERS = Settled(InboxState.REFUSED, "its receipt is another payout's")
# M-Pesa is asked about these.
ASKED_ABOUT = (
    WithdrawalState.SENT.value,
    WithdrawalState.UNKNOWN.value,
    WithdrawalState.CONTRADICTED.value,
    WithdrawalState.DOUBTED.value,
)
ASK = """
INSERT INTO withdrawals.question (token, withdrawal_id, asked_at) VALUES ($1, $2, $3)
"""


@dataclass(frozen=True, slots=True)
class Told:
    """``receipt`` for a success, ``ending`` (code, words) for a failure, neither: ask.
    ``asked_at``: it answers our question of then."""

    receipt: str | None
    amount_units: int | None
    ending: tuple[str, str] | None
    asked_at: datetime | None = None


class Listener:
    """Results and questions of withdrawals."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        rails: Rails,
        settlement: Settlement,
        switches: Switches,
    ) -> None:
        self._db = db
        self._clock = clock
        self._rail = rails.payouts
        self._settlement = settlement
        self._switches = switches
        self._first_pause = timedelta(seconds=settings.mpesa_status_after_s)

    async def on_result(self, message: InboxMessage, event: Event) -> Settled | None:
        """This will act on a payout's result. Safe to run twice."""
        found = await self._db.fetchval(sql.FIND_BY_CALLBACK, callback_token(message))
        if found is None or not isinstance(event, PayoutResult) or event.payout_id != found:
            return FOREIGN
        if not message.trusted:
            await self._ask_soon(found)
            return STRANGER
        told = Told(event.receipt if event.success else None, event.amount_units, _ending(event))
        settled = await self._db.run(lambda tx: self._hear(tx, found, told, self._clock.now()))
        if event.credential:
            await self._db.run(lambda tx: self._count_refusal(tx, found, event.code))
        return settled

    async def on_timeout(self, message: InboxMessage, event: Event) -> Settled | None:
        """A queue gave it up; the result may still come. Ask, never release."""
        found = await self._db.fetchval(sql.FIND_BY_CALLBACK, callback_token(message))
        if found is None or not isinstance(event, PayoutTimeoutNotice):
            return FOREIGN
        if not message.trusted:
            await self._ask_soon(found)
            return STRANGER

        async def lose(tx: Tx) -> None:
            now = self._clock.now()
            row = await TABLE.lock(tx, found)
            if row["state"] in (WithdrawalState.SENDING.value, WithdrawalState.SENT.value):
                await TABLE.move(
                    tx,
                    row,
                    WithdrawalEvent.LOST,
                    now=now,
                    actor=SYSTEM,
                    note="M-Pesa's queue gave it up",
                    changes={"next_attempt_at": now},
                )

        await self._db.run(lose)
        return None

    async def on_status(self, message: InboxMessage, event: Event) -> Settled | None:
        """This will act on the answer to a question of ours. Safe to run twice."""
        question = await self._db.fetchrow(sql.FIND_BY_QUESTION, callback_token(message))
        if question is None:
            return FOREIGN
        found: UUID = question["withdrawal_id"]
        if isinstance(event, StatusTimeoutNotice):
            return None  # the next question is due anyway
        if not isinstance(event, StatusResult) or not message.trusted:
            return STRANGER
        if event.payout_id is not None and event.payout_id != found:
            return FOREIGN
        match event.state:
            case StatusState.COMPLETED:
                ending = None
            case StatusState.FAILED:
                ending = (event.code, "M-Pesa ended it without paying.")
            case StatusState.NOT_FOUND:
                # Proves nothing alone: it is counted, for two persons and a statement.
                await self._db.run(lambda tx: tx.execute(sql.NOT_FOUND, found))
                return None
            case StatusState.PENDING | StatusState.UNKNOWN:
                return None  # proves nothing: the question is asked again
        receipt = event.receipt if event.state is StatusState.COMPLETED else None
        told = Told(receipt, event.amount_units, ending, question["asked_at"])
        return await self._db.run(lambda tx: self._hear(tx, found, told, self._clock.now()))

    async def ask(self, withdrawal_id: UUID) -> None:
        """This will ask M-Pesa what became of a payout; the answer comes as a callback."""
        token = secrets.token_hex(16)

        async def note(tx: Tx) -> bool:
            now = self._clock.now()
            row = await TABLE.lock(tx, withdrawal_id)
            if row["next_attempt_at"] is None or row["next_attempt_at"] > now:
                return False
            again = None
            if row["state"] in ASKED_ABOUT:
                pause = min(self._first_pause * 2 ** min(row["questions"], 8), MAX_PAUSE)
                again = now + pause
            elif row["state"] != WithdrawalState.FAILED.value:
                return False  # one that ended is asked about once, where somebody doubts it
            await tx.execute(ASK, token, withdrawal_id, now)
            await tx.execute(
                "UPDATE withdrawals.withdrawal SET questions = questions + 1,"
                " next_attempt_at = $2 WHERE id = $1",
                withdrawal_id,
                again,
            )
            return True

        if await self._db.run(note):
            await self._rail.ask_status(withdrawal_id, token, self._clock.now())

    async def _hear(self, tx: Tx, withdrawal_id: UUID, told: Told, now: datetime) -> Settled | None:
        row = await TABLE.lock(tx, withdrawal_id)
        if not is_open(row):
            return await self._after_the_end(tx, row, told, now)
        if told.ending is not None:
            code, words = told.ending
            await self._settlement.fail(
                tx, row, WithdrawalEvent.FAILED, code=code, words=words, now=now
            )
            return None
        if told.receipt is None or told.amount_units is None:
            await self._due_now(tx, withdrawal_id, now)
            return None
        if told.amount_units != asked_amount(row).units:
            return _other_amount(row)
        if await self._is_anothers(tx, row, told.receipt):
            return OTHERS
        await self._settlement.pay(tx, row, told.receipt, now)
        return None

    async def _after_the_end(self, tx: Tx, row: Row, told: Told, now: datetime) -> Settled | None:
        """What was freed is taken only on M-Pesa's answer to a question that was asked since."""
        state, id_ = WithdrawalState(row["state"]), str(row["id"])
        if told.ending is not None and state is WithdrawalState.PAID:
            await self._told_failed(tx, row, told.ending, now)
            return None
        if told.receipt is None:
            return None
        if told.receipt == row["receipt"]:
            await self._paid_as_booked(tx, row, told, now)
            return None
        if row["code"] == UNPAID and await tx.fetchval(
            sql.GIVEN_BACK_UNDER, row["id"], told.receipt
        ):
            # Its word was weighed against its books: now only a statement opens it again.
            CONTRADICTED.ring("a payout that was given back is told as paid", withdrawal=id_)
            return Settled(InboxState.REFUSED, "given back: only a statement tells of it now")
        if state not in (WithdrawalState.FAILED, WithdrawalState.CONTRADICTED):
            CONTRADICTED.ring("a payout was made once more, or too early", withdrawal=id_)
            return Settled(InboxState.REFUSED, f"success after {state}: a person must look")
        if told.amount_units not in (None, asked_amount(row).units):
            return _other_amount(row)
        if await self._is_anothers(tx, row, told.receipt):
            return OTHERS
        if state is WithdrawalState.FAILED:
            CONTRADICTED.ring("a payout was made that we had called failed", withdrawal=id_)
            note = f"M-Pesa tells that it was paid, receipt {told.receipt}"[:300]
            changes = {"next_attempt_at": now}
            await TABLE.move(
                tx, row, WithdrawalEvent.TOLD_PAID, now=now, actor=SYSTEM, note=note,
                changes=changes,
            )  # fmt: skip
        elif told.asked_at and told.asked_at >= row["state_since"] and told.amount_units:
            await self._settlement.pay_late(tx, row, told.receipt, now)
        return None

    async def _is_anothers(self, tx: Tx, row: Row, receipt: str) -> bool:
        """A receipt is one payment's: under another payout's nothing is paid."""
        taken = bool(await tx.fetchval(sql.RECEIPT_TAKEN, receipt, row["id"]))
        if taken:
            CONTRADICTED.ring("a payout is told under another's receipt", id=str(row["id"]))
        return taken

    async def _told_failed(self, tx: Tx, row: Row, ending: tuple[str, str], now: datetime) -> None:
        """Money that was booked as gone stays so: M-Pesa is asked, and its statement decides."""
        CONTRADICTED.ring("a payout failed that we had called paid", withdrawal=str(row["id"]))
        await TABLE.move(
            tx,
            row,
            WithdrawalEvent.TOLD_FAILED,
            now=now,
            actor=SYSTEM,
            note=f"M-Pesa tells that it was not paid: {ending[0]} {ending[1]}"[:300],
            changes={"code": TOLD_FAILED, "words": TOLD_FAILED_WORDS, "next_attempt_at": now},
        )

    async def _paid_as_booked(self, tx: Tx, row: Row, told: Told, now: datetime) -> None:
        """Asked since it told a failure, M-Pesa says *paid* again. Against a statement that lacks
        the receipt its word counts for nothing: it was told before."""
        if row["state"] != WithdrawalState.DOUBTED.value or row["code"] != TOLD_FAILED:
            return
        if told.asked_at is None or told.asked_at < row["state_since"]:
            return
        if told.amount_units == asked_amount(row).units:
            changes = {"code": None, "words": None, "next_attempt_at": None}
            await TABLE.move(
                tx, row, WithdrawalEvent.TOLD_PAID, now=now, actor=SYSTEM, changes=changes
            )

    async def _count_refusal(self, tx: Tx, withdrawal_id: UUID, code: str) -> None:
        """The second within ten minutes stops payouts: a few more lock the credential for all."""
        now = self._clock.now()
        await tx.execute(sql.REFUSE_CREDENTIAL, withdrawal_id, code, now)
        if await tx.fetchval(sql.REFUSED_CREDENTIALS, now - REFUSALS_WITHIN) < REFUSALS_STOP:
            return
        STOPPED.ring("payouts are stopped: M-Pesa refuses our credential", code=code)
        await self._switches.turn_off(
            tx,
            Switch.MPESA_OUT,
            by="hazina",
            reason=f"M-Pesa refused our credential twice within ten minutes, the last with {code}",
            actor=SYSTEM,
            now=now,
        )

    async def _ask_soon(self, withdrawal_id: UUID) -> None:
        async def soon(tx: Tx) -> None:
            row = await TABLE.lock(tx, withdrawal_id)
            if row["state"] in (*ASKED_ABOUT, WithdrawalState.FAILED.value):
                await self._due_now(tx, withdrawal_id, self._clock.now())

        await self._db.run(soon)

    async def _due_now(self, tx: Tx, withdrawal_id: UUID, now: datetime) -> None:
        await tx.execute(
            "UPDATE withdrawals.withdrawal SET next_attempt_at = $2 WHERE id = $1",
            withdrawal_id,
            now,
        )


def _other_amount(row: Row) -> Settled:
    CONTRADICTED.ring("a payout of another amount than ours", withdrawal=str(row["id"]))
    return Settled(InboxState.REFUSED, "its amount is not what we asked for")


def _ending(event: PayoutResult) -> tuple[str, str] | None:
    """A failure that is final; anything else has to be asked about."""
    return (event.code, event.words) if not event.success and event.final else None
