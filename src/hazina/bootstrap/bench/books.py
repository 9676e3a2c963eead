"""The books that a ledger benchmark works on: fresh ones in a folder that goes, or seeded ones.

``Books`` also makes what clients send, before the clock runs.
"""

import random
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hazina.bootstrap.bench import books_sql as sql
from hazina.bootstrap.bench.load import Spent
from hazina.bootstrap.bench.seed import Size, seed
from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.infra.db import Database, Tx
from hazina.kernel.clock import SystemClock
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES
from hazina.ledger.chart import AccountRef, Purpose, customer, system
from hazina.ledger.codes import Code
from hazina.ledger.core import Reference, Transfer, move
from hazina.ledger.service import Ledger, prepare

POOL = 40
SAMPLE = 50_000  # accounts that take part, spread over all there are
RESOLVE = 5_000
SEED = 20261120


class NotSeeded(Exception):
    """The data directory holds no finished books."""


@contextmanager
def server_for(data: Path | None) -> Iterator[EmbeddedPostgres]:
    """A running server with the default, durable settings: on ``data``, which stays, or on a
    folder that is gone afterwards. Raises: EmbeddedTrouble."""
    if data is not None:
        with EmbeddedPostgres(data) as server:
            yield server
        return
    folder = Path(tempfile.mkdtemp(prefix="hazina-bench-"))
    folder.chmod(0o711)  # root's server runs as another user, who passes through here
    fresh = EmbeddedPostgres(folder / "data")
    try:
        fresh.start()
        yield fresh
    finally:
        fresh.discard()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(slots=True)
class Books:
    """``accounts`` are wallets with enough in them for everything; ``entries`` were there at the
    start."""

    server: EmbeddedPostgres
    db: Database
    ledger: Ledger
    entries: int
    accounts: list[AccountRef]
    chance: random.Random = field(default_factory=lambda: random.Random(SEED))  # noqa: S311

    @classmethod
    @asynccontextmanager
    async def open(
        cls, server: EmbeddedPostgres, scale: int, *, seeded: bool
    ) -> "AsyncIterator[Books]":
        """``seeded`` books are taken as they are; others are made, with ``scale`` entries.

        Raises: NotSeeded.
        """
        if not seeded:
            size = Size.of(scale, scale // 10)
            await seed(server.urls, size, SystemClock().now(), _silent)
        db = await Database.connect(server.urls.app, size=POOL)
        try:
            ledger = Ledger()
            if await db.fetchval("SELECT to_regclass('bench.seed')") is None or not (
                await db.fetchval("SELECT finished FROM bench.seed")
            ):
                raise NotSeeded("there are no finished books: make them with hazina bench seed")
            await prepare(ledger, db)
            owners = await db.fetch(sql.OWNERS, SAMPLE)
            accounts = [customer(row["owner_id"], KES) for row in owners]
            await _remember(db, ledger, accounts)
            yield cls(server, db, ledger, await db.fetchval(sql.ENTRIES), accounts)
        finally:
            await db.close()

    def between_random(self) -> Transfer:
        """One customer pays another."""
        payer, payee = self.chance.sample(self.accounts, 2)
        return self._move(payer, payee)

    def from_one(self) -> Transfer:
        """Always the same customer pays, each time another: every transfer waits for one row."""
        return self._move(self.accounts[0], self.chance.choice(self.accounts[1:]))

    def collected(self) -> Transfer:
        """M-Pesa's collection account, which every deposit touches, to a random customer."""
        collection = system(Purpose.MPESA_COLLECTION)
        return self._move(collection, self.chance.choice(self.accounts))

    def _move(self, debit: AccountRef, credit: AccountRef) -> Transfer:
        amount = KES.units(self.chance.randint(1, 100))
        return move(debit, credit, amount, Code.DEPOSIT, Reference("bench", new_id()))


class Supply:
    """Transfers made beforehand, handed out one after the other."""

    def __init__(self, made: list[Transfer]) -> None:
        self._made = made
        self._next = 0

    def take(self, count: int) -> list[Transfer]:
        """Raises: Spent."""
        first, self._next = self._next, self._next + count
        if self._next > len(self._made):
            raise Spent
        return self._made[first : self._next]

    def one(self) -> Transfer:
        """Raises: Spent."""
        return self.take(1)[0]


async def _remember(db: Database, ledger: Ledger, accounts: list[AccountRef]) -> None:
    """A house that has run for a day knows its customers' account keys."""
    for first in range(0, len(accounts), RESOLVE):

        async def resolve(tx: Tx, first: int = first) -> None:
            await ledger.open_accounts(tx, accounts[first : first + RESOLVE])

        await db.run(resolve)


def _silent(_what: str, _made: int, _all: int) -> None:
    return
