"""`hazina backup`, `restore` and `drill`: verified copies, and what comes back out of them."""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen
from hazina.cli.house import here, settings_for

if TYPE_CHECKING:
    from hazina.bootstrap.backup.drilling import Drilled
    from hazina.bootstrap.backup.making import Copy
    from hazina.bootstrap.backup.restoring import Restored
    from hazina.bootstrap.backup.tools import Watch

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable, on one line.")]
Data = Annotated[
    Path | None, typer.Option(help="The running house's data directory; HAZINA_DATA_DIR.")
]


def register(app: typer.Typer) -> None:
    for command in (backup, restore, drill):
        app.command(rich_help_panel=screen.RUN)(command)


class Shown:
    """Each step on a line when it is done, with a bar while it goes on."""

    @contextmanager
    def step(self, what: str) -> "Iterator[Watch]":
        from rich.markup import escape
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        began = time.monotonic()
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TimeElapsedColumn())
        hidden = not screen.console.is_terminal
        with Progress(*columns, console=screen.console, transient=True, disable=hidden) as bar:
            task = bar.add_task(f"{what} …", total=None)
            yield lambda done, whole: bar.update(task, completed=done, total=whole or None)
        took = f"[dim]{time.monotonic() - began:.1f} s[/dim]"
        screen.console.print(f"[green]✓[/green] {escape(what)} {took}", soft_wrap=True)


