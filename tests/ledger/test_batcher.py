"""The micro-batcher: what many callers hand over at once comes out as if each had been alone."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import pairwise
from typing import TypeVar

import pytest

from hazina.infra.db import Database, DatabaseLost, RetryTransaction, Tx
from hazina.kernel.actor import SYSTEM, Actor, ActorKind
from hazina.kernel.errors import Kind
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES
from hazina.ledger.batcher import LANES, Batcher, LedgerBusy, LedgerUnknown
from hazina.ledger.chart import AccountRef
from hazina.ledger.codes import Code
from hazina.ledger.core import Result, ResultCode, Transfer, hold, linked, move
from hazina.ledger.service import MAX_BATCH, Ledger
from tests.ledger.books import Books, about, kes, somebody

T = TypeVar("T")
PAID = Code.DEPOSIT


@pytest.fixture
async def books(db: Database) -> Books:
    return Books(db)


@pytest.fixture
async def batcher(db: Database, books: Books) -> AsyncIterator[Batcher]:
    made = Batcher(db, books.ledger)
    yield made
    await made.close()


def pay(debit: AccountRef, credit: AccountRef, units: int) -> Transfer:
    return move(debit, credit, KES.units(units), PAID, about())


def codes(results: list[Result]) -> list[str]:
    return [result.code.value for result in results]


class Gate:
    """A database whose transactions wait until they are let through, and are counted."""

    def __init__(self, db: Database) -> None:
        self.open = asyncio.Event()
        self.begun = asyncio.Event()
        self.runs = 0
        self.most = 0  # transfers that were posted together
        self._turn = asyncio.Lock()
        self._lane = db.lane()

    def lane(self) -> "Gate":
        return self

    async def run(self, use_case: Callable[[Tx], Awaitable[T]]) -> T:
        self.runs += 1
        self.begun.set()
        await self.open.wait()
        # One lane for both, so that a connection is enough: they take turns.
        async with self._turn:
            value = await self._lane.run(use_case)
        self.most = max(self.most, len(value) if isinstance(value, list) else 0)
        return value

    async def close(self) -> None:
        await self._lane.close()


async def settled() -> None:
    """Whatever can take off has done so."""
    for _ in range(5):
        await asyncio.sleep(0)


async def busy(batcher: Batcher, gate: Gate, books: Books) -> list[asyncio.Task[list[Result]]]:
    """A batch in flight on every lane, of one transfer each."""
    tasks = []
    for flying in range(1, LANES + 1):
        one = pay(books.source, somebody(), 1)
        tasks.append(asyncio.create_task(batcher.submit([one], SYSTEM)))
        await settled()
        assert gate.runs == flying
    return tasks


@asynccontextmanager
async def gated(db: Database, **options: int) -> AsyncIterator[tuple[Batcher, Gate]]:
    gate = Gate(db)
    batcher = Batcher(gate, Ledger(), **options)  # type: ignore[arg-type] # only lane() is used
    try:
        yield batcher, gate
    finally:
        gate.open.set()
        await batcher.close()


class TestManyCallers:
    async def test_two_hundred_callers_get_what_a_model_says(
        self, db: Database, books: Books, batcher: Batcher
    ) -> None:
        """Money goes in circles among ten accounts; each caller awaits its own transfers."""
        draw = random.Random(20)
        accounts = [await books.funded("1000") for _ in range(10)]
        model = [1000_00] * 10
        booked = 0

        async def caller(seed: int) -> None:
            nonlocal booked
            mine = random.Random(seed)
            for _ in range(5):
                debit, credit = mine.sample(range(10), 2)
                units = mine.choice([1, 99, 10_000, 60_000, mine.randrange(1, 100_000)])
                transfer = pay(accounts[debit], accounts[credit], units)
                result = (await batcher.submit([transfer], SYSTEM))[0]
                assert result.id == transfer.id
                if result.booked:
                    booked += 1
                    model[debit] -= units
                    model[credit] += units
                else:
                    assert result.code is ResultCode.INSUFFICIENT_FUNDS

        await asyncio.gather(*(caller(draw.randrange(2**32)) for _ in range(200)))
        found = [(await books.ledger.balance(db, one)).posted.units for one in accounts]
        assert found == model
        assert min(found) >= 0
        assert 0 < booked <= 1000

    async def test_what_comes_while_batches_are_in_flight_is_shared_out(
        self, db: Database, books: Books
    ) -> None:
        async with gated(db) as (batcher, gate):
            flying = await busy(batcher, gate, books)
            rest = [
                asyncio.create_task(batcher.submit([pay(books.source, somebody(), 1)], SYSTEM))
                for _ in range(50)
            ]
            await settled()
            assert gate.runs == LANES
            gate.open.set()
            assert [codes(await one) for one in [*flying, *rest]] == [["created"]] * 52
            assert gate.runs == 2 * LANES
            assert gate.most <= 26

    async def test_with_one_lane_all_of_it_is_the_next_batch(
        self, db: Database, books: Books
    ) -> None:
        """As in a process whose pool has two connections: one is for all others."""
        async with gated(db, lanes=1) as (batcher, gate):
            tasks = []
            for flying in (1, 1, 1):
                one = batcher.submit([pay(books.source, somebody(), 1)], SYSTEM)
                tasks.append(asyncio.create_task(one))
                await settled()
                assert gate.runs == flying
            gate.open.set()
            assert [codes(await one) for one in tasks] == [["created"]] * 3
            assert gate.runs == 2

    async def test_who_pays_all_waits_for_no_answer(self, db: Database, books: Books) -> None:
        """Its second batch is with the database before the first one is booked."""
        payer = await books.funded("1")
        async with gated(db) as (batcher, gate):
            tasks = []
            for flying in (1, 2):
                one = pay(payer, somebody(), 50)
                tasks.append(asyncio.create_task(batcher.submit([one], SYSTEM)))
                await settled()
                assert gate.runs == flying
            gate.open.set()
            assert [codes(await one) for one in tasks] == [["created"]] * 2

    async def test_who_shares_no_customer_flies_first(self, db: Database, books: Books) -> None:
        payer = await books.funded("1")
        async with gated(db) as (batcher, gate):
            sent = [pay(payer, somebody(), 50), pay(payer, somebody(), 50)]
            sent.append(pay(books.source, somebody(), 1))
            first = asyncio.create_task(batcher.submit(sent[:1], SYSTEM))
            await gate.begun.wait()
            rest = [asyncio.create_task(batcher.submit([one], SYSTEM)) for one in sent[1:]]
            await settled()
            gate.open.set()
            booked = [(await one)[0].booked_at for one in (first, *rest)]
        assert None not in booked
        assert booked[0] < booked[2] < booked[1]  # type: ignore[operator] # looked at above

    async def test_what_is_to_be_spent_is_waited_for(self, db: Database, books: Books) -> None:
        """Each can only be paid by the one before it; who owes nothing to any of them flies."""
        chain = [await books.funded("1"), *(somebody() for _ in range(3))]
        async with gated(db) as (batcher, gate):
            sent = [pay(a, b, 100) for a, b in pairwise(chain)]
            sent.append(pay(books.source, somebody(), 1))
            tasks = []
            for one in sent:
                tasks.append(asyncio.create_task(batcher.submit([one], SYSTEM)))
                await settled()
            assert gate.runs == 2
            gate.open.set()
            assert [codes(await one) for one in tasks] == [["created"]] * 4

    async def test_what_a_hold_pays_is_waited_for(self, db: Database, books: Books) -> None:
        """Whom an act on a hold pays, only the ledger knows."""
        account, payee = await books.funded("10"), somebody()
        held, opening = hold(account, payee, kes("6"), PAID, about())
        async with gated(db) as (batcher, gate):
            sent = [opening, held.post(), pay(payee, somebody(), 600)]
            tasks = []
            for one in sent:
                tasks.append(asyncio.create_task(batcher.submit([one], SYSTEM)))
                await settled()
            assert gate.runs == 1
            gate.open.set()
            assert [codes(await one) for one in tasks] == [["created"]] * 3

    async def test_the_same_one_sent_twice_is_booked_once(self, db: Database, books: Books) -> None:
        one = pay(books.source, somebody(), 5)
        async with gated(db) as (batcher, gate):
            both = [asyncio.create_task(batcher.submit([one], SYSTEM))]
            await gate.begun.wait()
            both.append(asyncio.create_task(batcher.submit([one], SYSTEM)))
            await settled()
            assert gate.runs == 1
            gate.open.set()
            assert [codes(await one) for one in both] == [["created"], ["exists"]]

    async def test_callers_with_different_names_do_not_share_a_posting(
        self, db: Database, books: Books, owner_db: Database
    ) -> None:
        somebody_else = Actor(ActorKind.CUSTOMER, new_id())
        mine, theirs = (pay(books.source, somebody(), 1) for _ in range(2))
        async with gated(db) as (batcher, gate):
            both = asyncio.gather(
                batcher.submit([mine], SYSTEM), batcher.submit([theirs], somebody_else)
            )
            gate.open.set()
            await both
        rows = await owner_db.fetch(
            "SELECT id, actor FROM ledger.transfer WHERE id = ANY($1)", [mine.id, theirs.id]
        )
        assert {row["id"]: row["actor"] for row in rows} == {
            mine.id: "system",
            theirs.id: str(somebody_else),
        }

    async def test_an_answer_is_durable_when_it_comes(
        self, db: Database, books: Books, batcher: Batcher
    ) -> None:
        account = somebody()

        async def caller() -> None:
            before = (await books.ledger.balance(db, account)).posted.units
            await batcher.submit([pay(books.source, account, 7)], SYSTEM)
            assert (await books.ledger.balance(db, account)).posted.units >= before + 7

        await asyncio.gather(*(caller() for _ in range(30)))
        assert (await books.ledger.balance(db, account)).posted.units == 210


class TestOneCallersList:
    async def test_stays_in_order(self, books: Books, batcher: Batcher) -> None:
        """Each transfer can only be paid by the one before it."""

        async def chain() -> list[str]:
            accounts = [somebody() for _ in range(20)]
            steps = [pay(books.source, accounts[0], 5)]
            steps += [pay(a, b, 5) for a, b in pairwise(accounts)]
            return codes(await batcher.submit(steps, SYSTEM))

        found = await asyncio.gather(*(chain() for _ in range(40)))
        assert found == [["created"] * 20] * 40

    async def test_may_hold_and_post_at_once(self, books: Books, batcher: Batcher) -> None:
        account = await books.funded("10")
        held, opening = hold(account, somebody(), kes("6"), PAID, about())
        assert codes(await batcher.submit([opening, held.post(kes("5"))], SYSTEM)) == [
            "created",
            "created",
        ]
        assert await books.state(account) == ("5.00", "0.00", "0.00")

    async def test_groups_stay_whole_among_others(self, books: Books, batcher: Batcher) -> None:
        async def pair(*, fails: bool) -> list[str]:
            poor, rich = await books.funded("1"), somebody()
            both = linked([pay(books.source, rich, 5), pay(poor, rich, 500 if fails else 50)])
            return codes(await batcher.submit(both, SYSTEM))

        found = await asyncio.gather(*(pair(fails=i % 2 == 0) for i in range(60)))
        good, bad = ["created", "created"], ["linked_failed", "insufficient_funds"]
        assert found == [bad if i % 2 == 0 else good for i in range(60)]

    async def test_two_callers_with_one_group_id_are_not_one_group(
        self, db: Database, books: Books
    ) -> None:
        """Side by side in one batch they would have become one group, or a broken one."""
        group, poor = new_id(), await books.funded("1")
        good = linked([pay(books.source, somebody(), 5)], group)
        bad = linked([pay(poor, somebody(), 500)], group)
        async with gated(db) as (batcher, gate):
            both = asyncio.gather(batcher.submit(bad, SYSTEM), batcher.submit(good, SYSTEM))
            gate.open.set()
            found = [codes(one) for one in await both]
        assert found == [["insufficient_funds"], ["created"]]

    async def test_longest_list_is_one_batch(self, books: Books, db: Database) -> None:
        account = somebody()
        payments = [pay(books.source, account, 1) for _ in range(MAX_BATCH)]
        async with gated(db) as (batcher, gate):
            gate.open.set()
            assert len(await batcher.submit(payments, SYSTEM)) == MAX_BATCH
        assert gate.runs == 1
        assert (await books.ledger.balance(db, account)).posted.units == MAX_BATCH
        with pytest.raises(ValueError, match="at most"):
            await batcher.submit([*payments, pay(books.source, account, 1)], SYSTEM)


class TestTheQueue:
    async def test_refuses_what_it_cannot_hold_and_books_nothing_of_it(
        self, db: Database, books: Books
    ) -> None:
        account = somebody()
        async with gated(db, queue_limit=10) as (batcher, gate):
            sent = [pay(books.source, account, 1) for _ in range(13)]
            taken = await busy(batcher, gate, books)
            taken.append(asyncio.create_task(batcher.submit(sent[:8], SYSTEM)))
            await asyncio.sleep(0)
            with pytest.raises(LedgerBusy) as no:
                await batcher.submit(sent[8:11], SYSTEM)
            assert no.value.kind is Kind.UNAVAILABLE
            assert no.value.details == {"waiting": 8, "limit": 10, "retry_after_s": 1}
            taken.append(asyncio.create_task(batcher.submit(sent[11:], SYSTEM)))
            await asyncio.sleep(0)
            gate.open.set()
            assert [len(await one) for one in taken] == [1] * LANES + [8, 2]
        assert (await books.ledger.balance(db, account)).posted.units == 10

    async def test_closing_answers_what_was_taken_and_takes_no_more(
        self, db: Database, books: Books
    ) -> None:
        gate = Gate(db)
        batcher = Batcher(gate, Ledger())  # type: ignore[arg-type] # only lane() is used
        taken = [
            asyncio.create_task(batcher.submit([pay(books.source, somebody(), 1)], SYSTEM))
            for _ in range(5)
        ]
        await gate.begun.wait()
        closing = asyncio.create_task(batcher.close())
        await asyncio.sleep(0)
        with pytest.raises(LedgerBusy):
            await batcher.submit([pay(books.source, somebody(), 1)], SYSTEM)
        assert not closing.done()
        gate.open.set()
        await closing
        assert [codes(one.result()) for one in taken] == [["created"]] * 5

    async def test_a_caller_that_leaves_harms_nobody(self, db: Database, books: Books) -> None:
        account = somebody()
        async with gated(db) as (batcher, gate):
            tasks = [
                asyncio.create_task(batcher.submit([pay(books.source, account, 1)], SYSTEM))
                for _ in range(4)
            ]
            await gate.begun.wait()  # all four are in flight, and somebody else beside them
            beside = asyncio.create_task(batcher.submit([pay(books.source, somebody(), 1)], SYSTEM))
            await settled()
            late = [
                asyncio.create_task(batcher.submit([pay(books.source, account, 100)], SYSTEM))
                for _ in range(2)
            ]
            await asyncio.sleep(0)
            for leaving in (tasks[1], late[0]):
                leaving.cancel()
                with suppress(asyncio.CancelledError):
                    await leaving
            gate.open.set()
            for staying in (tasks[0], tasks[2], tasks[3], late[1], beside):
                assert codes(await staying) == ["created"]
        # In flight it is booked all the same; in the queue it was taken out.
        assert (await books.ledger.balance(db, account)).posted.units == 104

    @pytest.mark.parametrize("later", range(6))
    async def test_whoever_comes_as_a_flight_lands_is_taken(self, books: Books, later: int) -> None:
        """They once waited for ever: the flight had looked at the queue for the last time, and
        still counted as one that would look again."""
        batcher = Batcher(Instant(), books.ledger)  # type: ignore[arg-type] # only lane() is used
        async with asyncio.timeout(20):
            for _ in range(50):
                await batcher.submit([pay(books.source, somebody(), 1)], SYSTEM)
                for _ in range(later):
                    await asyncio.sleep(0)
        await batcher.close()


class TestFaults:
    async def test_what_cannot_be_posted_fails_alone(self, books: Books, batcher: Batcher) -> None:
        """A group that is torn apart is a bug of its caller's; a NUL no text can hold, too."""
        first, second = linked([pay(books.source, somebody(), 1) for _ in range(2)])
        torn = [first, pay(books.source, somebody(), 1), second]
        unreadable = Transfer(
            first.kind, PAID, about(), debit=books.source, credit=somebody(), amount=kes("1"),
            metadata={"note": "\0"},
        )  # fmt: skip
        good = [[pay(books.source, somebody(), 1)] for _ in range(20)]
        sent = [*good[:7], torn, *good[7:15], [unreadable], *good[15:]]
        found = await asyncio.gather(
            *(batcher.submit(one, SYSTEM) for one in sent), return_exceptions=True
        )
        failed = [place for place, one in enumerate(found) if isinstance(one, BaseException)]
        assert failed == [7, 16]
        assert isinstance(found[7], ValueError)
        booked = [codes(one) for one in found if not isinstance(one, BaseException)]
        assert booked == [["created"]] * 20

    async def test_a_lost_race_runs_the_batch_again(self, db: Database, books: Books) -> None:
        batcher = Batcher(db, Racing(books.ledger, lost=7))
        account = somebody()
        assert codes(await batcher.submit([pay(books.source, account, 3)], SYSTEM)) == ["created"]
        assert (await books.ledger.balance(db, account)).posted.units == 3
        await batcher.close()

    async def test_an_answer_lost_after_the_commit_is_found_again(
        self, db: Database, books: Books
    ) -> None:
        account = somebody()
        batcher = Batcher(Forgetful(db, lost=3), books.ledger)  # type: ignore[arg-type]
        results = await batcher.submit([pay(books.source, account, 3)], SYSTEM)
        assert codes(results) == ["exists"]
        assert results[0].booked_at is not None
        assert (await books.ledger.balance(db, account)).posted.units == 3
        await batcher.close()

    async def test_a_database_that_stays_away_is_said_to_be_unknown(
        self, db: Database, books: Books
    ) -> None:
        account, once = somebody(), Forgetful(db, lost=10_000)
        batcher = Batcher(once, books.ledger, patience_s=0)  # type: ignore[arg-type]
        transfers = [[pay(books.source, account, 1)] for _ in range(5)]
        found = await asyncio.gather(
            *(batcher.submit(one, SYSTEM) for one in transfers), return_exceptions=True
        )
        assert [type(one) for one in found] == [LedgerUnknown] * 5
        assert len({id(one) for one in found}) == 5
        once.lost = 0  # the same ids, when it is back
        again = [codes(await batcher.submit(one, SYSTEM)) for one in transfers]
        assert again == [["exists"]] * 5
        assert (await books.ledger.balance(db, account)).posted.units == 5
        await batcher.close()


class Instant:
    """Answers without ever waiting."""

    def lane(self) -> "Instant":
        return self

    async def close(self) -> None:
        return

    async def run(self, use_case: object) -> list[Result]:
        return [Result(new_id(), ResultCode.CREATED, 1, None)]


class Racing(Ledger):
    """Loses the first few races."""

    def __init__(self, ledger: Ledger, *, lost: int) -> None:
        super().__init__()
        self._ledger, self._lost = ledger, lost

    async def post(self, tx: Tx, transfers: object, actor: Actor) -> list[Result]:
        if self._lost:
            self._lost -= 1
            raise RetryTransaction("a race")
        return await self._ledger.post(tx, transfers, actor)  # type: ignore[arg-type]


class Forgetful:
    """Commits, and then loses the answer: as a connection that breaks at the worst moment."""

    def __init__(self, db: Database, *, lost: int) -> None:
        self._lane, self.lost = db.lane(), lost

    def lane(self) -> "Forgetful":
        return self

    async def close(self) -> None:
        await self._lane.close()

    async def run(self, use_case: Callable[[Tx], Awaitable[T]]) -> T:
        value = await self._lane.run(use_case)
        if self.lost:
            self.lost -= 1
            raise DatabaseLost
        return value
