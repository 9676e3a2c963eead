"""`hazina keys`: the vault's master keys. It shows ids and dates, never a key."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen

if TYPE_CHECKING:
    from hazina.infra.keys import LocalKeyProvider

app = typer.Typer(no_args_is_help=True, help="The vault's master keys: make, rotate, list.")

File = Annotated[
    Path | None,
    typer.Option("--file", help="The key file; HAZINA_KEY_FILE or keys.json in the data folder."),
]


def register(main: typer.Typer) -> None:
    main.add_typer(app, name="keys", rich_help_panel=screen.RUN)


@app.command()
def generate(file: File = None) -> None:
    """Make the key file. It never overwrites one: without it nothing sealed can be opened."""
    from hazina.infra.keys import KeyFileError, LocalKeyProvider
    from hazina.kernel.clock import SystemClock

    path = _path(file)
    try:
        made = LocalKeyProvider.generate(path, SystemClock().now())
    except (KeyFileError, OSError) as why:
        raise screen.fail(why) from None
    screen.console.print(f"[green]✓[/green] {path} with key {made.active}", soft_wrap=True)
    screen.console.print("Back it up, apart from the database: what it seals is lost without it.")


@app.command()
def rotate(file: File = None) -> None:
    """Add a key and seal with it from now on; the older ones still open."""
    from hazina.infra.keys import VaultError
    from hazina.kernel.clock import SystemClock

    try:
        added = _provider(file).rotate(SystemClock().now())
    except (VaultError, OSError) as why:
        raise screen.fail(why) from None
    screen.console.print(f"[green]✓[/green] {added} is active. Back the key file up again.")
    screen.console.print("Running processes seal with it after their next restart.")


@app.command("list")
def list_all(file: File = None) -> None:
    """List the ids of the keys and which one is active."""
    from hazina.infra.keys import VaultError

    try:
        keys = _provider(file).list_keys()
    except VaultError as why:
        raise screen.fail(why) from None
    table = screen.plain_table("Key", "Made", "State")
    for key in keys:
        state = "[green]active[/green]" if key.active else "opens older records"
        table.add_row(key.id, key.created_at[:10], state)
    screen.console.print(table)


def _path(file: Path | None) -> Path:
    from hazina.infra.manifest import key_file
    from hazina.infra.settings import load_settings

    return file or key_file(load_settings())


def _provider(file: Path | None) -> "LocalKeyProvider":
    from hazina.infra.keys import LocalKeyProvider

    return LocalKeyProvider(_path(file))
