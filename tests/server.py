"""The one PostgreSQL server of a test run: where it comes from and how databases are cloned."""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.migrate import upgrade

ROLES = ("hazina_owner", "hazina_app", "hazina_read")
TEMPLATE = "hazina_test_template"
ADMIN_VARIABLE = "HAZINA_TEST_RUN_ADMIN"
PASSWORD_VARIABLE = "HAZINA_TEST_RUN_PASSWORD"


def at(admin_url: str, database: str, role: str | None = None) -> str:
    """The same server's URL for another database and, if given, one of the three roles."""
    parts = urlsplit(admin_url)
    netloc = parts.netloc
    if role is not None:
        host = netloc.rpartition("@")[2]
        netloc = f"{role}:{os.environ[PASSWORD_VARIABLE]}@{host}"
    return urlunsplit((parts.scheme, netloc, f"/{database}", parts.query, ""))


@contextmanager
def running() -> Iterator[str]:
    """A server with the migrated template on it; yields the superuser's URL."""
    given = os.environ.get("HAZINA_TEST_DATABASE_URL")
    os.environ[PASSWORD_VARIABLE] = secrets.token_hex(16)
    if given:
        asyncio.run(_prepare(given))
        os.environ[ADMIN_VARIABLE] = given
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="hazina-test-"))
    folder.chmod(0o711)  # root's server runs as another user, who passes through here
    server = EmbeddedPostgres(folder / "data")
    try:
        admin = server.start().admin
        asyncio.run(_hurry(admin))
        asyncio.run(_prepare(admin))
        os.environ[ADMIN_VARIABLE] = admin
        yield admin
    finally:
        server.discard()
        shutil.rmtree(folder, ignore_errors=True)


async def _hurry(admin_url: str) -> None:
    """No machine dies under a test run, so its server need not wait for the disk.

    Tests that kill a server start one of their own, as it is for users.
    """
    connection = await asyncpg.connect(admin_url)
    try:
        for setting in ("fsync", "full_page_writes"):
            await connection.execute(f"ALTER SYSTEM SET {setting} = off")
        await connection.execute("SELECT pg_reload_conf()")
    finally:
        await connection.close()


async def _prepare(admin_url: str) -> None:
    connection = await asyncpg.connect(admin_url)
    password = os.environ[PASSWORD_VARIABLE]
    try:
        for role in ROLES:
            known = await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
            verb = "ALTER" if known else "CREATE"
            await connection.execute(f"{verb} ROLE {role} LOGIN PASSWORD '{password}'")
        await connection.execute(f"DROP DATABASE IF EXISTS {TEMPLATE} WITH (FORCE)")
        await connection.execute(
            f"CREATE DATABASE {TEMPLATE} OWNER hazina_owner TEMPLATE template0 ENCODING 'UTF8'"
            " LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    finally:
        await connection.close()
    await upgrade(at(admin_url, TEMPLATE, "hazina_owner"))


async def clone(admin_url: str, name: str) -> None:
    """This will make database ``name`` afresh from the template."""
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}" TEMPLATE {TEMPLATE} OWNER hazina_owner')
        # What a test server acknowledges need not survive the machine.
        await connection.execute(f'ALTER DATABASE "{name}" SET synchronous_commit = off')
    finally:
        await connection.close()


async def drop(admin_url: str, name: str) -> None:
    connection = await asyncpg.connect(admin_url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    finally:
        await connection.close()
