"""Reversals, refunds and corrections, sweeps and conditions, as callers use them."""

import asyncio
from collections import Counter

import pytest

from hazina.infra.db import Database
from hazina.kernel.ids import new_id
from hazina.ledger.chart import AccountRef, Purpose, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Terms, Transfer, hold, linked, move, reversal, sweep
from tests.ledger.books import OUTSIDE, Books, about, kes, somebody

UTILITY = system(Purpose.MPESA_UTILITY)


@pytest.fixture
def books(db: Database) -> Books:
    return Books(db)


async def undo(books: Books, group: object) -> list[Transfer]:
    return reversal(await books.ledger.legs(books.db, group), about())  # type: ignore[arg-type]


class TestAReversal:
    async def test_takes_back_all_legs_last_first(self, books: Books) -> None:
        """In any other order the money would still be with the last one."""
        a, b, c = await books.funded("100"), somebody(), somebody()
        group = linked([
            move(a, b, kes("100"), Code.DEPOSIT, about()),
            move(b, c, kes("60"), Code.DEPOSIT, about()),
        ])  # fmt: skip
        await books.post(*group)
        legs = await undo(books, group[0].group)
        assert await books.codes(*legs) == ["created", "created"]
        assert [await books.posted(ref) for ref in (a, b, c)] == ["100.00", "0.00", "0.00"]

    async def test_sent_again_is_the_same(self, books: Books) -> None:
        a, b = await books.funded("100"), somebody()
        paid = move(a, b, kes("10"), Code.DEPOSIT, about())
        await books.post(paid)
        legs, reference, id_ = await books.ledger.legs(books.db, paid.id), about(), new_id()
        first, again = (reversal(legs, reference, id=id_) for _ in range(2))
        assert first == again
        assert await books.codes(*first) == ["created"]
        assert await books.codes(*again) == ["exists"]
        assert await books.codes(*reversal(legs, reference)) == ["already_reversed"]

    async def test_undoes_what_a_hold_moved(self, books: Books) -> None:
        a, b = await books.funded("100"), somebody()
        held, opening = hold(a, b, kes("60"), Code.WITHDRAWAL, about())
        act = held.post(kes("20"))
        await books.post(opening)
        await books.post(act)
        assert await books.codes(*await undo(books, act.id)) == ["created"]
        assert await books.state(a) == ("100.00", "0.00", "0.00")

    async def test_of_money_that_is_spent_is_refused_whole(self, books: Books) -> None:
        a, b, c = await books.funded("100"), somebody(), somebody()
        group = linked([
            move(a, b, kes("60"), Code.DEPOSIT, about()),
            move(a, c, kes("40"), Code.DEPOSIT, about()),
        ])  # fmt: skip
        await books.post(*group)
        await books.post(move(b, OUTSIDE, kes("1"), Code.WITHDRAWAL, about()))
        legs = await undo(books, group[0].group)
        assert await books.codes(*legs) == ["linked_failed", "insufficient_funds"]
        assert await books.posted(c) == "40.00"

    async def test_is_followed_by_what_is_right(self, books: Books) -> None:
        a, b, c = await books.funded("100"), somebody(), somebody()
        wrong = move(a, b, kes("10"), Code.DEPOSIT, about())
        await books.post(wrong)
        right = move(a, c, kes("10"), Code.DEPOSIT, about(), terms=Terms(corrects=wrong.id))
        assert await books.codes(*await undo(books, wrong.id), right) == ["created", "created"]
        assert await books.db.fetchval(
            "SELECT corrects FROM ledger.transfer WHERE id = $1", right.id
        ) == (wrong.id)

    @pytest.mark.parametrize("bounded", [True, False])
    async def test_by_many_at_once_happens_once(self, books: Books, bounded: bool) -> None:
        a, b = (await books.funded("100"), somebody()) if bounded else (OUTSIDE, UTILITY)
        paid = move(a, b, kes("10"), Code.COLLECTION_TO_UTILITY, about())
        await books.post(paid)
        attempts = [await undo(books, paid.id) for _ in range(30)]
        codes = await asyncio.gather(*(books.codes(*legs) for legs in attempts))
        assert Counter(code for [code] in codes) == {"created": 1, "already_reversed": 29}


