"""The command `hazina`: help, version, and the list of the files that hold its commands.

A command imports what is heavy inside its function, so that `--help` stays quick.
"""

from importlib import import_module
from typing import Annotated

import typer

import hazina

COMMANDS = [
    "up", "demo", "migrate", "operator", "credential", "keys", "ledger", "ledger_acts", "backup",
    "switch", "mpesa", "debts", "treasury", "serve", "simulate", "bench", "check", "test", "lock",
]  # fmt: skip

app = typer.Typer(
    name="hazina",
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_show_locals=False,  # locals hold secrets
    context_settings={"help_option_names": ["--help", "-h"]},
    epilog="Start with [bold]hazina up[/bold]; it prints where to look.",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hazina {hazina.__version__}")
        raise typer.Exit


@app.callback()
def _hazina(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say and stop.")
    ] = False,
) -> None:
    """[bold]Hazina[/bold], a wallet platform on one provable ledger: shillings and gold."""


for _name in COMMANDS:
    import_module(f"hazina.cli.{_name}").register(app)
