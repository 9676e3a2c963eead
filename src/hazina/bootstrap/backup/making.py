"""Making a copy of a running house: whole and verified, or not there at all.

It is made in a folder whose name begins with ``.partial-`` and renamed when everything in it was
written, verified and is on the disk. What a killed run left is removed by the next one. One run at
a time in one folder, by a lock that no death leaves behind.
"""

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

import asyncpg

from hazina.bootstrap.backup import inventory
from hazina.bootstrap.backup.inventory import FileMark, How, Inventory
from hazina.bootstrap.backup.tools import Target, Watch, binaries, dump_program, run_tool
from hazina.bootstrap.backup.trouble import BackupTrouble, CopyExists, ToolFailed
from hazina.bootstrap.backup.verifying import check_cluster
from hazina.bootstrap.lifeline import FileLock
from hazina.bootstrap.pg_place import MAJOR
from hazina.bootstrap.pg_record import Urls
from hazina.infra.db import Database, Tx
from hazina.infra.health import HEADS
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.manifest import key_file
from hazina.infra.settings import Settings
from hazina.infra.vault import Vault
from hazina.ledger.heads import NothingSealed, Signer, take_head
from hazina.ledger.standing import Standing, take_standing

PREFIX, PARTIAL = "hazina-", ".partial-"
CLUSTER, DUMP, HEAD = "cluster", "hazina.dump", "ledger-head.json"
SERVER = """
SELECT current_setting('server_version_num')::int / 10000 AS major, current_database() AS name,
    pg_snapshot_xmax(pg_current_snapshot())::text AS next_xid,
    (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS replicates,
    (SELECT datcollate = 'C' FROM pg_database WHERE datname = current_database()) AS plain
"""


class Progress(Protocol):
    """Shows what goes on."""

    def step(self, what: str) -> AbstractContextManager[Watch]: ...


class Quiet:
    """For machines and tests."""

    def step(self, what: str) -> AbstractContextManager[Watch]:  # noqa: ARG002 - the protocol's
        return nullcontext(lambda _done, _all: None)


@dataclass(frozen=True, slots=True)
class Server:
    """What decides how the copy is taken, and what restoring it needs."""

    major: int
    database: str
    next_xid: int
    can_stream: bool
    heads: list[str]


@dataclass(frozen=True, slots=True)
class Copy:
    """A finished copy; ``removed`` are the older ones that went."""

    path: Path
    inventory: Inventory
    removed: Sequence[Path] = ()


async def back_up(
    settings: Settings,
    urls: Urls,
    folder: Path,
    *,
    now: datetime,
    keep: int | None = None,
    progress: Progress | None = None,
) -> Copy:
    """This will put a new copy into ``folder`` and, where ``keep`` is given, remove older ones
    until so many are left. Raises: BackupTrouble; then there is no new copy, and none is removed.
    """
    shown = progress or Quiet()
    keys = LocalKeyProvider(key_file(settings))
    probes = inventory.probes_of(keys)
    name = f"{PREFIX}{now:%Y%m%dT%H%M%SZ}"
    with _folder_locked(folder):
        with _whole(folder, name) as partial:
            made = await _fill(partial, settings, urls, Vault(keys), probes, now, shown)
        return Copy(folder / name, made, _prune(folder, keep))


def list_copies(folder: Path) -> list[Path]:
    """Every finished copy in ``folder``, the oldest first."""
    return sorted(p for p in folder.glob(f"{PREFIX}*") if (p / inventory.NAME).is_file())


