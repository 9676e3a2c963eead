"""The fast path for batches of plain movements: the same rows as the posting function's own."""

from collections.abc import Sequence
from random import Random

import pytest

from hazina.infra.db import Database, Tx
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, XAU
from hazina.ledger.chart import AccountRef, customer
from hazina.ledger.codes import Code
from hazina.ledger.core import Transfer, move
from hazina.ledger.service import POST, POST_PLAIN, TICK
from tests.ledger.books import OUTSIDE, Books, about, kes

# Everything the two write, but for the moment: times count from the batch's base.
ROWS = """
SELECT 'transfer', to_jsonb(t) - '{booked_at,effective_at}'::text[], t.booked_at - $2,
       t.effective_at - $2
FROM ledger.transfer t WHERE t.id = ANY ($1)
UNION ALL
SELECT 'entry', to_jsonb(e) - 'booked_at', e.booked_at - $2, NULL FROM ledger.entry e
WHERE e.transfer_id = ANY ($1)
UNION ALL
SELECT 'unbounded', to_jsonb(e) - 'booked_at', e.booked_at - $2, NULL FROM ledger.entry_unbounded e
WHERE e.transfer_id = ANY ($1)
UNION ALL
SELECT 'account', to_jsonb(a) - 'booked_at', a.booked_at - $2, NULL FROM ledger.account a
WHERE a.key = ANY ($3) AND a.bounded
"""


class Undone(Exception):
    """Rolls a transaction back."""


@pytest.fixture
def books(db: Database) -> Books:
    return Books(db)


async def written(books: Books, batch: Sequence[Transfer], *, plain: bool) -> set[str]:
    """What one of the two paths would write for ``batch``."""
    ledger, found = books.ledger, set[str]()

    async def use_case(tx: Tx) -> None:
        if plain:
            base = await tx.fetchval(
                POST_PLAIN, *await ledger._plain_columns(tx, batch), str(SYSTEM)
            )
            assert base is not None, "nothing speaks against this batch"
        else:
            row = await tx.fetchrow(POST, *await ledger._columns(tx, batch), str(SYSTEM))
            assert row is not None
            assert row["o_result"] is None, "nothing speaks against this batch"
            base = row["o_base"]
        ids = [t.id for t in batch]
        keys = [ledger._keys[ref] for t in batch for ref in (t.debit, t.credit) if ref]
        for row in await tx.fetch(ROWS, ids, base, keys):
            what = {k: v for k, v in row[1].items() if k != "tx"}
            found.add(f"{row[0]} {what} {row[2]} {row[3]}")
        raise Undone

    with pytest.raises(Undone):
        await books.db.run(use_case)
    return found


def drawn(chance: Random, people: Sequence[AccountRef], count: int) -> list[Transfer]:
    batch = []
    for _ in range(count):
        debit, credit = chance.sample([*people, OUTSIDE], 2)
        batch.append(move(debit, credit, KES.units(chance.randint(1, 9)), Code.DEPOSIT, about()))
    return batch


class TestABatchOfPlainMovements:
    @pytest.mark.parametrize("count", [2, 3, 9, 60, 600])
    async def test_is_written_as_the_long_way_writes_it(self, books: Books, count: int) -> None:
        people = [await books.funded("1000") for _ in range(5)]
        batch = drawn(Random(count), people, count)
        short = await written(books, batch, plain=True)
        assert len(short) > 2 * count
        assert short == await written(books, batch, plain=False)

    async def test_is_answered_in_order_with_a_microsecond_each(self, books: Books) -> None:
        people = [await books.funded("10") for _ in range(3)]
        batch = drawn(Random(1), people, 7)
        results = await books.post(*batch)
        assert [(r.id, r.code.value) for r in results] == [(t.id, "created") for t in batch]
        first = results[0].booked_at
        assert first is not None
        assert [r.booked_at for r in results] == [first + i * TICK for i in range(7)]
        again = await books.post(*batch)
        assert {r.code.value for r in again} == {"exists"}
        assert [r.booked_at for r in again] == [r.booked_at for r in results]


