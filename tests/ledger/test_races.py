"""Many callers at once, each on a connection of its own, against one real ledger."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest

from hazina.infra.db import Database
from hazina.kernel.money import KES
from hazina.ledger.chart import Purpose, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Transfer, hold, linked, move
from tests.ledger.books import OUTSIDE, Books, about, kes, somebody

UTILITY = system(Purpose.MPESA_UTILITY)
POSITION = system(Purpose.GOLD_POSITION)


@pytest.fixture
def books(db: Database) -> Books:
    return Books(db)


async def at_once(books: Books, transfers: Iterable[Transfer]) -> Counter[str]:
    """Each transfer in a transaction of its own, all started together."""
    codes = await asyncio.gather(*(books.code(transfer) for transfer in transfers))
    return Counter(codes)


async def turnover(db: Database, transfer: Transfer) -> int:
    """What the acts on a hold have moved."""
    return int(
        await db.fetchval(
            "SELECT coalesce(sum(t.amount), 0) FROM ledger.transfer t"
            " WHERE t.pending_id = $1 AND t.kind = 'post_pending'",
            transfer.id,
        )
    )


class TestAHundredCallers:
    async def test_posting_one_hold_post_it_once(self, books: Books) -> None:
        a, b = await books.funded("100"), somebody()
        held, opening = hold(a, b, kes("60"), Code.WITHDRAWAL, about())
        await books.post(opening)
        codes = await at_once(books, [held.post() for _ in range(100)])
        assert codes == {"created": 1, "hold_posted": 99}
        assert await books.state(a) == ("40.00", "0.00", "0.00")
        assert await books.state(b) == ("60.00", "0.00", "0.00")

    async def test_posting_and_voiding_one_hold_do_one_of_the_two(self, books: Books) -> None:
        a, b = await books.funded("100"), somebody()
        held, opening = hold(a, b, kes("60"), Code.WITHDRAWAL, about())
        await books.post(opening)
        acts = [held.post() if number % 2 else held.void() for number in range(100)]
        codes = await at_once(books, acts)
        assert codes["created"] == 1
        assert codes["hold_posted"] + codes["hold_voided"] == 99
        assert await books.state(b) in [("60.00", "0.00", "0.00"), ("0.00", "0.00", "0.00")]

    @pytest.mark.parametrize("bounded", [True, False])
    async def test_sending_one_transfer_book_it_once(self, books: Books, bounded: bool) -> None:
        a, b = (await books.funded("100"), somebody()) if bounded else (OUTSIDE, UTILITY)
        transfer = move(a, b, kes("60"), Code.COLLECTION_TO_UTILITY, about())
        assert await at_once(books, [transfer] * 100) == {"created": 1, "exists": 99}

    async def test_refused_under_one_id_are_refused_alike(self, books: Books) -> None:
        poor = await books.funded("1")
        transfer = move(poor, somebody(), kes("60"), Code.DEPOSIT, about())
        assert await at_once(books, [transfer] * 100) == {"insufficient_funds": 100}

    async def test_opening_one_account_open_it_once(self, db: Database) -> None:
        ref, ledgers = somebody(), [Books(db) for _ in range(100)]
        transfers = [move(OUTSIDE, ref, kes("1"), Code.DEPOSIT, about()) for _ in ledgers]
        codes = await asyncio.gather(
            *(books.code(transfer) for books, transfer in zip(ledgers, transfers, strict=True))
        )
        assert set(codes) == {"created"}
        assert await ledgers[0].posted(ref) == "100.00"


class TestAnAccountThatAffordsTen:
    @pytest.mark.parametrize("kind", ["move", "hold"])
    async def test_lets_exactly_ten_of_fifty_through(self, books: Books, kind: str) -> None:
        a, reference = await books.funded("10"), about()
        acts = [
            move(a, somebody(), kes("1"), Code.DEPOSIT, reference)
            if kind == "move"
            else hold(a, somebody(), kes("1"), Code.WITHDRAWAL, reference)[1]
            for _ in range(50)
        ]
        assert await at_once(books, acts) == {"created": 10, "insufficient_funds": 40}
        balance = await books.ledger.balance(books.db, a)
        assert balance.available == KES.units(0)


class TestAHoldOnTheGoldPosition:
    """Neither account has a floor, so neither is locked: the hold itself must stop the second."""

    async def test_is_settled_once_by_two_at_once(self, books: Books, db: Database) -> None:
        for _ in range(20):
            held, opening = hold(POSITION, UTILITY, kes("60"), Code.GOLD_PROCEEDS, about())
            await books.post(opening)
            codes = await at_once(books, [held.post(), held.post()])
            assert codes == {"created": 1, "hold_posted": 1}
            assert await turnover(db, opening) == 6000

    async def test_is_settled_once_by_two_with_one_id(self, books: Books, db: Database) -> None:
        for _ in range(20):
            held, opening = hold(POSITION, UTILITY, kes("60"), Code.GOLD_PROCEEDS, about())
            await books.post(opening)
            act = held.post()
            assert await at_once(books, [act, act]) == {"created": 1, "exists": 1}
            assert await turnover(db, opening) == 6000

    async def test_is_never_filled_beyond_its_amount(self, books: Books, db: Database) -> None:
        held, opening = hold(POSITION, UTILITY, kes("10"), Code.GOLD_PROCEEDS, about())
        await books.post(opening)
        # A hundred callers lose no race so often that an error reaches one of them.
        parts = [held.post(kes("0.2"), keep_rest=True) for _ in range(100)]
        assert await at_once(books, parts) == {"created": 50, "hold_posted": 50}
        assert await turnover(db, opening) == 1000


class TestTransfersInEveryDirection:
    async def test_never_deadlock_nor_lose_a_cent(self, db: Database) -> None:
        books = [Books(db) for _ in range(20)]
        pool = [await books[0].funded("50") for _ in range(5)]
        codes: Counter[str] = Counter()

        async def caller(number: int) -> None:
            random = Random(number)
            for _ in range(15):
                batch = []
                for _ in range(random.randint(1, 4)):
                    debit, credit = random.sample(pool, 2)
                    units = KES.units(random.randint(1, 3000))
                    batch.append(move(debit, credit, units, Code.DEPOSIT, about()))
                codes.update(await books[number].codes(*(linked(batch))))

        await asyncio.gather(*(caller(number) for number in range(20)))
        assert codes["created"] > 0
        assert codes["insufficient_funds"] > 0
        balances = [await books[0].ledger.balance(db, ref) for ref in pool]
        assert sum(balance.posted.units for balance in balances) == 25_000
        assert min(balance.posted.units for balance in balances) >= 0
