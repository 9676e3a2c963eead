"""What operators do to the ledger's accounts: freeze, unfreeze, close; by two, credit and periods.

The acts are the ledger's (``ledger.accounts``); here is who may, the trail, and the second person.
Freezing is for the account of one asset; a customer as a whole is stopped by identity's freeze.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from hazina.desk.approvals import MAY, Approval, Approvals, MayNotApprove, Wish
from hazina.identity.people import Operator
from hazina.infra.audit import Audit
from hazina.infra.db import Tx
from hazina.kernel.actor import Actor, ActorKind
from hazina.kernel.clock import EAT
from hazina.kernel.errors import Invalid
from hazina.kernel.money import ASSETS, Money
from hazina.ledger.accounts import Accounts
from hazina.ledger.chart import AccountRef, Purpose
from hazina.ledger.reading import account_facts

GRANT, CLOSE = "credit.grant", "period.close"
HOUSE = "house"  # whose an account is that has no owner, in its page's path
THE_BOOKS = UUID(int=0)  # what closing a period is about: one request at a time


class AccountAct(StrEnum):
    """What one person may do to an account."""

    FREEZE = "freeze"  # nothing new is taken from it; what it held is settled
    UNFREEZE = "unfreeze"  # it is open again
    CLOSE = "close"  # it is empty, and closed for ever


DONE = {
    AccountAct.FREEZE: "frozen",
    AccountAct.UNFREEZE: "unfrozen",
    AccountAct.CLOSE: "closed",
}


class LedgerActs:
    """Every method joins the caller's transaction and leaves a row on the trail.

    Raises: MayNotApprove, where neither a manager nor an administrator acts; Invalid without a
    reason; and what the ledger's own act raises.
    """

    def __init__(self, accounts: Accounts, approvals: Approvals, audit: Audit) -> None:
        self._accounts, self._approvals, self._audit = accounts, approvals, audit
        approvals.register(GRANT, self._grant, page=lambda one: path_of(_account(one.facts)))
        approvals.register(CLOSE, self._close_period, page=lambda _: "/ledger")

    async def do(
        self, tx: Tx, act: AccountAct, ref: AccountRef, reason: str, *, operator: Operator,
        actor: Actor, now: datetime,
    ) -> None:  # fmt: skip
        """This will do what one person may: freeze, unfreeze, or close an empty account for
        ever."""
        if operator.role not in MAY:
            raise MayNotApprove
        if not reason.strip():
            raise Invalid.field("reason", "Say why: whoever comes next has to know.")
        why, ledger = reason.strip()[:500], self._accounts
        how = {
            AccountAct.FREEZE: ledger.freeze,
            AccountAct.UNFREEZE: ledger.unfreeze,
            AccountAct.CLOSE: ledger.close,
        }[act]
        await how(tx, ref, actor, why)
        account = await account_facts(tx, ref)
        after = {"purpose": ref.purpose.value, "asset": ref.asset.code, "reason": why}
        await self._audit.record(
            tx, actor, f"account.{DONE[act]}", "account", account.id, after=after, now=now
        )

    async def ask_credit(
        self,
        tx: Tx,
        ref: AccountRef,
        limit: Money,
        reason: str,
        *,
        starts_at: datetime,
        ends_at: datetime | None,
        operator: Operator,
        actor: Actor,
        now: datetime,
        named: str = "",
    ) -> Approval:
        """This will ask a second person to let the account fall ``limit`` below zero for a time;
        nothing ends credit. ``named`` is what people call the account. Raises also as
        ``Approvals.request``, and NoSuchAccount."""
        if limit.units < 0 or limit.asset != ref.asset:
            raise Invalid.field("limit", "Credit is an amount of the account's asset.")
        if ends_at is not None and ends_at <= max(starts_at, now):
            raise Invalid.field("ends_at", "Credit ends after it has begun, and after now.")
        account = await account_facts(tx, ref)
        until = "without an end" if ends_at is None else f"until {_spoken(ends_at)}"
        called = named or f"{ref.purpose.value} {ref.owner}"
        summary = f"Credit of {limit} for {called} from {_spoken(starts_at)}, {until}"
        facts = {
            "purpose": ref.purpose.value,
            "asset": ref.asset.code,
            "owner": str(ref.owner or ""),
            "limit": str(limit.units),
            "starts_at": starts_at.isoformat(),
            "ends_at": "" if ends_at is None else ends_at.isoformat(),
        }
        wish = Wish(GRANT, account.id, facts, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def ask_close_period(
        self, tx: Tx, until: datetime, reason: str, *, operator: Operator, actor: Actor,
        now: datetime,
    ) -> Approval:  # fmt: skip
        """This will ask a second person to let nothing take effect at or before ``until`` any
        more. Raises also as ``Approvals.request``."""
        if until > now:
            raise Invalid.field("until", "That time has not come yet.")
        end = _spoken(until)
        summary = f"Close the books up to {end}: nothing takes effect before it any more"
        wish = Wish(CLOSE, THE_BOOKS, {"until": until.isoformat()}, summary, reason)
        return await self._approvals.request(tx, wish, operator=operator, actor=actor, now=now)

    async def _grant(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        facts = approval.facts
        ref = _account(facts)
        await self._accounts.grant_credit(
            tx,
            ref,
            ref.asset.units(int(facts["limit"])),
            starts_at=datetime.fromisoformat(facts["starts_at"]),
            ends_at=datetime.fromisoformat(facts["ends_at"]) if facts["ends_at"] else None,
            asked_by=Actor(ActorKind.OPERATOR, approval.asked_by),
            granted_by=actor,
            reason=approval.reason,
        )
        await self._audit.record(
            tx, actor, "credit.granted", "account", approval.subject, after=facts, now=now
        )

    async def _close_period(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None:
        until = datetime.fromisoformat(approval.facts["until"])
        await self._accounts.close_period(tx, until, actor, approval.reason)
        await self._audit.record(
            tx, actor, "period.closed", "books", THE_BOOKS, after=approval.facts, now=now
        )


def path_of(ref: AccountRef) -> str:
    """The page of one account in the console."""
    whose = HOUSE if ref.owner is None else ref.owner.hex
    return f"/ledger/accounts/{ref.purpose.value}/{ref.asset.code}/{whose}"


def _account(facts: Mapping[str, str]) -> AccountRef:
    owner = UUID(facts["owner"]) if facts["owner"] else None
    return AccountRef(Purpose(facts["purpose"]), ASSETS[facts["asset"]], owner)


def _spoken(at: datetime) -> str:
    """As the second person reads it."""
    return f"{at.astimezone(EAT):%F %R} EAT"
