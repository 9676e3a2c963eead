"""What any account was worth at any version, booked or effective time: against plain sums."""

import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random, SystemRandom
from uuid import UUID

import asyncpg
import pytest
import pytest_asyncio

from hazina.infra.db import Database, Tx
from hazina.kernel.actor import SYSTEM
from hazina.kernel.errors import Invalid
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES
from hazina.ledger.chart import AccountRef, Purpose, receivable, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Hold, hold, move
from hazina.ledger.history import History, Period
from hazina.ledger.past import NoSuchVersion
from hazina.ledger.reading import POSTED_UNBOUNDED
from hazina.ledger.service import TICK, Ledger
from tests.conftest import Place
from tests.ledger.books import OUTSIDE, Books, about, kes, somebody
from tests.ledger.chain import seal_all
from tests.ledger.model import Model
from tests.ledger.test_model import PAPER
from tests.ledger.workload import Workload

SEED = int(os.environ.get("HAZINA_TEST_SEED", SystemRandom().randrange(10**9)))
BANK, CAPITAL = system(Purpose.BANK), system(Purpose.CAPITAL)
POSTS = ("post", "post_pending")
LINES = """
SELECT t.tx, t.id, t.kind, t.amount, t.booked_at, t.effective_at, d.purpose AS d_purpose,
       d.asset AS d_asset, d.owner_id AS d_owner, c.purpose AS c_purpose, c.asset AS c_asset,
       c.owner_id AS c_owner
FROM ledger.transfer t
JOIN ledger.account d ON d.key = t.debit_key JOIN ledger.account c ON c.key = t.credit_key
ORDER BY t.booked_at, t.tx, t.id
"""


@dataclass
class Line:
    """One transfer as one account sees it: what it changes on the account's own side."""

    tx: int
    id: UUID
    change: int
    booked_at: datetime
    effective_at: datetime


class Plain:
    """All transfers, read once and added up by hand: no index, no entry, no checkpoint."""

    def __init__(self, lines: dict[AccountRef, list[Line]]) -> None:
        self.lines = lines

    @classmethod
    async def read(cls, db: Database, refs: list[AccountRef]) -> "Plain":
        named = {(r.purpose.value, r.asset.code, r.owner): r for r in refs}
        found: dict[AccountRef, list[Line]] = {ref: [] for ref in refs}
        for row in await db.fetch(LINES):
            for side, sign in (("d", -1), ("c", 1)):
                name = (row[f"{side}_purpose"], row[f"{side}_asset"], row[f"{side}_owner"])
                if (ref := named.get(name)) is None:
                    continue
                amount = int(row["amount"]) if row["kind"] in POSTS else 0
                own = -sign if ref.line.debit_normal else sign
                found[ref].append(
                    Line(row["tx"], row["id"], own * amount, row["booked_at"], row["effective_at"])
                )
        return cls(found)

    def booked(self, ref: AccountRef, at: datetime) -> int:
        return sum(line.change for line in self.lines[ref] if line.booked_at <= at)

    def effective(self, ref: AccountRef, at: datetime) -> int:
        return sum(line.change for line in self.lines[ref] if line.effective_at <= at)

    def moments(self, random: Random, count: int) -> list[datetime]:
        """Exactly at, just before and just after something happened, and long before and after."""
        times = [t for lines in self.lines.values() for x in lines
                 for t in (x.booked_at, x.effective_at)]  # fmt: skip
        tick = timedelta(microseconds=1)
        drawn = [
            random.choice(times) + random.choice([-tick, 0 * tick, tick]) for _ in range(count)
        ]
        return [*drawn, min(times) - tick, max(times) + tick]


@pytest.fixture
def books(fresh: Database) -> Books:
    return Books(fresh)


@pytest_asyncio.fixture(loop_scope="session")
async def owner(fresh_place: Place) -> AsyncIterator[Database]:
    database = await Database.connect(fresh_place.owner, size=1)
    yield database
    await database.close()


