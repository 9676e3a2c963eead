"""kill -9 of PostgreSQL and of the poster under load: what was acknowledged is there, once.

Real processes and a server of their own with durable settings. ``HAZINA_TEST_KILLS`` makes it long.
"""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import TypeVar

import pytest
from pydantic import SecretStr

from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.wiring import open_house
from hazina.client import WORLD, Account, LedgerClient, Retry
from hazina.client import Transfer as Sent
from hazina.identity.credentials import Credential, Credentials, NewCredential, Scope
from hazina.infra.db import Database
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import Settings
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from hazina.kernel.money import KES
from hazina.ledger.batcher import Batcher, LedgerUnknown
from hazina.ledger.codes import Code
from hazina.ledger.core import ResultCode, Transfer, move
from hazina.ledger.service import MAX_BATCH, Ledger, prepare
from tests.ledger.books import OUTSIDE, about, somebody
from tests.process.conftest import data_dir, house_data, made_once, room  # noqa: F401 - fixtures
from tests.process.running import ROOT, environment

T = TypeVar("T")

pytestmark = [
    pytest.mark.process,
    pytest.mark.timeout(300 + 30 * int(os.environ.get("HAZINA_TEST_KILLS", "0"))),
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]
CALLERS = 64
KILLS = int(os.environ.get("HAZINA_TEST_KILLS", "3"))
ACKS_BETWEEN = 400
IDS = "SELECT id FROM ledger.transfer WHERE id = ANY($1)"


@pytest.fixture
def migrated(house_data: Path) -> Iterator[EmbeddedPostgres]:  # noqa: F811
    server = EmbeddedPostgres(house_data)
    server.start()
    yield server
    server.discard()


@asynccontextmanager
async def opened(server: EmbeddedPostgres) -> AsyncIterator[Database]:
    db = await Database.connect(server.urls.app, size=8)
    try:
        await prepare(Ledger(), db)
        yield db
    finally:
        await db.close()


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of at most ``size``, in order."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some


async def under_load(act: Callable[[], Awaitable[int]], kill: Callable[[], None]) -> None:
    """Many callers until the last kill was survived; ``act`` says how much was acknowledged."""
    acks = kills = 0

    async def caller() -> None:
        nonlocal acks, kills
        while acks < (KILLS + 1) * ACKS_BETWEEN:
            done = await act()
            acks += done
            if kills < KILLS and acks >= (kills + 1) * ACKS_BETWEEN:
                kills += 1
                kill()

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    assert kills == KILLS


class TestPostgresDies:
    @pytest.mark.parametrize("patience_s", [60, 0])
    def test_acknowledged_is_there_and_resent_exists(
        self, migrated: EmbeddedPostgres, patience_s: int
    ) -> None:
        asyncio.run(self._run(migrated, patience_s))

    async def _run(self, postgres: EmbeddedPostgres, patience_s: int) -> None:
        def kill() -> None:
            assert postgres.pid is not None
            os.kill(postgres.pid, signal.SIGKILL)
            postgres.restart()

        account = somebody()
        sent: dict[Transfer, bool] = {}  # and whether it was acknowledged
        unknown = 0
        async with opened(postgres) as db:
            batcher = Batcher(db, Ledger(), patience_s=patience_s)

            async def act() -> int:
                nonlocal unknown
                one = move(OUTSIDE, account, KES.units(1), Code.DEPOSIT, about())
                sent[one] = False
                try:
                    [result] = await batcher.submit([one], SYSTEM)
                except LedgerUnknown:
                    unknown += 1
                    return 0
                assert result.booked
                sent[one] = True
                return 1

            await under_load(act, kill)
            await batcher.close()
            # With patience nobody hears of it; without, callers are told that it is not known.
            assert (unknown == 0) == (patience_s > 0)
            acked = [one.id for one, answered in sent.items() if answered]
            assert len(await db.fetch(IDS, acked)) == len(acked)

            again = Batcher(db, Ledger())
            for some in batched(sent.items(), MAX_BATCH):
                results = await again.submit([one for one, _ in some], SYSTEM)
                for (_, answered), result in zip(some, results, strict=True):
                    assert result.code is ResultCode.EXISTS or not answered
                    assert result.booked
            await again.close()
            balance = await Ledger().balance(db, account)
            assert balance.posted.units == len(sent)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Poster:
    """`hazina internal`, started again after each kill."""

    def __init__(self, postgres: EmbeddedPostgres, folder: Path, port: int) -> None:
        self._told = environment(
            HAZINA_DATABASE_URL=postgres.urls.app,
            HAZINA_KEY_FILE=str(folder / "keys.json"),
            HAZINA_INTERNAL_PORT=str(port),
        )
        self.process = self._start()

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-P", "-m", "hazina.cli", "internal"]
        return subprocess.Popen(command, cwd=ROOT, env=self._told, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(60)
        self.process = self._start()

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(60)


@pytest.fixture
def poster(migrated: EmbeddedPostgres, tmp_path: Path, port: int) -> Iterator[Poster]:
    LocalKeyProvider.generate(tmp_path / "keys.json", datetime(2026, 11, 20, 9, tzinfo=UTC))
    made = Poster(migrated, tmp_path, port)
    yield made
    made.end()


async def issue(postgres: EmbeddedPostgres, folder: Path) -> tuple[Credential, str]:
    settings = Settings(database_url=SecretStr(postgres.urls.app), key_file=folder / "keys.json")
    wanted = NewCredential(f"n{new_id().hex[-8:]}", "test", frozenset(Scope))
    async with open_house(settings) as house:
        credentials, now = house.get(Credentials), house.clock.now()
        return await house.db.run(lambda tx: credentials.create(tx, wanted, SYSTEM, now))


class TestPosterDies:
    def test_acknowledged_is_there_once(
        self, migrated: EmbeddedPostgres, poster: Poster, tmp_path: Path, port: int
    ) -> None:
        asyncio.run(self._run(migrated, poster, tmp_path, port))

    async def _run(
        self, postgres: EmbeddedPostgres, poster: Poster, folder: Path, port: int
    ) -> None:
        credential, secret = await issue(postgres, folder)
        acked = set()
        sent = 0
        async with LedgerClient(
            f"http://127.0.0.1:{port}", credential.wire_id, secret, timeout_s=10,
            retry=Retry(attempts=200, longest_pause_s=0.5),
        ) as ledger:  # fmt: skip
            await ledger.open([Account("alice", "KES")])

            async def act() -> int:
                nonlocal sent
                batch = [Sent.post(WORLD, "alice", "KES", Decimal("0.01")) for _ in range(3)]
                sent += len(batch)
                results = await ledger.post(batch)
                assert all(result.booked for result in results)
                acked.update(result.id for result in results)
                return len(results)

            await under_load(act, poster.kill)
            [balance] = await ledger.balances([Account("alice", "KES")])
        assert len(acked) == sent
        assert balance.posted == Decimal(sent) / 100
        async with opened(postgres) as db:
            assert len(await db.fetch(IDS, list(acked))) == sent
