"""`hazina operator`: the only way operators are made, on the machine of the house itself.

A password is prompted for, or read from standard input; never an argument, where other users of
the machine could see it.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from hazina.cli import screen
from hazina.identity.people import Role

if TYPE_CHECKING:
    from hazina.identity.people import Operator
    from hazina.infra.house import House
    from hazina.kernel.actor import Actor

T = TypeVar("T")

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
        return await operators.create(username, password, role, _here(), now)

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
        return await house.db.run(lambda tx: operators.disable(tx, username, _here(), now))

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
    return await house.db.run(lambda tx: factors.confirm(tx, operator.id, code, _here(), now))


async def _switch_off(house: "House", username: str) -> None:
    from hazina.identity.operators import Operators
    from hazina.identity.second_factor import OperatorFactors

    operator = await house.get(Operators).get_by_username(house.db, username)
    factors, now = house.get(OperatorFactors), house.clock.now()
    await house.db.run(lambda tx: factors.reset(tx, operator.id, _here(), now))


def _show_qr(uri: str) -> None:
    import segno

    segno.make(uri, error="l").terminal(compact=True)


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    given: str = typer.prompt("Password", hide_input=True, confirmation_prompt="Once more")
    return given


def _here() -> "Actor":
    from hazina.kernel.actor import Actor, ActorKind

    # Whoever has this machine has the house: the command line acts as the system itself.
    return Actor(ActorKind.SYSTEM, user_agent="hazina operator")


def in_house(act: Callable[["House"], Awaitable[T]]) -> T:
    """This will run ``act`` on the configured or the embedded database, running or not."""
    import asyncpg

    from hazina.bootstrap.database import database_for
    from hazina.bootstrap.pg_place import EmbeddedTrouble
    from hazina.infra.keys import KeyFileError
    from hazina.infra.settings import UnsafeSettings, load_settings
    from hazina.kernel.errors import Refusal

    try:
        with database_for(load_settings()) as urls:
            return asyncio.run(_open(urls.app, act))
    except Refusal as no:
        raise screen.fail(f"{no.message} {no.action or ''}".rstrip()) from None
    except (EmbeddedTrouble, UnsafeSettings, KeyFileError) as why:
        raise screen.fail(why) from None
    except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
        raise screen.fail("There are no tables yet: run `hazina migrate` first.") from None


async def _open(url: str, act: Callable[["House"], Awaitable[T]]) -> T:
    from pydantic import SecretStr

    from hazina.bootstrap.wiring import open_house
    from hazina.infra.settings import load_settings

    settings = load_settings().model_copy(update={"database_url": SecretStr(url)})
    async with open_house(settings) as house:
        return await act(house)
