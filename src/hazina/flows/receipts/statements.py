"""M-Pesa's statement, exported from its portal by a person, and what may be concluded from it.

An imported file credits nobody: a payment of which nothing was known becomes a claim that M-Pesa is
asked about, like any other. Its weight is the other way: what a complete statement lacks was not
made, which together with M-Pesa's status and two persons ends a payout that is unknown.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO
from uuid import UUID

from hazina.desk.approvals import Approval, Approvals, Wish
from hazina.flows.deposits.arrivals import Arrivals
from hazina.flows.receipts import repository as sql
from hazina.flows.receipts.hear import Listener
from hazina.flows.receipts.listed import SETTLING, WENT_OUT, Listed
from hazina.flows.receipts.reversals import Reversals
from hazina.flows.receipts.unmatched import Unmatched
from hazina.flows.withdrawals.absence import Absence, AbsenceFacts
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.identity.people import Operator
from hazina.infra.audit import Audit
from hazina.infra.db import Database, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.clock import EAT, Clock
from hazina.kernel.errors import Invalid, Kind, Refusal
from hazina.kernel.ids import new_id, wire_id
from hazina.kernel.machine import StateMoved
from hazina.rails.receipts import LineKind, ReceiptRail, StatementLine

ABSENT = "withdrawal.absent"
ENOUGH_NOT_FOUND = 2
AT_ONCE = 256 * 1024  # so much of a file is in memory
# What calling a payout never made does, by where it stands; no other can be called so.
EFFECTS = {
    WithdrawalState.UNKNOWN: "free the money",
    WithdrawalState.CONTRADICTED: "it stays not paid, as it ended",
    WithdrawalState.DOUBTED: "give the money back, and our fee",
}
ADD = """
INSERT INTO receipts.statement
    (id, digest, covers_from, covers_to, complete, lines, imported_by, imported_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (digest) DO NOTHING
"""
ADD_LINE = """
INSERT INTO receipts.statement_line (receipt, kind, inward, amount, at, linked, statement_id)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
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
    not know, ``doubted`` payouts had ended as not paid and the statement has one like them: all are
    being asked about. ``unlisted`` payouts are booked as paid and it lacks them; ``unmatched`` are
    what else only one of both books has: open questions."""

    lines: int
    unread: int
    again: bool
    unknown: tuple[str, ...]
    returns: tuple[str, ...]
    doubted: int = 0
    unlisted: int = 0
    unmatched: int = 0


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
        listed: Listed,
        unmatched: Unmatched,
        approvals: Approvals,
        audit: Audit,
    ) -> None:
        self._db, self._clock, self._rail, self._listener = db, clock, rail, listener
        self._reversals, self._arrivals, self._absence = reversals, arrivals, absence
        self._listed, self._unmatched = listed, unmatched
        self._approvals, self._audit = approvals, audit
        approvals.register(ABSENT, self._mark_absent, subject="wdr")

    async def take(
        self, file: BinaryIO, covers_from: datetime, covers_to: datetime, *, by: str, actor: Actor
    ) -> Imported:
        """This will keep a statement that shows every movement between two moments. ``file`` is
        read in parts, twice, and stays open.

        Safe to repeat. Raises: StatementUnreadable, Invalid.
        """
        now = self._clock.now()
        if not covers_from < covers_to <= now:
            raise Invalid.field("covers_to", "It covers a time before now, from early to late.")
        # A long one takes seconds, and others are being served meanwhile.
        read = await asyncio.to_thread(self._rail.read_statement, file)
        outside = [one for one in read.lines if not covers_from <= one.at <= covers_to]
        if outside:
            raise Invalid.field("covers_from", "The file has lines from outside that time.")
        digest = await asyncio.to_thread(digest_of_file, file)
        # The same file fetched later shows more: that nothing happened since.
        says = f"{digest} {covers_from.isoformat()} {covers_to.isoformat()}"

        async def keep(tx: Tx) -> bool:
            statement_id = new_id()
            added = await tx.execute(
                ADD,
                statement_id,
                says,
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
        unknown = await self._claimed(read.lines)
        back = [one for one in read.lines if one.kind is LineKind.RETURN and one.linked]
        returns = [str(one.linked) for one in back if await self._reversals.stated(one)]
        out = [one for one in read.lines if one.kind is LineKind.PAYOUT and not one.inward]
        doubted = await self._listed.found([one.receipt for one in out])
        doubted += await self._doubted(out)
        unmatched = await self._unmatched.theirs(out)
        unlisted = 0
        if not read.unread:
            unlisted = await self._listed.lacking(covers_from, covers_to)
            unmatched += await self._unmatched.ours(covers_from, covers_to)
        return Imported(
            len(read.lines), read.unread, not fresh, tuple(unknown), tuple(returns), doubted,
            unlisted, unmatched,
        )  # fmt: skip

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
        summary = f"{wire} of {facts.amount} was never made by M-Pesa: {EFFECTS[facts.state]}"
        wish = Wish(ABSENT, withdrawal_id, {"state": facts.state.value}, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def missing(self, tx: Tx, withdrawal_id: UUID) -> list[str]:
        """What is still needed before a payout can be called absent, in sentences.

        Of one that ended one way and was then told the other, M-Pesa's status has told both.
        """
        facts = await self._absence.facts(tx, withdrawal_id)
        if facts.state not in EFFECTS:
            return [f"It is {facts.state.value}, not unknown."]
        told, found = facts.state is not WithdrawalState.UNKNOWN, []
        if not told and facts.not_found < ENOUGH_NOT_FOUND:
            found.append(f"M-Pesa's status found nothing {facts.not_found} times, twice is needed.")
        if facts.sent_from is None or facts.sent_to is None:
            return [*found, "It is not known when it was sent: nothing can be absent."]
        until = facts.sent_to + SETTLING
        if facts.state is WithdrawalState.CONTRADICTED:
            until = max(until, facts.since)
        if not await tx.fetchval(sql.COVERED, facts.sent_from, until):
            found.append(covering(facts.sent_from, until))
        lines = await tx.fetch(PAYOUTS, facts.amount.units, facts.sent_from, until)
        receipts = {row["receipt"] for row in lines}
        strange = receipts - await self._absence.known_receipts(tx, sorted(receipts))
        if strange:
            listed = ", ".join(sorted(strange))
            found.append(f"The statement has payouts of that amount that are no others': {listed}.")
        if facts.receipt and await tx.fetch(WENT_OUT, [facts.receipt]):
            found.append(f"A statement has its receipt {facts.receipt}.")
        return found

    async def _prove_absent(self, tx: Tx, withdrawal_id: UUID) -> AbsenceFacts:
        missing = await self.missing(tx, withdrawal_id)
        if missing:
            raise NotProvenAbsent(" ".join(missing), details={"missing": missing})
        return await self._absence.facts(tx, withdrawal_id)

    async def _mark_absent(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        facts = await self._prove_absent(tx, approval.subject)
        if approval.facts.get("state", facts.state.value) != facts.state.value:
            raise StateMoved(details={"state": facts.state.value})  # they agreed to another effect
        await self._absence.mark(tx, approval.subject, actor, now)

    async def _doubted(self, out: Sequence[StatementLine]) -> int:
        """Payouts that no row of ours explains may be ones that had ended as not paid: M-Pesa is
        asked about those. Says about how many."""
        known = await self._absence.known_receipts(self._db, [one.receipt for one in out])
        strange = [one for one in out if one.receipt not in known]

        async def doubt(tx: Tx) -> int:
            now = self._clock.now()
            asked = [
                await self._absence.doubt(tx, one.amount_units, one.at, now) for one in strange
            ]
            return sum(asked)

        return await self._db.run(doubt) if strange else 0

    async def _claimed(self, lines: Sequence[StatementLine]) -> list[str]:
        """The receipts of payments in that were news; they are asked about."""
        paid = [one for one in lines if one.kind is LineKind.PAYMENT]
        known = await self._arrivals.known_receipts(self._db, [one.receipt for one in paid])
        fresh = [one for one in paid if one.receipt not in known]
        return [one.receipt for one in fresh if await self._listener.stated(one)]


def covering(since: datetime, until: datetime) -> str:
    """That a statement is missing, in a sentence."""
    first, last = since.astimezone(EAT), until.astimezone(EAT)
    return f"No complete statement covers {first:%F %T} to {last:%F %T}, Nairobi time."


def digest_of_file(file: BinaryIO) -> str:
    """SHA-256 in hex, read in parts."""
    file.seek(0)
    digest = hashlib.sha256()
    while part := file.read(AT_ONCE):
        digest.update(part)
    return digest.hexdigest()


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
