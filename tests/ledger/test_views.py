"""The ledger in the shapes of other systems' tables: always fresh, never written."""

from typing import Any

import asyncpg
import pytest

from hazina.infra.db import Database
from hazina.kernel.ids import new_id
from hazina.kernel.money import XAU
from hazina.ledger.chart import Purpose, customer, lot, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, hold, move
from tests.conftest import Place
from tests.ledger.books import OUTSIDE, Books, about, kes

VIEWS = ["wallet_balances", "ledger_entries", "user_balances"]


async def rows_of(db: Database, view: str, user: object) -> list[dict[str, Any]]:
    rows = await db.fetch(f"SELECT * FROM ledger.{view} WHERE user_id = $1", user)
    return [{name: row[name] for name in row.keys()} for row in rows]  # noqa: SIM118


class TestWalletBalances:
    async def test_part_withdrawals_from_what_is_locked(self, db: Database) -> None:
        books = Books(db)
        a = await books.funded("100")
        out, going = hold(a, OUTSIDE, kes("30"), Code.WITHDRAWAL, Reference("withdrawal", new_id()))
        locked = hold(a, OUTSIDE, kes("20"), Code.GOLD_PAID, Reference("trade", new_id()))[1]
        done, ended = hold(a, OUTSIDE, kes("1"), Code.WITHDRAWAL, Reference("withdrawal", new_id()))
        await books.post(going, locked, ended, done.void(), out.post(kes("10"), keep_rest=True))
        [row] = await rows_of(db, "wallet_balances", a.owner)
        shown = {name: str(row[name]) for name in ("available", "locked", "pending", "version")}
        assert shown == {
            "available": "50.00",
            "locked": "20.00",
            "pending": "20.00",
            "version": "6",
        }
        await books.post(out.post())
        [row] = await rows_of(db, "wallet_balances", a.owner)
        assert (str(row["available"]), str(row["pending"])) == ("50.00", "0.00")


class TestLedgerEntries:
    async def test_follow_each_other(self, db: Database) -> None:
        books = Books(db)
        a = await books.funded("100")
        reference = Reference("withdrawal", new_id())
        held, opening = hold(a, OUTSIDE, kes("30"), Code.WITHDRAWAL, reference)
        posting = held.post()
        await books.post(opening, posting)
        rows = sorted(await rows_of(db, "ledger_entries", a.owner), key=lambda row: row["version"])
        assert [
            (r["entry_type"], str(r["debit"]), str(r["credit"]), str(r["balance_after"]))
            for r in rows
        ] == [
            ("DEPOSIT", "0.00", "100.00", "100.00"),
            ("WITHDRAWAL_LOCK", "0.00", "0.00", "100.00"),
            ("WITHDRAWAL", "30.00", "0.00", "70.00"),
        ]
        last = rows[-1]
        assert (last["reference_type"], last["reference_id"]) == ("withdrawal", str(reference.id))
        assert last["idempotency_key"] == str(posting.id)
        assert len({row["id"] for row in rows}) == 3


class TestUserBalances:
    async def test_are_grams(self, db: Database) -> None:
        books, who, bars = Books(db), customer(new_id(), XAU), lot(new_id())
        vault = system(Purpose.VAULT, XAU)
        await books.post(
            move(vault, bars, XAU.money("2.5"), Code.GOLD_STOCKED, about()),
            move(bars, who, XAU.money("1.25"), Code.GOLD_BOUGHT, about()),
            hold(who, bars, XAU.money("0.5"), Code.GOLD_SOLD, about())[1],
        )
        [row] = await rows_of(db, "user_balances", who.owner)
        assert (str(row["grams"]), str(row["locked_grams"])) == ("1.250000", "0.500000")


class TestNobody:
    @pytest.mark.parametrize("view", VIEWS)
    async def test_writes_them(self, db: Database, view: str) -> None:
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
            await db.fetch(f"DELETE FROM ledger.{view}")

    @pytest.mark.parametrize("view", VIEWS)
    async def test_but_reporting_reads_them(self, ledger_place: Place, view: str) -> None:
        connection = await asyncpg.connect(ledger_place.readonly)
        try:
            await connection.fetch(f"SELECT * FROM ledger.{view} LIMIT 1")
        finally:
            await connection.close()
