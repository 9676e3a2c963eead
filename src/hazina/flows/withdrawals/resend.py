"""Sending an unknown payout again: the stored identical bytes under the same id, by a person.

M-Pesa takes an id once, so this can pay at most once; it is done within 24 hours of the first
sending and never by a machine. **Invariant:** whatever comes back, a re-sending never releases
money: a rejection of it proves nothing about the sending before.
"""

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from hazina.desk.switches import Switch, Switches
from hazina.flows.withdrawals.request import TABLE
from hazina.flows.withdrawals.states import WithdrawalEvent, WithdrawalState
from hazina.identity.people import Operator, Role
from hazina.infra.attempts import LEASE_MARGIN, Attempts
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Row, Tx
from hazina.infra.settings import Settings
from hazina.infra.vault import CustomerVault
from hazina.kernel.actor import Actor
from hazina.kernel.clock import Clock
from hazina.kernel.errors import Kind, Refusal
from hazina.kernel.machine import StateMoved
from hazina.kernel.outcome import Accepted, Outcome, Rejected, Unknown
from hazina.rails.ports import Operation, PayoutAccepted, PreparedCall, Rails

log = structlog.stdlib.get_logger()

MAY = frozenset({Role.ADMINISTRATOR, Role.MANAGER})
WITHIN = timedelta(hours=24)
FIRST_SENT = "SELECT min(started_at) FROM withdrawals.attempt WHERE subject_id = $1"
LAST = """
SELECT number, sealed, digest, ended_at, lease_until FROM withdrawals.attempt
WHERE subject_id = $1 ORDER BY number DESC LIMIT 1
"""
SENT_AGAIN = """
UPDATE withdrawals.withdrawal SET attempts = $2 WHERE id = $1
"""


class ResendTooLate(Refusal):
    """Nobody promises for how long M-Pesa remembers an id."""

    code = "resend_too_late"
    kind = Kind.CONFLICT
    message = "It was first sent more than 24 hours ago."
    action = "Import M-Pesa's statement, and have two persons mark it absent if it is not there."


class NothingToResend(Refusal):
    """No attempt of it is kept here, or one is under way."""

    code = "nothing_to_resend"
    kind = Kind.CONFLICT
    message = "There are no stored bytes of this payout that could be sent again now."
    action = "Wait for the attempt under way, or ask M-Pesa's statement."


class MayNotResend(Refusal):
    """Only managers and administrators send again."""

    code = "may_not_resend"
    kind = Kind.FORBIDDEN
    message = "Only a manager or an administrator can do that."
    action = "Ask one of them."


class Resend:
    """One use case in three steps, as every outward call: claim, call, conclude."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        settings: Settings,
        rails: Rails,
        sealed: CustomerVault,
        switches: Switches,
        audit: Audit,
    ) -> None:
        self._db, self._clock, self._rail = db, clock, rails.payouts
        self._sealed, self._switches, self._audit = sealed, switches, audit
        self._attempts = Attempts("withdrawals.attempt")
        self._lease = timedelta(seconds=settings.mpesa_timeout_s) + LEASE_MARGIN
        self._ask_after = timedelta(seconds=settings.mpesa_status_after_s)

    async def send(
        self, withdrawal_id: UUID, *, operator: Operator, actor: Actor
    ) -> Outcome[PayoutAccepted]:
        """This will send an unknown payout once more and say what M-Pesa answered.

        Raises: MayNotResend, StateMoved, ResendTooLate, NothingToResend, RailStopped, NotFound.
        """
        if operator.role not in MAY:
            raise MayNotResend
        number, call = await self._db.run(
            lambda tx: self._claim(tx, withdrawal_id, actor, self._clock.now())
        )
        outcome = await self._rail.pay(call)
        await self._db.run_patiently(
            lambda tx: self._conclude(tx, withdrawal_id, number, outcome, actor, self._clock.now()),
            patience_s=60,
        )
        return outcome

    async def refusal(self, tx: Tx, withdrawal_id: UUID, now: datetime) -> Refusal | None:
        """Why an unknown payout could not be sent again now; None: it could."""
        try:
            await self._may(tx, withdrawal_id, now)
        except Refusal as refused:
            return refused
        return None

    async def _may(self, tx: Tx, withdrawal_id: UUID, now: datetime) -> Row:
        """The attempt whose bytes would go. Raises: RailStopped, NothingToResend, ResendTooLate."""
        await self._switches.require(tx, Switch.MPESA_OUT)
        last = await tx.fetchrow(LAST, withdrawal_id)
        if last is None or (last["ended_at"] is None and last["lease_until"] > now):
            raise NothingToResend
        first: datetime = await tx.fetchval(FIRST_SENT, withdrawal_id)
        if now - first > WITHIN:
            raise ResendTooLate(details={"first_sent": first.isoformat()})
        return last

    async def _claim(
        self, tx: Tx, withdrawal_id: UUID, actor: Actor, now: datetime
    ) -> tuple[int, PreparedCall]:
        row = await TABLE.lock(tx, withdrawal_id)
        if row["state"] != WithdrawalState.UNKNOWN.value:
            raise StateMoved(details={"state": row["state"]})
        last = await self._may(tx, withdrawal_id, now)
        owner, number = row["customer_id"], int(last["number"]) + 1
        context = f"{self._attempts.table}:{withdrawal_id}"
        body = await self._sealed.open(tx, owner, last["sealed"], f"{context}:{last['number']}")
        await self._attempts.begin(
            tx,
            withdrawal_id,
            number,
            sealed=await self._sealed.seal(tx, owner, body, f"{context}:{number}"),
            digest=last["digest"],
            lease_until=now + self._lease,
            now=now,
        )
        await tx.execute(SENT_AGAIN, withdrawal_id, number)
        after = {"attempt": number, "digest": last["digest"]}
        await self._audit.record(
            tx, actor, "withdrawal.resent", "withdrawal", withdrawal_id, after=after, now=now
        )
        return number, PreparedCall(Operation.PAY, body)

    async def _conclude(
        self,
        tx: Tx,
        withdrawal_id: UUID,
        number: int,
        outcome: Outcome[PayoutAccepted],
        actor: Actor,
        now: datetime,
    ) -> None:
        row = await TABLE.lock(tx, withdrawal_id)
        note = said(outcome)
        await self._attempts.end(
            tx, withdrawal_id, number, outcome=type(outcome).__name__.lower(), note=note, now=now
        )
        if not isinstance(outcome, Accepted) or row["state"] != WithdrawalState.UNKNOWN.value:
            return
        changes: dict[str, object] = {"next_attempt_at": now + self._ask_after}
        if outcome.value.conversation_id is not None:
            changes["conversation_id"] = outcome.value.conversation_id
        await TABLE.move(
            tx,
            row,
            WithdrawalEvent.ACCEPTED,
            now=now,
            actor=actor,
            note=f"sent again by a person: {note}",
            changes=changes,
        )


def said(outcome: Outcome[PayoutAccepted]) -> str:
    """What came back, in one line."""
    match outcome:
        case Accepted(value):
            return "taken" if value.conversation_id else "M-Pesa has had that id already"
        case Rejected():
            return f"{outcome.code}: {outcome.text}; this proves nothing of the sending before"[
                :300
            ]
        case Unknown():
            return outcome.reason[:300]
