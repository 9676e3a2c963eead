"""One outward call, in three steps, so that a death between any two of them is seen.

Claim (the attempt and its exact bytes are written under a lease), call (outside any transaction),
conclude (compare-and-set on the attempt). A worker dead past its lease leaves an *unknown*, never a
"not sent": the outside may have acted. A flow says what is special about its call in a subclass;
its machine has the states and events named here.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Generic, TypeVar, assert_never
from uuid import UUID

import structlog

from hazina.desk.switches import AGAIN_AFTER, Switch, Switches
from hazina.infra.attempts import LEASE_MARGIN, Attempts
from hazina.infra.db import Database, Row, Tx
from hazina.infra.states import StateTable
from hazina.infra.vault import CustomerVault
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import Clock
from hazina.kernel.errors import Refusal
from hazina.kernel.outcome import Accepted, Outcome, Rejected, Unknown
from hazina.rails.ports import PreparedCall

log = structlog.stdlib.get_logger()

T = TypeVar("T")
DEFERRALS = 6  # refused at the gate this often, it is refused for good
MAX_WAIT_S = 120
CONCLUDE_PATIENCE_S = 60
LEAST_WAIT_S = {"phone_busy": 60}  # the phone is in another session; it ends by itself


@dataclass(frozen=True, slots=True)
class Claimed:
    """One attempt that this worker alone may make."""

    subject_id: UUID
    number: int
    call: PreparedCall


class OutwardCall(ABC, Generic[T]):
    """``name`` is the subject's word; ``switch`` is what stops its calls; ``ready`` and ``sending``
    are two states of its machine, whose events are called claim, accepted, deferred, rejected and
    lost."""

    name: str
    switch: Switch
    ready: str
    sending: str

    def __init__(
        self,
        db: Database,
        clock: Clock,
        table: StateTable[Any, Any],
        attempts: Attempts,
        sealed: CustomerVault,
        switches: Switches,
        timeout_s: int,
    ) -> None:
        self.db, self.clock, self.table, self.attempts = db, clock, table, attempts
        self.sealed, self.switches = sealed, switches
        self._lease = timedelta(seconds=timeout_s) + LEASE_MARGIN

    @abstractmethod
    async def prepare(self, tx: Tx, row: Row, now: datetime) -> PreparedCall:
        """This will build the bytes. A ``Refusal`` ends the subject as rejected."""

    @abstractmethod
    async def call(self, prepared: PreparedCall) -> Outcome[T]:
        """The one network call."""

    @abstractmethod
    async def accepted(self, tx: Tx, row: Row, value: T, now: datetime) -> None:
        """The outside took it; the row may have moved on meanwhile."""

    @abstractmethod
    async def rejected(self, tx: Tx, row: Row, code: str, text: str, now: datetime) -> None:
        """Positive evidence that nothing happened; the row is in ``sending``."""

    @abstractmethod
    def ask_at(self, row: Row, now: datetime) -> datetime | None:
        """When an unknown one is first asked about; None where nothing can be asked."""

    async def waits(self, tx: Tx, row: Row, now: datetime) -> bool:  # noqa: ARG002
        """Whether it must not go out yet: then it stays ready, and is looked at again soon."""
        return False

    def owner(self, row: Row) -> UUID:
        """For whom the attempt's bytes are sealed."""
        found: UUID = row["customer_id"]
        return found

    async def send(self, subject_id: UUID) -> None:
        """This will make one attempt, if nobody has. Safe to run twice."""
        claimed = await self.db.run(lambda tx: self._claim(tx, subject_id, self.clock.now()))
        if claimed is None:
            return
        outcome = await self.call(claimed.call)
        # The outside's answer comes once: with the database away for a moment it is kept.
        await self.db.run_patiently(
            lambda tx: self._conclude(tx, claimed, outcome, self.clock.now()),
            patience_s=CONCLUDE_PATIENCE_S,
        )

    async def give_up_lease(self, subject_id: UUID) -> None:
        """This will call an attempt unknown whose worker is past its lease."""

        async def give_up(tx: Tx) -> None:
            now = self.clock.now()
            row = await self.table.lock(tx, subject_id)
            if row["state"] != self.sending or row["next_attempt_at"] > now:
                return
            note = "the worker did not come back"
            await self.attempts.end(
                tx, subject_id, row["attempts"], outcome="lost", note=note, now=now
            )
            await self._lost(tx, row, note, now)

        await self.db.run(give_up)

    async def _claim(self, tx: Tx, subject_id: UUID, now: datetime) -> Claimed | None:
        row = await self.table.lock(tx, subject_id)
        if row["state"] != self.ready:
            return None
        if await self.switches.find_closed(tx, self.switch) is not None:
            await self._look_again(tx, row, now + AGAIN_AFTER)
            return None
        if await self.waits(tx, row, now):
            await self._look_again(tx, row, now + AGAIN_AFTER)
            return None
        number, lease = row["attempts"] + 1, now + self._lease
        try:
            call = await self.prepare(tx, row, now)
        except Refusal as refusal:
            await self._move(tx, row, "claim", {"attempts": number}, now)
            row = await self.table.lock(tx, subject_id)
            await self.rejected(tx, row, refusal.code, refusal.message, now)
            return None
        context = f"{self.attempts.table}:{subject_id}:{number}"
        await self.attempts.begin(
            tx,
            subject_id,
            number,
            sealed=await self.sealed.seal(tx, self.owner(row), call.body, context),
            digest=call.digest,
            lease_until=lease,
            now=now,
        )
        changes = {"attempts": number, "next_attempt_at": lease}
        await self._move(tx, row, "claim", changes, now)
        return Claimed(subject_id, number, call)

    async def _look_again(self, tx: Tx, row: Row, at: datetime) -> None:
        """Stopped: it stays ready, and the sweeper comes back to it."""
        await tx.execute(
            f"UPDATE {self.table.table} SET next_attempt_at = $2 WHERE id = $1",  # noqa: S608
            row["id"],
            at,
        )

    async def _conclude(self, tx: Tx, claimed: Claimed, outcome: Outcome[T], now: datetime) -> None:
        """A sweep or a callback may have been first: then only what was accepted still matters."""
        row = await self.table.lock(tx, claimed.subject_id)
        ended = await self.attempts.end(
            tx,
            claimed.subject_id,
            claimed.number,
            outcome=type(outcome).__name__.lower(),
            note=_note(outcome),
            now=now,
        )
        match outcome:
            case Accepted():
                await self.accepted(tx, row, outcome.value, now)
            case _ if not ended or row["state"] != self.sending:
                return
            case Rejected(retry=True) if row["attempts"] < DEFERRALS:
                least = LEAST_WAIT_S.get(outcome.code, 0)
                wait = timedelta(seconds=max(min(5 * 2 ** row["attempts"], MAX_WAIT_S), least))
                changes = {"next_attempt_at": now + wait}
                await self._move(tx, row, "deferred", changes, now, note=outcome.code)
            case Rejected():
                await self.rejected(tx, row, outcome.code, outcome.text, now)
            case Unknown():
                await self._lost(tx, row, outcome.reason, now)
            case _:
                assert_never(outcome)

    async def _lost(self, tx: Tx, row: Row, reason: str, now: datetime) -> None:
        log.warning("an outward call is unknown", subject=self.name, id=str(row["id"]), why=reason)
        changes = {"next_attempt_at": self.ask_at(row, now)}
        await self._move(tx, row, "lost", changes, now, note=reason[:300])

    async def _move(
        self,
        tx: Tx,
        row: Row,
        event: str,
        changes: Mapping[str, object],
        now: datetime,
        *,
        note: str | None = None,
    ) -> None:
        named = self.table.machine.events(event)
        await self.table.move(tx, row, named, now=now, actor=SYSTEM, note=note, changes=changes)


def _note(outcome: Outcome[T]) -> str:
    match outcome:
        case Accepted():
            return "taken"
        case Rejected():
            return f"{outcome.code}: {outcome.text}"[:300]
        case Unknown():
            return outcome.reason[:300]
        case _:
            assert_never(outcome)
