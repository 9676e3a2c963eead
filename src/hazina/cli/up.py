"""`hazina up`: the whole house on this machine, in the foreground."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen

if TYPE_CHECKING:
    from hazina.bootstrap.household import DemoLogin, Household
    from hazina.bootstrap.processes import Supervisor

READY_TIMEOUT_S = 120
POLL_S = 0.05


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=screen.RUN)(up)


def up(
    data: Annotated[
        Path | None,
        typer.Option(help="Where everything is kept; made when missing.", envvar="HAZINA_DATA_DIR"),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            min=1024,
            max=65533,
            envvar="HAZINA_PORT",
            help="Wallet; console and simulated M-Pesa take the two after it. Left out: 8420, or "
            "those of the last start, or free ones.",
        ),
    ] = None,
    simulators: Annotated[
        bool, typer.Option(help="A simulated M-Pesa with handsets, and demo logins.")
    ] = True,
) -> None:
    """Start everything on this machine: database, wallet, console, worker, simulated M-Pesa.

    Ctrl-C stops it all. Data stay; killed processes come back by themselves.
    """
    from hazina.bootstrap.household import KeysMissing
    from hazina.bootstrap.pg_place import EmbeddedTrouble
    from hazina.bootstrap.ports import PortTaken
    from hazina.bootstrap.processes import ChildFailed, LeftoversRemain, Stopped, stop_signals
    from hazina.infra.settings import UnsafeSettings

    with stop_signals():
        try:
            _run(data or Path("data"), port, simulators=simulators)
        except Stopped:
            screen.console.print("[green]✓[/green] everything is stopped; the data stay")
        except (
            EmbeddedTrouble,
            PortTaken,
            ChildFailed,
            LeftoversRemain,
            KeysMissing,
            UnsafeSettings,
        ) as why:
            raise screen.fail(why) from None


def _run(data_dir: Path, port: int | None, *, simulators: bool) -> None:
    from hazina.bootstrap import household, ports
    from hazina.bootstrap.database import configured
    from hazina.bootstrap.embedded import DataDirBusy, EmbeddedPostgres
    from hazina.bootstrap.migrate import upgrade
    from hazina.bootstrap.processes import Supervisor
    from hazina.infra.manifest import key_file
    from hazina.infra.settings import Settings

    postgres = EmbeddedPostgres(data_dir)
    data_dir = postgres.data_dir
    elsewhere = configured(Settings())
    supervisor = Supervisor(data_dir, postgres if elsewhere is None else None, screen.line)
    with ExitStack() as last:
        try:
            postgres.lock()
        except DataDirBusy as busy:
            seen = ports.remembered(data_dir)
            where = f"; the wallet is at http://{ports.LOOPBACK}:{seen.wallet}" if seen else ""
            raise screen.fail(f"{busy}{where}") from None
        last.callback(postgres.stop)
        last.callback(supervisor.stop)
        supervisor.wait_for_leftovers()
        chosen, said = ports.choose(data_dir, port)
        if said:
            screen.line(said)
        if elsewhere is None:
            with screen.step("PostgreSQL") as step:
                urls = postgres.start()
                step.note = f"in {data_dir}"
        else:
            urls = elsewhere
        mpesa = household.SimulatedMpesa.of(data_dir) if simulators else None
        house = household.Household(data_dir, chosen, urls, mpesa)
        settings = household.read_settings(house.settings())
        with screen.step("database schema") as step:
            applied = asyncio.run(upgrade(urls.owner))
            step.note = f"applied: {len(applied)}" if applied else "up to date"
        with screen.step("vault keys") as step:
            made = asyncio.run(household.ensure_keys(settings, urls))
            step.note = f"{key_file(settings)}: back it up, apart from the database" if made else ""
        _start_children(supervisor, house, settings.web_processes)
        logins: Sequence[household.DemoLogin] = []
        if simulators:
            from hazina.bootstrap import demo_seed

            with screen.step("demo logins"):
                logins = asyncio.run(demo_seed.ensure(settings))
        _show(house, logins)
        supervisor.watch()


def _start_children(supervisor: "Supervisor", house: "Household", web_processes: int) -> None:
    from hazina.bootstrap import household

    simulators = house.simulators()
    if simulators:
        with screen.step("simulated M-Pesa and SMS"):
            for child in simulators:
                supervisor.start(child)
            _until(supervisor, _closed(house.ports.daraja))
            _until(supervisor, _closed(house.ports.sms))
    with screen.step("wallet, console and worker"):
        for child in house.processes(web_processes):
            supervisor.start(child)
        _until(supervisor, lambda: household.why_not_ready(house.ports.wallet))
        _until(supervisor, _closed(house.ports.console))


def _until(supervisor: "Supervisor", why_not: Callable[[], str]) -> None:
    """Waits until there is no reason why not. Raises: ChildFailed, when a part ends instead or
    takes too long."""
    from hazina.bootstrap.processes import ChildFailed

    deadline = time.monotonic() + READY_TIMEOUT_S
    while why := why_not():
        supervisor.ensure_alive()
        if time.monotonic() > deadline:
            raise ChildFailed(f"not ready after {READY_TIMEOUT_S} s: {why}")
        time.sleep(POLL_S)


def _closed(port: int) -> Callable[[], str]:
    from hazina.bootstrap import ports

    return lambda: "" if ports.answers(port) else f"nobody answers on port {port}"


def _show(house: "Household", logins: Sequence["DemoLogin"]) -> None:
    addresses = screen.plain_table()
    addresses.add_row("Wallet", f"[bold]{house.wallet_url}[/bold]")
    addresses.add_row("Operators' console", house.console_url)
    addresses.add_row("API", f"{house.wallet_url}/docs")
    if house.mpesa is not None:
        addresses.add_row("Simulated handsets", house.daraja_url)
        addresses.add_row("Simulated SMS inbox", house.sms_url)
    for login in logins:
        if login.handset:
            addresses.add_row(f"Handset of {login.username}", login.handset)
    addresses.add_row("Logs", str(house.data_dir / "logs"))
    screen.console.print()
    screen.console.print(addresses)
    if logins:
        table = screen.plain_table("Demo login", "user", "password", "")
        for login in logins:
            table.add_row(login.page, login.username, login.password, login.about)
        screen.console.print()
        screen.console.print(table)
    screen.console.print("\nCtrl-C stops everything; the data stay.")
