"""Recovery: what a house does between being restored from a copy and moving money again.

What was under way when the copy was made may have been done since, and what was done since is not
in it. So nothing goes out (``desk.switches`` sees the open row) and customers change nothing, while
M-Pesa is asked about everything that is open. An administrator ends it.

Flows register how their rows are recovered and found; nothing here names a flow. It imports
nothing: what M-Pesa did and no row of ours knows is listed for people, never booked by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from hazina.desk.switches import Switches
from hazina.identity.people import Operator, Role
from hazina.infra.audit import Audit
from hazina.infra.db import Row, Tx
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Invalid, Kind, Refusal
from hazina.kernel.ids import new_id
from hazina.kernel.money import Money

MOST_LISTED = 1000
FIND = """
SELECT id, copied_at, entered_at, asked FROM desk.recovery WHERE released_at IS NULL
"""
ENTER = """
INSERT INTO desk.recovery (id, copied_at, entered_at, asked) VALUES ($1, $2, $3, $4)
"""
RELEASE = """
UPDATE desk.recovery SET released_at = $2, released_by = $3, open_left = $4, reason = $5
WHERE id = $1 AND released_at IS NULL
"""


class NotRecovering(Refusal):
    """There is no open recovery."""

    code = "not_recovering"
    kind = Kind.CONFLICT
    message = "This house is not in recovery."
    action = "Nothing needs to be released."


class AlreadyRecovering(Refusal):
    """The house is in recovery already."""

    code = "already_recovering"
    kind = Kind.CONFLICT
    message = "This house is in recovery already."
    action = "See `hazina recovery report`."


class QuestionsOpen(Refusal):
    """M-Pesa has not yet said what became of everything that was open in the copy."""

    code = "questions_open"
    kind = Kind.CONFLICT
    message = "M-Pesa has not answered for all that was open when the copy was made."
    action = "Wait and look again, or accept what is open and say why."


class NotAdministrator(Refusal):
    """Only an administrator releases a recovery."""

    code = "not_administrator"
    kind = Kind.FORBIDDEN
    message = "Only an administrator may release a recovery."
    action = "Ask an administrator."


@dataclass(frozen=True, slots=True)
class Question:
    """One thing of which nobody knows yet how it ended; ``hint`` says what could tell."""

    kind: str
    wire: str
    amount: Money
    phone_masked: str
    state: str
    since: datetime
    asked: int
    hint: str


@dataclass(frozen=True, slots=True)
class Moved:
    """One line of the outside's statement: money that moved there. ``our_id`` where it names one
    of our payouts, ``original`` the payment that it sends back; ``inward`` from our side."""

    receipt: str
    amount: Money
    inward: bool
    at: datetime
    our_id: UUID | None = None
    original: str | None = None


class Recoverable(Protocol):
    """What a flow registers."""

    async def recover(self, tx: Tx, now: datetime) -> int:
        """This will turn whatever could be sent into something that is asked about, make every
        open row due to be asked, and say how many rows are open."""
        ...

    async def ask_now(self, tx: Tx, now: datetime) -> None:
        """This will make every open row that can be asked about due."""
        ...

    async def questions(self, reader: "Reader", limit: int) -> list[Question]:
        """What is open, the oldest first."""
        ...

    async def count(self, reader: "Reader") -> int: ...

    async def explained(self, reader: "Reader", moved: Sequence[Moved]) -> set[str]:
        """The receipts of those lines that a row of this flow explains."""
        ...


class Reader(Protocol):
    """A transaction or the pool."""

    async def fetch(self, sql: str, *args: object) -> list[Row]: ...
    async def fetchrow(self, sql: str, *args: object) -> Row | None: ...


class NobodyAsked:
    """What a slice registers of which the outside cannot be asked: it has no open questions, and
    says in its own methods what is different there."""

    async def recover(self, tx: Tx, now: datetime) -> int:  # noqa: ARG002
        return 0

    async def ask_now(self, tx: Tx, now: datetime) -> None:
        """There is nobody to ask."""

    async def questions(self, reader: Reader, limit: int) -> list[Question]:  # noqa: ARG002
        return []

    async def count(self, reader: Reader) -> int:  # noqa: ARG002
        return 0

    async def explained(self, reader: Reader, moved: Sequence[Moved]) -> set[str]:  # noqa: ARG002
        return set()


@dataclass(frozen=True, slots=True)
class Open:
    """The open recovery: of a copy made at ``copied_at``; ``asked`` rows were open in it."""

    id: UUID
    copied_at: datetime
    entered_at: datetime
    asked: int


class Recovery:
    """Enters, looks at and releases recoveries. Every method joins the caller's transaction."""

    def __init__(self, switches: Switches, audit: Audit) -> None:
        self._switches = switches
        self._audit = audit
        self._parts: dict[str, Recoverable] = {}

    def register(self, name: str, part: Recoverable) -> None:
        if name in self._parts:
            raise ValueError(f"{name} is recovered already")
        self._parts[name] = part

    async def find_open(self, reader: Reader) -> Open | None:
        row = await reader.fetchrow(FIND)
        return None if row is None else Open(*(row[i] for i in range(4)))

    async def enter(self, tx: Tx, *, copied_at: datetime, actor: Actor, now: datetime) -> Open:
        """This will stop everything that goes out and have all that is open asked about.

        Raises: AlreadyRecovering.
        """
        await self._switches.lock_changes(tx)
        if await self.find_open(tx) is not None:
            raise AlreadyRecovering
        asked = sum([await part.recover(tx, now) for part in self._parts.values()])
        entered = Open(new_id(), copied_at, now, asked)
        await tx.execute(ENTER, entered.id, copied_at, now, asked)
        after = {"copied_at": copied_at.isoformat(), "asked": asked}
        await self._audit.record(
            tx, actor, "recovery.entered", "recovery", entered.id, after=after, now=now
        )
        tx.after_commit(self._switches.forget)
        return entered

    async def ask_now(self, tx: Tx, now: datetime) -> None:
        """This will make every open question due; a worker asks it. Raises: NotRecovering."""
        await self._get(tx)
        for part in self._parts.values():
            await part.ask_now(tx, now)

    async def questions(self, reader: Reader, *, limit: int = MOST_LISTED) -> list[Question]:
        """What nobody knows yet, flow by flow, the oldest first."""
        found: list[Question] = []
        for part in self._parts.values():
            found += await part.questions(reader, limit - len(found))
        return found

    async def compare(self, reader: Reader, moved: Sequence[Moved]) -> list[Moved]:
        """Which lines of the outside's own statement no row of ours explains: money that moved
        after the copy was made. They are for people to book; nothing is written here."""
        known = set[str]()
        for part in self._parts.values():
            known |= await part.explained(reader, moved)
        return sorted((one for one in moved if one.receipt not in known), key=lambda one: one.at)

    async def release(
        self, tx: Tx, *, operator: Operator, actor: Actor, accept_open: str | None, now: datetime
    ) -> int:
        """This will let money move again and say how many questions were left open.

        Raises: NotRecovering, NotAdministrator, QuestionsOpen, Invalid for an empty reason.
        """
        if operator.role is not Role.ADMINISTRATOR:
            raise NotAdministrator
        if accept_open is not None and not accept_open.strip():
            raise Invalid.field("accept_open", "Say why what is open may stay open.")
        await self._switches.lock_changes(tx)
        entered = await self._get(tx)
        left = sum([await part.count(tx) for part in self._parts.values()])
        if left and accept_open is None:
            raise QuestionsOpen(details={"open": left})
        reason = accept_open.strip()[:300] if left and accept_open else None
        await tx.execute(RELEASE, entered.id, now, operator.username, left, reason)
        await self._audit.record(
            tx,
            actor,
            "recovery.released",
            "recovery",
            entered.id,
            after={"open_left": left, "reason": reason},
            now=now,
        )
        tx.after_commit(self._switches.forget)
        return left

    async def _get(self, tx: Tx) -> Open:
        found = await self.find_open(tx)
        if found is None:
            raise NotRecovering
        return found
