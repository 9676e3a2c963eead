"""What people do to accounts, with who and why: freeze, close, credit, periods, families."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from hazina.infra.db import Database
from hazina.kernel.actor import Actor
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES, XAU
from hazina.ledger.accounts import (
    AccountIsClosed,
    AccountNotEmpty,
    Accounts,
    AccountUnbounded,
    AccountUnknown,
    PeriodClosedBefore,
    PeriodNotOver,
    SecondPersonNeeded,
)
from hazina.ledger.chart import AccountRef, customer, receivable
from hazina.ledger.codes import Code
from hazina.ledger.core import Hold, Terms, hold, move
from tests.ledger.books import CHIEF, CLERK, OUTSIDE, Books, about, kes, somebody
from tests.ledger.chain import seal_all

LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


class Office(Books):
    """Books with people who act on its accounts."""

    def __init__(self, db: Database) -> None:
        super().__init__(db)
        self.accounts = Accounts(self.ledger)

    async def freeze(self, ref: AccountRef) -> None:
        await self.db.run(lambda tx: self.accounts.freeze(tx, ref, CLERK, "a complaint"))

    async def unfreeze(self, ref: AccountRef) -> None:
        await self.db.run(lambda tx: self.accounts.unfreeze(tx, ref, CHIEF, "settled"))

    async def close(self, ref: AccountRef) -> None:
        await self.db.run(lambda tx: self.accounts.close(tx, ref, CLERK, "asked to"))

    async def credit(
        self, ref: AccountRef, limit: str, *, starts: datetime = LONG_AGO,
        ends: datetime | None = None, by: Actor = CHIEF,
    ) -> None:  # fmt: skip
        await self.db.run(
            lambda tx: self.accounts.grant_credit(
                tx, ref, kes(limit), starts_at=starts, ends_at=ends, asked_by=CLERK,
                granted_by=by, reason="a good customer",
            )
        )  # fmt: skip

    async def pay(self, ref: AccountRef, amount: str) -> str:
        return await self.code(move(ref, OUTSIDE, kes(amount), Code.WITHDRAWAL, about()))


@pytest.fixture
def office(db: Database) -> Office:
    return Office(db)


class TestAFrozenAccount:
    async def test_pays_nothing_out_and_can_be_paid_into(self, office: Office) -> None:
        a = await office.funded("100")
        await office.freeze(a)
        assert await office.pay(a, "1") == "account_frozen"
        assert await office.code(move(OUTSIDE, a, kes("5"), Code.DEPOSIT, about())) == "created"
        await office.unfreeze(a)
        assert await office.pay(a, "105") == "created"

    async def test_settles_what_it_held(self, office: Office) -> None:
        a = await office.funded("100")
        holds: list[Hold] = []
        for _ in range(2):
            held, opening = hold(a, OUTSIDE, kes("10"), Code.WITHDRAWAL, about())
            await office.post(opening)
            holds.append(held)
        await office.freeze(a)
        assert await office.codes(holds[0].post(), holds[1].void()) == ["created", "created"]
        assert await office.state(a) == ("90.00", "0.00", "0.00")

    async def test_remembers_who_and_why(self, office: Office) -> None:
        a = await office.funded("1")
        await office.freeze(a)
        await office.freeze(a)
        await office.unfreeze(a)
        events = await office.accounts.list_events(office.db, a)
        assert [(e.event, e.actor, e.reason) for e in events] == [
            ("unfrozen", str(CHIEF), "settled"),
            ("frozen", str(CLERK), "a complaint"),
        ]

    async def test_stops_what_has_not_begun_and_lets_end_what_has(self, office: Office) -> None:
        a = await office.funded("100")
        codes, _ = await asyncio.gather(
            asyncio.gather(*(office.pay(a, "1") for _ in range(30))), office.freeze(a)
        )
        assert set(codes) <= {"created", "account_frozen"}
        assert await office.pay(a, "1") == "account_frozen"
        assert await office.posted(a) == f"{100 - codes.count('created')}.00"


class TestAClosedAccount:
    async def test_must_be_empty_and_without_holds(self, office: Office) -> None:
        a, b = await office.funded("10"), somebody()
        with pytest.raises(AccountNotEmpty):
            await office.close(a)
        held, opening = hold(a, b, kes("10"), Code.WITHDRAWAL, about())
        await office.post(opening)
        with pytest.raises(AccountNotEmpty):
            await office.close(b)
        await office.post(held.post())
        await office.close(a)
        assert await office.code(move(OUTSIDE, a, kes("1"), Code.DEPOSIT, about())) == (
            "account_closed"
        )

    async def test_stays_closed(self, office: Office) -> None:
        a = somebody()
        await office.db.run(lambda tx: office.ledger.open_accounts(tx, [a]))
        await office.close(a)
        await office.close(a)
        for act in (office.freeze(a), office.unfreeze(a), office.credit(a, "5")):
            with pytest.raises(AccountIsClosed):
                await act

    async def test_is_never_the_outside_world_nor_nobodys(self, office: Office) -> None:
        with pytest.raises(AccountUnbounded):
            await office.close(OUTSIDE)
        with pytest.raises(AccountUnbounded):
            await office.credit(OUTSIDE, "5")
        with pytest.raises(AccountUnknown):
            await office.close(somebody())


class TestACreditLine:
    async def test_lets_an_account_owe_that_much(self, office: Office) -> None:
        a = await office.funded("10")
        await office.credit(a, "50")
        assert await office.pay(a, "60.01") == "insufficient_funds"
        assert await office.pay(a, "60") == "created"
        assert await office.posted(a) == "-50.00"

    async def test_needs_two_persons(self, office: Office) -> None:
        a = await office.funded("10")
        with pytest.raises(SecondPersonNeeded):
            await office.credit(a, "50", by=CLERK)
        assert await office.pay(a, "11") == "insufficient_funds"

    async def test_begins_and_ends(self, office: Office) -> None:
        a = await office.funded("10")
        now = await office.db.fetchval("SELECT clock_timestamp()")
        await office.credit(a, "50", starts=now + timedelta(days=1))
        assert await office.pay(a, "11") == "insufficient_funds"
        await office.credit(a, "50", ends=now)
        assert await office.pay(a, "11") == "insufficient_funds"
        await office.credit(a, "50", ends=now + timedelta(days=1))
        assert await office.pay(a, "11") == "created"

    async def test_is_replaced_by_the_newest_that_has_begun(self, office: Office) -> None:
        """Or an old line would come back when a lower one ends."""
        a = await office.funded("10")
        now = await office.db.fetchval("SELECT clock_timestamp()")
        await office.credit(a, "500")
        await office.credit(a, "5", ends=now)
        assert await office.pay(a, "11") == "insufficient_funds"

    async def test_lowered_below_its_use_only_blocks_new_debits(self, office: Office) -> None:
        a = await office.funded("10")
        held, opening = hold(a, OUTSIDE, kes("40"), Code.WITHDRAWAL, about())
        await office.credit(a, "50")
        await office.post(opening)
        await office.credit(a, "0")
        assert await office.pay(a, "0.01") == "insufficient_funds"
        assert await office.code(held.post()) == "created"
        assert await office.code(move(OUTSIDE, a, kes("5"), Code.DEPOSIT, about())) == "created"
        assert await office.posted(a) == "-25.00"

    async def test_granted_while_others_pay_is_seen_or_not_but_never_overdrawn(
        self, office: Office
    ) -> None:
        a = await office.funded("10")
        codes, _ = await asyncio.gather(
            asyncio.gather(*(office.pay(a, "2") for _ in range(40))), office.credit(a, "20")
        )
        assert 5 <= codes.count("created") <= 15
        assert set(codes) == {"created", "insufficient_funds"}

    async def test_cannot_be_granted_by_the_application_itself(self, office: Office) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await office.db.fetch(
                "INSERT INTO ledger.credit_line (account_key, amount, starts_at, asked_by,"
                " granted_by, reason) VALUES (1, 1, now(), 'a', 'b', 'c')"
            )


class TestAPeriod:
    async def test_is_closed_for_good_and_only_forward(self, fresh: Database) -> None:
        office = Office(fresh)

        async def close(until: datetime) -> None:
            await fresh.run(lambda tx: office.accounts.close_period(tx, until, CLERK, "audited"))

        now = await fresh.fetchval("SELECT clock_timestamp()")
        assert await office.accounts.closed_until(fresh) is None
        with pytest.raises(PeriodNotOver):
            await close(now + timedelta(hours=1))
        await close(LONG_AGO)
        for earlier in (LONG_AGO, LONG_AGO - timedelta(days=1)):
            with pytest.raises(PeriodClosedBefore):
                await close(earlier)
        assert await office.accounts.closed_until(fresh) == LONG_AGO

    async def test_takes_nothing_more_once_it_is_closed(self, fresh: Database) -> None:
        """A back-dated posting in flight while the period was closed came out inside of it."""
        office, a = Office(fresh), somebody()
        now = await fresh.fetchval("SELECT clock_timestamp()")
        until = now - timedelta(days=1)
        counts = Terms(effective_at=until)
        backdated = [
            move(OUTSIDE, a, kes("1"), Code.CAPITAL_IN, about(), terms=counts) for _ in range(40)
        ]

        async def close() -> datetime:
            await fresh.run(lambda tx: office.accounts.close_period(tx, until, CLERK, "audited"))
            moment: datetime = await fresh.fetchval("SELECT clock_timestamp()")
            return moment

        results, closed_at = await asyncio.gather(
            asyncio.gather(*(office.post(t) for t in backdated)), close()
        )
        codes = [result.code.value for [result] in results]
        assert set(codes) <= {"created", "period_closed"}
        late = [r for [r] in results if r.booked_at is not None and r.booked_at > closed_at]
        assert late == []
        assert await office.posted(a) == f"{codes.count('created')}.00"


class TestAFamily:
    async def test_holds_what_its_members_hold_together(self, office: Office) -> None:
        parent, children = somebody(), [somebody() for _ in range(3)]
        grandchild, gold = somebody(), customer(new_id(), XAU)

        async def open_all(tx: object) -> None:
            await office.ledger.open_accounts(tx, [*children, gold], parent=parent)  # type: ignore[arg-type]
            await office.ledger.open_accounts(tx, [grandchild], parent=children[0])  # type: ignore[arg-type]

        await office.db.run(open_all)
        family = [parent, *children, grandchild]
        await office.post(
            *(move(OUTSIDE, ref, kes("10"), Code.DEPOSIT, about()) for ref in family),
            hold(children[0], OUTSIDE, kes("4"), Code.WITHDRAWAL, about())[1],
        )
        total = await office.db.run(lambda tx: office.accounts.sum(tx, parent))
        assert (total.posted, total.held) == (kes("50"), kes("4"))
        branch = await office.db.run(lambda tx: office.accounts.sum(tx, children[0]))
        assert branch.available == KES.units(16_00)

    async def test_counts_members_without_a_floor_sealed_or_not(self, fresh: Database) -> None:
        office, parent, owed = Office(fresh), somebody(), receivable(new_id(), KES)
        await fresh.run(lambda tx: office.ledger.open_accounts(tx, [owed], parent=parent))
        await office.post(move(OUTSIDE, parent, kes("50"), Code.DEPOSIT, about()))
        for expected in (kes("43"), kes("36")):
            await office.post(move(owed, OUTSIDE, kes("7"), Code.CLAW_BACK_OWED, about()))
            for _ in range(2):
                total = await fresh.run(lambda tx: office.accounts.sum(tx, parent))
                assert total.posted == expected
                outside = await fresh.run(lambda tx: office.accounts.sum(tx, OUTSIDE))
                assert outside.posted == expected, "what we own outside is positive there"
                await seal_all(fresh, size=1)

    async def test_is_counted_without_waiting_for_anybody(self, office: Office) -> None:
        parent, child = somebody(), somebody()
        await office.db.run(lambda tx: office.ledger.open_accounts(tx, [child], parent=parent))

        async def counts_inside(tx: object) -> None:
            await office.ledger.post(
                tx, [move(OUTSIDE, child, kes("1"), Code.DEPOSIT, about())], CLERK,  # type: ignore[arg-type]
            )  # fmt: skip
            async with asyncio.timeout(5):
                total = await office.db.run(lambda tx: office.accounts.sum(tx, parent))
            assert total.posted == KES.units(0)

        await office.db.run(counts_inside)
