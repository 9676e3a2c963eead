"""Sealing: every transfer once, late committers too, in an order that never changes."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from hazina.infra.db import Database, Tx
from hazina.infra.observability import REGISTRY
from hazina.kernel.actor import SYSTEM
from hazina.ledger.chart import Purpose, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Transfer, move
from hazina.ledger.sealing import Sealing, feed, find_lag, seal
from hazina.ledger.service import Ledger
from tests.conftest import Place
from tests.ledger.books import OUTSIDE, Books, about, kes
from tests.ledger.chain import FIELDS, content_of, seal_all, sealed_at_last

BANK = system(Purpose.BANK)
TABLES = ["block", "block_transfer", "checkpoint", "verdict"]
ORDER = "SELECT t.id FROM ledger.transfer t ORDER BY t.tx, t.id"
BLOCKS = "SELECT number, hash, previous, size, transfers, totals FROM ledger.block ORDER BY number"


def paid(amount: str = "1") -> Transfer:
    """Between two accounts of the house's own: locks nothing, so transactions can overlap."""
    return move(BANK, OUTSIDE, kes(amount), Code.FLOAT_FUNDED, about())


async def sealed_ids(db: Database) -> list[object]:
    return [item.id for item in await feed(db)]


@pytest.fixture
def books(fresh: Database) -> Books:
    return Books(fresh)


@pytest_asyncio.fixture(loop_scope="session")
async def second(fresh_place: Place) -> AsyncIterator[asyncpg.Connection]:
    """A connection of its own, for a transaction that stays open."""
    connection = await asyncpg.connect(fresh_place.app)
    yield connection
    if not connection.is_closed():
        await connection.close()


class TestSealing:
    async def test_puts_every_transfer_into_one_block(self, books: Books) -> None:
        for _ in range(7):
            await books.post(*[paid() for _ in range(3)])
        await seal_all(books.db, size=5)
        blocks = await books.db.fetch(BLOCKS)
        # Whole transactions of three: five are reached with six.
        assert [block["size"] for block in blocks] == [6, 6, 6, 3]
        assert [block["transfers"] for block in blocks] == [6, 12, 18, 21]
        assert [row["id"] for row in await books.db.fetch(ORDER)] == await sealed_ids(books.db)

    async def test_chains_each_block_to_the_one_before(self, books: Books) -> None:
        for _ in range(3):
            await books.post(paid())
        await seal_all(books.db, size=1)
        blocks = await books.db.fetch(BLOCKS)
        assert [bytes(b["previous"]) for b in blocks] == [
            b"\0" * 32, *(bytes(b["hash"]) for b in blocks[:-1])
        ]  # fmt: skip
        assert blocks[-1]["totals"] == {"KES": "300"}

    async def test_hashes_what_the_manual_says(self, books: Books) -> None:
        a = await books.funded("100000")
        held = move(a, OUTSIDE, kes("12345.67"), Code.WITHDRAWAL, about())
        await books.post(held, paid("10000"))
        await seal_all(books.db)
        row = await books.db.fetchrow("SELECT content FROM ledger.block WHERE number = 1")
        assert row is not None
        assert bytes(row["content"]) == await content_of(books.db, 1)

    async def test_hashes_every_column_there_is(self, books: Books) -> None:
        """A new column goes into LEAF, into FIELDS and into the manual, or is named here."""
        rows = await books.db.fetch(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = 'ledger' AND table_name = 'transfer'"
        )
        # The accounts by their ids instead of keys; the order says the transaction.
        elsewhere = {"debit_key", "credit_key", "tx"}
        missing = {row["column_name"] for row in rows} - {name for _, name in FIELDS} - elsewhere
        assert missing == set()

    async def test_has_nothing_to_do_where_nothing_is_new(self, books: Books) -> None:
        assert await books.db.run(seal) is None
        await books.post(paid())
        await seal_all(books.db)
        assert await books.db.run(seal) is None

    async def test_checkpoints_what_a_block_moved(self, books: Books) -> None:
        await books.post(paid("1"))
        await seal_all(books.db)
        await books.funded("5")
        await seal_all(books.db)
        rows = await books.db.fetch(
            "SELECT a.purpose, k.block, k.debits, k.credits FROM ledger.checkpoint k"
            " JOIN ledger.account a ON a.key = k.account_key ORDER BY k.block, a.purpose"
        )
        assert [tuple(row[name] for name in row.keys()) for row in rows] == [  # noqa: SIM118
            ("bank", 1, 100, 0), ("mpesa:collection", 1, 0, 100),
            ("mpesa:collection", 2, 500, 100),
        ]  # fmt: skip


