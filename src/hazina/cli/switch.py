"""`hazina switch`, `maintenance` and `recovery`: what may move money now, and who says so."""

import getpass
import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen
from hazina.cli.house import here, in_house
from hazina.cli.persons import acting
from hazina.desk.switches import Switch

if TYPE_CHECKING:
    from hazina.desk.recovery import Open, Question
    from hazina.desk.switches import Standing
    from hazina.identity.people import Operator
    from hazina.infra.house import House
    from hazina.kernel.actor import Actor

switches = typer.Typer(no_args_is_help=True, help="Stop a rail, one direction of it, or all.")
maintenance = typer.Typer(no_args_is_help=True, help="Read-only for customers; jobs wait.")
recovery = typer.Typer(no_args_is_help=True, help="After a restore: what is open, and its end.")

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable, on one line.")]
Data = Annotated[Path | None, typer.Option(help="The data directory; HAZINA_DATA_DIR.")]
Name = Annotated[Switch, typer.Argument(help="What to stop or let go on.")]
Reason = Annotated[str, typer.Option(help="Why, for whoever comes next.")]


def register(app: typer.Typer) -> None:
    app.add_typer(switches, name="switch", rich_help_panel=screen.RUN)
    app.add_typer(maintenance, name="maintenance", rich_help_panel=screen.RUN)
    app.add_typer(recovery, name="recovery", rich_help_panel=screen.RUN)


@switches.command("list")
def list_all(data: Data = None, as_json: AsJson = False) -> None:
    """Say what is stopped, since when, by whom and why."""
    from hazina.desk.switches import Switches

    async def read(house: "House") -> "Standing":
        return await house.get(Switches).now()

    standing = in_house(read, data)
    names = [*(switch.value for switch in Switch), *(n for n in standing if n not in list(Switch))]
    if as_json:
        found = {
            name: {"off_since": one.since.isoformat(), "by": one.by, "reason": one.reason}
            if (one := standing.get(name))
            else None
            for name in names
        }
        typer.echo(json.dumps(found))
        return
    table = screen.plain_table("Switch", "State", "By", "Why")
    for name in names:
        one = standing.get(name)
        if one is None:
            table.add_row(name, "[green]on[/green]", "", "")
        else:
            table.add_row(
                name, f"[red]off since {one.since:%Y-%m-%d %H:%M}[/red]", one.by, one.reason
            )
    screen.console.print(table)


@switches.command("off")
def turn_off(name: Name, reason: Reason, data: Data = None) -> None:
    """Stop it at once: when this returns, no more calls of that kind go out."""
    _off(name, reason, data)


@switches.command("on")
def turn_on(name: Name, data: Data = None) -> None:
    """Let it go on; what waited goes out by itself."""
    _on(name, data)


@maintenance.command("on")
def maintenance_on(reason: Reason = "maintenance", data: Data = None) -> None:
    """Make the house read-only: changes are refused, callbacks stored, jobs wait."""
    _off(Switch.WRITES, reason, data)


@maintenance.command("off")
def maintenance_off(data: Data = None) -> None:
    """Let customers and jobs go on."""
    _on(Switch.WRITES, data)


@recovery.command()
def enter(
    copied_at: Annotated[
        datetime, typer.Option(help="When the copy was made, in UTC: 2026-11-20T09:00:00.")
    ],
    data: Data = None,
) -> None:
    """Put a house in recovery that was restored by other means: a managed server's own backup.

    Do it before anything else runs on it.
    """
    from datetime import UTC

    from hazina.desk.recovery import Recovery

    async def begin(house: "House") -> "Open":
        now = house.clock.now()
        return await house.db.run(
            lambda tx: house.get(Recovery).enter(
                tx, copied_at=copied_at.replace(tzinfo=UTC), actor=here("recovery"), now=now
            )
        )

    entered = in_house(begin, data)
    screen.console.print(f"[green]✓[/green] in recovery; open questions: {entered.asked}")


