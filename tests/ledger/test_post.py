"""The posting function, transfer by transfer, against real PostgreSQL."""

import pytest

from hazina.infra.db import Database
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES
from hazina.ledger.chart import customer
from hazina.ledger.codes import Code
from hazina.ledger.core import Hold, Reference, Transfer, hold, linked, move
from hazina.ledger.history import History
from tests.ledger.books import OUTSIDE, Books, about, kes, somebody


@pytest.fixture
def books(db: Database) -> Books:
    return Books(db)


class TestAPlainTransfer:
    async def test_moves_the_amount_once(self, books: Books) -> None:
        a, b = await books.funded("100"), customer(new_id(), KES)
        transfer = move(a, b, kes("30"), Code.DEPOSIT, about())
        assert await books.codes(transfer) == ["created"]
        assert await books.codes(transfer) == ["exists"]
        assert (await books.state(a))[0] == "70.00"
        assert (await books.state(b))[0] == "30.00"

    async def test_never_takes_an_account_below_its_floor(self, books: Books) -> None:
        a, b = await books.funded("100"), customer(new_id(), KES)
        assert await books.codes(move(a, b, kes("100.01"), Code.DEPOSIT, about())) == [
            "insufficient_funds"
        ]
        assert await books.state(a) == ("100.00", "0.00", "0.00")

    async def test_once_refused_for_a_passing_reason_stays_refused(self, books: Books) -> None:
        a, b = await books.funded("1"), customer(new_id(), KES)
        late = move(a, b, kes("2"), Code.DEPOSIT, about())
        assert await books.codes(late) == ["insufficient_funds"]
        await books.post(move(OUTSIDE, a, kes("50"), Code.DEPOSIT, about()))
        assert await books.codes(late) == ["insufficient_funds"]

    async def test_a_repeat_gives_the_first_time_and_amount(self, books: Books) -> None:
        transfer = move(OUTSIDE, customer(new_id(), KES), kes("5"), Code.DEPOSIT, about())
        first, again = (await books.post(transfer))[0], (await books.post(transfer))[0]
        assert (again.booked_at, again.amount_units) == (first.booked_at, 500)

    async def test_two_in_one_batch_see_each_other(self, books: Books) -> None:
        a, b, c = await books.funded("10"), customer(new_id(), KES), customer(new_id(), KES)
        assert await books.codes(
            move(a, b, kes("10"), Code.DEPOSIT, about()),
            move(b, c, kes("10"), Code.DEPOSIT, about()),
            move(b, c, kes("0.01"), Code.DEPOSIT, about()),
        ) == ["created", "created", "insufficient_funds"]
        assert (await books.state(c))[0] == "10.00"


class TestAHold:
    async def test_reserves_and_is_posted_in_full(self, books: Books) -> None:
        a, b = await books.funded("100"), customer(new_id(), KES)
        held, opening = hold(a, b, kes("60"), Code.WITHDRAWAL, about())
        assert await books.codes(opening) == ["created"]
        assert await books.state(a) == ("100.00", "60.00", "0.00")
        assert await books.state(b) == ("0.00", "0.00", "60.00")
        assert await books.codes(move(a, b, kes("41"), Code.DEPOSIT, about())) == [
            "insufficient_funds"
        ]
        assert await books.codes(held.post()) == ["created"]
        assert await books.state(a) == ("40.00", "0.00", "0.00")
        assert await books.state(b) == ("60.00", "0.00", "0.00")

    async def test_a_part_posted_lets_the_rest_go(self, books: Books) -> None:
        a, b = await books.funded("100"), customer(new_id(), KES)
        held, opening = hold(a, b, kes("60"), Code.WITHDRAWAL, about())
        await books.post(opening)
        assert await books.codes(held.post(kes("20"))) == ["created"]
        assert await books.state(a) == ("80.00", "0.00", "0.00")
        assert await books.codes(held.post(kes("1"))) == ["hold_posted"]

    async def test_kept_open_it_posts_until_it_is_used_up(self, books: Books) -> None:
        a, b = await books.funded("100"), customer(new_id(), KES)
        held, opening = hold(a, b, kes("60"), Code.WITHDRAWAL, about())
        await books.post(opening)
        assert await books.codes(held.post(kes("20"), keep_rest=True)) == ["created"]
        assert await books.state(a) == ("80.00", "40.00", "0.00")
        assert await books.codes(held.post(kes("40.01"), keep_rest=True)) == ["exceeds_hold"]
        assert await books.codes(held.post(kes("40"), keep_rest=True)) == ["created"]
        assert await books.codes(held.void()) == ["hold_posted"]
        assert await books.state(b) == ("60.00", "0.00", "0.00")

    async def test_void_lets_go_once(self, books: Books) -> None:
        a, b = await books.funded("100"), customer(new_id(), KES)
        held, opening = hold(a, b, kes("60"), Code.WITHDRAWAL, about())
        await books.post(opening)
        assert await books.codes(held.void()) == ["created"]
        assert await books.codes(held.void()) == ["hold_voided"]
        assert await books.codes(held.post()) == ["hold_voided"]
        assert await books.state(a) == ("100.00", "0.00", "0.00")

    async def test_opened_and_posted_in_one_batch(self, books: Books) -> None:
        a, b = await books.funded("100"), customer(new_id(), KES)
        held, opening = hold(a, b, kes("60"), Code.WITHDRAWAL, about())
        assert await books.codes(*linked([opening, held.post()])) == ["created", "created"]
        assert await books.state(b) == ("60.00", "0.00", "0.00")

    async def test_nobody_knows(self, books: Books) -> None:
        nothing = Hold(new_id(), Code.WITHDRAWAL, about())
        assert await books.codes(nothing.post()) == ["pending_not_found"]


