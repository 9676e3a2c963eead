"""The micro-batcher: plain transfers from many callers of one process, booked together.

While batches are in flight the next collects itself: there is no timer, so one caller alone waits
for nobody and a thousand share one commit. Two are in flight at a time, of different customers.
Each caller awaits its own durable result; what it submits stays together, in its order and whole,
what an earlier submission brings is there for a later one, and nothing of one submission can make
another fail. The queue is bounded and refuses loudly.

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
    """What one caller handed over, and where its results are awaited.

    ``needs`` and ``brings`` are the customers whose money it takes and gives, and the transfers,
    holds and groups that it builds on and makes, as numbers: a UUID's own hash takes five times as
    long. What is nobody's is the house's, and unbounded: nobody waits for that. ``opaque``: it acts
    on holds, of which only the ledger knows whom they pay.
    """

    __slots__ = ("actor", "answer", "brings", "by", "groups", "needs", "opaque", "transfers")

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
        self.opaque = False
        self.needs = needs = set[int]()
        self.brings = brings = set[int]()
        for one in transfers:
            # Sent twice, and two acts on one hold: the second builds on the first.
            needs.add(one.id.int)
            brings.add(one.id.int)
            if one.debit is not None and one.debit.owner is not None:
                needs.add(one.debit.owner.int)
            if one.credit is not None and one.credit.owner is not None:
                brings.add(one.credit.owner.int)
            if one.group is not None:
                self.groups |= {one.group}
                needs.add(one.group.int)
                brings.add(one.group.int)
            if one.pending_id is not None:
                self.opaque = True
                needs.add(one.pending_id.int)
                brings.add(one.pending_id.int)
            if one.terms is not PLAIN:
                terms = one.terms
                built_on = (terms.refund_of, terms.reverses, terms.corrects)
                needs.update(origin.int for origin in built_on if origin is not None)


@dataclass(slots=True, eq=False)
class _Flight:
    """A lane, once it was needed, and the batch that is in flight on it."""

    lane: Lane | None = None
    task: asyncio.Task[None] | None = None
    batch: list[_Submission] = field(default_factory=list)
    size: int = 0  # transfers
    needs: set[int] = field(default_factory=set)
    brings: set[int] = field(default_factory=set)

    def load(self, batch: list[_Submission]) -> None:
        self.batch = batch
        self.size = sum(len(one.transfers) for one in batch)
        self.needs = set[int]().union(*(one.needs for one in batch))
        self.brings = set[int]().union(*(one.brings for one in batch))


class Batcher:
    """One for each process, with at most ``lanes`` batches in flight at a time.

    Where they can they touch no customer in common, so that neither waits for the other's locks;
    and none flies that needs what another may still bring (docs/decisions/0029-micro-batcher.md).
    """

    def __init__(
        self,
        db: Database,
        ledger: Ledger,
        *,
        queue_limit: int = 10_000,
        patience_s: int = PATIENCE_S,
        lanes: int = LANES,
    ) -> None:
        self._ledger = ledger
        self._queue_limit = queue_limit
        self._patience_s = patience_s
        self._queue: list[_Submission] = []
        self._waiting = 0  # transfers in the queue
        self._db = db
        self._flights = [_Flight() for _ in range(lanes)]
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
        self._take_off()
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

    async def _fly(self, flight: _Flight) -> None:
        try:
            while batch := self._next_batch(flight):
                flight.lane = flight.lane or self._db.lane()
                try:
                    await self._book(flight.lane, batch)
                finally:
                    flight.load([])
                # Whoever was just answered may join the next batch, where they have more to say.
                await asyncio.sleep(0)
        finally:
            # At once after the look at the queue: what comes now starts a flight of its own.
            flight.task = None

    def _next_batch(self, flight: _Flight) -> list[_Submission]:
        """Who shares no customer with what flies, if there is anybody; else who waits longest: the
        database lets them in as soon as the others' locks go."""
        others = [other for other in self._flights if other is not flight]
        if any(one.opaque for other in others for one in other.batch):
            return []
        brought = set[int]().union(*(other.brings for other in others))
        touched = brought.union(*(other.needs for other in others))
        batch = self._cut(brought, touched) or self._cut(brought, set())
        flight.load(batch)
        if batch and self._queue:
            self._take_off()
        return batch

    def _cut(self, brought: set[int], touched: set[int]) -> list[_Submission]:
        """The longest waiting submissions that can share a posting: the same actor, no group that
        another has too, together one lane's share of all there is to do; that need nothing of
        ``brought``, nor what somebody needs or brings who waits longer; and touch none of
        ``touched``."""
        batch: list[_Submission] = []
        left: list[_Submission] = []
        ahead = set(brought)
        flying = sum(flight.size for flight in self._flights)
        share = min(MAX_BATCH, max(LEAST_SHARE, -(-(self._waiting + flying) // len(self._flights))))
        count, groups, closed = 0, set[UUID](), False
        self._waiting = 0
        for one in self._queue:
            if one.answer.cancelled():
                continue
            size = len(one.transfers)
            fits = not (closed or batch) or (
                not closed
                and one.by == batch[0].by
                and count + size <= share
                and groups.isdisjoint(one.groups)
            )
            fits = fits and ahead.isdisjoint(one.needs) and touched.isdisjoint(one.needs)
            if fits and touched.isdisjoint(one.brings):
                batch.append(one)
                count += size
                groups |= one.groups
            else:
                left.append(one)
                ahead |= one.needs
                ahead |= one.brings
                closed = closed or one.opaque
                self._waiting += size
        self._queue = left
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
