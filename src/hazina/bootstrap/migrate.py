"""Migrations: every slice's folder, upgraded in one go under one lock.

Plain SQL through Alembic on asyncpg. A lock on the database lets several starters wait for one;
lock and statement timeouts keep a migration from standing in front of customers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from hazina.bootstrap.registry import manifests
from hazina.bootstrap.schema import expected_heads

if TYPE_CHECKING:
    from alembic.script import ScriptDirectory
    from sqlalchemy import Connection

ADVISORY_KEY = 0x48415A49  # "HAZI"
LOCK_TIMEOUT = "10s"
STATEMENT_TIMEOUT = "10min"
GRANT = "GRANT SELECT ON alembic_version TO hazina_app, hazina_read"


def script() -> "ScriptDirectory":
    """Every slice's migrations, as Alembic sees them."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    here = Path(__file__).parent
    config.set_main_option("script_location", str(here))
    config.set_main_option("path_separator", "newline")
    folders = [str(m.migrations) for m in manifests() if m.migrations is not None]
    config.set_main_option("version_locations", "\n".join(folders))
    return ScriptDirectory.from_config(config)


async def upgrade(owner_url: str, *, said: Callable[[str], None] | None = None) -> list[str]:
    """This will bring the database to the newest schema and answer the revisions it applied."""
    guard = await asyncpg.connect(owner_url)
    try:
        await guard.execute("SELECT pg_advisory_lock($1)", ADVISORY_KEY)
        applied: list[str] = []
        if await _heads(guard) != expected_heads():  # else nothing need be loaded
            applied = await _migrated(owner_url, said)
        await guard.execute(GRANT)
    finally:
        await guard.close()
    return applied


async def _heads(connection: asyncpg.Connection) -> set[str]:
    if not await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL"):
        return set()
    rows = await connection.fetch("SELECT version_num FROM alembic_version")
    return {row["version_num"] for row in rows}


async def _migrated(owner_url: str, said: Callable[[str], None] | None) -> list[str]:
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    migrations = script()
    applied: list[str] = []

    def migrate(connection: "Connection") -> None:
        def plan(revision: Any, _: Any) -> Any:  # noqa: ANN401 - Alembic's own types
            steps = migrations._upgrade_revs("heads", revision)
            applied.extend(step.revision.revision for step in steps)
            if said is not None:
                for step in steps:
                    said(step.revision.revision)
            return steps

        with EnvironmentContext(Config(), migrations, fn=plan) as environment:
            environment.configure(connection=connection, transaction_per_migration=True)
            with environment.begin_transaction():
                environment.run_migrations()

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(
            owner_url,
            server_settings={
                "lock_timeout": LOCK_TIMEOUT,
                "statement_timeout": STATEMENT_TIMEOUT,
            },
        )

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
            await connection.commit()
    finally:
        await engine.dispose()
    return applied
