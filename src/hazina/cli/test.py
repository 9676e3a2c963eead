"""`hazina test`: the tests, on a PostgreSQL that the run starts for itself."""

import os
import sys

import typer

from hazina.cli import screen


def register(app: typer.Typer) -> None:
    app.command(
        rich_help_panel=screen.DEVELOP,
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "allow_interspersed_args": False,
        },
    )(test)


def test(context: typer.Context) -> None:
    """The tests; what follows goes to pytest, e.g. [bold]test tests/ledger -k hold[/bold]."""
    from hazina.cli.tree import become

    chosen = context.args
    # One more than there are cores: tests of processes wait more than they compute.
    workers = str(max(3, min(5, (os.cpu_count() or 2) + 1)))
    own_choice = any(a.startswith(("-n", "--numprocesses", "--collect-only")) for a in chosen)
    spread = [] if own_choice else ["-n", workers, "--dist", "worksteal"]
    become(sys.executable, "-m", "pytest", *spread, *chosen)
