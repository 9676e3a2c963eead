"""`hazina simulate …`: the simulators' own command line, loaded only when it is asked for."""

import typer

from hazina.cli import screen


def register(app: typer.Typer) -> None:
    app.command(
        rich_help_panel=screen.SERVE,
        add_help_option=False,
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(simulate)


def simulate(context: typer.Context) -> None:
    """The outside world, played: [bold]simulate daraja[/bold] is an M-Pesa with handsets."""
    from hazina.simulators.cli import app

    app(args=context.args, prog_name="hazina simulate")
