"""What people do to accounts: freeze, close, grant credit, close a period, read a family's sum.

Each act says who and why, and is kept for ever (``ledger.account_event``, ``credit_line``,
``period``). The database does them by functions of its own: the application's role can write none
of these rows. Under the locks that postings take, so that what is in flight ends first.
"""

# ruff: noqa: S608 - every part of these queries stands in this file or in past

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

from hazina.infra.db import Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, NotFound, Refusal
from hazina.kernel.money import ASSETS, Money
from hazina.ledger.chart import AccountRef, Purpose
from hazina.ledger.core import Balance
from hazina.ledger.past import CHECKPOINT, RANGES, TAIL
from hazina.ledger.service import Ledger, Reader

SET_STATE = "SELECT ledger.set_state($1, $2, $3, $4)"
GRANT_CREDIT = "SELECT ledger.grant_credit($1, $2, $3, $4, $5, $6, $7)"
CLOSE_PERIOD = "SELECT ledger.close_period($1, $2, $3)"
CLOSED_UNTIL = "SELECT max(p.closed_until) FROM ledger.period p"
EVENTS = """
SELECT e.event, e.actor, e.reason, e.at FROM ledger.account_event e
JOIN ledger.account a ON a.key = e.account_key
WHERE a.owner_id IS NOT DISTINCT FROM $1 AND a.asset = $2 AND a.purpose = $3
ORDER BY e.seq DESC LIMIT $4
"""
LATEST_EVENTS = """
SELECT e.event, e.actor, e.reason, e.at, a.purpose, a.asset, a.owner_id
FROM ledger.account_event e JOIN ledger.account a ON a.key = e.account_key
ORDER BY e.seq DESC LIMIT $1
"""
# Bounded members have counters; of unbounded ones the last checkpoint and what is not sealed yet.
FAMILY = f"""
WITH {RANGES.format(than="<=", at="'infinity'::timestamptz")}
SELECT coalesce(sum(a.credits_posted - a.debits_posted + coalesce(k.credits - k.debits, 0)
                    + coalesce(s.credit - s.debit, 0)), 0) AS posted,
       coalesce(sum(a.debits_pending), 0) AS held, coalesce(sum(a.credits_pending), 0) AS incoming
FROM ledger.family($1) f
JOIN ledger.account a ON a.key = f.key
LEFT JOIN LATERAL ({CHECKPOINT}) k ON NOT a.bounded
LEFT JOIN ({TAIL.format(than="<=", at="'infinity'::timestamptz")}) s
    ON s.key = a.key AND NOT a.bounded
WHERE a.asset = $2
"""


class AccountUnknown(NotFound):
    """There is no such account: nothing was ever booked on it."""

    code = "account_unknown"
    message = "There is no such account."
    action = "Check whose account it is and in which asset."


class AccountIsClosed(Refusal):
    """A closed account stays closed."""

    code = "account_is_closed"
    kind = Kind.CONFLICT
    message = "That account is closed, and stays closed."
    action = "Open another account."


class AccountNotEmpty(Refusal):
    """An account with money, or with holds on either side, cannot be closed."""

    code = "account_not_empty"
    kind = Kind.CONFLICT
    message = "That account still has money, or holds that are open."
    action = "Move the money and settle the holds first."


class AccountUnbounded(Refusal):
    """The outside world has no floor to lower and no end."""

    code = "account_unbounded"
    kind = Kind.INVALID
    message = "That account is one without a floor: it has no credit line and is never closed."
    action = "Choose an account of a customer."


class SecondPersonNeeded(Refusal):
    """A credit line is granted by somebody else than who asked for it."""

    code = "second_person_needed"
    kind = Kind.FORBIDDEN
    message = "Credit is granted by another person than who asks for it."
    action = "Let a colleague decide."


class PeriodNotOver(Refusal):
    """What has not happened yet cannot be closed."""

    code = "period_not_over"
    kind = Kind.INVALID
    message = "That time has not come yet."
    action = "Close a period that is over."


class PeriodClosedBefore(Refusal):
    """A closed period is never opened again."""

    code = "period_closed_before"
    kind = Kind.CONFLICT
    message = "Everything until then is closed already."
    action = "Choose a later time."


REFUSALS: dict[str, type[Refusal]] = {
    "account_not_found": AccountUnknown,
    "account_closed": AccountIsClosed,
    "account_not_empty": AccountNotEmpty,
    "account_unbounded": AccountUnbounded,
    "same_person": SecondPersonNeeded,
    "period_not_over": PeriodNotOver,
    "period_closed_before": PeriodClosedBefore,
}


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """One act on an account: ``frozen``, ``unfrozen``, ``closed`` or ``credit``."""

    event: str
    actor: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True)
