"""A copy is whole and verified, or it is not there; what is restored is what was copied."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hazina.bootstrap.backup import inventory
from hazina.bootstrap.backup.making import back_up, list_copies
from hazina.bootstrap.backup.restoring import SUFFIX, Restored, choose, restore
from hazina.bootstrap.backup.trouble import BackupTrouble, CopyDamaged, CopyExists, KeysMissing
from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.lifeline import FileLock
from hazina.bootstrap.migrate import upgrade
from hazina.bootstrap.pg_record import Urls
from hazina.infra.db import Database
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import Settings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.clock import SettableClock
from tests.process.running import ROOT, environment
from tests.process.waiting import wait_until

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]
AT = datetime(2026, 11, 20, 9, tzinfo=UTC)


class Home:
    """A migrated, empty house; its keys and copies are the test's own."""

    def __init__(self, server: EmbeddedPostgres, room: Path) -> None:
        self.server, self.room = server, room
        self.keys = room / "keys.json"
        LocalKeyProvider.generate(self.keys, AT)
        self.settings = Settings(data_dir=server.data_dir, key_file=self.keys)
        self.folder = room / "copies"

    @property
    def urls(self) -> Urls:
        return self.server.urls

    async def back_up(self, minute: int = 0, keep: int | None = None) -> Path:
        now = AT + timedelta(minutes=minute)
        return (await back_up(self.settings, self.urls, self.folder, now=now, keep=keep)).path

    async def restore(self, copy: Path, keys: Path | None = None) -> Restored:
        return await restore(
            copy, self.room / "back", keys or self.keys, settings=self.settings,
            clock=SettableClock(AT), actor=SYSTEM,
        )  # fmt: skip

    @property
    def is_untouched(self) -> bool:
        """Nothing that a start could take for a house."""
        return not (self.room / "back").exists() and not (self.room / f"back{SUFFIX}").exists()


@pytest.fixture(scope="module")
def migrated() -> Iterator[EmbeddedPostgres]:
    """One server for this file: nothing here changes what is in it, but where it says so."""
    folder = Path(tempfile.mkdtemp(prefix="hz-"))
    folder.chmod(0o711)  # root's server runs as another user, who passes through here
    server = EmbeddedPostgres(folder / "data")
    asyncio.run(upgrade(server.start().owner))
    yield server
    server.discard()
    shutil.rmtree(folder)


@pytest.fixture
def home(migrated: EmbeddedPostgres, room: Path) -> Home:
    return Home(migrated, room)


@pytest.fixture
def restored(room: Path) -> Iterator[Path]:
    yield room / "back"
    EmbeddedPostgres(room / "back").discard()


async def test_restored_is_the_same_house_with_passwords_of_its_own(
    home: Home, restored: Path
) -> None:
    made = await home.restore(await home.back_up())
    assert (made.faults, made.applied, made.recovery.copied_at) == ([], [], AT)
    assert made.claims > 10
    assert (restored / "keys.json").stat().st_mode & 0o077 == 0
    server = EmbeddedPostgres(restored)
    urls = server.start()
    try:
        assert urls.app.split("@")[0] != home.urls.app.split("@")[0]
        db = await Database.connect(urls.app, size=2)
        assert await db.fetchval("SELECT count(*) FROM desk.recovery") == 1
        await db.close()
    finally:
        server.stop()


async def test_no_secret_is_in_a_copy(home: Home) -> None:
    copy = await home.back_up()
    told = (copy / inventory.NAME).read_text()
    root = json.loads(home.keys.read_text())["root"]
    passwords = json.loads((home.server.data_dir / "database.json").read_text())["passwords"]
    secrets = [root, *passwords.values()]
    for name in inventory.walk(copy):
        held = (copy / name).read_bytes()
        assert not [secret for secret in secrets if secret.encode() in held], name
    assert "HAZINA_DATABASE_URL" not in told
    assert json.loads(told)["settings"]["HAZINA_MODE"] == "development"


def flip(path: Path) -> None:
    held = bytearray(path.read_bytes())
    held[len(held) // 2] ^= 1
    path.write_bytes(held)


def edit(**changes: Any) -> Callable[[Path], None]:
    def change(copy: Path) -> None:
        told = json.loads((copy / inventory.NAME).read_text())
        (copy / inventory.NAME).write_text(json.dumps(told | changes))

    return change


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda copy: flip(copy / "cluster" / "global" / "pg_control"), "not what was written"),
        (lambda copy: flip(next((copy / "cluster" / "pg_wal").glob("0*"))), "not what was written"),
        (lambda copy: (copy / "cluster" / "PG_VERSION").unlink(), "missing"),
        (lambda copy: (copy / "cluster" / "extra").write_text("x"), "does not belong"),
        (lambda copy: (copy / inventory.NAME).unlink(), "not a finished copy"),
        (lambda copy: (copy / inventory.NAME).write_text("{"), "cannot be read"),
        (edit(made_at="2026-11-20T10:00:00+00:00"), "seal"),
        (edit(files={}), "seal"),
        (edit(format=2), "format"),
    ],
)  # fmt: skip
async def test_a_harmed_copy_is_refused_before_anything_is_written(
    home: Home, harm: Callable[[Path], object], words: str
) -> None:
    copy = await home.back_up()
    harm(copy)
    with pytest.raises(CopyDamaged, match=words):
        await home.restore(copy)
    assert home.is_untouched


