"""The access token is one for all processes: two clients on one database, one token call."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest
from tests.rails.conftest import Sim

from hazina.infra.db import Database, Tx
from hazina.infra.http import Http
from hazina.infra.keys import LocalKeyProvider
from hazina.infra.settings import Settings
from hazina.infra.vault import Vault
from hazina.kernel.clock import SettableClock
from hazina.kernel.outcome import Rejected
from hazina.rails.mpesa.conf import read_conf
from hazina.rails.mpesa.shared_token import TokenRow
from hazina.rails.mpesa.token import PATH, TokenSource

CALLS = PATH.partition("?")[0]
Process = Callable[[], TokenSource]


@pytest.fixture
def process(
    db: Database, settings: Settings, mpesa_settings: Settings, http: Http, now: SettableClock
) -> Process:
    """One process's own look at the token; the row is another app's in every test."""
    conf = read_conf(mpesa_settings)
    assert settings.key_file is not None
    vault = Vault(LocalKeyProvider(settings.key_file))

    def make() -> TokenSource:
        row = TokenRow(db, vault, now, base_url=conf.base_url, consumer_key=str(id(mpesa_settings)))
        return TokenSource(http, conf, now, row)

    return make


class TestTwoProcesses:
    async def test_fetch_one_token_together(self, sim: Sim, process: Process) -> None:
        first, second = process(), process()
        found = await asyncio.gather(*(one.get() for one in (first, second) * 10))
        assert len(set(found)) == 1
        assert sim.counts[CALLS] == 1
        assert await process().get() == found[0]
        assert sim.counts[CALLS] == 1

    async def test_replace_a_refused_one_once_and_nobody_drops_the_new_one(
        self, sim: Sim, process: Process
    ) -> None:
        first, second = process(), process()
        old = await first.get()
        assert isinstance(old, str)
        assert await second.get() == old
        await first.drop(old)
        new = await first.get()
        await second.drop(old)
        assert await second.get() == new != old
        assert sim.counts[CALLS] == 2

    async def test_renew_it_early(self, sim: Sim, process: Process, now: SettableClock) -> None:
        first, second = process(), process()
        old = await first.get()
        now.advance(timedelta(seconds=3599 - 60))
        assert await second.get() != old
        assert sim.counts[CALLS] == 2

    async def test_go_on_when_the_one_that_fetched_has_died(
        self, sim: Sim, process: Process, db: Database, now: SettableClock
    ) -> None:
        dead, waiting = process(), process()
        assert dead._shared is not None
        assert await dead._shared.lease(timedelta(seconds=15)) is not None
        task = asyncio.create_task(waiting.get())
        await asyncio.sleep(0)
        now.advance(timedelta(seconds=16))
        assert isinstance(await task, str)
        assert sim.counts[CALLS] == 1

    async def test_do_not_keep_a_refusal_for_the_others(self, sim: Sim, process: Process) -> None:
        await sim.fault("html_403", operation="oauth")
        assert isinstance(await process().get(), Rejected)
        assert isinstance(await process().get(), str)


async def test_the_row_shows_no_token(sim: Sim, process: Process, db: Database) -> None:
    token = await process().get()
    assert isinstance(token, str)

    async def read(tx: Tx) -> list[bytes]:
        return [row[0] for row in await tx.fetch("SELECT t::text::bytea FROM mpesa.access_token t")]

    assert all(token.encode() not in row for row in await db.run(read))
