"""`hazina operator`: the only way operators are made, on the machine of the house itself.

A password is prompted for, or read from standard input; never an argument, where other users of
the machine could see it.
"""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen
from hazina.cli.house import here, in_house
from hazina.identity.people import Role

if TYPE_CHECKING:
    from hazina.identity.people import Operator
    from hazina.infra.house import House

app = typer.Typer(no_args_is_help=True, help="Operators of the console: make, list, disable.")

Username = Annotated[str, typer.Option(help="3 to 32 letters, digits, dots, dashes.")]


def register(main: typer.Typer) -> None:
    main.add_typer(app, name="operator", rich_help_panel=screen.RUN)


@app.command()
def create(
    username: Username,
    role: Annotated[Role, typer.Option(help="What this operator may do.")],
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
) -> None:
    """Make an operator who can sign in to the console."""
    password = _password(from_stdin=password_stdin)

    async def make(house: "House") -> "Operator":
        from hazina.identity.operators import Operators

        operators, now = house.get(Operators), house.clock.now()
        return await operators.create(username, password, role, here("operator"), now)

    operator = in_house(make)
    screen.console.print(f"[green]✓[/green] {operator.username} is {operator.role.value}")


@app.command("list")
def list_all() -> None:
    """List every operator, disabled ones included."""

    async def read(house: "House") -> list["Operator"]:
        from hazina.identity.operators import Operators

        operators = house.get(Operators)
        found: list[Operator] = []
        after: str | None = None
        while True:
            page = await operators.list_operators(house.db, after=after)
            found += page.items
            after = page.next_cursor
            if after is None:
                return found

    table = screen.plain_table("Username", "Role", "Since", "State")
    for one in in_house(read):
        state = f"disabled {one.disabled_at:%Y-%m-%d}" if one.disabled_at else "active"
        table.add_row(one.username, one.role.value, f"{one.created_at:%Y-%m-%d}", state)
    screen.console.print(table)


@app.command()
def disable(username: Username) -> None:
    """Lock an operator out at once; their open sessions end."""

    async def lock_out(house: "House") -> "Operator":
        from hazina.identity.operators import Operators

        operators, now = house.get(Operators), house.clock.now()
        return await house.db.run(lambda tx: operators.disable(tx, username, here("operator"), now))

    operator = in_house(lock_out)
    screen.console.print(f"[green]✓[/green] {operator.username} is disabled; every session ended")


@app.command("second-factor")
def second_factor(
    username: Username,
    off: Annotated[bool, typer.Option("--off", help="Switch it off, for a lost phone.")] = False,
) -> None:
    """Set up an operator's app, or switch its codes off; without it production lets nobody in."""
    if off:
        in_house(lambda house: _switch_off(house, username))
        screen.console.print(f"[green]✓[/green] no code is asked of {username} any more")
        return
    uri, secret = in_house(lambda house: _begin(house, username))
    _show_qr(uri)
    screen.console.print(f"or type this key into the app: {secret}")
    code: str = typer.prompt("The code it shows now")
    codes = in_house(lambda house: _confirm(house, username, code))
    screen.console.print("[green]✓[/green] on. Recovery codes, shown this once; each works once:")
    for one in codes:
        screen.console.print(f"  {one}")


async def _begin(house: "House", username: str) -> tuple[str, str]:
    from hazina.identity.operators import Operators
    from hazina.identity.second_factor import OperatorFactors

    operator = await house.get(Operators).get_by_username(house.db, username)
    factors, now = house.get(OperatorFactors), house.clock.now()
    made = await house.db.run(lambda tx: factors.begin(tx, operator.id, operator.username, now))
    return made.uri, made.secret


async def _confirm(house: "House", username: str, code: str) -> list[str]:
    from hazina.identity.operators import Operators
    from hazina.identity.second_factor import OperatorFactors

    operator = await house.get(Operators).get_by_username(house.db, username)
    factors, now = house.get(OperatorFactors), house.clock.now()
    return await house.db.run(
        lambda tx: factors.confirm(tx, operator.id, code, here("operator"), now)
    )


async def _switch_off(house: "House", username: str) -> None:
    from hazina.identity.operators import Operators
    from hazina.identity.second_factor import OperatorFactors

    operator = await house.get(Operators).get_by_username(house.db, username)
    factors, now = house.get(OperatorFactors), house.clock.now()
    await house.db.run(lambda tx: factors.reset(tx, operator.id, here("operator"), now))


def _show_qr(uri: str) -> None:
    import segno

    segno.make(uri, error="l").terminal(compact=True)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    given: str = typer.prompt("Password", hide_input=True, confirmation_prompt="Once more")
    return given