class TestWhatIsNotPlainlyInOrder:
    """Each of these goes the long way, whole, and is answered as ever."""

    async def answers(self, books: Books, odd: Transfer) -> list[str]:
        a, b = await books.funded("100"), customer(new_id(), KES)
        plain = [move(a, b, kes("1"), Code.DEPOSIT, about()) for _ in range(2)]
        codes = await books.codes(plain[0], odd, plain[1])
        assert [codes[0], codes[2]] == ["created", "created"]
        assert await books.posted(b) == "2.00"
        return [codes[1], (await books.codes(odd))[0]]

    async def test_too_little_money(self, books: Books) -> None:
        a, b = await books.funded("1"), customer(new_id(), KES)
        odd = move(a, b, kes("1.01"), Code.DEPOSIT, about())
        assert await self.answers(books, odd) == ["insufficient_funds"] * 2
        await books.post(move(OUTSIDE, a, kes("5"), Code.DEPOSIT, about()))
        # Refused stays refused, in company too.
        assert await self.answers(books, odd) == ["insufficient_funds"] * 2

    async def test_one_who_pays_on_what_the_batch_brings(self, books: Books) -> None:
        a, b, c = await books.funded("3"), customer(new_id(), KES), customer(new_id(), KES)
        first = move(a, b, kes("3"), Code.DEPOSIT, about())
        second = move(b, c, kes("3"), Code.DEPOSIT, about())
        assert await books.codes(first, second) == ["created", "created"]
        assert await books.posted(c) == "3.00"

    async def test_one_account_on_both_sides(self, books: Books) -> None:
        a = await books.funded("1")
        odd = move(a, a, kes("1"), Code.DEPOSIT, about())
        assert await self.answers(books, odd) == ["same_account"] * 2

    @pytest.mark.parametrize("units", [0, -5, 2**63 - 1, 2**63, 10**38 - 1])
    async def test_a_strange_amount(self, books: Books, units: int) -> None:
        a, b = await books.funded("1"), customer(new_id(), KES)
        odd = move(a, b, KES.units(units), Code.DEPOSIT, about())
        code = "insufficient_funds" if units > 0 else "amount_not_positive"
        assert await self.answers(books, odd) == [code] * 2

    async def test_another_asset(self, books: Books) -> None:
        a, b = customer(new_id(), XAU), customer(new_id(), XAU)
        odd = move(a, b, XAU.units(5), Code.DEPOSIT, about())
        assert await self.answers(books, odd) == ["insufficient_funds"] * 2

    async def test_one_that_was_booked_before(self, books: Books) -> None:
        odd = move(OUTSIDE, await books.funded("1"), kes("2"), Code.DEPOSIT, about())
        assert await books.codes(odd) == ["created"]
        assert await self.answers(books, odd) == ["exists"] * 2

    async def test_the_same_one_twice(self, books: Books) -> None:
        a, b = await books.funded("9"), customer(new_id(), KES)
        one = move(a, b, kes("2"), Code.DEPOSIT, about())
        assert await books.codes(one, one) == ["created", "exists"]
        assert await books.posted(b) == "2.00"

    @pytest.mark.parametrize("state", ["frozen", "closed"])
    @pytest.mark.parametrize("bounded", [True, False])
    async def test_an_account_that_is_stopped(
        self, books: Books, owner_db: Database, state: str, bounded: bool
    ) -> None:
        a = await books.funded("0.01") if bounded else OUTSIDE
        key = await books.ledger.find_key(books.db, a)
        stop = "UPDATE ledger.account SET state = $2 WHERE key = $1"
        other = await books.funded("100")
        plain = [move(other, customer(new_id(), KES), kes("1"), Code.DEPOSIT, about())]
        odd = move(a, customer(new_id(), KES), kes("0.01"), Code.DEPOSIT, about())
        await owner_db.execute(stop, key, state)
        try:
            assert await books.codes(*plain, odd) == ["created", f"account_{state}"]
        finally:
            await owner_db.execute(stop, key, "open")
