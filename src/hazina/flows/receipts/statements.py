"""M-Pesa's statement, exported from its portal by a person, and what may be concluded from it.

An imported file credits nobody: a payment of which nothing was known becomes a claim that M-Pesa is
asked about, like any other. Its weight is the other way: what a complete statement lacks was not
made, which together with M-Pesa's status and two persons ends a payout that is unknown.
"""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from hazina.desk.approvals import Approval, Approvals, Wish
from hazina.flows.deposits.arrivals import Arrivals
from hazina.flows.receipts.hear import Listener
from hazina.flows.receipts.reversals import Reversals
from hazina.flows.withdrawals.absence import Absence, AbsenceFacts
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.identity.people import Operator
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.clock import EAT, Clock
from hazina.kernel.errors import Invalid, Kind, Refusal
from hazina.kernel.ids import new_id, wire_id
from hazina.rails.receipts import LineKind, ReceiptRail, StatementLine

ABSENT = "withdrawal.absent"
ENOUGH_NOT_FOUND = 2
# How long after a sending M-Pesa might still make the payment: the statement must reach past it.
SETTLING = timedelta(hours=2)
ADD = """
INSERT INTO receipts.statement
    (id, digest, covers_from, covers_to, complete, lines, imported_by, imported_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (digest) DO NOTHING
"""
ADD_LINE = """
INSERT INTO receipts.statement_line (receipt, kind, inward, amount, at, linked, statement_id)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""
COVERED = """
SELECT count(*) FROM receipts.statement
WHERE complete AND covers_from <= $1 AND covers_to >= $2
"""
PAYOUTS = """
SELECT receipt FROM receipts.statement_line
WHERE kind = 'payout' AND amount = $1 AND at >= $2 AND at <= $3
"""


class NotProvenAbsent(Refusal):
    """Not all that is needed to call a payout absent is known."""

    code = "not_proven_absent"
    kind = Kind.CONFLICT
    message = "It is not proven that M-Pesa never made this payout."
    action = "See what is missing; until then the money stays held."


@dataclass(frozen=True, slots=True)
class Imported:
    """``unknown`` payments were in none of our books, ``returns`` went back at M-Pesa and we did
    not know: both are being asked about."""

    lines: int
    unread: int
    again: bool
    unknown: tuple[str, ...]
    returns: tuple[str, ...]


class Statements:
    """Importing statements, and the act that rests on them."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        rail: ReceiptRail,
        listener: Listener,
        reversals: Reversals,
        arrivals: Arrivals,
        absence: Absence,
        approvals: Approvals,
        audit: Audit,
    ) -> None:
        self._db, self._clock, self._rail, self._listener = db, clock, rail, listener
        self._reversals, self._arrivals, self._absence = reversals, arrivals, absence
        self._approvals, self._audit = approvals, audit
        approvals.register(ABSENT, self._mark_absent, subject="wdr")

    async def take(
        self, body: bytes, covers_from: datetime, covers_to: datetime, *, by: str, actor: Actor
    ) -> Imported:
        """This will keep a statement that shows every movement between two moments.

        Safe to repeat. Raises: StatementUnreadable, Invalid.
        """
        now = self._clock.now()
        if not covers_from < covers_to <= now:
            raise Invalid.field("covers_to", "It covers a time before now, from early to late.")
        read = self._rail.read_statement(body)
        outside = [one for one in read.lines if not covers_from <= one.at <= covers_to]
        if outside:
            raise Invalid.field("covers_from", "The file has lines from outside that time.")
        digest = hashlib.sha256(body).hexdigest()

        async def keep(tx: Tx) -> bool:
            statement_id = new_id()
            added = await tx.execute(
                ADD,
                statement_id,
                digest,
                covers_from,
                covers_to,
                read.unread == 0,
                len(read.lines),
                by,
                now,
            )
            if added != 1:
                return False
            await tx.executemany(ADD_LINE, [_columns(one, statement_id) for one in read.lines])
            after = {"digest": digest, "lines": len(read.lines), "unread": read.unread}
            await self._audit.record(
                tx, actor, "statement.imported", "statement", statement_id, after=after, now=now
            )
            return True

        fresh = await self._db.run(keep)
        unknown = [one.receipt for one in read.lines if await self._claimed(one)]
        back = [one for one in read.lines if one.kind is LineKind.RETURN and one.linked]
        returns = [str(one.linked) for one in back if await self._reversals.stated(one)]
        return Imported(len(read.lines), read.unread, not fresh, tuple(unknown), tuple(returns))

    async def ask_absent(
        self,
        tx: Tx,
        withdrawal_id: UUID,
        *,
        reason: str,
        operator: Operator,
        actor: Actor,
        now: datetime,
    ) -> Approval:
        """This will ask a second person to call a payout never made.

        Raises: NotProvenAbsent with what is missing, NotFound, and as ``Approvals.request``.
        """
        facts = await self._prove_absent(tx, withdrawal_id)
        wire = wire_id("wdr", withdrawal_id)
        summary = f"{wire} of {facts.amount} was never made by M-Pesa: free the money"
        wish = Wish(ABSENT, withdrawal_id, {}, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def missing(self, tx: Tx, withdrawal_id: UUID) -> list[str]:
        """What is still needed before a payout can be called absent, in sentences."""
        facts = await self._absence.facts(tx, withdrawal_id)
        if facts.state is not WithdrawalState.UNKNOWN:
            return [f"It is {facts.state.value}, not unknown."]
        found = []
        if facts.not_found < ENOUGH_NOT_FOUND:
            found.append(f"M-Pesa's status found nothing {facts.not_found} times, twice is needed.")
        if facts.sent_from is None or facts.sent_to is None:
            return [*found, "It is not known when it was sent: nothing can be absent."]
        until = facts.sent_to + SETTLING
        if not await tx.fetchval(COVERED, facts.sent_from, until):
            since, to = (one.astimezone(EAT) for one in (facts.sent_from, until))
            found.append(f"No complete statement covers {since:%F %T} to {to:%F %T}, Nairobi time.")
        lines = await tx.fetch(PAYOUTS, facts.amount.units, facts.sent_from, until)
        receipts = {row["receipt"] for row in lines}
        strange = receipts - await self._absence.known_receipts(tx, sorted(receipts))
        if strange:
            listed = ", ".join(sorted(strange))
            found.append(f"The statement has payouts of that amount that are no others': {listed}.")
        return found

    async def _prove_absent(self, tx: Tx, withdrawal_id: UUID) -> AbsenceFacts:
        missing = await self.missing(tx, withdrawal_id)
        if missing:
            raise NotProvenAbsent(" ".join(missing), details={"missing": missing})
        return await self._absence.facts(tx, withdrawal_id)

    async def _mark_absent(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:  # noqa: ARG002
        await self._prove_absent(tx, approval.subject)
        await self._absence.mark(tx, approval.subject, now)

    async def _claimed(self, line: StatementLine) -> bool:
        """Whether a payment in was news; if so it is asked about."""
        if line.kind is not LineKind.PAYMENT:
            return False
        if await self._arrivals.find_receipt(self._db, line.receipt) is not None:
            return False
        return await self._listener.stated(line)


def _columns(line: StatementLine, statement_id: UUID) -> tuple[object, ...]:
    return (
        line.receipt,
        line.kind.value,
        line.inward,
        line.amount_units,
        line.at,
        line.linked,
        statement_id,
    )