@contextmanager
def _folder_locked(folder: Path) -> Iterator[None]:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = FileLock(folder / ".lock")
    if not lock.try_acquire(note=str(os.getpid())):
        raise BackupTrouble(f"another backup into {folder} is running")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _whole(folder: Path, name: str) -> Iterator[Path]:
    """A folder that gets its name when the block ends well, and goes when it does not."""
    final, partial = folder / name, folder / f"{PARTIAL}{name}"
    if final.exists():
        raise CopyExists(f"{final} is there already; a copy is never overwritten")
    for left in folder.glob(f"{PARTIAL}*"):
        shutil.rmtree(left)
    partial.mkdir(mode=0o700)
    try:
        yield partial
        partial.rename(final)
        _sync(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


async def _fill(
    partial: Path,
    settings: Settings,
    urls: Urls,
    vault: Vault,
    probes: dict[str, str],
    now: datetime,
    shown: Progress,
) -> Inventory:
    began = time.monotonic()
    programs = binaries(settings.data_dir)
    server = await _look(urls.admin)
    books = _Bookkeeper(Signer(vault), now)
    how, standing = await _copy(partial, programs, urls, server, books, shown)
    if books.head is not None:
        (partial / HEAD).write_text(json.dumps(books.head, indent=1) + "\n")
    with shown.step("verify"):
        marks = {name: inventory.mark_of(partial / name) for name in inventory.walk(partial)}
        _verify(partial, how, marks, programs)
    made = Inventory(
        made_at=now,
        how=how,
        version=inventory.house_version(),
        postgres=server.major,
        database=server.database,
        heads=server.heads,
        next_xid=server.next_xid,
        took_s=f"{time.monotonic() - began:.1f}",
        ledger=standing,
        head=books.head,
        settings=inventory.plain_settings(settings),
        probes=probes,
        files=marks,
    )
    inventory.write(partial, made, vault)
    _sync(partial)
    return made


async def _look(url: str) -> Server:
    connection = await asyncpg.connect(url)
    try:
        row = await connection.fetchrow(SERVER)
        heads = [found["version_num"] for found in await connection.fetch(HEADS)]
    except asyncpg.UndefinedTableError:
        raise BackupTrouble("there are no tables to copy yet: run `hazina migrate`") from None
    finally:
        await connection.close()
    # Files fit the same major version alone, and other collations sort differently elsewhere.
    fits = row["major"] == MAJOR and row["plain"] and row["replicates"]
    return Server(row["major"], row["name"], int(row["next_xid"]), bool(fits), sorted(heads))


async def _copy(
    partial: Path,
    programs: Path,
    urls: Urls,
    server: Server,
    books: "_Bookkeeper",
    shown: Progress,
) -> tuple[How, Standing]:
    if server.can_stream:
        standing = await books.count(urls.owner)
        try:
            with shown.step("copy the database's files") as watch:
                _stream(programs, partial / CLUSTER, Target.of(urls.admin), watch)
        except ToolFailed as why:
            if "pg_hba.conf" not in str(why):
                raise
            shutil.rmtree(partial / CLUSTER, ignore_errors=True)
        else:
            return How.PHYSICAL, standing
    with shown.step("copy the database's content"):
        program = dump_program(programs, server.major)
        return How.LOGICAL, await _dump(program, partial / DUMP, urls.owner, books)


def _stream(programs: Path, into: Path, target: Target, watch: Watch) -> None:
    run_tool(
        programs / "pg_basebackup", "--pgdata", into, "--wal-method=stream", "--checkpoint=fast",
        "--manifest-checksums=SHA256", "--progress", "--no-password", "--dbname", target.dsn,
        target=target, watch=watch,
    )  # fmt: skip


class _Bookkeeper:
    """Counts the books and takes the newest sealed head, in one snapshot."""

    def __init__(self, signer: Signer, now: datetime) -> None:
        self._signer = signer
        self._now = now
        self.head: dict[str, object] | None = None

    async def count(self, url: str) -> Standing:
        """Before the first byte is copied: the copy holds at least that."""

        async def take(tx: Tx) -> Standing:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return await self.look(tx)

        db = await Database.connect(url, size=2, command_timeout_s=None)
        try:
            return await db.run(take)
        finally:
            await db.close()

    async def look(self, tx: Tx) -> Standing:
        standing = await take_standing(tx)
        try:
            self.head = (await take_head(tx, self._signer, self._now)).as_json()
        except NothingSealed:
            self.head = None
        return standing


async def _dump(program: Path, into: Path, url: str, books: "_Bookkeeper") -> Standing:
    """The books are counted in the very snapshot that is dumped."""
    db = await Database.connect(url, size=2, command_timeout_s=None)
    try:
        async with db.transaction() as tx:
            await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            snapshot = await tx.fetchval("SELECT pg_export_snapshot()")
            standing = await books.look(tx)
            target = Target.of(url)
            run_tool(
                program, "--format=custom", "--no-password", "--file", into,
                f"--snapshot={snapshot}", "--dbname", target.dsn, target=target,
            )  # fmt: skip
    finally:
        await db.close()
    _sync_file(into)
    return standing


def _verify(partial: Path, how: How, marks: dict[str, FileMark], programs: Path) -> None:
    if how is How.LOGICAL:
        listed = run_tool(programs / "pg_restore", "--list", partial / DUMP)
        if "TABLE DATA ledger transfer" not in listed:
            raise BackupTrouble("the dump does not hold the ledger")
        return
    within = f"{CLUSTER}/"
    cluster = {
        name.removeprefix(within): mark for name, mark in marks.items() if name.startswith(within)
    }
    check_cluster(partial / CLUSTER, cluster, programs)


def _prune(folder: Path, keep: int | None) -> list[Path]:
    """The newest ``keep`` stay. An old copy loses its manifest first: half of one never looks
    whole."""
    old = list_copies(folder)[:-keep] if keep else []
    for path in old:
        (path / inventory.NAME).unlink()
        shutil.rmtree(path)
    return old


def _sync(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