class TestAGroup:
    async def test_is_booked_whole_or_not_at_all(self, books: Books) -> None:
        a, b = await books.funded("100"), customer(new_id(), KES)
        held, opening = hold(a, b, kes("10"), Code.WITHDRAWAL, about())
        await books.post(opening)
        before = await books.state(a), await books.state(b)
        good = linked(
            [
                move(a, b, kes("50"), Code.DEPOSIT, about()),
                held.post(kes("4"), keep_rest=True),
                move(a, b, kes("99"), Code.DEPOSIT, about()),
                held.void(),
            ]
        )
        expected = ["linked_failed", "linked_failed", "insufficient_funds", "linked_failed"]
        assert await books.codes(*good) == expected
        assert (await books.state(a), await books.state(b)) == before
        assert await books.codes(*good) == expected
        assert await books.codes(held.post()) == ["created"]

    async def test_leaves_its_neighbours_alone(self, books: Books) -> None:
        a, b = await books.funded("100"), customer(new_id(), KES)
        codes = await books.codes(
            move(a, b, kes("1"), Code.DEPOSIT, about()),
            *linked([move(a, b, kes("2"), Code.DEPOSIT, about()),
                     move(b, a, kes("500"), Code.DEPOSIT, about())]),
            move(a, b, kes("4"), Code.DEPOSIT, about()),
        )  # fmt: skip
        assert codes == ["created", "linked_failed", "insufficient_funds", "created"]
        assert (await books.state(b))[0] == "5.00"

    async def test_repeated_whole_exists_whole(self, books: Books) -> None:
        a, b = await books.funded("100"), customer(new_id(), KES)
        group = linked([move(a, b, kes("1"), Code.DEPOSIT, about()) for _ in range(3)])
        assert await books.codes(*group) == ["created"] * 3
        assert await books.codes(*group) == ["exists"] * 3
        more = move(a, b, kes("1"), Code.DEPOSIT, about())
        assert group[0].group is not None
        assert await books.codes(*group, more.in_group(group[0].group)) == [
            "exists", "exists", "exists", "linked_failed",
        ]  # fmt: skip
        assert (await books.state(b))[0] == "3.00"


class TestADifferentContent:
    @pytest.mark.parametrize(
        ("change", "code"),
        [
            ({"amount": kes("2")}, "exists_with_different_amount"),
            ({"code": Code.GOLD_PAID}, "exists_with_different_code"),
            ({"reference": Reference("test", new_id())}, "exists_with_different_reference"),
            ({"debit": customer(new_id(), KES)}, "exists_with_different_accounts"),
            ({"group": new_id()}, "exists_with_different_group"),
        ],
    )
    async def test_under_a_used_id_is_named(
        self, books: Books, change: dict[str, object], code: str
    ) -> None:
        transfer = move(OUTSIDE, customer(new_id(), KES), kes("1"), Code.DEPOSIT, about())
        await books.post(transfer)
        fields = {name: getattr(transfer, name) for name in Transfer.__slots__}
        assert await books.codes(Transfer(**{**fields, **change})) == [code]

    async def test_and_the_same_twice_in_one_batch_exists(self, books: Books) -> None:
        transfer = move(OUTSIDE, customer(new_id(), KES), kes("1"), Code.DEPOSIT, about())
        assert await books.codes(transfer, transfer) == ["created", "exists"]


class TestTheDoor:
    async def test_one_transaction_posts_once(self, books: Books) -> None:
        async def twice(tx: object) -> None:
            await books.ledger.post(tx, [], SYSTEM)  # type: ignore[arg-type]
            await books.ledger.post(tx, [], SYSTEM)  # type: ignore[arg-type]

        with pytest.raises(AssertionError, match="posts once"):
            await books.db.run(twice)

    async def test_zero_and_too_much_are_refused(self, books: Books) -> None:
        account = customer(new_id(), KES)
        assert await books.codes(
            move(OUTSIDE, account, KES.units(0), Code.DEPOSIT, about()),
            move(OUTSIDE, account, KES.units(-1), Code.DEPOSIT, about()),
            move(OUTSIDE, account, KES.units(10**38), Code.DEPOSIT, about()),
            move(account, account, kes("1"), Code.DEPOSIT, about()),
        ) == ["amount_not_positive", "amount_not_positive", "amount_too_large", "same_account"]

    async def test_a_balance_is_exact_to_the_last_of_38_digits(self, books: Books) -> None:
        """Decimals of that size, subtracted as Decimals, were rounded to 28 digits."""
        account, most = somebody(), 10**38 - 1
        await books.post(
            move(OUTSIDE, account, KES.units(most), Code.DEPOSIT, about()),
            move(account, OUTSIDE, KES.units(1), Code.WITHDRAWAL, about()),
        )
        assert (await books.ledger.balance(books.db, account)).posted.units == most - 1
        assert (await History(books.db).balance_at(account)).posted.units == most - 1
