"""Restoring a copy into a data directory of its own, in recovery before anything can run on it.

Everything happens beside the wanted directory, under another name; the rename is the last act. A
run that is killed leaves nothing that ``hazina up`` would start, and a house that starts is in
recovery. The copy and the key file are checked before the first byte is written.
"""

import json
import os
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from pydantic import SecretStr

from hazina.bootstrap import pg_cluster
from hazina.bootstrap.backup import inventory
from hazina.bootstrap.backup.inventory import How, Inventory
from hazina.bootstrap.backup.making import CLUSTER, DUMP, Progress, Quiet, list_copies
from hazina.bootstrap.backup.tools import Target, binaries, run_tool
from hazina.bootstrap.backup.trouble import BackupTrouble, CopyDamaged, CopyExists
from hazina.bootstrap.backup.verifying import check_cluster
from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.lifeline import FileLock
from hazina.bootstrap.migrate import upgrade
from hazina.bootstrap.pg_cluster import ADMIN, DATABASE, ROLES
from hazina.bootstrap.pg_place import MAJOR, Account, account_for, new_place
from hazina.bootstrap.pg_record import RECORD, Record, Urls
from hazina.bootstrap.schema import known_revisions
from hazina.bootstrap.wiring import assemble
from hazina.desk.recovery import Open, Recovery
from hazina.infra.db import Database
from hazina.infra.house import House
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import Settings
from hazina.infra.vault import Vault
from hazina.kernel.actor import Actor
from hazina.kernel.clock import Clock
from hazina.ledger.heads import Head, Signer, contradictions
from hazina.ledger.proof import Proof
from hazina.ledger.standing import find_differences

SUFFIX = ".restoring"
KEYS = "keys.json"
HBA = "local all all scram-sha-256\nlocal replication all scram-sha-256\n"


@dataclass(frozen=True, slots=True)
class Restored:
    """What there is now, in recovery: ``faults`` are claims of the ledger that do not hold."""

    data_dir: Path
    copy: Path
    inventory: Inventory
    recovery: Open
    applied: Sequence[str]
    claims: int
    faults: Sequence[str]


def choose(given: Path) -> Path:
    """A copy itself, or the newest in a folder of copies. Raises: CopyDamaged."""
    if (given / inventory.NAME).is_file():
        return given
    copies = list_copies(given) if given.is_dir() else []
    if not copies:
        raise CopyDamaged(f"{given} is not a finished copy, and holds none")
    return copies[-1]


async def restore(
    copy: Path,
    data_dir: Path,
    keys: Path,
    *,
    settings: Settings,
    clock: Clock,
    actor: Actor,
    prove: bool = True,
    progress: Progress | None = None,
) -> Restored:
    """This will make ``data_dir`` (new, or empty) a house restored from ``copy``, in recovery.

    ``keys`` is the key file, copied beside the data. Raises: BackupTrouble, EmbeddedTrouble; then
    ``data_dir`` is as it was.
    """
    shown = progress or Quiet()
    data_dir = _vacant(data_dir)
    with shown.step("check the copy"):
        told = check_copy(copy, keys, binaries(data_dir))
    work = data_dir.with_name(data_dir.name + SUFFIX)
    server = _take(work)
    try:
        with shown.step("put the database in place"):
            _place(copy, told, work, server)
        shutil.copyfile(keys, work / KEYS)
        (work / KEYS).chmod(0o600)
        made = await _start(told, server, settings, clock, actor, shown, prove=prove)
        server.stop()
        work.rename(data_dir)
    except BaseException:
        server.discard()
        raise
    return Restored(data_dir, copy, told, *made)


def check_copy(copy: Path, keys: Path, programs: Path) -> Inventory:
    """This will hold a copy against its manifest, its keys and this house. Raises: CopyDamaged,
    KeysMissing, BackupTrouble."""
    told, raw = inventory.read(copy)
    inventory.check_keys(raw, told, LocalKeyProvider(keys))
    inventory.check_files(copy, told)
    if unknown := set(told.heads) - known_revisions():
        raise BackupTrouble(f"a newer house made this copy: it has {', '.join(sorted(unknown))}")
    if told.how is How.PHYSICAL and told.postgres != MAJOR:
        raise BackupTrouble(f"the copy is PostgreSQL {told.postgres}'s; this is {MAJOR}")
    if told.how is How.PHYSICAL:
        check_cluster(copy / CLUSTER, _within(told), programs)
    return told


def _vacant(wanted: Path) -> Path:
    """The directory's whole path. Raises: CopyExists, when there is something in it."""
    data_dir = Path(os.path.abspath(wanted))
    if data_dir.exists() and (not data_dir.is_dir() or any(data_dir.iterdir())):
        raise CopyExists(f"{data_dir} is not empty; nothing is ever restored over something")
    data_dir.parent.mkdir(parents=True, exist_ok=True)
    return data_dir


def _take(work: Path) -> EmbeddedPostgres:
    """The folder to work in, locked; what a killed run left of it goes first."""
    if work.exists():
        lock = FileLock(work / "hazina.lock")
        if not lock.try_acquire():
            raise CopyExists(f"another restore works in {work}")
        lock.release()
        EmbeddedPostgres(work).discard()
    server = EmbeddedPostgres(work)
    server.lock()
    return server


def _place(copy: Path, told: Inventory, work: Path, server: EmbeddedPostgres) -> None:
    """A cluster that is ready to start, with roles and passwords of this data directory."""
    if told.how is How.LOGICAL:
        _place_content(copy, told, server)
        return
    account = account_for(work / "postgres" / "cluster")
    record = Record.load(work / RECORD)
    record.place = new_place(account, work)
    record.save(work / RECORD)
    cluster = work / record.place / "cluster"
    shutil.copytree(copy / CLUSTER, cluster)
    (cluster / "pg_hba.conf").write_text(HBA)
    (cluster / "postgresql.auto.conf").write_text("")  # another server's wishes
    _own(account, cluster)
    _set_roles(account, server.bin("postgres"), cluster, record.passwords, told.database)
    record.initialized = True
    record.save(work / RECORD)


