"""Holds whose time is over: refused at once, and let go by a sweeper."""

from datetime import UTC, datetime

import pytest

from hazina.infra.db import Database
from hazina.ledger.codes import Code
from hazina.ledger.core import Hold, hold
from hazina.ledger.expiry import HoldExpiry
from tests.ledger.books import OUTSIDE, Books, about, kes

PAST, FUTURE = datetime(2001, 1, 1, tzinfo=UTC), datetime(2201, 1, 1, tzinfo=UTC)


@pytest.fixture
def books(fresh: Database) -> Books:
    return Books(fresh)


async def holds_of(books: Books, *ends: datetime | None) -> list[Hold]:
    """One hold of ten for each end, on one account."""
    account, made = await books.funded("1000"), []
    for end in ends:
        held, opening = hold(account, OUTSIDE, kes("10"), Code.WITHDRAWAL, about(), expires_at=end)
        await books.post(opening)
        made.append(held)
    return made


async def watched(books: Books) -> int:
    return int(await books.db.fetchval("SELECT count(*) FROM ledger.hold_expiry"))


class TestTheSweeper:
    async def test_lets_go_of_what_is_over_and_of_nothing_else(self, books: Books) -> None:
        over, later, never = await holds_of(books, PAST, FUTURE, None)
        assert await HoldExpiry(books.db, books.ledger).expire() == 1
        assert await books.codes(over.void(), later.post(), never.post()) == [
            "hold_voided", "created", "created",
        ]  # fmt: skip
        assert await watched(books) == 1

    async def test_need_not_come_for_the_hold_to_be_over(self, books: Books) -> None:
        [over] = await holds_of(books, PAST)
        assert await books.code(over.post()) == "hold_expired"
        assert await books.code(over.void()) == "created"
        assert await HoldExpiry(books.db, books.ledger).expire() == 0
        assert await watched(books) == 0

    async def test_works_in_bounded_batches_until_nothing_is_due(self, books: Books) -> None:
        await holds_of(books, *[PAST] * 7)
        expiry = HoldExpiry(books.db, books.ledger)
        assert [await expiry.expire(3) for _ in range(4)] == [3, 3, 1, None]

    async def test_is_not_held_up_by_a_hold_that_was_used_up(self, books: Books) -> None:
        [spent] = await holds_of(books, FUTURE)
        await books.post(spent.post(kes("10"), keep_rest=True))
        [over] = await holds_of(books, PAST)
        await HoldExpiry(books.db, books.ledger).sweep()
        assert await books.code(over.post()) == "hold_voided"

    async def test_killed_between_its_two_steps_goes_on(self, books: Books) -> None:
        [over] = await holds_of(books, PAST)
        await books.post(over.void())  # as if the watch list had not been cleared afterwards
        await HoldExpiry(books.db, books.ledger).sweep()
        assert await watched(books) == 0