class ActOnAccount:
    """One act and the account it was done to."""

    ref: AccountRef
    event: AccountEvent


class Accounts:
    """The acts of people on accounts; each call is one act in the caller's transaction."""

    MAX_EVENTS: ClassVar[int] = 200

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    async def freeze(self, tx: Tx, ref: AccountRef, actor: Actor, reason: str) -> None:
        """This will let the account pay nothing out by new transfers; it can still be paid into,
        and holds on it can be posted and let go. On an unbounded account what is in flight may
        still pass. Freezing twice is harmless. Raises: AccountUnknown, AccountIsClosed."""
        await self._set_state(tx, ref, "frozen", actor, reason)

    async def unfreeze(self, tx: Tx, ref: AccountRef, actor: Actor, reason: str) -> None:
        """This will open a frozen account again. Raises: AccountUnknown, AccountIsClosed."""
        await self._set_state(tx, ref, "unfrozen", actor, reason)

    async def close(self, tx: Tx, ref: AccountRef, actor: Actor, reason: str) -> None:
        """This will close an empty account without holds, for ever.

        Raises: AccountUnknown, AccountNotEmpty, AccountUnbounded.
        """
        await self._set_state(tx, ref, "closed", actor, reason)

    async def grant_credit(
        self,
        tx: Tx,
        ref: AccountRef,
        limit: Money,
        *,
        starts_at: datetime,
        ends_at: datetime | None,
        asked_by: Actor,
        granted_by: Actor,
        reason: str,
    ) -> None:
        """This will let the account fall ``limit`` below its floor from when to when.

        It takes the place of every earlier line as soon as it begins; zero ends credit. A line
        below what is used only blocks new debits.

        Raises: SecondPersonNeeded, AccountUnknown, AccountIsClosed, AccountUnbounded.
        """
        if limit.units < 0 or limit.asset != ref.asset:
            raise ValueError("a credit line is an amount of the account's asset")
        key = await self._key(tx, ref)
        _refuse_unless_done(
            await tx.fetchval(
                GRANT_CREDIT, key, limit.units, starts_at, ends_at, str(asked_by),
                str(granted_by), reason,
            )
        )  # fmt: skip

    async def close_period(self, tx: Tx, until: datetime, actor: Actor, reason: str) -> None:
        """This will let nothing take effect at or before ``until`` any more.

        Waits for every posting in flight, and lets new ones wait until the transaction ends.
        Raises: PeriodNotOver, PeriodClosedBefore.
        """
        _refuse_unless_done(await tx.fetchval(CLOSE_PERIOD, until, str(actor), reason))

    async def closed_until(self, reader: Reader) -> datetime | None:
        """The end of the last closed period; None where none was closed."""
        until: datetime | None = (await reader.fetch(CLOSED_UNTIL))[0][0]
        return until

    async def list_events(self, reader: Reader, ref: AccountRef) -> Sequence[AccountEvent]:
        """What was done to an account, the last act first."""
        rows = await reader.fetch(
            EVENTS, ref.owner, ref.asset.code, ref.purpose.value, self.MAX_EVENTS
        )
        return [AccountEvent(row["event"], row["actor"], row["reason"], row["at"]) for row in rows]

    async def list_latest(self, reader: Reader, *, limit: int) -> Sequence[ActOnAccount]:
        """What was done to any account, the last act first."""
        return [
            ActOnAccount(
                AccountRef(Purpose(row["purpose"]), ASSETS[row["asset"]], row["owner_id"]),
                AccountEvent(row["event"], row["actor"], row["reason"], row["at"]),
            )
            for row in await reader.fetch(LATEST_EVENTS, limit)
        ]

    async def sum(self, tx: Tx, parent: AccountRef) -> Balance:
        """What an account and all that are parts of it hold together, on the side of the account
        itself: positive is normal there. Locks none of them."""
        row = await tx.fetchrow(FAMILY, await self._key(tx, parent), parent.asset.code)
        assert row is not None
        posted, held, incoming = (int(row[name]) for name in ("posted", "held", "incoming"))
        units = parent.asset.units
        if parent.line.debit_normal:
            posted = -posted
        return Balance(units(posted), units(held), units(incoming))

    async def _set_state(
        self, tx: Tx, ref: AccountRef, event: str, actor: Actor, reason: str
    ) -> None:
        key = await self._key(tx, ref)
        _refuse_unless_done(await tx.fetchval(SET_STATE, key, event, str(actor), reason))

    async def _key(self, tx: Tx, ref: AccountRef) -> int:
        key = await self._ledger.find_key(tx, ref)
        if key is None:
            raise AccountUnknown
        return key


def _refuse_unless_done(answer: str) -> None:
    if answer not in ("done", "unchanged"):
        raise REFUSALS[answer]
