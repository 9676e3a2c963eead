"""What other ledgers got wrong, each a test named by what happened there."""

import pytest

from hazina.infra.db import Database
from hazina.kernel.money import KES
from hazina.ledger.codes import Code
from hazina.ledger.core import Hold, Terms, hold, linked, move, reversal, sweep
from tests.ledger.books import OUTSIDE, Books, about, give_credit, kes, somebody


@pytest.fixture
def books(db: Database) -> Books:
    return Books(db)


class TestWhatOthersGotWrong:
    async def test_debits_in_flight_were_over_committed(self, books: Books) -> None:
        """Two payouts were each checked against the balance, and both were sent."""
        a, outside = await books.funded("100"), OUTSIDE
        first = hold(a, outside, kes("60"), Code.WITHDRAWAL, about())[1]
        second = hold(a, outside, kes("60"), Code.WITHDRAWAL, about())[1]
        assert await books.codes(first, second) == ["created", "insufficient_funds"]
        assert await books.code(move(a, outside, kes("41"), Code.DEPOSIT, about())) == (
            "insufficient_funds"
        )
        assert await books.code(move(a, outside, kes("40"), Code.DEPOSIT, about())) == "created"

    async def test_a_refused_hold_was_committed_later(self, books: Books) -> None:
        """The hold was refused, its id kept, and the settlement posted it all the same."""
        a, b = await books.funded("10"), somebody()
        held, opening = hold(a, b, kes("60"), Code.WITHDRAWAL, about())
        assert await books.code(opening) == "insufficient_funds"
        await books.post(move(OUTSIDE, a, kes("1000"), Code.DEPOSIT, about()))
        assert await books.code(held.post()) == "pending_not_found"
        assert await books.code(held.void()) == "pending_not_found"
        assert await books.code(opening) == "insufficient_funds"
        assert await books.state(a) == ("1010.00", "0.00", "0.00")

    async def test_a_refund_was_applied_twice(self, books: Books) -> None:
        """The answer to the first was lost; the repeat paid again."""
        shop, buyer = await books.funded("100"), somebody()
        refund = move(shop, buyer, kes("30"), Code.DEPOSIT, about())
        assert [await books.code(refund) for _ in range(3)] == ["created", "exists", "exists"]
        assert (await books.posted(shop), await books.posted(buyer)) == ("70.00", "30.00")

    async def test_refunds_together_gave_back_more_than_was_paid(self, books: Books) -> None:
        """Each was compared with the original, and none with the others."""
        shop, buyer = await books.funded("1000"), await books.funded("60")
        paid = move(buyer, shop, kes("60"), Code.DEPOSIT, about())
        await books.post(paid)

        def refund(amount: str) -> object:
            return move(
                shop, buyer, kes(amount), Code.DEPOSIT, about(), terms=Terms(refund_of=paid.id)
            )

        batch = [refund("40"), refund("30"), refund("20"), refund("1")]
        assert await books.codes(*batch) == [  # type: ignore[arg-type]
            "created", "exceeds_original", "created", "exceeds_original",
        ]  # fmt: skip
        assert await books.posted(buyer) == "60.00"

    async def test_a_reversal_after_a_refund_gave_back_twice(self, books: Books) -> None:
        shop, buyer = await books.funded("1000"), await books.funded("60")
        paid = move(buyer, shop, kes("60"), Code.DEPOSIT, about())
        await books.post(paid)
        back = Terms(refund_of=paid.id)
        await books.post(move(shop, buyer, kes("10"), Code.DEPOSIT, about(), terms=back))
        undo = reversal(await books.ledger.legs(books.db, paid.id), about())
        assert await books.codes(*undo) == ["not_reversible"]
        assert await books.posted(buyer) == "10.00"

    async def test_a_sweep_took_what_was_promised_to_others(self, books: Books) -> None:
        """It looked at the balance, not at what of it was held."""
        a = await books.funded("100")
        await books.post(hold(a, OUTSIDE, kes("70"), Code.WITHDRAWAL, about())[1])
        swept = (await books.post(sweep(a, OUTSIDE, kes("500"), Code.DEPOSIT, about())))[0]
        assert (swept.code.value, swept.amount_units) == ("created", 30_00)
        assert await books.state(a) == ("70.00", "70.00", "0.00")

    async def test_a_sweep_ran_into_debt(self, books: Books) -> None:
        """It counted the credit line as money that is there."""
        a = await books.funded("100")
        await give_credit(books, a, "50")
        swept = (await books.post(sweep(a, OUTSIDE, kes("500"), Code.DEPOSIT, about())))[0]
        assert swept.amount_units == 100_00

    async def test_an_atomic_bulk_left_a_part_behind(self, books: Books) -> None:
        """Members before the refused one stayed booked; and a retry booked the rest of them."""
        payer, payees = await books.funded("100"), [somebody() for _ in range(5)]
        bulk = linked([move(payer, payee, kes("30"), Code.DEPOSIT, about()) for payee in payees])
        for _ in range(2):
            assert await books.codes(*bulk) == [
                *["linked_failed"] * 3, "insufficient_funds", "linked_failed",
            ]  # fmt: skip
        assert await books.state(payer) == ("100.00", "0.00", "0.00")
        assert [await books.posted(payee) for payee in payees] == ["0.00"] * 5

    @pytest.mark.parametrize("end", ["post", "part", "void"])
    async def test_a_hold_with_a_credit_line_corrupted_a_balance(
        self, books: Books, end: str
    ) -> None:
        """What was held beyond the balance came back as money."""
        a, b = await books.funded("100"), somebody()
        await give_credit(books, a, "50")
        held, opening = hold(a, b, kes("150"), Code.WITHDRAWAL, about())
        assert await books.code(opening) == "created"
        assert await books.code(move(a, b, kes("0.01"), Code.DEPOSIT, about())) == (
            "insufficient_funds"
        )
        act = {"post": held.post(), "part": held.post(kes("120")), "void": held.void()}[end]
        assert await books.code(act) == "created"
        left, paid = {"post": ("-50", "150"), "part": ("-20", "120"), "void": ("100", "0")}[end]
        assert await books.state(a) == (f"{left}.00", "0.00", "0.00")
        assert await books.state(b) == (f"{paid}.00", "0.00", "0.00")

    async def test_a_lower_credit_line_blocked_more_than_new_debits(self, books: Books) -> None:
        """The line was cut below its use, and then not even the debt could be paid back."""
        a, b = await books.funded("100"), somebody()
        await give_credit(books, a, "50")
        held, opening = hold(a, b, kes("140"), Code.WITHDRAWAL, about())
        await books.post(opening)
        await give_credit(books, a, "0")
        assert await books.code(move(a, b, kes("0.01"), Code.DEPOSIT, about())) == (
            "insufficient_funds"
        )
        assert await books.code(move(OUTSIDE, a, kes("5"), Code.DEPOSIT, about())) == "created"
        assert await books.code(held.post()) == "created"
        assert await books.posted(a) == "-35.00"

    async def test_a_business_refusal_was_answered_as_a_500(self, books: Books) -> None:
        """One bad line of a batch threw, and nobody learned what became of the others."""
        a, b = await books.funded("10"), somebody()
        good = move(a, b, kes("1"), Code.DEPOSIT, about())
        unknown = Hold(about().id, Code.WITHDRAWAL, about())
        assert await books.codes(
            move(a, b, KES.units(0), Code.DEPOSIT, about()),
            move(a, a, kes("1"), Code.DEPOSIT, about()),
            move(a, b, kes("11"), Code.DEPOSIT, about()),
            unknown.post(),
            good,
            good,
        ) == [
            "amount_not_positive", "same_account", "insufficient_funds", "pending_not_found",
            "created", "exists",
        ]  # fmt: skip

    async def test_a_rolled_back_account_was_remembered(self, books: Books) -> None:
        """A process kept the key of an account whose making was undone, and refused for ever."""
        ref = somebody()

        class Undone(Exception):
            pass

        async def opens_posts_and_fails(tx: object) -> None:
            await books.ledger.open_accounts(tx, [ref])  # type: ignore[arg-type]
            await books.ledger.open_accounts(tx, [ref])  # type: ignore[arg-type]
            raise Undone

        with pytest.raises(Undone):
            await books.db.run(opens_posts_and_fails)
        transfer = move(OUTSIDE, ref, kes("1"), Code.DEPOSIT, about())
        assert await books.code(transfer) == "created"
        assert await books.posted(ref) == "1.00"
