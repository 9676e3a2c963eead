"""Years of books on fresh data, made by set-based SQL, for measuring at size.

Written as the owner, with the triggers that watch the application's writes left out; the proof
(`hazina ledger verify`) reads all of it afterwards like any other history.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from hazina.bootstrap.bench import books_sql as sql
from hazina.bootstrap.migrate import upgrade
from hazina.bootstrap.pg_record import Urls
from hazina.infra.db import Database
from hazina.ledger.service import Ledger, prepare

SPAN = timedelta(days=365)
CHUNK = 50_000
Heard = Callable[[str, int, int], None]  # what is being made, entries so far, entries in all


class NotFresh(Exception):
    """The data directory has books already."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much to make: every account has one entry in each round, and the bank one in the
    first."""

    accounts: int
    rounds: int

    @classmethod
    def of(cls, entries: int, accounts: int) -> "Size":
        accounts = max(2, accounts - accounts % 2)
        return cls(accounts, max(1, entries // accounts - 1))

    @property
    def entries(self) -> int:
        return self.accounts * (self.rounds + 1)

    @property
    def transfers(self) -> int:
        return self.accounts + (self.rounds - 1) * (self.accounts // 2)


@dataclass(frozen=True, slots=True)
class Step:
    """One statement over one range; ``entries`` is what it adds to the count."""

    what: str
    text: str
    args: tuple[int, ...]
    entries: int


async def seed(urls: Urls, size: Size, now: datetime, heard: Heard) -> float:
    """This will migrate and fill the database, and say how many seconds the filling took.

    Raises: NotFresh.
    """
    await upgrade(urls.owner)
    db = await Database.connect(urls.app, size=2)
    try:
        await prepare(Ledger(), db)
    finally:
        await db.close()
    connection = await asyncpg.connect(
        urls.admin,
        server_settings={
            "session_replication_role": "replica",  # no triggers: the proof looks at the result
            "synchronous_commit": "off",
            "timezone": "UTC",
        },
    )
    try:
        await connection.execute("SET ROLE hazina_owner")
        began = time.perf_counter()
        await _begin(connection, size, now)
        await _fill(connection, size, heard)
        heard("statistics", size.entries, size.entries)
        await _finish(connection)
        return time.perf_counter() - began
    finally:
        await connection.close()


async def _begin(connection: asyncpg.Connection, size: Size, now: datetime) -> None:
    if await connection.fetchval("SELECT to_regclass('bench.seed')") is not None:
        raise NotFresh("books were made here before: name a new folder with --data")
    step_us = SPAN // timedelta(microseconds=1) // size.transfers
    async with connection.transaction():
        for statement in sql.SCHEMA:
            await connection.execute(statement)
        await connection.execute("GRANT USAGE ON SCHEMA bench TO hazina_app, hazina_read")
        await connection.execute("GRANT SELECT ON bench.seed TO hazina_app, hazina_read")
        await connection.execute(
            "INSERT INTO bench.seed (accounts, rounds, entries, first_key, bank_key, began,"
            " step_us) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            size.accounts,
            size.rounds,
            size.entries,
            await connection.fetchval(sql.FIRST_KEY),
            await connection.fetchval(sql.BANK_KEY),
            now - SPAN - timedelta(hours=1),
            step_us,
        )


def _steps(size: Size) -> Iterator[Step]:
    whole, half = size.accounts, size.accounts // 2
    for text in sql.PEOPLE:
        for first, last in _ranges(whole):
            yield Step("people and what they left", text, (first, last), 0)
    for first, last in _ranges(whole):
        yield Step("accounts", sql.ACCOUNTS, (first, last), 0)
    for first, last in _ranges(whole):
        yield Step("opening balances", sql.OPENINGS, (first, last), 2 * (last - first))
    for number in range(2, size.rounds + 1):
        for first, last in _ranges(half):
            yield Step(
                f"round {number} of {size.rounds}",
                sql.ROUND,
                (first, last, number),
                2 * (last - first),
            )


def _ranges(count: int) -> Iterator[tuple[int, int]]:
    for first in range(0, count, CHUNK):
        yield first, min(first + CHUNK, count)


async def _fill(connection: asyncpg.Connection, size: Size, heard: Heard) -> None:
    made = 0
    for step in _steps(size):
        heard(step.what, made, size.entries)
        await connection.execute(step.text, *step.args)
        made += step.entries
        await asyncio.sleep(0)  # a Ctrl-C is heard between two steps


async def _finish(connection: asyncpg.Connection) -> None:
    await connection.execute(sql.NEXT_KEY)
    await connection.execute("UPDATE bench.seed SET finished = true")
    for table in sql.TABLES:
        await connection.execute(f"VACUUM (ANALYZE) {table}")
    await connection.execute("RESET ROLE")
    await connection.execute("CHECKPOINT")