async def test_harm_done_while_it_is_copied_is_seen_by_the_servers_own_manifest(
    home: Home,
) -> None:
    copy = await home.back_up()
    marks = {
        name.removeprefix("cluster/"): inventory.mark_of(copy / name)
        for name in inventory.walk(copy)
        if name.startswith("cluster/")
    }
    from hazina.bootstrap.backup.verifying import check_cluster

    programs = home.server.bin("postgres").parent
    check_cluster(copy / "cluster", marks, programs)
    gone = marks | {"global/pg_control": inventory.FileMark(1, "0")}
    with pytest.raises(CopyDamaged):
        check_cluster(copy / "cluster", gone, programs)
    flip(copy / "cluster" / "backup_manifest")
    with pytest.raises((CopyDamaged, ValueError)):
        check_cluster(copy / "cluster", marks, programs)


async def test_without_its_keys_a_copy_stays_closed(home: Home) -> None:
    copy, other = await home.back_up(), home.room / "other.json"
    with pytest.raises(KeysMissing, match="k1"):
        await home.restore(copy, home.room / "nothing.json")
    LocalKeyProvider.generate(other, AT)  # of the same id, and another key
    with pytest.raises(KeysMissing, match="k1"):
        await home.restore(copy, other)
    assert home.is_untouched


async def test_a_key_added_later_still_opens_an_older_copy(home: Home, restored: Path) -> None:
    copy = await home.back_up()
    LocalKeyProvider(home.keys).rotate(AT)
    assert (await home.restore(copy)).faults == []
    second = await home.back_up(1)
    assert sorted(inventory.read(second)[0].probes) == ["k1", "k2"]


async def test_nothing_is_restored_over_something(home: Home) -> None:
    copy = await home.back_up()
    (home.room / "back").mkdir()
    (home.room / "back" / "note").write_text("mine")
    with pytest.raises(CopyExists):
        await home.restore(copy)
    assert [p.name for p in (home.room / "back").iterdir()] == ["note"]


async def test_a_copy_is_never_overwritten_and_the_newest_are_kept(home: Home) -> None:
    first = await home.back_up(0)
    with pytest.raises(CopyExists):
        await home.back_up(0)
    second, third = await home.back_up(1), await home.back_up(2, keep=2)
    assert list_copies(home.folder) == [second, third]
    assert not first.exists()
    assert choose(home.folder) == third
    assert choose(second) == second
    with pytest.raises(CopyDamaged):
        choose(home.room)


async def test_one_backup_at_a_time_in_a_folder(home: Home) -> None:
    home.folder.mkdir()
    lock = FileLock(home.folder / ".lock")
    assert lock.try_acquire()
    with pytest.raises(BackupTrouble, match="another backup"):
        await home.back_up()
    lock.release()
    assert await home.back_up()


async def test_a_backup_that_fails_leaves_nothing(home: Home) -> None:
    nowhere = Urls(*[home.urls.admin.replace("hazina_admin", "nobody")] * 4)
    with pytest.raises(Exception, match="nobody"):
        await back_up(home.settings, nowhere, home.folder, now=AT)
    assert list_copies(home.folder) == []
    assert not list(home.folder.glob(".partial-*"))


async def test_what_a_newer_house_copied_is_refused(home: Home) -> None:
    db = await Database.connect(home.urls.owner, size=2)
    await db.run(lambda tx: tx.execute("INSERT INTO alembic_version VALUES ('ledger_9999')"))
    try:
        with pytest.raises(BackupTrouble, match="newer house"):
            await home.restore(await home.back_up())
        assert home.is_untouched
    finally:
        forget = "DELETE FROM alembic_version WHERE version_num = 'ledger_9999'"
        await db.run(lambda tx: tx.execute(forget))
        await db.close()


async def test_new_transactions_come_after_all_that_a_dump_brought(
    home: Home, restored: Path
) -> None:
    """Sealing goes by transaction numbers: a fresh server begins at 700 again, and what it books
    would lie before everything that was restored."""
    content = Urls(home.urls.owner, home.urls.owner, home.urls.app, home.urls.readonly)
    copy = await back_up(home.settings, content, home.folder, now=AT)
    assert copy.inventory.how is inventory.How.LOGICAL
    await home.restore(copy.path)
    server = EmbeddedPostgres(restored)
    db = await Database.connect(server.start().app, size=2)
    try:
        now_at = int(await db.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))
        assert now_at > copy.inventory.next_xid
    finally:
        await db.close()
        server.stop()


def begin_backup(home: Home) -> subprocess.Popen[bytes]:
    kept = {"HAZINA_DATA_DIR": str(home.server.data_dir), "HAZINA_KEY_FILE": str(home.keys)}
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "hazina.cli", "backup", str(home.folder)],
        cwd=ROOT,
        env=environment(**kept),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


@pytest.mark.parametrize("moment", ["at once", "while files come", "late"])
async def test_kill_9_in_the_middle_leaves_no_half_copy_that_looks_whole(
    home: Home, moment: str
) -> None:
    process = begin_backup(home)
    least = {"at once": 0, "while files come": 20, "late": 900}[moment]

    def far_enough() -> bool:
        partial = next(iter(home.folder.glob(".partial-*")), None)
        if process.poll() is not None or list_copies(home.folder):
            return True
        return partial is not None and sum(1 for _ in partial.rglob("*")) >= least

    wait_until("files come", far_enough, deadline_s=60)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    for copy in list_copies(home.folder):  # it was quicker than we were: then it is whole
        inventory.check_files(copy, inventory.read(copy)[0])
        shutil.rmtree(copy)
    for left in home.folder.iterdir():
        with pytest.raises(CopyDamaged):
            choose(left)
    with pytest.raises(CopyDamaged):
        choose(home.folder)
    await home.back_up()
    assert not list(home.folder.glob(".partial-*"))
