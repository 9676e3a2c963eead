"""What the database itself refuses the application and the reader."""

import asyncpg
import pytest

from hazina.infra.db import Database, Tx
from hazina.kernel.ids import new_id
from hazina.ledger.codes import Code
from hazina.ledger.core import move
from tests.conftest import Place
from tests.ledger.books import OUTSIDE, Books, about, kes

APPEND_ONLY = ["transfer", "transfer_metadata", "entry", "entry_unbounded", "transfer_refusal"]
TABLES = [*APPEND_ONLY, "account", "asset", "open_hold"]
SOME_COLUMN = {"account": "purpose", "asset": "scale", "entry": "version"} | dict.fromkeys(
    ["entry_unbounded"], "debit"
)


class Undone(Exception):
    """Rolls a transaction back."""


def some_column(table: str) -> str:
    return SOME_COLUMN.get(table, "id")


class TestTheApplication:
    @pytest.mark.parametrize("table", TABLES)
    @pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
    async def test_can_neither_change_nor_delete_what_is_booked(
        self, db: Database, table: str, verb: str
    ) -> None:
        column = some_column(table)
        sql = {
            "UPDATE": f"UPDATE ledger.{table} SET {column} = {column}",
            "DELETE": f"DELETE FROM ledger.{table}",
            "TRUNCATE": f"TRUNCATE ledger.{table}",
        }[verb]
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.fetch(sql)

    @pytest.mark.parametrize(
        "column",
        ["id", "purpose", "asset", "class", "owner_id", "bounded", "debit_normal", "floor",
         "state", "created_at"],
    )  # fmt: skip
    async def test_cannot_change_what_an_account_is(self, db: Database, column: str) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.fetch(f"UPDATE ledger.account SET {column} = {column}")

    @pytest.mark.parametrize(
        ("column", "value"),
        [("floor", "-1000000"), ("credits_posted", "1000000"), ("debits_pending", "-1000000")],
    )
    async def test_cannot_open_an_account_that_has_something(
        self, db: Database, column: str, value: str
    ) -> None:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.fetch(
                "INSERT INTO ledger.account (id, purpose, asset, class, owner_id, bounded,"
                f" debit_normal, {column}) VALUES ($1, 'wallet', 'KES', 'real', $1, true, false,"
                f" {value})",
                new_id(),
            )

    @pytest.mark.parametrize(
        "sql",
        [
            "UPDATE ledger.account SET credits_posted = credits_posted + 1 WHERE key = $1",
            "UPDATE ledger.account SET debits_pending = debits_pending + 1 WHERE key = $1",
            "UPDATE ledger.account SET version = version + 1 WHERE key = $1",
            (
                "INSERT INTO ledger.entry SELECT account_key, version + 1, gen_random_uuid(), 0, 1,"
                " balance + 1, held, incoming, clock_timestamp() FROM ledger.entry"
                " WHERE account_key = $1"
            ),
        ],
    )
    async def test_cannot_commit_counters_that_its_entries_do_not_say(
        self, db: Database, sql: str
    ) -> None:
        """By hand it may write both, and has to write them alike."""
        books = Books(db)
        account = await books.funded("1")
        key = await books.ledger.find_key(db, account)
        by_hand = "UPDATE ledger.account SET credits_posted = credits_posted + 1,"
        entry = "INSERT INTO ledger.entry SELECT account_key, version + 1, gen_random_uuid(), 0, 1,"

        async def one_sided(tx: Tx) -> None:
            assert await tx.execute(sql, key) == 1

        async def both_sides(tx: Tx) -> None:
            await tx.execute(f"{by_hand} version = version + 1 WHERE key = $1", key)
            await tx.execute(
                f"{entry} balance + 1, held, incoming, clock_timestamp()"
                " FROM ledger.entry WHERE account_key = $1",
                key,
            )
            await tx.execute("SET CONSTRAINTS ALL IMMEDIATE")
            raise Undone  # else the proof would find that there is no transfer

        with pytest.raises(asyncpg.CheckViolationError):
            await db.run(one_sided)
        with pytest.raises(Undone):
            await db.run(both_sides)
        assert await books.posted(account) == "1.00"


class TestTheReader:
    @pytest.mark.parametrize("table", TABLES)
    @pytest.mark.parametrize("verb", ["INSERT", "UPDATE", "DELETE", "TRUNCATE"])
    async def test_writes_nothing(self, ledger_place: Place, table: str, verb: str) -> None:
        column = some_column(table)
        sql = {
            "INSERT": f"INSERT INTO ledger.{table} DEFAULT VALUES",
            "UPDATE": f"UPDATE ledger.{table} SET {column} = {column}",
            "DELETE": f"DELETE FROM ledger.{table}",
            "TRUNCATE": f"TRUNCATE ledger.{table}",
        }[verb]
        connection = await asyncpg.connect(ledger_place.readonly)
        try:
            # The role starts read-only, which any session can end: its grants are what counts.
            await connection.execute("SET default_transaction_read_only = off")
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(sql)
        finally:
            await connection.close()

    async def test_cannot_post(self, db: Database, ledger_place: Place) -> None:
        account = await Books(db).funded("1")
        reader = await Database.connect(ledger_place.readonly, size=1)
        try:
            with pytest.raises(
                (asyncpg.InsufficientPrivilegeError, asyncpg.ReadOnlySQLTransactionError)
            ):
                await Books(reader).post(move(OUTSIDE, account, kes("1"), Code.DEPOSIT, about()))
        finally:
            await reader.close()
