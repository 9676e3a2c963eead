"""`hazina debts`: what customers owe, and giving it up by two persons."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen
from hazina.cli.house import in_house
from hazina.cli.persons import AsJson, Data, FromStdin, Reason, Told, Who, ask_second

if TYPE_CHECKING:
    from hazina.desk.approvals import Approval
    from hazina.infra.db import Tx
    from hazina.infra.house import House

debts = typer.Typer(no_args_is_help=True, help="What customers owe after a claw-back.")
DebtId = Annotated[str, typer.Argument(help="dbt_…, from `hazina debts list`.")]


def register(app: typer.Typer) -> None:
    app.add_typer(debts, name="debts", rich_help_panel=screen.RUN)


@debts.command("list")
def list_open(data: Data = None, as_json: AsJson = False) -> None:
    """Every open debt, the oldest first; whatever comes to its customer repays it."""
    from hazina.desk.debts.service import Debts
    from hazina.desk.webkit.filters import age
    from hazina.identity.customers import Customers
    from hazina.kernel.ids import wire_id

    async def look(house: "House") -> list[dict[str, str]]:
        now, customers, found = house.clock.now(), house.get(Customers), []
        for one in await house.get(Debts).list_open(house.db):
            owner = await customers.get(house.db, one.customer_id)
            found.append(
                {
                    "id": wire_id("dbt", one.id),
                    "customer": owner.username,
                    "owed": one.outstanding.decimal,
                    "of": one.amount.decimal,
                    "asset": one.amount.asset.code,
                    "since": one.since.isoformat(),
                    "age": age(one.since, now),
                    "cause": one.cause,
                }
            )
        return found

    rows = in_house(look, data)
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = screen.plain_table("Id", "Customer", "Owed", "Of", "For", "Because of")
    for row in rows:
        table.add_row(row["id"], row["customer"], row["owed"], row["of"], row["age"], row["cause"])
    screen.console.print(table if rows else "[green]Nobody owes anything.[/green]")


@debts.command("give-up")
def give_up(
    debt: DebtId, operator: Who, reason: Reason, password_stdin: FromStdin = False,
    data: Data = None,
) -> None:  # fmt: skip
    """Ask a second person to give up what is left of a debt: it becomes the house's loss."""
    from hazina.desk.debts.service import Debts
    from hazina.kernel.ids import parse_id

    async def ask(house: "House", tx: "Tx", told: Told) -> "Approval":
        found = parse_id("dbt", debt)
        return await house.get(Debts).ask_write_off(tx, found, reason=reason, **told)

    ask_second(ask, operator, password_stdin=password_stdin, data=data)
