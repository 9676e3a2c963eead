"""The micro-batcher: plain transfers from many callers of one process, booked together.

While one batch is in flight the next collects itself: there is no timer, so one caller alone waits
for nobody and a thousand share one commit. Each caller awaits its own durable result; what it
submits stays together, in its order and whole, and nothing of one submission can make another
fail. The queue is bounded and refuses loudly.

A lost database is nobody's answer: the same ids are sent again until the ledger says what became
of them (``created``, or ``exists`` where the first attempt had been booked), for as long as
``patience_s``; after that callers get ``LedgerUnknown`` and may do the same themselves.

It does not join anybody's transaction: whoever has business rows of their own calls ``post``.
"""

import asyncio
import random
from collections.abc import Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass, field
from uuid import UUID

from hazina.infra.db import RETRYABLE, Database, DatabaseLost, Lane
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal
from hazina.ledger.core import Result, Transfer
from hazina.ledger.service import MAX_BATCH, Ledger

PATIENCE_S = 20
RETRY_AFTER_S = 1
FIRST_PAUSE_MS, LONGEST_PAUSE_MS = 20, 1_000


class LedgerBusy(Refusal):
    """More is waiting than the ledger's queue may hold, or it is being stopped: nothing of this
    was booked."""

    code = "ledger_busy"
    kind = Kind.UNAVAILABLE
    message = "The ledger has more to do than it can promise to do soon."
    action = "Wait a moment, then send the same transfers again."


class LedgerUnknown(Refusal):
    """The database was lost before it answered and did not come back in time: the transfers may
    have been booked, or not."""

    code = "ledger_unknown"
    kind = Kind.UNAVAILABLE
    message = "The ledger did not answer: the transfers may be booked or not."
    action = "Send the same transfers with the same ids again: what was booked answers exists."


@dataclass(slots=True, eq=False)
class _Submission:
    """What one caller handed over, and where its results are awaited."""

    transfers: Sequence[Transfer]
    actor: Actor
    answer: asyncio.Future[list[Result]]
    by: str = field(init=False)  # all that the ledger keeps of the actor
    groups: frozenset[UUID] = field(init=False)

    def __post_init__(self) -> None:
        self.by = str(self.actor)
        self.groups = frozenset(t.group for t in self.transfers if t.group is not None)


class Batcher:
    """One for each process, with one batch in flight at a time: a second one beside it was not
    faster (docs/decisions/0029-micro-batcher.md)."""

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        *,
        queue_limit: int = 10_000,
        patience_s: int = PATIENCE_S,
    ) -> None:
        self._ledger = ledger
        self._queue_limit = queue_limit
        self._patience_s = patience_s
        self._queue: list[_Submission] = []
        self._waiting = 0  # transfers in the queue
        self._db = db
        self._lane: Lane | None = None
        self._flight: asyncio.Task[None] | None = None
        self._airborne = False  # whether the flight will look at the queue again
        self._closed = False

    async def submit(self, transfers: Sequence[Transfer], actor: Actor) -> list[Result]:
        """This will book ``transfers`` in order, in one transaction with those of others, and give
        their results once they are durable. Safe to repeat: what was booked answers ``exists``.

        A caller that stops waiting while its transfers are queued takes them out; once they are in
        flight they are booked all the same.

        Raises: LedgerBusy: nothing was booked; LedgerUnknown: send the same ids again; ValueError:
        what ``post`` would not take either.
        """
        if not transfers:
            return []
        if len(transfers) > MAX_BATCH:
            raise ValueError(f"a batch has at most {MAX_BATCH} transfers")
        if self._closed or self._waiting + len(transfers) > self._queue_limit:
            raise LedgerBusy(
                details={
                    "waiting": self._waiting,
                    "limit": self._queue_limit,
                    "retry_after_s": RETRY_AFTER_S,
                }
            )
        loop = asyncio.get_running_loop()
        submission = _Submission(tuple(transfers), actor, loop.create_future())
        self._queue.append(submission)
        self._waiting += len(submission.transfers)
        if not self._airborne:
            self._airborne = True
            # A context of its own: a batch is not part of whichever request happened to be first.
            self._flight = loop.create_task(self._fly(), context=Context())
        return await submission.answer

    async def close(self) -> None:
        """This will take nothing more, and return when everything taken is answered."""
        self._closed = True
        if self._flight is not None:
            await asyncio.wait([self._flight])
        if self._lane is not None:
            await self._lane.close()

    async def _fly(self) -> None:
        try:
            while batch := self._next_batch():
                await self._book(batch)
                # Whoever was just answered may join the next batch, where they have more to say.
                await asyncio.sleep(0)
        finally:
            # At once after the look at the queue: what comes now starts a flight of its own.
            self._airborne = False

    def _next_batch(self) -> list[_Submission]:
        """The longest waiting submission, and all behind it that can share its posting: the same
        actor, room for them, and no group that another of them has too."""
        batch: list[_Submission] = []
        left: list[_Submission] = []
        count, groups = 0, set[UUID]()
        self._waiting = 0
        for one in self._queue:
            if one.answer.cancelled():
                continue
            size = len(one.transfers)
            fits = not batch or (
                one.by == batch[0].by
                and count + size <= MAX_BATCH
                and groups.isdisjoint(one.groups)
            )
            if fits:
                batch.append(one)
                count += size
                groups |= one.groups
            else:
                left.append(one)
                self._waiting += size
        self._queue = left
        return batch

    async def _book(self, batch: list[_Submission]) -> None:
        try:
            results = await self._durable(batch)
        except (LedgerBusy, LedgerUnknown) as no:
            for one in batch:
                _refuse(one, type(no)())
        except Exception as bug:  # noqa: BLE001 - the edge of a job: it ends with its own caller
            if len(batch) == 1:
                _refuse(batch[0], bug)
                return
            # Nothing of the batch was booked. Somebody's transfers cannot be read at all: halving
            # finds them in a few steps, and all others are booked.
            middle = len(batch) // 2
            await self._book(batch[:middle])
            await self._book(batch[middle:])
        else:
            _hand_out(batch, results)

    async def _durable(self, batch: list[_Submission]) -> list[Result]:
        """The results of one batch once it is committed, however often that has to be tried.

        Raises: LedgerUnknown, LedgerBusy.
        """
        transfers = [transfer for one in batch for transfer in one.transfers]
        actor = batch[0].actor
        lane = self._lane = self._lane or self._db.lane()
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience_s
        pause_ms, lost = FIRST_PAUSE_MS, False
        while True:
            try:
                return await lane.run(lambda tx: self._ledger.post(tx, transfers, actor))
            except (DatabaseLost, *RETRYABLE) as why:
                lost = lost or isinstance(why, DatabaseLost)
                if loop.time() >= until:
                    raise (LedgerUnknown if lost else LedgerBusy) from why
            await asyncio.sleep(random.randint(1, pause_ms) / 1_000)  # noqa: S311 - jitter
            pause_ms = min(2 * pause_ms, LONGEST_PAUSE_MS)


def _hand_out(batch: Iterable[_Submission], results: list[Result]) -> None:
    start = 0
    for one in batch:
        end = start + len(one.transfers)
        if not one.answer.done():
            one.answer.set_result(results[start:end])
        start = end


def _refuse(one: _Submission, why: Exception) -> None:
    if not one.answer.done():
        one.answer.set_exception(why)
