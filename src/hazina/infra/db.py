"""The database door: one pool, one transaction per use case, a typed view of asyncpg.

A service receives a ``Tx`` and never commits. ``Database.run`` opens the transaction, retries the
whole use case on a serialization failure or deadlock, and runs ``after_commit`` callbacks once the
commit is durable. No network call may happen inside one: ``in_transaction`` is how the HTTP client
knows.
"""

import asyncio
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

import asyncpg

from hazina.kernel.errors import Kind, Refusal

T = TypeVar("T")


class Row(Protocol):
    """One row: by column name or position, and ``dict(row)``. The columns are the SQL's to type."""

    def __getitem__(self, column: str | int) -> Any: ...  # noqa: ANN401
    def keys(self) -> Iterator[str]: ...
    def get(self, column: str, default: object = None) -> Any: ...  # noqa: ANN401


class RetryTransaction(Exception):
    """A race was lost inside the transaction: the use case is run again from its start."""


RETRYABLE = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError, RetryTransaction)
MAX_ATTEMPTS = 5
# How long a connection is kept that nobody uses, and how long any is: a server process grows with
# what it has planned, and a name may lead to another server by now.
IDLE_S = 300.0
LIFE_S = 1_800.0
GOODBYE_S = 2.0

in_transaction: ContextVar[bool] = ContextVar("in_transaction", default=False)


# The server is gone, going, or coming: nobody's fault who asks, and it passes.
LOST = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection was cut in the middle of a step
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,  # its disk is full, or its memory, or its connections
)


class DatabaseLost(Refusal):
    """The database cannot be reached, or was lost on the way: what was asked may have happened."""

    code = "database_unavailable"
    kind = Kind.UNAVAILABLE
    message = "Our database does not answer at the moment."
    action = "Try again in a few seconds; repeat a money command with its Idempotency-Key."


@contextmanager
def _reaching() -> Iterator[None]:
    try:
        yield
    except LOST as lost:
        raise DatabaseLost from lost


class Tx:
    """One open transaction. ``posted`` is set by the ledger, which allows one post() in each."""

    __slots__ = ("_after", "_connection", "_either_way", "_statement_s", "posted")

    def __init__(
        self, connection: asyncpg.pool.PoolConnectionProxy, statement_s: float | None = None
    ) -> None:
        self._connection = connection
        self._statement_s = statement_s  # None: the pool's own limit
        self._after: list[Callable[[], Awaitable[None] | None]] = []
        self._either_way: list[Callable[[], Awaitable[None]]] = []
        self.posted = False

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        return list(await self._connection.fetch(sql, *args, timeout=self._statement_s))

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        found = await self._connection.fetchrow(sql, *args, timeout=self._statement_s)
        row: Row | None = found
        return row

    async def fetchval(self, sql: str, *args: object) -> Any:  # noqa: ANN401 - SQL decides
        return await self._connection.fetchval(sql, *args, timeout=self._statement_s)

    async def execute(self, sql: str, *args: object) -> int:
        """This will run one statement and say how many rows it touched."""
        status = await self._connection.execute(sql, *args)
        last = status.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    async def executemany(self, sql: str, rows: Sequence[Sequence[object]]) -> None:
        await self._connection.executemany(sql, rows)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What happens inside is undone alone when it raises, ``after_commit`` included."""
        before = len(self._after)
        try:
            async with self._connection.transaction():
                yield
        except BaseException:
            del self._after[before:]
            raise

    def after_commit(self, callback: Callable[[], Awaitable[None] | None]) -> None:
        """This will call ``callback`` once the commit is durable; never on a rollback."""
        self._after.append(callback)

    @property
    def callbacks(self) -> Sequence[Callable[[], Awaitable[None] | None]]:
        """What will be called after the commit, in order."""
        return self._after

    def either_way(self, callback: Callable[[], Awaitable[None]]) -> None:
        """This will call ``callback`` after the commit, or after a refusal has undone everything:
        for what must be on record although the answer is no."""
        self._either_way.append(callback)

    @property
    def driver(self) -> asyncpg.pool.PoolConnectionProxy:
        """The raw connection, for the job queue's enqueue alone."""
        return self._connection

    async def committed(self) -> None:
        for callback in self._after:
            answer = callback()
            if answer is not None:
                await answer
        await self.ended()

    async def ended(self) -> None:
        for callback in self._either_way:
            await callback()


