"""`hazina bench`: how fast the house is, in ratios to its own database, in one run."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from hazina.cli import screen

if TYPE_CHECKING:
    from hazina.bootstrap.bench.report import Report, Row

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Measure: the ledger, the flows, at any size.")

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object, nothing else.")]
Seconds = Annotated[float, typer.Option(min=0.1, help="How long each shape is measured.")]
SEEDED = "Books made by `hazina bench seed`; they grow. Left out: fresh ones that go afterwards."


def register(main: typer.Typer) -> None:
    main.add_typer(app, name="bench", rich_help_panel=screen.DEVELOP)


@app.command()
def ledger(
    as_json: AsJson = False,
    scale: Annotated[
        int, typer.Option(min=100, help="Entries that are there before, in fresh books.")
    ] = 100_000,
    seconds: Seconds = 5.0,
    clients: Annotated[
        str, typer.Option(help="How many clients at once, one after the other.")
    ] = "1,32,256,1024",
    data: Annotated[Path | None, typer.Option(help=SEEDED)] = None,
) -> None:
    """Measure every shape of posting beside pgbench -N. Exit 1 where an aim is missed."""
    from hazina.bootstrap.bench.baseline import Pgbench
    from hazina.bootstrap.bench.books import Books, NotSeeded, server_for
    from hazina.bootstrap.bench.ledger import LedgerBench
    from hazina.bootstrap.pg_place import EmbeddedTrouble

    counts = _counts(clients)
    with _status(quiet=as_json) as now:

        async def run() -> "Report":
            async with Books.open(server, scale, seeded=data is not None) as books:
                return await LedgerBench(books, Pgbench(server), seconds, counts, now).run()

        try:
            now("PostgreSQL, and the books")
            with server_for(data) as server:
                report = _looped(run())
        except (EmbeddedTrouble, NotSeeded) as why:
            raise screen.fail(why) from None
    _end(report, as_json=as_json)


@app.command()
def flows(
    as_json: AsJson = False,
    seconds: Seconds = 5.0,
    data: Annotated[Path | None, typer.Option(help=SEEDED)] = None,
) -> None:
    """Measure what people wait for through the service. Exit 1 where an aim is missed."""
    from hazina.bootstrap.bench.baseline import Pgbench
    from hazina.bootstrap.bench.books import server_for
    from hazina.bootstrap.bench.flows import FlowsBench
    from hazina.bootstrap.bench.house import BenchHouse, NotReady, running
    from hazina.bootstrap.pg_place import EmbeddedTrouble
    from hazina.bootstrap.processes import ChildFailed
    from hazina.infra.db import Database

    with _status(quiet=as_json) as now:

        async def run(house: BenchHouse) -> "Report":
            db = await Database.connect(house.server.urls.app, size=4)
            try:
                return await FlowsBench(house, db, Pgbench(house.server), seconds, now).run()
            finally:
                await db.close()

        try:
            now("PostgreSQL")
            with server_for(data) as server, running(server, now) as house:
                report = _looped(run(house))
        except (EmbeddedTrouble, NotReady, ChildFailed) as why:
            raise screen.fail(why) from None
    _end(report, as_json=as_json)


@app.command()
def seed(
    data: Annotated[Path, typer.Option(help="A new folder for them.")],
    entries: Annotated[int, typer.Option(min=100, help="How many entries.")] = 10_000_000,
    accounts: Annotated[int, typer.Option(min=10, help="Over how many wallets.")] = 1_000_000,
) -> None:
    """Make years of books at once, to measure at size; `hazina ledger verify` proves them."""
    from hazina.bootstrap.bench.seed import NotFresh, Size
    from hazina.bootstrap.bench.seed import seed as make
    from hazina.bootstrap.embedded import EmbeddedPostgres
    from hazina.bootstrap.pg_place import EmbeddedTrouble
    from hazina.kernel.clock import SystemClock

    size = Size.of(entries, accounts)
    try:
        with EmbeddedPostgres(data) as server, _progress(size.entries) as heard:
            took_s = _looped(make(server.urls, size, SystemClock().now(), heard))
    except (EmbeddedTrouble, NotFresh) as why:
        raise screen.fail(why) from None
    screen.console.print(
        f"[green]✓[/green] {size.entries:,} entries over {size.accounts:,} wallets in {data}: "
        f"{took_s:.0f} s, {size.entries / took_s:,.0f} entries/s"
    )


@app.command()
def plans(
    data: Annotated[Path, typer.Option(help="Books made by `hazina bench seed`.")],
    to: Annotated[Path | None, typer.Option(help="Write the page here; else print it.")] = None,
) -> None:
    """Explain the queries that run all day. Exit 1 where one reads a large table whole."""
    from hazina.bootstrap.bench import machine
    from hazina.bootstrap.bench.plans import explain, page
    from hazina.bootstrap.embedded import EmbeddedPostgres
    from hazina.bootstrap.pg_place import EmbeddedTrouble
    from hazina.kernel.clock import SystemClock

    try:
        with EmbeddedPostgres(data) as server:
            found, sizes = _looped(explain(server.urls.admin, SystemClock().now()))
            told = _looped(machine.describe(server.urls.admin, server.data_dir))
    except EmbeddedTrouble as why:
        raise screen.fail(why) from None
    said = f"PostgreSQL {told['postgresql']['server_version']}, {told['cores']} cores."
    text = page(found, sizes, said)
    if to is None:
        typer.echo(text)
    else:
        to.write_text(text)
        screen.console.print(f"[green]✓[/green] {len(found)} plans in {to}")
    for plan in found:
        if plan.scanned:
            screen.errors.print(f"[red]✗[/red] {plan.title}: reads all of {plan.scanned}")
    if any(plan.scanned for plan in found):
        raise typer.Exit(1)


def _counts(text: str) -> tuple[int, ...]:
    try:
        counts = tuple(int(part) for part in text.split(","))
    except ValueError:
        counts = ()
    if not counts or min(counts) < 1:
        raise screen.fail("--clients is a list of numbers such as 1,32,1024")
    return counts


def _looped(work: "Coroutine[Any, Any, T]") -> T:
    """The loop that the house itself runs on."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


