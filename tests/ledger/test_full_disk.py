"""The disk is full under load: what was acknowledged is there, the rest can be sent again.

A server of its own with durable settings, which is left to run into the wall: a limit on the size
of its files, which needs no rights, and, as root, a disk that is really full.
"""

import asyncio
import base64
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.migrate import upgrade
from hazina.infra.db import Database, DatabaseLost
from hazina.kernel.actor import SYSTEM
from hazina.kernel.money import KES
from hazina.ledger.chart import AccountRef
from hazina.ledger.codes import Code
from hazina.ledger.core import Transfer, move
from hazina.ledger.proof import Proof
from hazina.ledger.service import Ledger, prepare
from tests.ledger.books import OUTSIDE, about, somebody
from tests.process.conftest import data_dir, room  # noqa: F401 - fixtures

pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(sys.platform != "linux", reason="limits and mounts as Linux has them"),
]
BATCH, MOST_BATCHES, MIB = 250, 60, 2**20
IDS = "SELECT count(*) FROM ledger.transfer WHERE id = ANY($1)"


@pytest.fixture
def small_disk(data_dir: Path) -> Iterator[Path]:  # noqa: F811
    """A file system of 160 MiB for the data."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts a file system")
    data_dir.mkdir(mode=0o711)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=160m,mode=711", "tmpfs", str(data_dir)],
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("this root may not mount a file system")
    yield data_dir
    subprocess.run(["umount", "-l", str(data_dir)], check=True)


def start(folder: Path) -> EmbeddedPostgres:
    postgres = EmbeddedPostgres(folder)
    postgres.start()
    asyncio.run(upgrade(postgres.urls.owner))
    return postgres


class TestAFullDisk:
    def test_by_a_limit_on_files_loses_nothing(self, data_dir: Path) -> None:  # noqa: F811
        postgres = start(data_dir)

        def fill() -> None:
            """Room for a segment of the write-ahead log, and no table larger than that."""
            before, most = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (16 * MIB, most))
            try:
                postgres.restart()
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (before, most))

        try:
            asyncio.run(self._run(postgres, fill, lambda: None))
        finally:
            postgres.discard()

    def test_that_is_really_full_loses_nothing(self, small_disk: Path) -> None:
        postgres, ballast = start(small_disk), small_disk / "ballast"

        def fill() -> None:
            disk = os.statvfs(small_disk)
            with ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_bsize - MIB)

        try:
            asyncio.run(self._run(postgres, fill, ballast.unlink))
        finally:
            postgres.stop()

    async def _run(
        self, postgres: EmbeddedPostgres, fill: Callable[[], None], make_room: Callable[[], None]
    ) -> None:
        account, acked, unknown = somebody(), list[Transfer](), list[Transfer]()
        db = await Database.connect(postgres.urls.app, size=2)
        await prepare(Ledger(), db)
        await self._post(db, account_batch := _batch(account))
        acked += account_batch
        await db.close()
        fill()
        db = await Database.connect(postgres.urls.app, size=2)
        for _ in range(MOST_BATCHES):
            batch = _batch(account)
            try:
                await self._post(db, batch)
            except (DatabaseLost, asyncpg.PostgresError):
                unknown += batch
                break
            acked += batch
        assert unknown, "it never became full"
        await db.close()

        make_room()
        assert postgres.pid is not None
        os.kill(postgres.pid, signal.SIGKILL)  # whatever it was about to do
        db = await Database.connect(postgres.restart().app, size=2)
        assert await db.fetchval(IDS, [one.id for one in acked]) == len(acked)
        await self._post(db, unknown)
        balance = await Ledger().balance(db, account)
        assert balance.posted.units == len(acked) + len(unknown)
        async with db.transaction(readonly=True) as tx:
            assert [one for one in await Proof().verify(tx) if not one.holds] == []
        await db.close()

    async def _post(self, db: Database, batch: list[Transfer]) -> None:
        ledger = Ledger()
        results = await db.run(lambda tx: ledger.post(tx, batch, SYSTEM))
        assert all(result.booked for result in results)


def much() -> str:
    """Text that cannot be made shorter."""
    return base64.b85encode(os.urandom(16_000)).decode()


def _batch(account: AccountRef) -> list[Transfer]:
    return [
        move(OUTSIDE, account, KES.units(1), Code.DEPOSIT, about(), metadata={"why": much()})
        for _ in range(BATCH)
    ]
