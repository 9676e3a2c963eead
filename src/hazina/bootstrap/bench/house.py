"""The house that flows are measured in: its real processes, on data of the benchmark's.

Wallet, worker, the simulated M-Pesa and SMS gateway, as `hazina up` starts them, and the bare
handler beside.
Limits that protect one phone or address from many are out of the way: all come from one address.
"""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO

from hazina.bootstrap import demo_seed, household, ports
from hazina.bootstrap.embedded import EmbeddedPostgres
from hazina.bootstrap.household import Household, SimulatedMpesa
from hazina.bootstrap.migrate import upgrade
from hazina.bootstrap.processes import Child, Supervisor
from hazina.infra.settings import Settings

READY_S = 120
POLL_S = 0.1
MUCH = "1000000/minute"
OPEN = {
    "HAZINA_LOGIN_LIMIT": MUCH,
    "HAZINA_STK_LIMIT": MUCH,
    "HAZINA_DEPOSIT_DAILY_LIMIT_KES": "2000000000",
    "HAZINA_WITHDRAWAL_DAILY_LIMIT_KES": "2000000000",
    "HAZINA_PASSWORD_MEMORY_KIB": "8",
    "HAZINA_LOG_LEVEL": "warning",
}


class NotReady(Exception):
    """A process did not come up; the text says why."""


@dataclass(frozen=True, slots=True)
class BenchHouse:
    """Running processes and where they listen."""

    server: EmbeddedPostgres
    settings: Settings
    wallet_port: int
    daraja_port: int
    bare_port: int
    pids: Mapping[str, int]


@contextmanager
def running(server: EmbeddedPostgres, say: Callable[[str], None]) -> Iterator[BenchHouse]:
    """This will start everything on a running server and stop it at the end. Raises: NotReady."""
    data_dir = server.data_dir
    say("the house starts")
    asyncio.run(upgrade(server.urls.owner))
    chosen, _ = ports.choose(data_dir, None)
    mpesa = SimulatedMpesa.of(data_dir)
    home = Household(data_dir, chosen, server.urls, mpesa)
    settings = household.read_settings(home.settings() | OPEN)
    asyncio.run(household.ensure_keys(settings, server.urls))
    supervisor = Supervisor(data_dir, None, say)
    supervisor.wait_for_leftovers()
    try:
        for child in _children(home):
            supervisor.start(child)
        _until(supervisor, lambda: household.why_not_ready(chosen.wallet))
        for port in (chosen.daraja, chosen.sms, chosen.console):
            _until(supervisor, lambda port=port: "" if ports.answers(port) else f"port {port}")  # type: ignore[misc]
        with redirect_stdout(StringIO()):  # what a house says when it starts is not ours to print
            asyncio.run(demo_seed.ensure(settings))
        ours, theirs = chosen.wallet, chosen.console
        yield BenchHouse(server, settings, ours, chosen.daraja, theirs, supervisor.pids)
    finally:
        supervisor.stop()


def _children(home: Household) -> Iterator[Child]:
    """The bare handler takes the place and the port of the console, which nobody asks here."""
    yield from home.simulators()
    for child in home.processes(1):
        if child.name == "console":
            python = list(child.command[:-2])
            port = str(home.ports.console)
            command = [*python, "hazina.bootstrap.bench.bare", port]
            yield replace(child, name="bare", command=command)
        else:
            yield child


def _until(supervisor: Supervisor, why_not: Callable[[], str]) -> None:
    deadline = time.monotonic() + READY_S
    while why := why_not():
        supervisor.ensure_alive()
        if time.monotonic() > deadline:
            raise NotReady(f"not ready after {READY_S} s: {why}")
        time.sleep(POLL_S)
