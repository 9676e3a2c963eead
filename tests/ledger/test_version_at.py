"""The version of a moment is found in a few looks, whatever an account's years were like."""

import random
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from hazina.infra.db import Database
from tests.conftest import Place

Shape = Callable[[int, random.Random], list[int]]
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
YEAR_US = 365 * 86_400 * 10**6
BOOKED = """
INSERT INTO ledger.entry (account_key, version, transfer_id, debit, credit, balance, held, incoming,
                          booked_at)
SELECT $1::bigint, b.version, gen_random_uuid(), 0, 0, 0, 0, 0, b.at
FROM unnest($2::timestamptz[]) WITH ORDINALITY b (at, version)
"""
FOUND = """
SELECT ledger.version_at($1, $2, $3, $4, m.at)
FROM unnest($5::timestamptz[]) WITH ORDINALITY m (at, place) ORDER BY m.place
"""


def even(count: int, _: random.Random) -> list[int]:
    return [number * YEAR_US // count + 1 for number in range(count)]


def scattered(count: int, chance: random.Random) -> list[int]:
    return sorted(chance.sample(range(1, YEAR_US), count))


def all_at_the_end(count: int, _: random.Random) -> list[int]:
    return [1, *range(YEAR_US - count, YEAR_US - 1)]


def in_bursts(count: int, chance: random.Random) -> list[int]:
    days = [chance.randrange(YEAR_US) for _ in range(3)]
    return sorted({chance.choice(days) + chance.randrange(10 * count) for _ in range(count)})


@pytest.mark.parametrize("shape", [even, scattered, all_at_the_end, in_bursts])
async def test_it_is_the_last_one_booked_by_then(
    fresh: Database, fresh_place: Place, shape: Shape
) -> None:
    owner = await Database.connect(fresh_place.owner, size=1)
    try:
        for count in (1, 2, 9, 500):
            moments = shape(count, random.Random(count))
            times = [BEGAN + timedelta(microseconds=at) for at in moments]
            await owner.fetch(BOOKED, -count, times)
            asked = sorted({at + step for at in moments for step in (-1, 0, 1)} | {0, 2 * YEAR_US})
            then = [BEGAN + timedelta(microseconds=at) for at in asked]
            # An account's own time may run a little ahead of its last entry's.
            for ahead in (0, 700):
                last = times[-1] + timedelta(microseconds=ahead)
                rows = await fresh.fetch(FOUND, -count, len(times), BEGAN, last, then)
                assert [row[0] for row in rows] == [bisect_right(moments, at) for at in asked]
    finally:
        await owner.close()


async def test_an_account_without_entries_has_none(db: Database) -> None:
    rows = await db.fetch(
        "SELECT ledger.version_at(-1, 0, now(), '-infinity', m.at)"
        " FROM unnest(ARRAY['-infinity', now(), 'infinity']::timestamptz[]) m (at)"
    )
    assert [row[0] for row in rows] == [0, 0, 0]