async def back_dated(owner: Database, random: Random) -> None:
    """Some count at another time than they were booked."""
    rows = await owner.fetch("SELECT id FROM ledger.transfer ORDER BY id")
    async with owner.transaction() as tx:
        for row in random.sample(rows, len(rows) // 6):
            shift = timedelta(microseconds=random.choice([-1, -5000, -400_000, 300_000]))
            await tx.execute(
                "UPDATE ledger.transfer SET effective_at = booked_at + $2 WHERE id = $1",
                row["id"], shift,
            )  # fmt: skip


async def booked_long_before(owner: Database, transfer_id: UUID) -> None:
    """As if its transaction had stayed open for an hour after it was booked."""
    async with owner.transaction() as tx:
        for table, column in (("transfer", "id"), ("entry_unbounded", "transfer_id")):
            await tx.execute(
                f"UPDATE ledger.{table} SET booked_at = booked_at - interval '1 hour'"
                f" WHERE {column} = $1",
                transfer_id,
            )


class TestEveryMoment:
    async def test_is_what_all_before_it_comes_to(
        self, books: Books, owner: Database, fresh_place: Place
    ) -> None:
        """Random books, sealed now and then, with a late committer and an old straggler."""
        random, model = Random(SEED), Model()
        work, history = Workload(SEED, model), History(books.db)
        async with books.db.transaction() as tx:
            await books.ledger.ensure_assets(tx, [PAPER])
        await books.db.run(lambda tx: books.ledger.open_accounts(tx, work.accounts))
        late = await asyncpg.connect(fresh_place.app)
        opened = late.transaction()
        for number in range(60):
            batch = work.batch()
            model.post(batch, await books.db.fetchval("SELECT clock_timestamp()"))
            await books.post(*batch)
            if number == 20:
                await opened.start()
                await Ledger().post(
                    Tx(late), [move(BANK, CAPITAL, kes("9"), Code.CAPITAL_IN, about())], SYSTEM
                )
            if number == 35:
                await opened.commit()
            if number in (36, 50):
                await seal_all(books.db, size=random.choice([1, 10]))
            if number == 40:
                straggler = move(BANK, CAPITAL, kes("11"), Code.CAPITAL_IN, about())
                await books.post(straggler)
                await booked_long_before(owner, straggler.id)
        await late.close()
        await back_dated(owner, random)
        assert await owner.fetchval("SELECT count(*) FROM ledger.block WHERE late") == 1
        refs = [*(r for r in work.accounts if r.asset != PAPER), BANK, CAPITAL]
        plain = await Plain.read(books.db, refs)
        moments = plain.moments(random, 25)
        for ref in refs:
            await self._moments(history, plain, ref, moments)
            if ref.line.bounded:
                await self._versions(books, history, plain, model, ref)

    async def _moments(
        self, history: History, plain: Plain, ref: AccountRef, moments: list[datetime]
    ) -> None:
        for at in moments:
            booked = await history.balance_at(ref, booked=at)
            assert booked.posted.units == plain.booked(ref, at), (SEED, ref, at)
            effective = await history.balance_at(ref, effective=at)
            assert effective.posted.units == plain.effective(ref, at), (SEED, ref, at)
        now = await history.balance_at(ref)
        assert now.posted.units == sum(line.change for line in plain.lines[ref]), (SEED, ref)

    async def _versions(
        self, books: Books, history: History, plain: Plain, model: Model, ref: AccountRef
    ) -> None:
        units = 0
        for version, line in enumerate(plain.lines[ref], start=1):
            units += line.change
            found = await history.balance_at(ref, version=version)
            assert (found.posted.units, found.booked_at) == (units, line.booked_at), (SEED, ref)
        # The last one is what the model says, holds too.
        account = model.state.accounts.get(ref)
        if account is not None:
            last = await history.balance_at(ref)
            assert last.held is not None
            assert last.incoming is not None
            assert (last.posted.units, last.held.units, last.incoming.units) == (
                account.credits - account.debits, account.going, account.coming
            ), (SEED, ref)  # fmt: skip

    async def test_has_versions_from_nothing_to_the_last(self, books: Books) -> None:
        a, history = await books.funded("100"), History(books.db)
        await books.post(hold(a, OUTSIDE, kes("30"), Code.WITHDRAWAL, about())[1])
        seen = [await history.balance_at(a, version=version) for version in (0, 1, 2)]
        assert [(s.posted.decimal, s.held.decimal) for s in seen if s.held is not None] == [
            ("0.00", "0.00"), ("100.00", "0.00"), ("100.00", "30.00")
        ]  # fmt: skip
        with pytest.raises(NoSuchVersion):
            await history.balance_at(a, version=3)
        with pytest.raises(Invalid):
            await history.balance_at(OUTSIDE, version=1)
        with pytest.raises(Invalid):
            await history.balance_at(a, version=1, booked=datetime.now(UTC))
        assert (await history.balance_at(somebody())).posted.decimal == "0.00"


class TestTheTrialBalance:
    async def test_is_the_same_sealed_and_not(self, books: Books) -> None:
        history = History(books.db)

        async def lines() -> dict[tuple[str, str], tuple[str, str, str]]:
            return {
                (one.purpose.value, one.asset.code): (
                    one.debits.decimal, one.credits.decimal, one.balance.decimal
                )
                for one in await history.trial_balance()
            }  # fmt: skip

        async def posted() -> set[tuple[str, str, int]]:
            rows = await books.db.fetch(POSTED_UNBOUNDED)
            return {(row["purpose"], row["asset"], int(row["posted"])) for row in rows}

        a = await books.funded("100")
        await books.post(move(a, BANK, kes("30"), Code.WITHDRAWAL, about()))
        unsealed, on_credit_side = await lines(), await posted()
        assert unsealed["mpesa:collection", "KES"] == ("100.00", "0.00", "100.00")
        assert unsealed["bank", "KES"] == ("0.00", "30.00", "-30.00")
        assert unsealed["wallet", "KES"] == ("30.00", "100.00", "70.00")
        assert ("bank", "KES", 3000) in on_credit_side
        await seal_all(books.db, size=1)
        assert (await lines(), await posted()) == (unsealed, on_credit_side)
        await books.post(move(a, BANK, kes("5"), Code.WITHDRAWAL, about()))
        assert (await lines())["bank", "KES"] == ("0.00", "35.00", "-35.00")
        after = await lines()
        debits, credits_ = (
            sum(kes(line[side]).units for (_, asset), line in after.items() if asset == "KES")
            for side in (0, 1)
        )
        assert debits == credits_

    async def test_can_be_had_as_it_once_was(self, books: Books) -> None:
        random, history = Random(SEED), History(books.db)
        refs = [await books.funded("100") for _ in range(4)] + [BANK, CAPITAL]
        holds: list[Hold] = []
        stood = []
        for number in range(12):
            now = await books.db.fetchval("SELECT clock_timestamp()")
            stood.append((now, await history.trial_balance()))
            for _ in range(5):
                debit, credit = random.sample(refs, 2)
                amount = kes(str(random.randint(1, 40)))
                held, opening = hold(debit, credit, amount, Code.WITHDRAWAL, about())
                moved = move(debit, credit, amount, Code.DEPOSIT, about())
                ended = holds.pop(random.randrange(len(holds))).post() if holds else moved
                if await books.code(opening) == "created":
                    holds.append(held)
                await books.post(moved, ended)
            if number in (4, 8):
                await seal_all(books.db, size=3)
        for at, lines in stood:
            assert await history.trial_balance(at) == lines, (SEED, at)
        assert stood[0][1] != stood[-1][1], SEED


class TestAnUnboundedAccountOfSomebody:
    async def test_is_read_like_the_houses_own(self, books: Books) -> None:
        """A receivable was nothing at all, and had no lines: only accounts of nobody were found."""
        history, who, other = History(books.db), new_id(), new_id()
        mine, theirs = receivable(who, KES), receivable(other, KES)
        before = await books.db.fetchval("SELECT clock_timestamp()")
        for _ in range(2):
            await books.post(
                move(mine, BANK, kes("7"), Code.CLAW_BACK_OWED, about()),
                move(theirs, BANK, kes("100"), Code.CLAW_BACK_OWED, about()),
            )
            await seal_all(books.db, size=1)
        after = await books.db.fetchval("SELECT clock_timestamp()")
        assert (await history.balance_at(mine)).posted == kes("14")
        assert (await history.balance_at(mine, booked=before)).posted == kes("0")
        assert (await history.balance_at(mine, effective=after)).posted == kes("14")
        period = await history.period(mine, before, after, limit=1)
        assert (period.opening, period.closing) == (kes("0"), kes("14"))
        rest = await history.period(mine, before, after, cursor=period.lines.next_cursor)
        lines = [*period.lines.items, *rest.lines.items]
        assert [line.balance for line in lines] == [kes("7"), kes("14")]


class TestAPeriod:
    async def test_begins_and_ends_exactly_at_a_line_of_a_long_history(self, books: Books) -> None:
        """At a line's very microsecond, wherever the search among the versions ends."""
        account, history = somebody(), History(books.db)
        await books.post(*(move(BANK, account, kes("1"), Code.CAPITAL_IN, about())
                           for _ in range(100)))  # fmt: skip
        lines = await history.statement(account, limit=100)
        for line in lines.items:
            period = await history.period(account, line.booked_at, line.booked_at + TICK)
            assert period.opening == line.balance - kes("1")
            assert period.closing == line.balance
            assert [one.transfer_id for one in period.lines.items] == [line.transfer_id]

    async def test_opens_and_closes_with_what_was_there(
        self, books: Books, owner: Database
    ) -> None:
        """Any period of any account, paged: opening, changes and closing are one sum."""
        random, model = Random(SEED), Model()
        work, history = Workload(SEED, model), History(books.db)
        async with books.db.transaction() as tx:
            await books.ledger.ensure_assets(tx, [PAPER])
        await books.db.run(lambda tx: books.ledger.open_accounts(tx, work.accounts))
        for number in range(40):
            batch = work.batch()
            model.post(batch, await books.db.fetchval("SELECT clock_timestamp()"))
            await books.post(*batch)
            if number in (10, 30):
                await seal_all(books.db, size=random.choice([1, 7]))
            if number == 20:
                straggler = move(BANK, CAPITAL, kes("11"), Code.CAPITAL_IN, about())
                await books.post(straggler)
                await booked_long_before(owner, straggler.id)
        refs = [*(r for r in work.accounts if r.asset != PAPER), BANK]
        plain = await Plain.read(books.db, refs)
        moments = plain.moments(random, 12)
        for ref in refs:
            for since, until in pairwise(moments):
                await self._check(history, plain, ref, since, until)

    async def _check(
        self, history: History, plain: Plain, ref: AccountRef, since: datetime, until: datetime
    ) -> None:
        tick, pages, cursor = timedelta(microseconds=1), list[Period](), None
        while True:
            page = await history.period(ref, since, until, limit=3, cursor=cursor)
            pages.append(page)
            if (cursor := page.lines.next_cursor) is None:
                break
            assert len(page.lines.items) == 3
        lines = [line for page in pages for line in page.lines.items]
        inside = [
            line for line in plain.lines[ref]
            if since <= line.booked_at < until and (ref.line.bounded or line.change)
        ]  # fmt: skip
        if not ref.line.bounded:
            inside.sort(key=lambda line: (line.tx, line.id))
        where = (SEED, ref, since, until)
        assert [(x.transfer_id, x.change.units) for x in lines] == [
            (x.id, x.change) for x in inside
        ], where
        assert pages[0].opening.units == plain.booked(ref, since - tick), where
        assert pages[0].closing.units == plain.booked(ref, until - tick), where
        units = pages[0].opening.units
        for line in lines:
            units += line.change.units
            assert line.balance.units == units, where

    @pytest.mark.parametrize("cursor", ["x", "1.2.3", "-1", "1.zz.1", "9" * 40])
    async def test_refuses_a_cursor_that_is_not_its_own(self, books: Books, cursor: str) -> None:
        a = await books.funded("1")
        start = datetime(2020, 1, 1, tzinfo=UTC)
        for ref in (a, OUTSIDE):
            with pytest.raises(Invalid):
                await History(books.db).period(
                    ref, start, datetime.max.replace(tzinfo=UTC), cursor=cursor
                )
