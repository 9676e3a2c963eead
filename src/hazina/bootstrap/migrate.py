"""Migrations: every slice's folder, upgraded in one go under one lock.

Plain SQL through Alembic on asyncpg. A lock on the database lets several starters wait for one;
lock and statement timeouts keep a migration from standing in front of customers.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from alembic.util import to_tuple
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from hazina.bootstrap.registry import manifests

ADVISORY_KEY = 0x48415A49  # "HAZI"
LOCK_TIMEOUT = "10s"
STATEMENT_TIMEOUT = "10min"


def _script() -> ScriptDirectory:
    config = Config()
    here = Path(__file__).parent
    config.set_main_option("script_location", str(here))
    config.set_main_option("path_separator", "newline")
    folders = [str(m.migrations) for m in manifests() if m.migrations is not None]
    config.set_main_option("version_locations", "\n".join(folders))
    return ScriptDirectory.from_config(config)


def expected_heads() -> set[str]:
    """The revisions a database must be at for this code to run."""
    script = _script()
    # A head that another slice's migration depends on is implied by it and not kept as a row.
    implied = {
        name
        for revision in script.walk_revisions()
        for name in to_tuple(revision.dependencies, default=())
    }
    return set(script.get_heads()) - implied


def known_revisions() -> set[str]:
    """Every revision this code has: a database with another one is a newer house's."""
    return {revision.revision for revision in _script().walk_revisions()}


async def upgrade(owner_url: str, *, said: Callable[[str], None] | None = None) -> list[str]:
    """This will bring the database to the newest schema and answer the revisions it applied."""
    script = _script()
    applied: list[str] = []

    def migrate(connection: Connection) -> None:
        def plan(revision: Any, _: Any) -> Any:  # noqa: ANN401 - Alembic's own types
            steps = script._upgrade_revs("heads", revision)
            applied.extend(step.revision.revision for step in steps)
            if said is not None:
                for step in steps:
                    said(step.revision.revision)
            return steps

        with EnvironmentContext(Config(), script, fn=plan) as environment:
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

    guard = await asyncpg.connect(owner_url)
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        await guard.execute("SELECT pg_advisory_lock($1)", ADVISORY_KEY)
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
            await connection.execute(
                text("GRANT SELECT ON alembic_version TO hazina_app, hazina_read")
            )
            await connection.commit()
    finally:
        await engine.dispose()
        await guard.close()
    return applied