class Database:
    """The pool of one process and role.

    Connections that are given back whole stay at hand: asyncpg's own way there and back costs as
    much as a small query. Whatever went wrong on one, and whoever waits, goes through the pool.
    None is kept for ever: one that nobody has used for ``idle_s`` is closed, and one that was
    opened ``life_s`` ago is closed by whoever gives it back.
    """

    def __init__(
        self, pool: asyncpg.Pool, *, idle_s: float = IDLE_S, life_s: float = LIFE_S
    ) -> None:
        self.pool = pool
        # The last one given back is the next one taken, so that the first are idle the longest.
        self._at_hand: list[tuple[asyncpg.pool.PoolConnectionProxy, float]] = []
        self._ends: dict[asyncpg.pool.PoolConnectionProxy, float] = {}
        self._idle_s, self._life_s = idle_s, life_s
        self._sweeper: asyncio.TimerHandle | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._waiting = 0  # for the pool, which has none left while all are at hand
        self._closed = False

    @classmethod
    async def connect(
        cls, url: str, *, size: int = 16, command_timeout_s: float | None = 60
    ) -> "Database":
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=size,
            init=_prepare,
            reset=_as_it_is,
            command_timeout=command_timeout_s,
            # Compiling a query takes longer than any of ours runs, and other servers would.
            server_settings={"application_name": "hazina", "timezone": "UTC", "jit": "off"},
        )
        return cls(pool)

    async def close(self) -> None:
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        await self.let_go()
        await self.pool.close()

    async def take(self) -> asyncpg.pool.PoolConnectionProxy:
        """A connection for one user, who calls ``give`` or ``release``."""
        while self._at_hand:
            connection, _ = self._at_hand.pop()
            if _is_open(connection):
                return connection
            await self.release(connection)
        self._waiting += 1
        try:
            opened = await self.pool.acquire()
        finally:
            self._waiting -= 1
        # Some end sooner than others, so that they are not all opened anew at once.
        lives_s = self._life_s * random.uniform(0.8, 1)  # noqa: S311 - jitter
        self._ends[opened] = asyncio.get_running_loop().time() + lives_s
        return opened

    async def give(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        """This will give back a connection on which nothing is open and nothing went wrong."""
        if self._waiting or self._closed:
            await self.release(connection)
        elif self.has_ended(connection):
            await self._end(connection)
        else:
            loop = asyncio.get_running_loop()
            self._at_hand.append((connection, loop.time()))
            if self._sweeper is None:
                self._sweeper = loop.call_later(self._idle_s, self._sweep)

    def has_ended(self, connection: asyncpg.pool.PoolConnectionProxy) -> bool:
        """Whether a connection was open for as long as any is."""
        return asyncio.get_running_loop().time() >= self._ends.get(connection, 0)

    async def release(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        """This will give a connection to the pool, whatever happened on it."""
        self._ends.pop(connection, None)
        await self.pool.release(connection)

    async def end_idle(self, now: float) -> None:
        """This will close what nobody has used for ``idle_s``, by the loop's time."""
        while self._at_hand and self._at_hand[0][1] + self._idle_s <= now:
            await self._end(self._at_hand.pop(0)[0])

    def _sweep(self) -> None:
        loop = asyncio.get_running_loop()
        self._sweeping = loop.create_task(self.end_idle(loop.time()))
        rest = self._at_hand and not self._closed
        self._sweeper = loop.call_later(self._idle_s, self._sweep) if rest else None

    async def _end(self, connection: asyncpg.pool.PoolConnectionProxy) -> None:
        with suppress(*LOST, TimeoutError):
            await connection.close(timeout=GOODBYE_S)
        with suppress(*LOST):
            await self.release(connection)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.pool.PoolConnectionProxy]:
        """A connection of one's own for a while."""
        connection = await self.take()
        try:
            yield connection
        except BaseException:
            await self.release(connection)
            raise
        await self.give(connection)

    async def let_go(self) -> None:
        """This will give what is at hand back to the pool."""
        while self._at_hand:
            await self.release(self._at_hand.pop()[0])

    @asynccontextmanager
    async def transaction(
        self, *, readonly: bool = False, statement_s: float | None = None
    ) -> AsyncIterator[Tx]:
        """One transaction, without retry: for reads and for callers with their own retry.

        ``statement_s``: how long each of its queries may take, where the pool's limit is too
        little: what reads all of history.
        """
        tx: Tx | None = None
        try:
            with _reaching():
                async with self.connection() as connection:
                    token = in_transaction.set(True)
                    try:
                        tx = Tx(connection, statement_s)
                        async with connection.transaction(readonly=readonly):
                            yield tx
                    finally:
                        in_transaction.reset(token)
        except Refusal as no:
            if tx is not None and not isinstance(no, DatabaseLost):
                await tx.ended()
            raise
        await tx.committed()

    async def run(self, use_case: Callable[[Tx], Awaitable[T]]) -> T:
        """This will run one use case in one transaction and give back its value after commit.

        A serialization failure or a deadlock runs all of it again, at most five times.
        """
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                async with self.transaction() as tx:
                    value = await use_case(tx)
            except RETRYABLE:
                if attempt == MAX_ATTEMPTS:
                    raise
                await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - jitter
            else:
                return value
        raise AssertionError("unreachable")

    async def run_patiently(
        self, use_case: Callable[[Tx], Awaitable[T]], *, patience_s: float
    ) -> T:
        """This will do as ``run``, and again while the database is away, for what must not be
        lost: word from outside that comes once. ``use_case`` must be safe to run twice, since a
        commit may have happened whose answer was lost. Raises: DatabaseLost when patience ends.
        """
        deadline = asyncio.get_running_loop().time() + patience_s
        pause = 0.05
        while True:
            try:
                return await self.run(use_case)
            except DatabaseLost:
                if asyncio.get_running_loop().time() + pause > deadline:
                    raise
            await asyncio.sleep(pause)
            pause = min(2 * pause, 1.0)

    def lane(self) -> "Lane":
        """A connection of one's own for many use cases of one statement each."""
        return Lane(self)

    async def fetch(self, sql: str, *args: object) -> list[Row]:
        """A read that needs no transaction of its own."""
        with _reaching():
            async with self.connection() as connection:
                return list(await connection.fetch(sql, *args))

    async def fetchrow(self, sql: str, *args: object) -> Row | None:
        # What every request asks for: without the generators of a context manager.
        with _reaching():
            connection = await self.take()
            try:
                row: Row | None = await connection.fetchrow(sql, *args)
            except BaseException:
                await self.release(connection)
                raise
            await self.give(connection)
        return row

    async def fetchval(self, sql: str, *args: object) -> Any:  # noqa: ANN401 - SQL decides
        row = await self.fetchrow(sql, *args)
        return None if row is None else row[0]

    async def execute(self, sql: str, *args: object) -> None:
        """A statement that commits by itself; without arguments, several."""
        with _reaching():
            async with self.connection() as connection:
                await connection.execute(sql, *args)


class Lane:
    """One connection kept at hand for use cases of one writing statement, which commits by itself.

    Without BEGIN, COMMIT and what a pool does between two users a batch is one round trip instead
    of four. Use cases run one after the other; a connection that is lost, or open for as long as
    any is, is replaced at the next one.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._connection: asyncpg.pool.PoolConnectionProxy | None = None

    async def run(self, use_case: Callable[[Tx], Awaitable[T]]) -> T:
        """This will run a use case and give back its value once its statement is durable.

        A serialization failure or a deadlock runs all of it again, at most five times. Raises:
        DatabaseLost.
        """
        for attempt in range(1, MAX_ATTEMPTS + 1):
            try:
                tx, value = await self._attempt(use_case)
            except RETRYABLE:
                if attempt == MAX_ATTEMPTS:
                    raise
                await asyncio.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - jitter
            except DatabaseLost:
                await self.close()
                raise
            else:
                await tx.committed()
                return value
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """This will give the connection back; the lane may be used again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(*LOST):
                await self._db.release(connection)

    async def _attempt(self, use_case: Callable[[Tx], Awaitable[T]]) -> tuple[Tx, T]:
        with _reaching():
            if self._connection is not None and self._db.has_ended(self._connection):
                ended, self._connection = self._connection, None
                await self._db.give(ended)
            if self._connection is None:
                self._connection = await self._db.take()
            tx = Tx(self._connection)
            token = in_transaction.set(True)
            try:
                return tx, await use_case(tx)
            finally:
                in_transaction.reset(token)


def _is_open(connection: asyncpg.pool.PoolConnectionProxy) -> bool:
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # lost meanwhile: the pool has taken it back already
        return False


async def _as_it_is(_connection: asyncpg.Connection) -> None:
    """What is given back stays as it is, after a rollback where that is due: nothing here changes a
    session's settings, and the worker, who listens and takes a session's locks, ends its own. A
    round trip less for each use."""


async def _prepare(connection: asyncpg.Connection) -> None:
    for name in ("json", "jsonb"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=_dumps, decoder=json.loads
        )


def _dumps(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), default=str)
