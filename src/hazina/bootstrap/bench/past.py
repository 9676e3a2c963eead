"""What one balance at a past time costs, beside one look-up by key on the same connection."""

import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from hazina.bootstrap.bench.books import Books
from hazina.bootstrap.bench.report import Aim, Row, percentile
from hazina.infra.db import Tx
from hazina.kernel.clock import SystemClock
from hazina.ledger.past import balance_at

PAST = Aim(limit=0.2, at_most=2.5)
KEY = "SELECT username FROM identity.customer WHERE id = $1"
DAYS = 300


async def past_balance(books: Books, seconds: float) -> list[Row]:
    """Median and 99th percentile of one caller, each on another account and day."""
    async with books.db.transaction(readonly=True) as tx:
        before = await _look_up(books, tx, seconds / 4)
        waits = await _balances(books, tx, seconds / 2)
        after = await _look_up(books, tx, seconds / 4)
    base = (percentile(before, 0.5) + percentile(after, 0.5)) / 2
    name = f"a balance at a past time, {books.entries:,} entries"
    note = "baseline: one look-up by primary key, same connection"
    return [
        Row.of(name, percentile(waits, 0.5), "ms", baseline=base, aim=PAST, note=note),
        Row.of(f"{name}: p99", percentile(waits, 0.99), "ms"),
    ]


async def _balances(books: Books, tx: Tx, seconds: float) -> list[float]:
    now = SystemClock().now()

    async def one() -> None:
        account = books.chance.choice(books.accounts)
        moment = now - timedelta(days=books.chance.randint(1, DAYS))
        await balance_at(tx, account, booked=moment)

    return await _repeat(one, seconds)


async def _look_up(books: Books, tx: Tx, seconds: float) -> list[float]:
    async def one() -> None:
        await tx.fetchrow(KEY, books.chance.choice(books.accounts).owner)

    return await _repeat(one, seconds)


async def _repeat(act: Callable[[], Awaitable[None]], seconds: float) -> list[float]:
    """Milliseconds, sorted; the first ones only warm up."""
    waits, until = [], time.perf_counter() + seconds
    for _ in range(10):
        await act()
    while (began := time.perf_counter()) < until:
        await act()
        waits.append((time.perf_counter() - began) * 1000)
    return sorted(waits)
