"""SIGKILL of PostgreSQL under load: is everything there that was acknowledged?"""

import asyncio
import logging
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

import asyncpg

from hazina.bootstrap.bench import books_sql as sql
from hazina.bootstrap.bench.books import Books
from hazina.infra.db import Database, DatabaseLost
from hazina.kernel.actor import SYSTEM
from hazina.ledger.service import Ledger

KILLS = 3
CLIENTS = 32
LOST = (DatabaseLost, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncio.TimeoutError)


@dataclass(frozen=True, slots=True)
class Killed:
    """What was acknowledged in all rounds, and how much of it is not there."""

    acknowledged: int
    lost: int
    kills: int


async def acknowledged_then_killed(books: Books, seconds: float) -> Killed:
    """This will kill the server three times while clients post, and count after each restart."""
    acknowledged = lost = 0
    logging.getLogger("asyncpg.pool").setLevel(logging.CRITICAL)  # pools will miss their server
    for _ in range(KILLS):
        ids = await _until_killed(books, seconds / 2)
        # In this thread: the server dies with the thread that started it.
        urls = books.server.restart()
        there = 0
        connection = await asyncpg.connect(urls.app)
        try:
            for first in range(0, len(ids), 10_000):
                there += await connection.fetchval(sql.PRESENT, ids[first : first + 10_000])
        finally:
            await connection.close()
        acknowledged += len(ids)
        lost += len(ids) - there
    return Killed(acknowledged, lost, KILLS)


async def _until_killed(books: Books, seconds: float) -> list[UUID]:
    db = await Database.connect(books.server.urls.app, size=CLIENTS)
    ledger, ids = Ledger(), []

    async def client() -> None:
        with suppress(*LOST):
            while True:
                transfer = books.between_random()
                await db.run(lambda tx, t=transfer: ledger.post(tx, [t], SYSTEM))  # type: ignore[misc]
                ids.append(transfer.id)

    clients = [asyncio.create_task(client()) for _ in range(CLIENTS)]
    await asyncio.sleep(max(0.2, seconds))
    _kill(books.server.pid)
    await asyncio.gather(*clients, return_exceptions=True)
    db.pool.terminate()
    return ids


def _kill(pid: int | None) -> None:
    """The server and every process of it, at once: none can finish a write."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # it starts no more while we look
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as listed:
            children = [int(child) for child in listed.read().split()]
    except OSError:
        children = []
    for one in (pid, *children):
        with suppress(ProcessLookupError):
            os.kill(one, signal.SIGKILL)