def _own(account: Account, cluster: Path) -> None:
    for path in (cluster, *cluster.rglob("*")):
        if account.switch:
            os.chown(path, account.uid, account.gid)
        path.chmod(0o700 if path.is_dir() else 0o600)


def _set_roles(
    account: Account, postgres: Path, cluster: Path, passwords: dict[str, str], database: str
) -> None:
    """This will give every role this directory's password, in a server of one session; it also
    replays the log that makes the copied files whole. Raises: BackupTrouble."""
    statements = [
        f"DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}')"
        f" THEN CREATE ROLE {role}; END IF; END$$"
        for role in ROLES
    ]
    statements += [f"ALTER ROLE {role} LOGIN PASSWORD '{passwords[role]}'" for role in ROLES]
    statements.append(f"ALTER ROLE {ADMIN} SUPERUSER")
    if database != DATABASE:
        quoted = database.replace('"', '""')
        # The server had another one of that name, which is none of ours.
        statements.append(
            f"DO $$BEGIN IF EXISTS (SELECT FROM pg_database WHERE datname = '{DATABASE}')"
            f" THEN ALTER DATABASE {DATABASE} RENAME TO {DATABASE}_before; END IF; END$$"
        )
        statements.append(f'ALTER DATABASE "{quoted}" RENAME TO {DATABASE}')
    options = pg_cluster.write_options(account, cluster, cluster.parent)
    answer = account.run(
        str(postgres),
        *("--single", "-D", str(cluster), "-c", f"config_file={options}"),
        *("-c", "exit_on_error=on", "postgres"),
        text_in="".join(f"{statement}\n" for statement in statements),
    )
    if answer.returncode != 0 or "ERROR:" in answer.stdout:
        lines = [x for x in answer.stdout.splitlines() if "ERROR:" in x or "FATAL:" in x]
        raise BackupTrouble("the copied files do not start:\n" + "\n".join(lines[:5]))


def _place_content(copy: Path, told: Inventory, server: EmbeddedPostgres) -> None:
    urls = server.start()
    cluster, account = server.place / "cluster", account_for(server.place / "cluster")
    # Rows carry the transaction that wrote them: new ones must come after all of those.
    server.stop()
    epoch = (told.next_xid >> 32) + 1
    answer = account.run(str(server.bin("pg_resetwal")), f"--epoch={epoch}", "-D", str(cluster))
    if answer.returncode != 0:
        raise BackupTrouble(f"pg_resetwal failed: {answer.stdout.strip()}")
    server.start()
    target = Target.of(urls.owner)
    run_tool(
        server.bin("pg_restore"), "--exit-on-error", "--no-owner", "--no-password", "--jobs=2",
        "--dbname", target.dsn, copy / DUMP, target=target,
    )  # fmt: skip
    server.stop()


async def _start(
    told: Inventory,
    server: EmbeddedPostgres,
    settings: Settings,
    clock: Clock,
    actor: Actor,
    shown: Progress,
    *,
    prove: bool,
) -> tuple[Open, list[str], int, list[str]]:
    with shown.step("start PostgreSQL on it"):
        urls = server.start()
    with shown.step("database schema"):
        applied = await upgrade(urls.owner)
    async with restored_house(settings, server.data_dir, urls, clock) as house:
        with shown.step("enter recovery"):
            entered = await house.db.run(
                lambda tx: house.get(Recovery).enter(
                    tx, copied_at=told.made_at, actor=actor, now=clock.now()
                )
            )
        with shown.step("hold the ledger against the copy's record"):
            await _compare_books(house, told)
        if not prove:
            return entered, applied, 0, []
        with shown.step("prove the ledger"):
            async with house.db.transaction(readonly=True) as tx:
                await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                verdicts = await house.get(Proof).verify(tx)
    faults = [f"{v.claim}: {fault}" for v in verdicts for fault in v.faults]
    return entered, applied, len(verdicts), faults


async def _compare_books(house: House, told: Inventory) -> None:
    """Raises: CopyDamaged, when the ledger is not the one whose copy it is said to be."""
    async with house.db.transaction(readonly=True) as tx:
        await tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        differences = await find_differences(tx, told.ledger)
        if told.head is not None:
            head = Head.of_json(json.dumps(told.head))
            ours = frozenset({Signer(house.get(Vault)).public_key})
            differences += await contradictions(tx, head, ours)
    if differences:
        raise CopyDamaged("the ledger is another one: " + "; ".join(differences))


@asynccontextmanager
async def restored_house(
    settings: Settings, data_dir: Path, urls: Urls, clock: Clock
) -> AsyncIterator[House]:
    """The slices on a restored database; nothing of them is running."""
    own = settings.model_copy(
        update={
            "data_dir": data_dir,
            "key_file": data_dir / KEYS,
            "database_url": SecretStr(urls.app),
        }
    )
    db = await Database.connect(urls.app, size=2, command_timeout_s=None)
    try:
        # Which of its rails are off is said by whoever starts it.
        with redirect_stdout(StringIO()):
            house = assemble(own, db, clock)
        try:
            yield house
        finally:
            await house.close()
    finally:
        await db.close()


def _within(told: Inventory) -> dict[str, inventory.FileMark]:
    within = f"{CLUSTER}/"
    return {
        name.removeprefix(within): mark
        for name, mark in told.files.items()
        if name.startswith(within)
    }
