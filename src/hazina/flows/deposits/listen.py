"""What M-Pesa says of a deposit, on its own or when asked, and which of it counts.

The rules are in ``judge``, a pure function; the rest is carrying them out.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from hazina.flows.deposits import repository as sql
from hazina.flows.deposits.request import TABLE
from hazina.flows.deposits.settle import Payment, ReceiptTaken, Settlement
from hazina.flows.deposits.states import DepositEvent, DepositState
from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, Row, Tx
from hazina.infra.inbox import InboxMessage, InboxState
from hazina.infra.settings import Settings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.kernel.machine import StateMoved
from hazina.kernel.money import KES
from hazina.kernel.outcome import Accepted
from hazina.rails.callbacks import Settled, callback_token
from hazina.rails.ports import CollectionResult, Event, Failed, Paid, Rails

CONTRADICTED = Alarm("deposit-contradicted")

MAX_PAUSE = timedelta(minutes=5)
STALE_AFTER = timedelta(hours=1)  # prompted and still "pending" this long: unknown
STALE_PAUSE = timedelta(minutes=10)
GIVE_UP_ASKING = timedelta(hours=48)  # after that only a person can tell


class Verdict(StrEnum):
    """What a claim is worth."""

    COUNTS = "counts"  # act on it
    ASK = "ask"  # ask M-Pesa first, then act on both
    REPEAT = "repeat"  # known already
    FOREIGN = "foreign"  # speaks of another request, or contradicts what is certain
    LATER = "later"  # cannot be decided yet


def judge(row: Row, claim: CollectionResult, *, trusted: bool) -> Verdict:
    """What a callback is worth, given the deposit as it stands. Pure."""
    known = row["checkout_request_id"]
    if known is not None and known != claim.checkout_request_id:
        return Verdict.FOREIGN
    if known is None and not trusted:
        return Verdict.LATER
    certain = trusted and row["ids_from"] == "response"
    state = DepositState(row["state"])
    if not claim.success:
        if state not in (DepositState.SENDING, DepositState.PROMPTED, DepositState.UNKNOWN):
            return Verdict.REPEAT
        return Verdict.COUNTS if certain and claim.final else Verdict.ASK
    if claim.receipt is not None and row["receipt"] == claim.receipt:
        return Verdict.REPEAT
    if state in (DepositState.PAID, DepositState.SUSPENDED, DepositState.TAKEN_BACK):
        return Verdict.FOREIGN if trusted and claim.receipt else Verdict.REPEAT
    complete = claim.receipt is not None and claim.amount_units is not None
    return Verdict.COUNTS if certain and complete else Verdict.ASK


@dataclass(frozen=True, slots=True)
class Answer:
    """What asking gave: paid or failed (with why), or nothing yet."""

    paid: bool = False
    failed: Failed | None = None


class Listener:
    """Callbacks and queries of deposits."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        rails: Rails,
        settlement: Settlement,
    ) -> None:
        self._db = db
        self._clock = clock
        self._rail = rails.collections
        self._settlement = settlement
        self._window = timedelta(seconds=settings.mpesa_prompt_window_s)
        self._first_pause = timedelta(seconds=settings.mpesa_query_after_s)

    async def on_callback(self, message: InboxMessage, event: Event) -> Settled | None:
        """This will act on a collection's callback, or say why not. Safe to run twice."""
        if not isinstance(event, CollectionResult):
            return Settled(InboxState.REFUSED, "not a collection's result")
        found = await self._db.fetchval(sql.FIND_BY_CALLBACK, callback_token(message))
        if found is None:
            return Settled(InboxState.REFUSED, "no deposit has this token")
        verdict = await self._db.run(lambda tx: self._hear(tx, found, event, message))
        match verdict:
            case Verdict.COUNTS | Verdict.REPEAT:
                return None
            case Verdict.FOREIGN:
                CONTRADICTED.ring("a callback contradicts its deposit", deposit=str(found))
                return Settled(InboxState.REFUSED, "contradicts the deposit it names")
            case Verdict.LATER:
                return Settled(InboxState.WAITING, "not ours to believe yet")
            case Verdict.ASK:
                return await self._ask_about(found, event, trusted=message.trusted)

    async def query(self, deposit_id: UUID) -> None:
        """This will ask how a deposit stands and act on what is certain. Safe to run twice."""
        row = await self._db.fetchrow("SELECT * FROM deposits.deposit WHERE id = $1", deposit_id)
        if row is None or row["checkout_request_id"] is None:
            return
        answer = await self._ask(row["checkout_request_id"])
        await self._db.run(lambda tx: self._conclude(tx, deposit_id, answer, self._clock.now()))

    async def _hear(
        self, tx: Tx, deposit_id: UUID, claim: CollectionResult, message: InboxMessage
    ) -> Verdict:
        row = await TABLE.lock(tx, deposit_id)
        verdict = judge(row, claim, trusted=message.trusted)
        if verdict is Verdict.ASK and row["checkout_request_id"] is None:
            await tx.execute(
                sql.ADOPT_FROM_CALLBACK,
                deposit_id,
                claim.merchant_request_id,
                claim.checkout_request_id,
                self._clock.now() + self._first_pause,
            )
        if verdict is Verdict.COUNTS:
            try:
                await self._apply(tx, row, claim, self._clock.now())
            except (ReceiptTaken, StateMoved) as contradiction:
                CONTRADICTED.ring("a callback was not believed", reason=str(contradiction))
                return Verdict.FOREIGN
        return verdict

    async def _apply(self, tx: Tx, row: Row, claim: CollectionResult, now: datetime) -> None:
        """All of it or, where it contradicts what is certain, nothing."""
        async with tx.savepoint():
            await self._carry_out(tx, row, claim, now)

    async def _carry_out(self, tx: Tx, row: Row, claim: CollectionResult, now: datetime) -> None:
        if not claim.success:
            await self._settlement.fail(
                tx, row, DepositEvent.DECLINED, code=claim.code, words=claim.words, now=now
            )
            return
        assert claim.receipt is not None
        assert claim.amount_units is not None
        payment = Payment(claim.receipt, KES.units(claim.amount_units), claim.completed_at)
        await self._settlement.pay(tx, row, payment, now)

    async def _ask_about(
        self, deposit_id: UUID, claim: CollectionResult, *, trusted: bool
    ) -> Settled | None:
        """A claim that M-Pesa itself must confirm. A receipt is believed from a trusted source."""
        answer = await self._ask(claim.checkout_request_id)
        now = self._clock.now()

        async def act(tx: Tx) -> Settled | None:
            row = await TABLE.lock(tx, deposit_id)
            try:
                if claim.success and answer.paid:
                    if trusted and claim.receipt and claim.amount_units is not None:
                        await self._apply(tx, row, claim, now)
                    else:
                        await self._settlement.confirm(tx, row, now)
                    return None
                if not claim.success and answer.failed is not None:
                    await self._apply(tx, row, claim, now)
                    return None
            except (ReceiptTaken, StateMoved) as contradiction:
                CONTRADICTED.ring("a claim was not believed", reason=str(contradiction))
                return Settled(InboxState.REFUSED, "contradicts the deposit it names")
            if not trusted:
                return Settled(InboxState.REFUSED, "from a stranger, and M-Pesa does not agree")
            return Settled(InboxState.WAITING, "M-Pesa does not agree yet")

        return await self._db.run(act)

    async def _ask(self, checkout_request_id: str) -> Answer:
        outcome = await self._rail.query(checkout_request_id, self._clock.now())
        if not isinstance(outcome, Accepted):
            return Answer()
        match outcome.value:
            case Paid():
                return Answer(paid=True)
            case Failed() as failed:
                return Answer(failed=failed)
            case _:
                return Answer()

    async def _conclude(self, tx: Tx, deposit_id: UUID, answer: Answer, now: datetime) -> None:
        row = await TABLE.lock(tx, deposit_id)
        state = DepositState(row["state"])
        if state not in (DepositState.PROMPTED, DepositState.UNKNOWN):
            return
        if answer.paid:
            await self._settlement.confirm(tx, row, now)
            return
        age = now - row["requested_at"]
        if answer.failed is not None and age >= self._window:
            # Queries have said "failed" of payments that were made: only now does it count.
            await self._settlement.fail(
                tx,
                row,
                DepositEvent.DECLINED,
                code=answer.failed.code,
                words=answer.failed.words,
                now=now,
            )
            return
        pause = min(self._first_pause * 2 ** min(row["queries"], 8), MAX_PAUSE)
        if answer.failed is not None:
            pause = max(self._window - age, timedelta(seconds=1))
        elif age > STALE_AFTER:
            pause = STALE_PAUSE
        again = None if age > GIVE_UP_ASKING else now + pause
        changes = {"queries": row["queries"] + 1, "next_attempt_at": again}
        if state is DepositState.PROMPTED and age > STALE_AFTER:
            await TABLE.move(tx, row, DepositEvent.LOST, now=now, actor=SYSTEM, changes=changes)
            return
        await tx.execute(
            "UPDATE deposits.deposit SET queries = $2, next_attempt_at = $3 WHERE id = $1",
            deposit_id,
            changes["queries"],
            again,
        )