@recovery.command()
def report(
    ask: Annotated[bool, typer.Option(help="Have a running worker ask M-Pesa again now.")] = True,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Ask about all that is open, and list it with what could tell. Imports nothing."""
    from hazina.desk.recovery import Recovery

    async def look(house: "House") -> "tuple[Open | None, list[Question]]":
        part = house.get(Recovery)
        found = await part.find_open(house.db)
        if found is not None and ask:
            await house.db.run(lambda tx: part.ask_now(tx, house.clock.now()))
        return found, await part.questions(house.db) if found else []

    found, questions = in_house(look, data)
    if as_json:
        typer.echo(json.dumps(_report_json(found, questions)))
    elif found is None:
        screen.console.print("This house is not in recovery.")
    else:
        _show_report(found, questions)


@recovery.command()
def release(
    operator: Annotated[str, typer.Option(help="The administrator who answers for it.")],
    accept_open: Annotated[
        str | None, typer.Option(help="Release with questions open, for this reason.")
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    data: Data = None,
) -> None:
    """End the recovery: money may move again. What is still open stays unknown, is asked about,
    and is never sent."""
    from hazina.desk.recovery import Recovery

    async def let_go(house: "House", me: "Operator", actor: "Actor") -> int:
        now = house.clock.now()
        return await house.db.run(
            lambda tx: house.get(Recovery).release(
                tx, operator=me, actor=actor, accept_open=accept_open, now=now
            )
        )

    left = in_house(lambda house: acting(house, operator, password_stdin, let_go), data)
    open_ones = f"; {left} left open, asked about and never sent" if left else ""
    screen.console.print(f"[green]✓[/green] released{open_ones}")


def _off(name: Switch, reason: str, data: Path | None) -> None:
    from hazina.desk.switches import Switches

    async def stop(house: "House") -> bool:
        by, now = getpass.getuser(), house.clock.now()
        return await house.db.run(
            lambda tx: house.get(Switches).turn_off(
                tx, name, by=by, reason=reason, actor=here("switch"), now=now
            )
        )

    changed = in_house(stop, data)
    screen.console.print(f"[green]✓[/green] {name.value} is off" + ("" if changed else " already"))


def _on(name: Switch, data: Path | None) -> None:
    from hazina.desk.switches import Switches

    async def go_on(house: "House") -> bool:
        by, now = getpass.getuser(), house.clock.now()
        return await house.db.run(
            lambda tx: house.get(Switches).turn_on(tx, name, by=by, actor=here("switch"), now=now)
        )

    changed = in_house(go_on, data)
    screen.console.print(f"[green]✓[/green] {name.value} is on" + ("" if changed else " already"))


def _show_report(found: "Open", questions: "list[Question]") -> None:
    copied = f"{found.copied_at:%Y-%m-%d %H:%M:%S}"
    screen.console.print(f"In recovery from a copy of {copied} UTC; {found.asked} were open in it.")
    if not questions:
        screen.console.print("[green]Nothing is open any more.[/green]")
    else:
        table = screen.plain_table(
            "What", "Amount", "Phone", "State", "Since (UTC)", "Asked", "How"
        )
        for one in questions:
            table.add_row(
                one.wire, str(one.amount), one.phone_masked, one.state,
                f"{one.since:%Y-%m-%d %H:%M}", str(one.asked), one.hint,
            )  # fmt: skip
        screen.console.print(table)
    screen.console.print(
        "\nWhat moved at M-Pesa after the copy has no row here: go through M-Pesa's statement from "
        "that time on (docs/runbook/restore.md), then `hazina recovery release`.",
        soft_wrap=True,
    )


def _report_json(found: "Open | None", questions: "list[Question]") -> dict[str, object]:
    if found is None:
        return {"recovering": False, "open": []}
    listed = [
        {
            "kind": one.kind,
            "id": one.wire,
            "amount": one.amount.decimal,
            "asset": one.amount.asset.code,
            "phone": one.phone_masked,
            "state": one.state,
            "since": one.since.isoformat(),
            "asked": one.asked,
            "hint": one.hint,
        }
        for one in questions
    ]
    return {
        "recovering": True,
        "copied_at": found.copied_at.isoformat(),
        "entered_at": found.entered_at.isoformat(),
        "open_in_copy": found.asked,
        "open": listed,
    }
