"""The micro-batcher: plain transfers from many callers of one process, booked together.

While batches are in flight the next collects itself: there is no timer, so one caller alone waits
for nobody and a thousand share one commit. Two are in flight at a time, of different customers.
Each caller awaits its own durable result; what it submits stays together, in its order and whole,
nobody overtakes who moves the same customer's money, and nothing of one submission can make another
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
from hazina.ledger.core import PLAIN, Result, Transfer
from hazina.ledger.service import MAX_BATCH, Ledger

PATIENCE_S = 20
RETRY_AFTER_S = 1
LANES = 2
NO_GROUPS: frozenset[UUID] = frozenset()
LEAST_SHARE = 16  # transfers; smaller batches cost more than a second processor gives
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


class _Submission:
    """What one caller handed over, and where its results are awaited."""

    __slots__ = ("actor", "answer", "by", "groups", "touches", "transfers")

    def __init__(
        self,
        transfers: tuple[Transfer, ...],
        actor: Actor,
        answer: asyncio.Future[list[Result]],
    ) -> None:
        self.transfers = transfers
        self.actor = actor
        self.by = str(actor)  # all that the ledger keeps of the actor
        self.answer = answer
        self.groups = NO_GROUPS
        self.touches = _touched(transfers)
        for one in transfers:
            if one.group is not None:
                self.groups |= {one.group}


@dataclass(slots=True, eq=False)
class _Flight:
    """A lane, once it was needed, and the batch that is in flight on it."""

    lane: Lane | None = None
    task: asyncio.Task[None] | None = None
    size: int = 0  # transfers
    touched: set[int] = field(default_factory=set)


class Batcher:
    """One for each process, with at most ``LANES`` batches in flight at a time.

    No two of those touch the same customer: neither waits for the other's locks, and transfers of
    one customer are booked in the order in which they came (docs/decisions/0029-micro-batcher.md).
    """

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
        self._flights = [_Flight() for _ in range(LANES)]
        self._blocked = set[int]()  # touched by what flew, or waited, at the last look at the queue
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
        # Who must wait for somebody makes nobody look through the queue.
        if self._blocked.isdisjoint(submission.touches):
            self._take_off()
        else:
            self._blocked |= submission.touches
        return await submission.answer

    async def close(self) -> None:
        """This will take nothing more, and return when everything taken is answered."""
        self._closed = True
        while flying := [flight.task for flight in self._flights if flight.task is not None]:
            await asyncio.wait(flying)
        for flight in self._flights:
            if flight.lane is not None:
                await flight.lane.close()

    def _take_off(self) -> None:
        """This will let a lane that is free look at the queue."""
        for flight in self._flights:
            if flight.task is None:
                # A context of its own: a batch is not part of whichever request happened to be
                # first.
                loop = asyncio.get_running_loop()
                flight.task = loop.create_task(self._fly(flight), context=Context())
                return

    async def _fly(self, flight: "_Flight") -> None:
        try:
            while batch := self._next_batch(flight):
                flight.lane = flight.lane or self._db.lane()
                try:
                    await self._book(flight.lane, batch)
                finally:
                    flight.touched, flight.size = set(), 0
                # Whoever was just answered may join the next batch, where they have more to say.
                await asyncio.sleep(0)
        finally:
            # At once after the look at the queue: what comes now starts a flight of its own.
            flight.task = None

    def _next_batch(self, flight: "_Flight") -> list[_Submission]:
        """The longest waiting submissions that can share a posting: the same actor, no group that
        another has too, and together this lane's share of all there is to do. Only who could not
        fly on the other lane either comes on top."""
        batch: list[_Submission] = []
        left: list[_Submission] = []
        elsewhere = set[int]()  # touched by what flies already, or waits longer
        elsewhere.update(*(other.touched for other in self._flights))
        flying = sum(other.size for other in self._flights)
        share = min(MAX_BATCH, max(LEAST_SHARE, -(-(self._waiting + flying) // LANES)))
        count, here, groups = 0, flight.touched, set[UUID]()
        self._waiting = 0
        for one in self._queue:
            if one.answer.cancelled():
                continue
            size = len(one.transfers)
            touches = one.touches
            fits = elsewhere.isdisjoint(touches) and (
                not batch
                or (
                    one.by == batch[0].by
                    and groups.isdisjoint(one.groups)
                    and count + size <= (share if here.isdisjoint(touches) else MAX_BATCH)
                )
            )
            if fits:
                batch.append(one)
                count += size
                here |= touches
                groups |= one.groups
            else:
                left.append(one)
                elsewhere |= touches
                self._waiting += size
        self._queue = left
        self._blocked = elsewhere | here
        flight.size = count
        if left and batch:
            self._take_off()
        return batch

    async def _book(self, lane: Lane, batch: list[_Submission]) -> None:
        try:
            results = await self._durable(lane, batch)
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
            await self._book(lane, batch[:middle])
            await self._book(lane, batch[middle:])
        else:
            _hand_out(batch, results)

    async def _durable(self, lane: Lane, batch: list[_Submission]) -> list[Result]:
        """The results of one batch once it is committed, however often that has to be tried.

        Raises: LedgerUnknown, LedgerBusy.
        """
        transfers = [transfer for one in batch for transfer in one.transfers]
        actor = batch[0].actor
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


def _touched(transfers: Iterable[Transfer]) -> set[int]:
    """Whose order counts, as numbers: customers, groups, transfers and what those refer to. An
    account that is nobody's is the house's, and unbounded: nobody waits for it."""
    touched = set[int]()
    for one in transfers:
        touched.add(one.id.int)  # a UUID's own hash takes five times as long
        for account in (one.debit, one.credit):
            if account is not None and account.owner is not None:
                touched.add(account.owner.int)
        if one.group is not None or one.pending_id is not None or one.terms is not PLAIN:
            terms = one.terms
            ids = (one.group, one.pending_id, terms.refund_of, terms.reverses, terms.corrects)
            touched.update(one_id.int for one_id in ids if one_id is not None)
    return touched


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