@contextmanager
def _status(*, quiet: bool) -> Iterator[Callable[[str], None]]:
    if quiet or not screen.console.is_terminal:
        yield (lambda _: None)
        return
    with screen.console.status("…") as status:
        yield (lambda what: status.update(f"{what} …"))


@contextmanager
def _progress(total: int) -> Iterator[Callable[[str, int, int], None]]:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(bar_width=30), TextColumn("{task.percentage:>3.0f}%"), TimeRemainingColumn(),
        TextColumn("{task.fields[rate]}"), TextColumn("{task.description}"),
    )  # fmt: skip
    with Progress(*columns, console=screen.console, transient=True) as bar:
        task = bar.add_task("", total=total, rate="")

        def heard(what: str, made: int, _all: int) -> None:
            speed = bar.tasks[task].speed
            rate = f"{speed:,.0f} entries/s" if speed else ""
            bar.update(task, description=what, completed=made, rate=rate)

        yield heard


def _end(report: "Report", *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(report.as_json()))
    else:
        _show(report)
    if not report.met:
        raise typer.Exit(1)


def _show(report: "Report") -> None:
    for name, value in (report.machine | report.how).items():
        screen.console.print(f"[dim]{name}[/dim] {_said(value)}", soft_wrap=True)
    table = screen.plain_table("", "Measured")
    for name in ("Figure", "", "Baseline", "Ratio", "Aim"):
        table.add_column(name, justify="left" if name in ("", "Aim") else "right")
    table.add_column("", style="dim")
    for row in report.rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        figures = (_figure(row.figure), row.unit, _figure(row.baseline), ratio)
        table.add_row(_mark(row), row.name, *figures, row.aim, row.note)
    screen.console.print(table)


def _mark(row: "Row") -> str:
    if row.met is None:
        return ""
    return "[green]✓[/green]" if row.met else "[red]✗[/red]"


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 or value == 0 else f"{value:,.3f}"


def _said(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    return str(value)
