"""`hazina migrate`: the newest schema, on the configured or the embedded database."""

import asyncio

import typer

from hazina.cli import screen


def register(app: typer.Typer) -> None:
    app.command(rich_help_panel=screen.RUN)(migrate)


def migrate() -> None:
    """Bring the database to the newest schema; [bold]up[/bold] does so by itself."""
    from hazina.bootstrap.database import database_for
    from hazina.bootstrap.migrate import upgrade
    from hazina.bootstrap.pg_place import EmbeddedTrouble
    from hazina.infra.settings import load_settings

    try:
        with database_for(load_settings()) as urls, screen.step("database schema") as step:
            applied = asyncio.run(upgrade(urls.owner))
            step.note = ", ".join(applied) or "up to date"
    except EmbeddedTrouble as why:
        raise screen.fail(why) from None