def backup(
    folder: Annotated[Path, typer.Argument(help="The folder of copies; made when missing.")],
    keep: Annotated[
        int | None, typer.Option(min=1, help="Remove older copies until so many are left.")
    ] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Put a verified copy of the house into a folder, while it runs.

    The key file is not in it: back that up apart. Exit 1 where there is no new copy.
    """
    from hazina.bootstrap.backup.making import back_up
    from hazina.bootstrap.database import database_for
    from hazina.kernel.clock import SystemClock

    settings, progress = settings_for(data), None if as_json else Shown()
    with _words():
        with database_for(settings) as urls:
            now = SystemClock().now()
            copy = asyncio.run(
                back_up(settings, urls, folder, now=now, keep=keep, progress=progress)
            )
        if as_json:
            typer.echo(json.dumps(_copy_json(copy)))
        else:
            _show_copy(copy)


def restore(
    copy: Annotated[Path, typer.Argument(help="A copy, or a folder of copies: then its newest.")],
    data: Annotated[Path, typer.Option(help="Where the house goes: new, or empty.")],
    keys: Annotated[
        Path | None, typer.Option(help="The key file that opens it; else HAZINA_KEY_FILE.")
    ] = None,
    proof: Annotated[bool, typer.Option(help="Prove the whole ledger before it is done.")] = True,
    as_json: AsJson = False,
) -> None:
    """Restore a copy into a new data directory, in recovery: nothing goes out of it until an
    administrator releases it.

    Exit 1 where nothing was restored, 3 where it was and the ledger's proof does not hold.
    """
    from hazina.bootstrap.backup.restoring import choose
    from hazina.bootstrap.backup.restoring import restore as bring_back
    from hazina.infra.manifest import key_file
    from hazina.kernel.clock import SystemClock

    settings, progress = settings_for(None), None if as_json else Shown()
    with _words():
        chosen = choose(copy)
        if not as_json:
            screen.line(f"restoring {chosen}")
        restored = asyncio.run(
            bring_back(
                chosen, data, keys or key_file(settings), settings=settings, clock=SystemClock(),
                actor=here("restore"), prove=proof, progress=progress,
            )
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(_restored_json(restored)))
    else:
        _show_restored(restored)
    if restored.faults:
        raise typer.Exit(3)


def drill(
    data: Data = None,
    room: Annotated[
        Path | None, typer.Option(help="Where there is room for two copies; the temporary folder.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Try it all: copy the running house, restore it beside, prove it, start it, throw it away.

    The restored house has ports of its own and no M-Pesa. Exit 1 where the copy would not have
    helped.
    """
    from hazina.bootstrap.backup.drilling import drill as try_it
    from hazina.bootstrap.database import database_for
    from hazina.kernel.clock import SystemClock

    settings, progress = settings_for(data), None if as_json else Shown()
    with _words(), database_for(settings) as urls:
        drilled = asyncio.run(
            try_it(
                settings, urls, clock=SystemClock(), actor=here("drill"), room=room,
                progress=progress,
            )
        )  # fmt: skip
    if as_json:
        typer.echo(json.dumps(_drilled_json(drilled)))
    else:
        _show_drilled(drilled)


@contextmanager
def _words() -> Iterator[None]:
    """What goes wrong ends the command in plain words."""
    import asyncpg

    from hazina.bootstrap.backup.trouble import BackupTrouble
    from hazina.bootstrap.pg_place import EmbeddedTrouble
    from hazina.infra.keys import VaultError
    from hazina.kernel.errors import Refusal

    try:
        yield
    except (BackupTrouble, EmbeddedTrouble, VaultError, OSError) as why:
        raise screen.fail(why) from None
    except Refusal as no:
        raise screen.fail(f"{no.message} {no.action or ''}".rstrip()) from None
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as why:
        raise screen.fail(f"the database said no: {why}") from None


def _show_copy(copy: "Copy") -> None:
    made = copy.inventory
    table = screen.plain_table()
    table.add_row("Copy", str(copy.path))
    table.add_row("How", f"{made.how.value}, {_mb(made.size)}, {len(made.files)} files")
    table.add_row("Ledger", f"{made.ledger.transfers} transfers, last {_last(made.ledger.last_id)}")
    table.add_row("Needs the keys", ", ".join(sorted(made.probes)))
    if copy.removed:
        table.add_row("Removed", ", ".join(path.name for path in copy.removed))
    screen.console.print(table)
    screen.console.print("The key file is not in it: keep that apart, and keep both off this disk.")


def _show_restored(restored: "Restored") -> None:
    table = screen.plain_table()
    table.add_row("House", str(restored.data_dir))
    table.add_row("As it was", f"{restored.recovery.copied_at:%Y-%m-%d %H:%M:%S} UTC")
    table.add_row("Ledger", f"{restored.inventory.ledger.transfers} transfers, {_proof(restored)}")
    table.add_row("Open questions", str(restored.recovery.asked))
    screen.console.print(table)
    _faults(restored.faults)
    screen.console.print(
        "\nIt is in [bold]recovery[/bold]: nothing goes out, customers can only look.\n"
        f"Start it:   hazina up --data {restored.data_dir}\n"
        f"Look:       hazina recovery report --data {restored.data_dir}\n"
        f"Release it: hazina recovery release --data {restored.data_dir} --operator …",
        soft_wrap=True,
    )


def _show_drilled(drilled: "Drilled") -> None:
    table = screen.plain_table("What", "Took or found")
    table.columns[1].justify = "right"
    rows = [
        ("Copy", f"{drilled.copied_s:.1f} s"),
        ("Its size", f"{_mb(drilled.size)}, {drilled.how}"),
        ("Restore, checks and proof", f"{drilled.restored_s:.1f} s"),
        ("Start until ready", f"{drilled.ready_s:.1f} s"),
        ("Transfers in the copy", str(drilled.transfers)),
        ("Claims of the ledger that hold", f"all {drilled.claims}"),
        ("Open questions it would ask M-Pesa", str(drilled.open_questions)),
        ("[bold]Lost at most (RPO), with a copy made just now[/bold]", f"{drilled.lost_s:.1f} s"),
        ("[bold]Back after (RTO)[/bold]", f"{drilled.back_s:.1f} s"),
    ]
    for what, found in rows:
        table.add_row(what, found)
    screen.console.print(table)
    screen.console.print("[green]The copy would have helped.[/green] Everything is removed again.")


def _faults(faults: Sequence[str]) -> None:
    from rich.markup import escape

    for fault in faults:
        screen.console.print(f"[red]✗[/red] {escape(fault)}", soft_wrap=True)


def _proof(restored: "Restored") -> str:
    if not restored.claims:
        return "not proven yet: hazina ledger verify"
    return "NOT proven" if restored.faults else f"all {restored.claims} claims hold"


def _last(last_id: str | None) -> str:
    return last_id or "none"


def _mb(size: int) -> str:
    return f"{size / 1_000_000:.1f} MB"


def _copy_json(copy: "Copy") -> dict[str, object]:
    made = copy.inventory
    return {
        "path": str(copy.path),
        "made_at": made.made_at.isoformat(),
        "how": made.how.value,
        "bytes": made.size,
        "files": len(made.files),
        "ledger": made.ledger.as_json(),
        "keys": sorted(made.probes),
        "removed": [str(path) for path in copy.removed],
    }


def _restored_json(restored: "Restored") -> dict[str, object]:
    return {
        "data": str(restored.data_dir),
        "copy": str(restored.copy),
        "copied_at": restored.recovery.copied_at.isoformat(),
        "open_questions": restored.recovery.asked,
        "applied": list(restored.applied),
        "claims": restored.claims,
        "faults": list(restored.faults),
    }


def _drilled_json(drilled: "Drilled") -> dict[str, object]:
    return {
        "how": drilled.how,
        "bytes": drilled.size,
        "transfers": drilled.transfers,
        "claims": drilled.claims,
        "open_questions": drilled.open_questions,
        "copy_s": round(drilled.copied_s, 2),
        "restore_s": round(drilled.restored_s, 2),
        "start_s": round(drilled.ready_s, 2),
        "rpo_s": round(drilled.lost_s, 2),
        "rto_s": round(drilled.back_s, 2),
    }
