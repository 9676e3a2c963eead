"""Looking back touches a few pages, however long the history is: plans on 200,000 entries."""

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from hazina.bootstrap.bench.seed import Size, seed
from hazina.bootstrap.pg_record import Urls
from hazina.infra.db import Database
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES
from hazina.ledger import history, past, sealing
from hazina.ledger.chart import customer
from hazina.ledger.codes import Code
from hazina.ledger.core import move
from hazina.ledger.proof import SETTINGS
from hazina.ledger.since import claims_since, find_window
from tests import server
from tests.conftest import Place
from tests.ledger.books import Books, about, kes
from tests.ledger.chain import seal_all

NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
THEN = NOW - timedelta(days=90)
WALLET = """
SELECT owner_id FROM ledger.account WHERE purpose = 'wallet' ORDER BY key OFFSET 777 LIMIT 1
"""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def years() -> AsyncIterator[Database]:
    place = Place(f"hazina_test_{new_id().hex}", os.environ[server.ADMIN_VARIABLE])
    await server.clone(place.admin, place.name)
    urls = Urls(
        server.at(place.admin, place.name), place.owner, place.app, place.readonly
    )  # fmt: skip
    await seed(urls, Size.of(200_000, 4_000), NOW, lambda *_: None)
    db = await Database.connect(place.app, size=2)
    await seal_all(db)
    owner = await Database.connect(place.owner, size=1)
    await owner.fetch("ANALYZE")
    await owner.close()
    yield db
    await db.close()
    await server.drop(place.admin, place.name)


async def plan(db: Database, sql: str, *args: object) -> dict[str, Any]:
    async with db.transaction() as tx:
        for _ in range(2):  # what a session learns once is not the query's
            text = await tx.fetchval(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}", *args)
    found = json.loads(text) if isinstance(text, str) else text
    assert isinstance(found, list)
    top: dict[str, Any] = found[0]
    return top


def pages(found: dict[str, Any]) -> int:
    return int(found["Plan"]["Shared Hit Blocks"] + found["Plan"]["Shared Read Blocks"])


def scanned(node: dict[str, Any]) -> set[str]:
    """Tables read from end to end."""
    own = {node["Relation Name"]} if node["Node Type"] == "Seq Scan" else set()
    return own.union(*(scanned(child) for child in node.get("Plans", [])))


class TestLookingBack:
    @pytest.mark.parametrize(
        ("sql", "args", "most"),
        [
            (past.AT_VERSION, (30,), 10),
            (past.AT_BOOKED, (THEN,), 35),
            (past.LATEST, (), 10),
            (past.CORRECTION, (THEN,), 15),
            (history.STATEMENT, (2**62, 51, False), 300),
            (history.PERIOD, (10, 21, 30), 120),
        ],
        ids=["version", "booked", "now", "effective", "statement", "period"],
    )  # fmt: skip
    async def test_at_a_wallet_reads_a_few_pages(
        self, years: Database, sql: str, args: tuple[object, ...], most: int
    ) -> None:
        owner = await years.fetchval(WALLET)
        found = await plan(years, sql, owner, "KES", "wallet", *args)
        assert pages(found) <= most
        assert scanned(found["Plan"]) == set()

    @pytest.mark.parametrize("at", [None, THEN, NOW - timedelta(days=500)])
    @pytest.mark.parametrize("sql", [past.UNBOUNDED, past.UNBOUNDED_EFFECTIVE])
    async def test_at_the_bank_reads_a_checkpoint(
        self, years: Database, sql: str, at: datetime | None
    ) -> None:
        found = await plan(years, sql, "KES", "bank", at)
        # The seed's blocks are as large as its transactions; of one that reaches across the
        # moment all is read.
        assert pages(found) <= 2_500
        assert not scanned(found["Plan"]) & {"transfer", "entry", "entry_unbounded"}

    async def test_over_all_accounts_sums_no_history(self, years: Database) -> None:
        found = await plan(years, history.TRIAL_BALANCE)
        assert not scanned(found["Plan"]) & {"transfer", "entry", "entry_unbounded"}

    async def test_for_what_is_unsealed_reads_a_few_pages(self, years: Database) -> None:
        found = await plan(years, sealing.LAG)
        assert pages(found) <= 10
        found = await plan(years, sealing.FEED, 3, 100, 50)
        assert pages(found) <= 700
        assert not scanned(found["Plan"]) & {"transfer", "block_transfer"}


LARGE = {"entry", "entry_unbounded", "transfer", "block_transfer"}
TWO_WALLETS = """
SELECT owner_id FROM ledger.account WHERE purpose = 'wallet' ORDER BY key OFFSET 100 LIMIT 2
"""


def rows_read(node: dict[str, Any]) -> int:
    """Rows of large tables that a plan looked at, kept or not."""
    own = 0
    if node.get("Relation Name") in LARGE:
        seen = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        own = round(seen * node["Actual Loops"])
    return own + sum(rows_read(child) for child in node.get("Plans", []))


class TestProvingWhatCameSince:
    async def test_looks_at_nothing_old_but_neighbours(self, years: Database) -> None:
        newest = await years.fetchval("SELECT max(number) FROM ledger.block")
        books = Books(years)
        one, other = [customer(row[0], KES) for row in await years.fetch(TWO_WALLETS)]
        for _ in range(50):
            await books.post(move(one, other, kes("0.01"), Code.DEPOSIT, about()))
        await seal_all(years)
        async with years.transaction() as tx:
            since = await find_window(tx, newest)
        assert since is not None
        read = {}
        for question in claims_since(since, 5):
            async with years.transaction() as tx:
                for setting in SETTINGS:
                    await tx.execute(setting)
                found = await tx.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {question.sql}")
            read[question.claims] = rows_read(found[0]["Plan"])
        # Each account has a hundred entries, half of them old; the books have 200,000.
        assert {claims: rows for claims, rows in read.items() if rows > 400} == {}
        assert max(read.values()) >= 100, "the new entries were read"

    async def test_misses_none_of_it_wherever_it_begins(self, years: Database) -> None:
        """The first new entry may be just where the halving of an account's versions ends."""
        books = Books(years)
        one, other = [customer(row[0], KES) for row in await years.fetch(TWO_WALLETS)]
        for _ in range(3):
            newest = await years.fetchval("SELECT max(number) FROM ledger.block")
            had = (await books.ledger.balance(years, one)).version
            count = next(n for n in range(17, 5_000) if halved(had + n, had + 1) == had + 1)
            await books.post(
                *(move(other, one, kes("0.01"), Code.DEPOSIT, about()) for _ in range(count))
            )
            async with years.transaction() as tx:
                since = await find_window(tx, newest)
                assert since is not None
                assert await tx.fetch(claims_since(since, 5)[0].sql) == []
            await seal_all(years)


def halved(newest: int, last: int) -> int:
    """Where ``ledger.version_near`` ends when ``last`` is the last version of its moment."""
    before, after = 0, newest + 1
    while after - before > 16:
        between = (before + after) // 2
        before, after = (between, after) if between <= last else (before, between)
    return before
