"""`hazina bench ledger`: every shape of posting beside ``pgbench -N``, in one run.

Each measurement stands between two halves of its baseline (A/B/A). What clients send is made
before the clock runs.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from hazina.bootstrap.bench import books_sql as sql
from hazina.bootstrap.bench import machine
from hazina.bootstrap.bench.baseline import Pgbench
from hazina.bootstrap.bench.books import Books, Supply
from hazina.bootstrap.bench.joined import Joined
from hazina.bootstrap.bench.kill import acknowledged_then_killed
from hazina.bootstrap.bench.load import Measured, drive
from hazina.bootstrap.bench.past import past_balance
from hazina.bootstrap.bench.proven import prove
from hazina.bootstrap.bench.report import Aim, Report, Row
from hazina.kernel.actor import SYSTEM
from hazina.ledger.batcher import Batcher
from hazina.ledger.core import Result, ResultCode, Transfer

BATCH = 1000
WARM_SHARE = 0.25
WARM_RUNS = 3
SPARE = 1.6  # how much more is made than the warm-up says will be needed
FIRST_SUPPLY_PER_S = 3000
MANY = 1024
PROOF_LIMIT = 2_000_000  # entries; more are proven by `hazina ledger verify`

BATCHES = Aim(at_least=6)
ONE = Aim(at_least=0.30)
THIRTY_TWO = Aim(at_least=2.5)
MANY_AIM = Aim(at_least=5)
HOT = Aim(at_least=1)
JOINED = Aim(at_least=0.4)
JOB = Aim(at_least=0.8)
NOTHING_LOST = Aim(limit=0)

Make = Callable[[], Transfer]
Submit = Callable[[Transfer], Awaitable[None]]
Now = Callable[[str], None]


@dataclass(slots=True)
class LedgerBench:
    """One run over open books; ``now`` hears what is being measured."""

    books: Books
    pgbench: Pgbench
    seconds: float
    clients: tuple[int, ...]
    now: Now
    rows: list[Row] = field(default_factory=list)

    async def run(self) -> Report:
        """This will measure every row."""
        found = await machine.describe(self.books.server.urls.admin, self.books.server.data_dir)
        self.now("pgbench: its tables, and where it is best")
        await self.pgbench.prepare(min(self.seconds, 2))
        await self._warm()
        await self._batches()
        async with self._batcher() as submit:
            for clients in self.clients:
                await self._batched(clients, submit)
            await self._hot(submit)
        await self._alone()
        await self._joined()
        await self._past()
        await self._killed()
        await self._proven()
        found["load_after"] = machine.load()
        how = {
            "entries": self.books.entries,
            "accounts_used": len(self.books.accounts),
            "seconds": self.seconds,
            "clients": list(self.clients),
            "pgbench_best_clients": self.pgbench.best_clients,
        }
        return Report(found, how, self.rows)

    async def _warm(self) -> None:
        """As long as pgbench looked for its best: the first change of a page after a checkpoint
        goes whole into the log, and pgbench's pages have that behind them too."""
        self.now("the ledger's pages, changed once")
        seconds = WARM_RUNS * min(self.seconds, 2)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            await self._post_batch(Supply([self.books.between_random() for _ in range(BATCH)]))

    async def _post_batch(self, supply: Supply) -> int:
        books, batch = self.books, supply.take(BATCH)
        _require(await books.db.run(lambda tx: books.ledger.post(tx, batch, SYSTEM)))
        return BATCH

    async def _batches(self) -> None:
        self.now(f"one connection, batches of {BATCH}")
        books = self.books

        async def measure() -> tuple[Measured, float, float]:
            before, (size, wal) = self._posted, await self._bytes()
            make = books.between_random
            found = await self._drive(1, make, self._post_batch, least=2 * BATCH)
            size_after, wal_after = await self._bytes()
            posted = max(1, self._posted - before)
            return found, (size_after - size) / posted, (wal_after - wal) / posted

        best = self.pgbench.best_clients
        (found, size, wal), base = await self.pgbench.around(best, self.seconds, measure)
        self._add(f"one connection, batches of {BATCH}", found, base, BATCHES)
        self.rows.append(Row.of("tables and indexes grow by, a transfer", size, "B"))
        self.rows.append(Row.of("the write-ahead log grows by, a transfer", wal, "B"))

    async def _batched(self, clients: int, submit: Submit) -> None:
        best = self.pgbench.best_clients
        aims = {1: ONE, 32: THIRTY_TWO, MANY: MANY_AIM}
        name = f"{clients} client{'s' if clients > 1 else ''}, one transfer each, micro-batched"
        aim = aims.get(clients)
        self.now(name)
        found, base = await self.pgbench.around(
            clients if clients <= 32 else best,
            self.seconds,
            lambda: self._submit(clients, self.books.between_random, submit),
        )
        self._add(name, found, base, aim)
        self._add_waits(name, found)

    async def _hot(self, submit: Submit) -> None:
        clients = max(self.clients)
        name = f"{clients} clients, micro-batched, all from one hot account (of random ones)"
        self.now(name)
        before = await self._submit(clients, self.books.between_random, submit)
        hot = await self._submit(clients, self.books.from_one, submit)
        after = await self._submit(clients, self.books.between_random, submit)
        self._add(name, hot, (before.rate + after.rate) / 2, HOT)

    async def _alone(self) -> None:
        """A transaction of its own for each transfer: what a use case pays at least."""
        name = "1 client, a transaction for each transfer"
        self.now(name)
        books = self.books

        async def one(transfer: Transfer) -> None:
            _require(await books.db.run(lambda tx: books.ledger.post(tx, [transfer], SYSTEM)))

        found, base = await self.pgbench.around(
            1, self.seconds, lambda: self._submit(1, books.between_random, one)
        )
        self._add(name, found, base, None)
        self._add_waits(name, found)

    async def _joined(self) -> None:
        joined = Joined(self.books)
        clients = 32
        name = "joined: 32 clients, a business row, a posting and a job each"
        self.now(name)

        async def measure(*, job: bool) -> Measured:
            async def act(transfer: Transfer) -> None:
                await joined.act(transfer, job=job)

            return await self._submit(clients, self.books.collected, act)

        async def both() -> tuple[Measured, Measured, Measured]:
            before = await measure(job=False)
            whole = await measure(job=True)
            return before, whole, await measure(job=False)

        (before, whole, after), base = await self.pgbench.around(clients, self.seconds, both)
        self._add(name, whole, base, JOINED)
        self._add_waits(name, whole)
        bare = (before.rate + after.rate) / 2
        self._add(f"{name}, beside the same without the job", whole, bare, JOB)

    async def _past(self) -> None:
        self.now("a balance at a past time")
        self.rows.extend(await past_balance(self.books, self.seconds))

    async def _killed(self) -> None:
        self.now("killing PostgreSQL under load")
        killed = await acknowledged_then_killed(self.books, self.seconds)
        self.rows.append(
            Row.of(
                "acknowledged, then lost after a kill",
                killed.lost,
                "transfers",
                aim=NOTHING_LOST,
                note=f"of {killed.acknowledged} in {killed.kills} kills",
            )
        )

    async def _proven(self) -> None:
        name = "claims of the proof that fail afterwards"
        if self.books.entries > PROOF_LIMIT:
            self.rows.append(Row.missing(name, "claims", None, "hazina ledger verify proves these"))
            return
        self.now("the proof")
        verdicts = await prove(self.books.server.urls.readonly)
        failed = [verdict.claim for verdict in verdicts if not verdict.holds]
        row = Row.of(name, len(failed), "claims", aim=NOTHING_LOST, note="; ".join(failed))
        self.rows.append(row)

    # -- how a shape is driven

    _posted: int = 0

    async def _submit(self, clients: int, make: Make, submit: Submit) -> Measured:
        async def act(supply: Supply) -> int:
            await submit(supply.one())
            return 1

        return await self._drive(clients, make, act, least=clients)

    async def _drive(
        self, clients: int, make: Make, act: Callable[[Supply], Awaitable[int]], *, least: int
    ) -> Measured:
        """A short warm-up says how much to make; the measurement itself makes nothing."""
        warm_s = self.seconds * WARM_SHARE
        count = max(least, int(FIRST_SUPPLY_PER_S * warm_s))
        warm = await self._measure(clients, warm_s, Supply([make() for _ in range(count)]), act)
        count = max(least, count, int(warm.rate * self.seconds * SPARE))
        supply = Supply([make() for _ in range(count)])
        return await self._measure(clients, self.seconds, supply, act)

    async def _measure(
        self,
        clients: int,
        seconds: float,
        supply: Supply,
        act: Callable[[Supply], Awaitable[int]],
    ) -> Measured:
        found = await drive(clients, seconds, lambda: act(supply))
        self._posted += found.done
        return found

    async def _bytes(self) -> tuple[int, int]:
        size: int = await self.books.db.fetchval(sql.SIZE)
        wal: int = await self.books.db.fetchval(sql.WAL)
        return size, wal

    def _add(self, name: str, found: Measured, base: float, aim: Aim | None) -> None:
        row = Row.of(name, found.rate, "transfers/s", baseline=base, aim=aim, note=found.note)
        self.rows.append(row)

    def _add_waits(self, name: str, found: Measured) -> None:
        for share, words in ((0.5, "p50"), (0.99, "p99")):
            self.rows.append(Row.of(f"{name}: {words}", found.wait_ms(share), "ms"))

    @asynccontextmanager
    async def _batcher(self) -> AsyncIterator[Submit]:
        batcher = Batcher(self.books.db, self.books.ledger)

        async def submit(transfer: Transfer) -> None:
            _require(await batcher.submit([transfer], SYSTEM))

        try:
            yield submit
        finally:
            await batcher.close()


def _require(results: list[Result]) -> None:
    """A refused transfer is quick: none may count."""
    for result in results:
        if result.code is not ResultCode.CREATED:
            raise AssertionError(f"a transfer of the benchmark was refused: {result.code.value}")
