"""What goes wrong around the ledger: answers lost after the commit, races lost, clocks set back.

Killed servers and posters are in ``tests/internal/test_kill.py``, full disks in
``test_full_disk.py``.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import pairwise

import asyncpg
import pytest
import pytest_asyncio

from hazina.infra.db import Database, DatabaseLost, Tx
from hazina.kernel.actor import SYSTEM
from hazina.kernel.money import KES
from hazina.ledger.batcher import Batcher
from hazina.ledger.codes import Code
from hazina.ledger.core import Result, Transfer, hold, move
from hazina.ledger.history import History
from hazina.ledger.proof import Proof
from tests.conftest import Place
from tests.ledger.books import ALL_ALIVE, OUTSIDE, TEST_REFERENCE, Books, about, kes, somebody
from tests.ledger.wire import Line


@pytest.fixture
def line(fresh_place: Place) -> Line:
    return Line(fresh_place.app)


@pytest_asyncio.fixture(loop_scope="session")
async def far(fresh: Database, line: Line) -> AsyncIterator[Database]:
    """The database, at the other end of the line."""
    async with line.laid() as url:
        database = await Database.connect(url, size=4)
        yield database
        await database.close()


async def assert_proven(db: Database) -> None:
    proof = Proof()
    proof.add_owner(TEST_REFERENCE, ALL_ALIVE)
    async with db.transaction(readonly=True) as tx:
        assert [one for one in await proof.verify(tx) if not one.holds] == []


class TestAnAnswerLostAfterTheCommit:
    async def test_is_found_by_who_sends_it_again(
        self, fresh: Database, far: Database, line: Line
    ) -> None:
        """The caller heard nothing and cannot know; the same transfers say what became of them."""
        books, account = Books(far), somebody()
        paid = move(OUTSIDE, account, kes("10"), Code.DEPOSIT, about())
        held, opening = hold(account, OUTSIDE, kes("4"), Code.WITHDRAWAL, about())
        posted, too_much = held.post(), move(account, OUTSIDE, kes("7"), Code.DEPOSIT, about())
        expected = {paid: "exists", opening: "exists", too_much: "insufficient_funds"}
        for transfer, answer in (expected | {posted: "exists"}).items():
            line.swallow_commit = True
            with pytest.raises(DatabaseLost):
                await books.post(transfer)
            assert [await books.code(transfer) for _ in range(2)] == [answer] * 2
        assert line.lost == 4
        assert await books.state(account) == ("6.00", "0.00", "0.00")
        await assert_proven(fresh)

    async def test_is_found_by_the_batcher_itself(
        self, fresh: Database, far: Database, line: Line
    ) -> None:
        books, account = Books(far), somebody()
        batcher = Batcher(far, books.ledger)

        async def pay() -> Result:
            one = move(OUTSIDE, account, KES.units(1), Code.DEPOSIT, about())
            return (await batcher.submit([one], SYSTEM))[0]

        async def ten() -> set[str]:  # few enough to share one batch
            return {one.code.value for one in await asyncio.gather(*(pay() for _ in range(10)))}

        try:
            for _ in range(3):
                assert await ten() == {"created"}  # the statement is known to the connection now
                line.swallow_answer = True
                assert await ten() == {"exists"}
        finally:
            await batcher.close()
        assert line.lost == 3
        assert await books.posted(account) == "0.60"
        await assert_proven(fresh)


class TestALostRace:
    async def test_between_two_that_wait_for_each_other_is_run_again(self, db: Database) -> None:
        """Business rows locked after the posting, against the rules: PostgreSQL ends one of the
        two, and it is booked all the same, once."""
        books, account, runs = Books(db), somebody(), list[str]()
        await books.db.run(lambda tx: books.ledger.open_accounts(tx, [account]))
        both = asyncio.Barrier(2)

        async def meet() -> None:
            if len(runs) <= 2:  # each for the first time
                await both.wait()

        async def posts_first(tx: Tx) -> None:
            runs.append("posts first")
            await books.ledger.post(tx, [one], SYSTEM)
            await meet()
            await tx.execute("SELECT pg_advisory_xact_lock(7, 7)")

        async def locks_first(tx: Tx) -> None:
            runs.append("locks first")
            await tx.execute("SELECT pg_advisory_xact_lock(7, 7)")
            await meet()
            await books.ledger.post(tx, [other], SYSTEM)

        one, other = (move(OUTSIDE, account, kes("1"), Code.DEPOSIT, about()) for _ in range(2))
        async with asyncio.timeout(30):
            await asyncio.gather(db.run(posts_first), db.run(locks_first))
        assert len(runs) == 3
        assert await books.posted(account) == "2.00"

    async def test_against_what_its_snapshot_did_not_see_is_run_again(self, db: Database) -> None:
        books, runs = Books(db), 0
        account = await books.funded("10")
        mine = move(account, OUTSIDE, kes("4"), Code.WITHDRAWAL, about())
        theirs = move(account, OUTSIDE, kes("5"), Code.WITHDRAWAL, about())

        async def in_one_snapshot(tx: Tx) -> list[Result]:
            nonlocal runs
            runs += 1
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await tx.fetch("SELECT 1")
            if runs == 1:
                assert await books.code(theirs) == "created"
            return await books.ledger.post(tx, [mine], SYSTEM)

        [result] = await db.run(in_one_snapshot)
        assert (runs, result.code) == (2, "created")
        assert await books.posted(account) == "1.00"

    async def test_that_is_lost_for_ever_is_said_and_books_nothing(self, db: Database) -> None:
        books, runs = Books(db), 0
        account = await books.funded("10")

        async def always_late(tx: Tx) -> None:
            nonlocal runs
            runs += 1
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            await tx.fetch("SELECT 1")
            await books.post(move(OUTSIDE, account, kes("1"), Code.DEPOSIT, about()))
            await books.ledger.post(
                tx, [move(account, OUTSIDE, kes("5"), Code.WITHDRAWAL, about())], SYSTEM
            )

        with pytest.raises(asyncpg.SerializationError):
            await db.run(always_late)
        assert runs == 5
        assert await books.posted(account) == "15.00"


AN_HOUR_LATER = "SET booked_at = booked_at + interval '1 hour'"
AHEAD = [
    f"UPDATE ledger.account {AN_HOUR_LATER}",
    f"UPDATE ledger.entry {AN_HOUR_LATER}",
    f"UPDATE ledger.entry_unbounded {AN_HOUR_LATER}",
    f"UPDATE ledger.transfer {AN_HOUR_LATER}, effective_at = effective_at + interval '1 hour'",
]


class TestAClockSetBack:
    async def test_never_lets_time_fall_on_an_account(
        self, fresh: Database, fresh_place: Place
    ) -> None:
        """As if the server's clock had been an hour ahead until now: accounts that moved then go
        on from there, a microsecond a transfer, and all others live in the right time."""
        books, a, untouched = Books(fresh), await Books(fresh).funded("100"), somebody()
        owner = await asyncpg.connect(fresh_place.owner)
        for sql in AHEAD:
            await owner.execute(sql)
        await owner.close()
        before = await fresh.fetchval("SELECT clock_timestamp()")
        transfers: list[Transfer] = [
            move(a, untouched, kes("1"), Code.DEPOSIT, about()) for _ in range(5)
        ]
        held, opening = hold(a, OUTSIDE, kes("5"), Code.WITHDRAWAL, about())
        batches = [transfers[:1], transfers[1:], [opening, held.post()]]
        times = [one.booked_at for batch in batches for one in await books.post(*batch)]
        rising = [moment for moment in times if moment is not None]
        assert len(rising) == 7
        assert all(x < y for x, y in pairwise(rising))
        assert rising[0] > before + timedelta(minutes=59)
        alone = move(OUTSIDE, somebody(), kes("1"), Code.DEPOSIT, about())
        [later] = await books.post(alone)
        assert later.booked_at is not None
        assert later.booked_at < before + timedelta(minutes=59)
        assert [one.booked_at for one in await books.post(transfers[0])] == rising[:1]
        page = await History(fresh).statement(a)
        assert [one.booked_at for one in page.items][:-1] == rising[::-1]
        await assert_proven(fresh)
