"""Health: what ``/healthz`` and ``/readyz`` ask.

``/healthz`` says that this process answers, and asks nobody. ``/readyz`` says that the house can
serve: the database answers, its schema is this code's, and some worker was seen lately.
"""

from collections.abc import Set
from dataclasses import dataclass

import asyncpg

from hazina.infra.alarms import Alarm
from hazina.infra.db import Database, DatabaseLost

WORKER_SEEN_S = 30
HEADS = "SELECT version_num FROM alembic_version"
WORKER_SEEN = """
SELECT EXISTS (
  SELECT FROM infra.worker_seen WHERE seen_at > now() - make_interval(secs => $1))
"""
# What a probe that fails is told; nobody logs it at every probe.
PAGES = {
    "database": Alarm("database-unreachable"),
    "migrations": Alarm("schema-behind"),
    "worker": Alarm("worker-silent"),
}
LOST = (DatabaseLost, asyncpg.PostgresError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Health:
    """Each part true when it is well; ``ready`` when all are."""

    database: bool
    migrations: bool
    worker: bool

    @property
    def ready(self) -> bool:
        return self.database and self.migrations and self.worker

    def as_json(self) -> dict[str, object]:
        parts = {"database": self.database, "migrations": self.migrations, "worker": self.worker}
        found: dict[str, object] = {
            "ready": self.ready,
            "checks": {k: "ok" if v else "failing" for k, v in parts.items()},
        }
        if not self.ready:
            found["runbook"] = [PAGES[k].page for k, v in parts.items() if not v]
        return found


async def is_reachable(db: Database) -> bool:
    """The database answers a question."""
    try:
        return bool(await db.fetchval("SELECT true"))
    except LOST:
        return False


async def is_migrated(db: Database, expected_heads: Set[str]) -> bool:
    """The schema is exactly at the revisions that this code expects."""
    try:
        return {row["version_num"] for row in await db.fetch(HEADS)} == set(expected_heads)
    except LOST:
        return False


async def is_worked(db: Database) -> bool:
    """Some worker was seen within the last half minute."""
    try:
        return bool(await db.fetchval(WORKER_SEEN, WORKER_SEEN_S))
    except LOST:
        return False


async def check(db: Database, expected_heads: Set[str]) -> Health:
    """This will ask all of it, one after the other, and never raise for a no."""
    if not await is_reachable(db):
        return Health(database=False, migrations=False, worker=False)
    return Health(
        database=True,
        migrations=await is_migrated(db, expected_heads),
        worker=await is_worked(db),
    )
