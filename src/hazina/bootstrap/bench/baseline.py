"""What the same server does with ``pgbench -N``, measured in turn with what is compared to it.

One row changed, one row added, one commit: the least that durable work can be. The binary comes
with the embedded PostgreSQL; its tables live in a database of their own on the same server.
"""

import asyncio
import os
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

from hazina.bootstrap.embedded import EmbeddedPostgres

T = TypeVar("T")

DATABASE = "hazina_pgbench"
SCALE = 10  # a million rows
TPS = re.compile(r"tps = ([0-9.]+)")
CANDIDATES = (32, 64, 128)  # where its best usually is
FEW = 25  # transactions of each client where a second is too long


class PgbenchFailed(Exception):
    """pgbench ended badly; the text holds its words."""


class Pgbench:
    """``best_clients`` is known after ``prepare``."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._program = str(server.bin("pgbench"))
        self._url = server.urls.admin
        self.best_clients = CANDIDATES[0]

    async def prepare(self, seconds: float) -> None:
        """This will make its tables once, warm them, and find its best number of clients."""
        connection = await asyncpg.connect(self._url)
        try:
            known = "SELECT 1 FROM pg_database WHERE datname = $1"
            if await connection.fetchval(known, DATABASE) is None:
                await connection.execute(f"CREATE DATABASE {DATABASE}")
                await self._run("-i", "-q", "-s", str(SCALE if seconds >= 1 else 1))
        finally:
            await connection.close()
        found = {clients: await self.tps(clients, seconds) for clients in CANDIDATES}
        self.best_clients = max(found, key=lambda clients: found[clients])

    async def tps(self, clients: int, seconds: float) -> float:
        """Transactions a second of ``pgbench -N`` with so many clients."""
        # Many clients take a second to sign in, which is within the time but not in the figure.
        whole = max(round(seconds), 1 + clients // 64)
        length = ("-T", str(whole)) if seconds >= 1 else ("-t", str(FEW))
        threads = min(clients, os.cpu_count() or 1)
        said = await self._run("-N", "-n", "-c", str(clients), "-j", str(threads), *length)
        found = TPS.search(said)
        if found is None:
            raise PgbenchFailed(said)
        return float(found[1])

    async def around(
        self, clients: int, seconds: float, measure: Callable[[], Awaitable[T]]
    ) -> tuple[T, float]:
        """This will measure between two halves of the baseline, and give the baseline's mean."""
        before = await self.tps(clients, seconds / 2)
        measured = await measure()
        after = await self.tps(clients, seconds / 2)
        return measured, (before + after) / 2

    async def _run(self, *options: str) -> str:
        process = await asyncio.create_subprocess_exec(
            self._program,
            *options,
            DATABASE,
            env=_environment(self._url),
            cwd="/",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode != 0:
            raise PgbenchFailed(said.decode(errors="replace"))
        return said.decode(errors="replace")


def _environment(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    where = parse_qs(parts.query)
    return {
        "PATH": "/usr/bin:/bin",
        "LC_ALL": "C",
        "PGHOST": str(Path(where["host"][0])),
        "PGPORT": where["port"][0],
        "PGUSER": unquote(parts.username or ""),
        "PGPASSWORD": unquote(parts.password or ""),
    }