class TestALateCommitter:
    async def test_is_never_skipped(self, books: Books, second: asyncpg.Connection) -> None:
        """Its transaction is open across two seals, while later ones commit."""
        first, late, later = paid("1"), paid("2"), paid("3")
        await books.post(first)
        ledger, opened = Ledger(), second.transaction()
        await opened.start()
        await ledger.post(Tx(second), [late], SYSTEM)
        await books.post(later)
        await sealed_at_last(books.db)
        assert await sealed_ids(books.db) == [first.id]
        await books.post(paid("4"))
        assert await books.db.run(seal) is None
        lag = await find_lag(books.db)
        assert lag is not None
        assert (lag.transfer_id, lag.waits) == (later.id, True)
        before = await sealed_ids(books.db)
        await opened.commit()
        await seal_all(books.db)
        after = await sealed_ids(books.db)
        assert after[: len(before)] == before
        assert after[1:3] == [late.id, later.id]

    async def test_that_rolls_back_holds_up_nothing(
        self, books: Books, second: asyncpg.Connection
    ) -> None:
        gone, kept = paid(), paid()
        opened = second.transaction()
        await opened.start()
        await Ledger().post(Tx(second), [gone], SYSTEM)
        await books.post(kept)
        assert await books.db.run(seal) is None
        await opened.rollback()
        await seal_all(books.db)
        assert await sealed_ids(books.db) == [kept.id]


class TestTheFeed:
    async def test_goes_on_after_any_place(self, books: Books) -> None:
        for _ in range(4):
            await books.post(*[paid() for _ in range(3)])
        await seal_all(books.db, size=3)
        everything = await feed(books.db)
        assert [(item.block, item.position) for item in everything] == [
            (block, position) for block in (1, 2, 3, 4) for position in (1, 2, 3)
        ]
        for place, item in enumerate(everything):
            rest = await feed(books.db, item.block, item.position, 5)
            assert rest == everything[place + 1 : place + 6]


class TestManySealers:
    async def test_write_each_transfer_once(self, books: Books) -> None:
        for _ in range(30):
            await books.post(*[paid() for _ in range(2)])

        async def sealer() -> int:
            return await seal_all(books.db, size=2)

        made = await asyncio.gather(*(sealer() for _ in range(4)))
        assert sum(made) == 30
        numbers = [row["number"] for row in await books.db.fetch(BLOCKS)]
        assert numbers == list(range(1, 31))
        assert [row["id"] for row in await books.db.fetch(ORDER)] == await sealed_ids(books.db)

    async def test_wait_for_nobody(self, books: Books, second: asyncpg.Connection) -> None:
        await books.post(paid())
        async with second.transaction():
            while await seal(Tx(second)) is None:
                continue
            assert await books.db.run(seal) is None
            assert await sealed_ids(books.db) == []
        assert len(await sealed_ids(books.db)) == 1


class TestAKilledSealer:
    async def test_leaves_nothing_and_loses_nothing(
        self, books: Books, second: asyncpg.Connection, fresh_place: Place
    ) -> None:
        for _ in range(5):
            await books.post(paid())
        opened = second.transaction()
        await opened.start()
        while (made := await seal(Tx(second), 2)) is None:
            continue
        assert made.number == 1
        killer = await asyncpg.connect(fresh_place.admin)
        await killer.execute("SELECT pg_terminate_backend($1, 5000)", second.get_server_pid())
        await killer.close()
        assert await sealed_ids(books.db) == []
        await seal_all(books.db, size=2)
        assert [row["number"] for row in await books.db.fetch(BLOCKS)] == [1, 2, 3]
        assert len(await sealed_ids(books.db)) == 5


class TestTheAlarm:
    async def test_rings_for_what_is_unsealed_for_a_minute(
        self, books: Books, second: asyncpg.Connection, fresh_place: Place
    ) -> None:
        opened = second.transaction()
        await opened.start()
        await Ledger().post(Tx(second), [paid()], SYSTEM)
        stuck = paid()
        await books.post(stuck)
        owner = await Database.connect(fresh_place.owner, size=1)
        async with owner.transaction() as tx:
            await tx.execute(
                "UPDATE ledger.transfer SET booked_at = booked_at - $2::interval WHERE id = $1",
                stuck.id, timedelta(seconds=90),
            )  # fmt: skip
        with capture_logs() as logs:
            await Sealing(books.db).sweep()
        assert [(one["event"], one["transfer"], one["log_level"]) for one in logs] == [
            ("ledger rows unsealed for a minute", str(stuck.id), "error")
        ]
        assert "still open" in logs[0]["why"]
        age = REGISTRY.get_sample_value("hazina_ledger_unsealed_seconds")
        assert age is not None
        assert 90 <= age < 200
        await opened.commit()
        await seal_all(books.db)
        with capture_logs() as logs:
            await Sealing(books.db).sweep()
        assert logs == []
        assert REGISTRY.get_sample_value("hazina_ledger_unsealed_seconds") == 0
        await owner.close()


class TestTheApplication:
    @pytest.mark.parametrize("table", TABLES)
    @pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
    async def test_can_neither_change_nor_delete_what_is_sealed(
        self, db: Database, table: str, verb: str
    ) -> None:
        sql = {
            "UPDATE": f"UPDATE ledger.{table} SET block = block",
            "DELETE": f"DELETE FROM ledger.{table}",
            "TRUNCATE": f"TRUNCATE ledger.{table}",
        }[verb].replace("block SET block = block", "block SET hash = hash")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.fetch(sql)

    @pytest.mark.parametrize("table", TABLES)
    async def test_alone_writes_it(self, ledger_place: Place, table: str) -> None:
        connection = await asyncpg.connect(ledger_place.readonly)
        try:
            await connection.execute("SET default_transaction_read_only = off")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"INSERT INTO ledger.{table} DEFAULT VALUES")
        finally:
            await connection.close()
