"""`hazina treasury`: what M-Pesa holds and takes, and what two persons move of the house's own."""

import json
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen
from hazina.cli.house import in_house
from hazina.cli.persons import (
    AsJson,
    Data,
    FromStdin,
    Reason,
    Who,
    acting,
    ask_second,
)

if TYPE_CHECKING:
    from uuid import UUID

    from hazina.flows.treasury.tariffs import Tariff
    from hazina.identity.people import Operator
    from hazina.infra.db import Row
    from hazina.infra.house import House
    from hazina.kernel.actor import Actor

treasury = typer.Typer(
    no_args_is_help=True, help="What M-Pesa holds and takes, and the house's own money."
)


def register(app: typer.Typer) -> None:
    app.add_typer(treasury, name="treasury", rich_help_panel=screen.RUN)


@treasury.command()
def balances(data: Data = None, as_json: AsJson = False) -> None:
    """What M-Pesa said it holds, the latest first. The worker asks every 15 minutes."""
    from hazina.flows.treasury.balances import Balances
    from hazina.kernel.money import KES

    async def look(house: "House") -> "list[Row]":
        return list(await house.get(Balances).list_newest(house.db))

    found = in_house(look, data)

    def shown(row: "Row", name: str) -> str | None:
        return None if row[name] is None else KES.units(int(row[name])).decimal

    rows = [
        {
            "asked_at": row["asked_at"].isoformat(),
            "shortcode": row["shortcode"],
            **{name: shown(row, name) for name in ("utility", "working", "charges")},
            "answer": row["why"] or ("told" if row["told_at"] else "awaited"),
        }
        for row in found
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = screen.plain_table("Asked", "Shortcode", "Utility", "Working", "Charges", "Answer")
    for one in rows:
        table.add_row(*(str(value or "–") for value in one.values()))
    screen.console.print(table if rows else "M-Pesa has not been asked yet.")


@treasury.command()
def tariffs(data: Data = None, as_json: AsJson = False) -> None:
    """What M-Pesa takes, the latest tariff first; the one that began last is in force."""
    from hazina.flows.treasury.tariffs import Tariffs
    from hazina.flows.treasury.terms import written

    async def look(house: "House") -> "list[Tariff]":
        return list(await house.get(Tariffs).list_all(house.db))

    rows = [
        {
            "kind": one.kind.value,
            "valid_from": one.valid_from.isoformat() if one.valid_from else None,
            "bands": written(one.bands),
            "by": one.made_by,
            "note": one.note,
        }
        for one in in_house(look, data)
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = screen.plain_table("For", "From", "Bands", "By", "Note")
    for row in rows:
        table.add_row(*(str(value or "–") for value in row.values()))
    screen.console.print(table)


@treasury.command()
def tariff(
    kind: Annotated[str, typer.Argument(help="payout or payment.")],
    valid_from: Annotated[datetime, typer.Option(help="East Africa Time, in the future.")],
    bands: Annotated[str, typer.Option(help="up-to-shillings:charge, ascending, to 250000.")],
    operator: Who,
    note: Annotated[str, typer.Option(help="Where it is announced.")] = "",
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Put a tariff in force from a future moment on. The past is never changed."""
    from hazina.flows.treasury.tariffs import Tariffs
    from hazina.flows.treasury.terms import TariffKind
    from hazina.kernel.clock import EAT

    if kind not in set(TariffKind):
        raise screen.fail(f"{kind} is no kind of tariff: choose " + " or ".join(TariffKind))

    async def add(house: "House", me: "Operator", actor: "Actor") -> "UUID":
        now = house.clock.now()
        return await house.db.run(
            lambda tx: house.get(Tariffs).add(
                tx, TariffKind(kind), valid_from.replace(tzinfo=EAT), bands, note,
                by=me.username, actor=actor, now=now,
            )
        )  # fmt: skip

    in_house(lambda house: acting(house, operator, password_stdin, add), data)
    screen.console.print(f"[green]✓[/green] in force from {valid_from:%F %R} East Africa Time")


@treasury.command()
def move(
    kind: Annotated[str, typer.Argument(help="What was moved.")],
    amount: Annotated[str, typer.Option(help="Shillings.")],
    reference: Annotated[str, typer.Option(help="M-Pesa's receipt or the bank's reference.")],
    operator: Who,
    reason: Reason,
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Ask a second person to book what was moved: capital_in, capital_out, float_funded,
    collection_swept, collection_to_utility or charges_settled.
    """
    from hazina.flows.treasury.movements import Movements
    from hazina.flows.treasury.postings import Movement
    from hazina.kernel.money import KES

    if kind not in set(Movement):
        raise screen.fail(f"{kind} is no movement: choose one of " + ", ".join(Movement))

    ask_second(
        lambda house, tx, told: house.get(Movements).ask(
            tx, Movement(kind), KES.money(amount), reference, reason=reason, **told
        ),
        operator, password_stdin=password_stdin, data=data,
    )  # fmt: skip