class TestRefunds:
    @pytest.mark.parametrize("bounded", [True, False])
    async def test_by_many_at_once_stop_at_the_original(self, books: Books, bounded: bool) -> None:
        """Paid from different pockets: they share no account, only the original."""
        buyer = await books.funded("10")
        paid = move(buyer, OUTSIDE, kes("10"), Code.DEPOSIT, about())
        await books.post(paid)
        pockets: list[AccountRef] = [
            await books.funded("1") if bounded else UTILITY for _ in range(30)
        ]
        refunds = [
            move(pocket, OUTSIDE, kes("1"), Code.DEPOSIT, about(), terms=Terms(refund_of=paid.id))
            for pocket in pockets
        ]
        codes = await asyncio.gather(*(books.code(refund) for refund in refunds))
        assert Counter(codes) == {"created": 10, "exceeds_original": 20}

    async def test_and_a_reversal_at_once_do_one_of_the_two(self, books: Books) -> None:
        for _ in range(10):
            a, b = await books.funded("10"), await books.funded("10")
            paid = move(a, b, kes("10"), Code.DEPOSIT, about())
            await books.post(paid)
            back = move(b, a, kes("4"), Code.DEPOSIT, about(), terms=Terms(refund_of=paid.id))
            both = await asyncio.gather(books.code(back), books.codes(*await undo(books, paid.id)))
            assert both in (
                ["created", ["not_reversible"]],
                ["exceeds_original", ["created"]],
            )


class TestASweep:
    async def test_tells_how_much_it_was_also_when_sent_again(self, books: Books) -> None:
        a = await books.funded("100")
        sent = sweep(a, OUTSIDE, kes("500"), Code.DEPOSIT, about())
        [first], [again] = await books.post(sent), await books.post(sent)
        assert (first.code.value, first.amount_units) == ("created", 100_00)
        assert (again.code.value, again.amount_units) == ("exists", 100_00)

    async def test_takes_no_more_than_it_was_told(self, books: Books) -> None:
        a = await books.funded("100")
        [swept] = await books.post(sweep(a, OUTSIDE, kes("30"), Code.DEPOSIT, about()))
        assert swept.amount_units == 30_00
        assert await books.posted(a) == "70.00"

    async def test_by_many_at_once_takes_everything_once(self, books: Books) -> None:
        a = await books.funded("100")
        results = await asyncio.gather(
            *(books.post(sweep(a, OUTSIDE, kes("35"), Code.DEPOSIT, about())) for _ in range(20))
        )
        amounts = sorted(r.amount_units for [r] in results if r.amount_units is not None)
        assert amounts == [30_00, 35_00, 35_00]
        assert await books.posted(a) == "0.00"


class TestAConditionalTransfer:
    async def test_happens_while_nothing_else_has(self, books: Books) -> None:
        a = await books.funded("100")
        seen = (await books.ledger.balance(books.db, a)).version
        only_then = Terms(if_debit_version=seen)
        attempts = [
            move(a, somebody(), kes("60"), Code.DEPOSIT, about(), terms=only_then)
            for _ in range(30)
        ]
        codes = await asyncio.gather(*(books.code(attempt) for attempt in attempts))
        assert Counter(codes) == {"created": 1, "version_moved": 29}

    async def test_is_not_asked_of_the_outside_world(self, books: Books) -> None:
        a = somebody()
        with pytest.raises(ValueError, match="only a bounded account has a version"):
            await books.post(
                move(OUTSIDE, a, kes("1"), Code.DEPOSIT, about(), terms=Terms(if_debit_version=1))
            )


class TestTerms:
    @pytest.mark.parametrize(
        "terms", [Terms(up_to=True), Terms(corrects=new_id()), Terms(if_credit_version=0)]
    )
    async def test_are_not_for_holds(self, books: Books, terms: Terms) -> None:
        opening = hold(OUTSIDE, somebody(), kes("1"), Code.DEPOSIT, about())[1]
        fields = {name: getattr(opening, name) for name in Transfer.__slots__}
        with pytest.raises(ValueError, match="a hold and an act on one"):
            await books.post(Transfer(**{**fields, "terms": terms}))
