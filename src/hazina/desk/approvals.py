"""Approvals: acts that two different persons must agree on, one asks and another says yes.

An act is a registered name with a handler, so nothing here knows what it approves. The approving
transaction carries the act out: there is no approved act that has not happened. Invariants: who
asked never approves (the table holds it too); one open request for each subject.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

import asyncpg

from hazina.identity.people import Operator, Role
from hazina.infra.audit import Audit
from hazina.infra.db import Row, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Invalid, Kind, NotFound, Refusal
from hazina.kernel.ids import new_id, parse_id, wire_id
from hazina.kernel.page import Page

MAY = frozenset({Role.ADMINISTRATOR, Role.MANAGER})
MOST_LISTED = 200
PREFIX = "apr"
LAST = UUID(int=2**128 - 1)  # before every cursor of a list that begins with the newest
FIRST = UUID(int=0)
COLUMNS = (
    "id, act, subject, facts, summary, reason, asked_by, asked_by_name, asked_at, state,"
    " decided_by_name, decided_at, answer"
)
ADD = """
INSERT INTO desk.approval
    (id, act, subject, facts, summary, reason, asked_by, asked_by_name, asked_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""
GET = f"SELECT {COLUMNS} FROM desk.approval WHERE id = $1"  # noqa: S608
LOCK = f"SELECT {COLUMNS} FROM desk.approval WHERE id = $1 FOR NO KEY UPDATE"  # noqa: S608
OPEN = f"""
SELECT {COLUMNS} FROM desk.approval WHERE state = 'open' AND id > $2 ORDER BY id LIMIT $1
"""  # noqa: S608
DECIDED = f"""
SELECT {COLUMNS} FROM desk.approval WHERE state <> 'open' AND id < $2 ORDER BY id DESC LIMIT $1
"""  # noqa: S608
OF_SUBJECT = f"SELECT {COLUMNS} FROM desk.approval WHERE subject = $1 ORDER BY id"  # noqa: S608
DECIDE = """
UPDATE desk.approval
SET state = $2, decided_by = $3, decided_by_name = $4, decided_at = $5, answer = $6
WHERE id = $1 AND state = 'open'
"""


class ApprovalOpen(Refusal):
    """Somebody has asked for something about this already, and nobody has answered."""

    code = "approval_open"
    kind = Kind.CONFLICT
    message = "A request about this is open already."
    action = "Approve or reject that one first."


class ApprovalDecided(Refusal):
    """Somebody was quicker."""

    code = "approval_decided"
    kind = Kind.CONFLICT
    message = "This request has been decided already."
    action = "Reload to see how."


class SamePerson(Refusal):
    """Two persons are needed, and this is the one who asked."""

    code = "same_person"
    kind = Kind.FORBIDDEN
    message = "Whoever asked cannot approve."
    action = "Ask a second manager or administrator."


class MayNotApprove(Refusal):
    """Only managers and administrators ask for such acts and approve them."""

    code = "may_not_approve"
    kind = Kind.FORBIDDEN
    message = "Only a manager or an administrator can do that."
    action = "Ask one of them."


@dataclass(frozen=True, slots=True)
class Approval:
    """One request. ``facts`` are the act's own; ``answer`` is why it was rejected."""

    id: UUID
    act: str
    subject: UUID
    facts: Mapping[str, str]
    summary: str
    reason: str
    asked_by: UUID
    asked_by_name: str
    asked_at: datetime
    state: str
    decided_by_name: str | None
    decided_at: datetime | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for; ``summary`` is the one sentence that the second person reads."""

    act: str
    subject: UUID
    facts: Mapping[str, str]
    summary: str
    reason: str


class ApprovableAct(Protocol):
    """The handler of an act. Runs in the approving transaction and posts last, if it posts."""

    async def __call__(self, tx: Tx, approval: Approval, actor: Actor, now: datetime) -> None: ...


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...


class Approvals:
    """Every method joins the caller's transaction."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._acts: dict[str, ApprovableAct] = {}
        self._prefixes: dict[str, str] = {}
        self._pages: dict[str, Callable[[Approval], str]] = {}

    def register(
        self,
        act: str,
        handler: ApprovableAct,
        *,
        subject: str = "",
        page: "Callable[[Approval], str] | None" = None,
    ) -> None:
        """``act`` is a noun and a verb: ``payment.allocate``. ``subject`` is the prefix of the
        wire ids of what it is about, where the open questions have a page of it; ``page`` says
        where the evidence is shown otherwise."""
        if act in self._acts:
            raise ValueError(f"{act} has a handler already")
        self._acts[act] = handler
        if subject:
            self._prefixes[act] = subject
        if page is not None:
            self._pages[act] = page

    def page_of(self, approval: "Approval") -> str:
        """Where the evidence is shown; empty where no page is known."""
        if approval.act in self._pages:
            return self._pages[approval.act](approval)
        prefix = self._prefixes.get(approval.act)
        return f"/open-questions/{wire_id(prefix, approval.subject)}" if prefix else ""

    async def request(
        self, tx: Tx, wish: Wish, *, operator: Operator, actor: Actor, now: datetime
    ) -> Approval:
        """This will write a request down. Raises: MayNotApprove, ApprovalOpen, Invalid."""
        _check_role(operator)
        if wish.act not in self._acts:
            raise LookupError(f"nobody carries out {wish.act}")
        if not wish.reason.strip():
            raise Invalid.field("reason", "Say why: the second person has only your word.")
        approval_id = new_id()
        try:
            async with tx.savepoint():
                await tx.execute(
                    ADD,
                    approval_id,
                    wish.act,
                    wish.subject,
                    dict(wish.facts),
                    wish.summary,
                    wish.reason.strip()[:500],
                    operator.id,
                    operator.username,
                    now,
                )
        except asyncpg.UniqueViolationError:
            raise ApprovalOpen from None
        after = {"act": wish.act, "subject": str(wish.subject), "reason": wish.reason[:500]}
        await self._audit.record(
            tx, actor, "approval.asked", "approval", approval_id, after=after, now=now
        )
        return await self._lock(tx, approval_id)

    async def approve(
        self, tx: Tx, approval_id: UUID, *, operator: Operator, actor: Actor, now: datetime
    ) -> Approval:
        """This will agree, as the second person, and carry the act out at once.

        Raises: MayNotApprove, SamePerson, ApprovalDecided, NotFound, and what the act raises.
        """
        _check_role(operator)
        found = await self._lock(tx, approval_id)
        if found.state != "open":
            raise ApprovalDecided
        if found.asked_by == operator.id:
            raise SamePerson
        await self._decide(tx, found, "approved", operator, actor, None, now)
        await self._acts[found.act](tx, found, actor, now)
        return found

    async def reject(
        self,
        tx: Tx,
        approval_id: UUID,
        *,
        operator: Operator,
        actor: Actor,
        answer: str,
        now: datetime,
    ) -> Approval:
        """This will say no; who asked may do so too, and take it back.

        Raises: MayNotApprove, ApprovalDecided, NotFound, Invalid.
        """
        _check_role(operator)
        if not answer.strip():
            raise Invalid.field("answer", "Say why not.")
        found = await self._lock(tx, approval_id)
        if found.state != "open":
            raise ApprovalDecided
        await self._decide(tx, found, "rejected", operator, actor, answer.strip()[:500], now)
        return found

    async def get(self, reader: Reader, approval_id: UUID) -> Approval:
        """Raises: NotFound."""
        rows = await reader.fetch(GET, approval_id)
        if not rows:
            raise NotFound
        return _approval(rows[0])

    async def list_open(self, reader: Reader, *, limit: int = MOST_LISTED) -> Sequence[Approval]:
        """What waits for a second person, the oldest first."""
        return [_approval(row) for row in await reader.fetch(OPEN, limit, FIRST)]

    async def page_open(self, reader: Reader, *, limit: int, cursor: str | None) -> Page[Approval]:
        """The same, page by page."""
        after = parse_id(PREFIX, cursor) if cursor else FIRST
        rows = await reader.fetch(OPEN, limit + 1, after)
        return Page.of([_approval(row) for row in rows], limit, _cursor)

    async def page_decided(
        self, reader: Reader, *, limit: int, cursor: str | None
    ) -> Page[Approval]:
        """What was approved or rejected, the newest request first."""
        before = parse_id(PREFIX, cursor) if cursor else LAST
        rows = await reader.fetch(DECIDED, limit + 1, before)
        return Page.of([_approval(row) for row in rows], limit, _cursor)

    async def list_of(self, reader: Reader, subject: UUID) -> Sequence[Approval]:
        """Every request about one thing, the oldest first."""
        return [_approval(row) for row in await reader.fetch(OF_SUBJECT, subject)]

    async def _lock(self, tx: Tx, approval_id: UUID) -> Approval:
        row = await tx.fetchrow(LOCK, approval_id)
        if row is None:
            raise NotFound
        return _approval(row)

    async def _decide(
        self,
        tx: Tx,
        found: Approval,
        state: str,
        operator: Operator,
        actor: Actor,
        answer: str | None,
        now: datetime,
    ) -> None:
        await tx.execute(DECIDE, found.id, state, operator.id, operator.username, now, answer)
        after = {"act": found.act, "subject": str(found.subject), "answer": answer}
        await self._audit.record(
            tx, actor, f"approval.{state}", "approval", found.id, after=after, now=now
        )


def _check_role(operator: Operator) -> None:
    if operator.role not in MAY:
        raise MayNotApprove


def _cursor(one: Approval) -> str:
    return wire_id(PREFIX, one.id)


def _approval(row: Row) -> Approval:
    return Approval(**row)
