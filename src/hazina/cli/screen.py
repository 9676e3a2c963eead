"""How the command line speaks: steps with their time, one table style, errors in plain words."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

FILE_WIDTH = 200  # what is read by a file or a pipe is not cut to some terminal's width

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
if not console.is_terminal and "COLUMNS" not in os.environ:
    console.width = FILE_WIDTH

RUN = "Run the house"
SERVE = "Its processes, one by one"
DEVELOP = "Work on it"


class Step:
    """A step under way; ``note`` is shown beside it when it is done."""

    note = ""


@contextmanager
def step(what: str) -> Iterator[Step]:
    """Shows that ``what`` is going on, and when it is done how long it took."""
    current = Step()
    began = time.monotonic()
    if console.is_terminal:
        with console.status(f"{what} …"):
            yield current
    else:
        yield current
    took = f"[dim]{time.monotonic() - began:.1f} s[/dim]"
    note = f" [dim]({escape(current.note)})[/dim]" if current.note else ""
    console.print(f"[green]✓[/green] {escape(what)}{note} {took}", soft_wrap=True)


def line(text: str) -> None:
    """One line with the time of day, for what happens while the house runs."""
    console.print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {escape(text)}", soft_wrap=True)


def plain_table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")


def fail(why: object) -> typer.Exit:
    """This will print why, for a person, and give the exit to raise."""
    errors.print(f"[red]✗[/red] {escape(str(why))}", soft_wrap=True)
    return typer.Exit(1)
