"""`hazina demo`: the whole story on fresh data, every figure checked, and a table at the end."""

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen

if TYPE_CHECKING:
    from hazina.bootstrap.demo.checks import Check, Findings
    from hazina.bootstrap.demo.play import Demonstration
    from hazina.bootstrap.demo.stack import Stack

INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=screen.RUN)(demo)


def demo(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object, nothing else.")] = False,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep the data in this folder, which must be empty or not there."),
    ] = None,
) -> None:
    """Play the story on fresh data: buy, sell, withdraw, everything that goes wrong, kill -9.

    Exit 0 only if every check held. It cleans up after itself, also on Ctrl-C.
    """
    from hazina.bootstrap.demo.checks import Findings
    from hazina.bootstrap.demo.play import Demonstration
    from hazina.bootstrap.demo.stack import HouseFailed, Stack

    began = time.monotonic()
    with _folder(keep) as data_dir, _progress(quiet=as_json) as (tick, now):
        findings = Findings(tick)
        show = Demonstration(Stack(data_dir), findings, now)
        try:
            asyncio.run(_play(show, keep=keep is not None))
        except HouseFailed as why:
            raise screen.fail(why) from None
        except asyncio.CancelledError:
            screen.errors.print("stopped; everything is put away")
            raise typer.Exit(INTERRUPTED) from None
    took_s = time.monotonic() - began
    if as_json:
        typer.echo(json.dumps(_as_json(show, took_s, keep)))
    else:
        _show(show, took_s, keep)
    if not findings.held:
        raise typer.Exit(1)


async def _play(show: "Demonstration", *, keep: bool) -> None:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, task.cancel)
    try:
        await show.play()
    finally:
        # Not awaited: while this runs, another Ctrl-C waits, and nothing is left behind.
        _put_away(show.stack, keep=keep)


def _put_away(stack: "Stack", *, keep: bool) -> None:
    if keep:
        stack.stop()
    else:
        stack.discard()


@contextmanager
def _folder(keep: Path | None) -> "Iterator[Path]":
    """The data directory: ``keep``, or one that is gone afterwards."""
    import os
    import tempfile

    if keep is not None:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise screen.fail(f"{keep} is not empty: the demonstration needs fresh data")
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="hazina-demo-") as folder:
        if os.geteuid() == 0:
            Path(folder).chmod(0o711)  # the database's own user passes through
        yield Path(folder) / "data"


@contextmanager
def _progress(*, quiet: bool) -> "Iterator[tuple[Callable[[Check], None], Callable[[str], None]]]":
    """A line for each check, under the name of the chapter, and what is going on below."""
    if quiet:
        yield (lambda _: None), (lambda _: None)
        return
    with screen.console.status("…") as status:

        def tick(check: "Check") -> None:
            if check.held:
                screen.console.print(f"[green]✓[/green] {_plain(check.step)}", soft_wrap=True)
                return
            screen.console.print(
                f"[red]✗[/red] {_plain(check.step)}: expected {_plain(check.expected)}, "
                f"saw {_plain(check.seen)}",
                soft_wrap=True,
            )

        def now(what: str) -> None:
            screen.console.print(f"[bold]{what}[/bold]")
            status.update(f"{what} …")

        yield tick, now


def _show(show: "Demonstration", took_s: float, keep: Path | None) -> None:
    from rich.table import Table

    table = Table("", "Step", "Expected", "Seen", box=None, pad_edge=False, header_style="dim")
    chapter = ""
    for check in _in_order(show.findings):
        if check.chapter != chapter:
            chapter = check.chapter
            table.add_row("", f"[bold]{chapter}[/bold]")
        mark = "[green]✓[/green]" if check.held else "[red]✗[/red]"
        table.add_row(mark, *(_plain(text) for text in (check.step, check.expected, check.seen)))
    screen.console.print()
    screen.console.print(table)
    screen.console.print()
    screen.console.print(_balances(show))
    failed = [check for check in show.findings.checks if not check.held]
    verdict = f"[red]{len(failed)} of" if failed else "[green]all"
    ended = "checks did not hold[/red]" if failed else "checks held[/green]"
    count = len(show.findings.checks)
    screen.console.print(f"\n{verdict} {count} {ended} in {took_s:.0f} s")
    if keep is not None:
        screen.console.print(f"The data are kept: ./hazina up --data {keep}")


def _balances(show: "Demonstration") -> object:
    table = screen.plain_table("Trial balance", "Asset")
    for name in ("Debits", "Credits", "Held", "Balance"):
        table.add_column(name, justify="right")
    moved = (
        one for one in show.trial_balance if one["debits"].strip("0.") or one["credits"].strip("0.")
    )
    for line in moved:
        cells = (line[name] for name in ("debits", "credits", "held", "balance"))
        table.add_row(line["purpose"], line["asset"], *cells)
    return table


def _as_json(show: "Demonstration", took_s: float, keep: Path | None) -> dict[str, object]:
    checks = [
        {
            "chapter": check.chapter,
            "step": check.step,
            "expected": check.expected,
            "seen": check.seen,
            "held": check.held,
        }
        for check in _in_order(show.findings)
    ]
    return {
        "held": show.findings.held,
        "seconds": round(took_s, 1),
        "checks": checks,
        "trial_balance": show.trial_balance,
        "data": None if keep is None else str(keep),
    }


def _in_order(findings: "Findings") -> "list[Check]":
    """By chapter; within one, as they were made."""
    from hazina.bootstrap.demo.play import TITLES

    return sorted(findings.checks, key=lambda check: TITLES.index(check.chapter))


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
