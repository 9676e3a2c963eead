"""What commands share that a person answers for: who acts, proven as at the console's door, and
asking a second one."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypedDict, TypeVar

import typer

from hazina.cli import screen
from hazina.cli.house import here, in_house

if TYPE_CHECKING:
    from hazina.desk.approvals import Approval
    from hazina.identity.people import Operator
    from hazina.infra.db import Tx
    from hazina.infra.house import House
    from hazina.kernel.actor import Actor

T = TypeVar("T")

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable, on one line.")]
Data = Annotated[Path | None, typer.Option(help="The data directory; HAZINA_DATA_DIR.")]
Who = Annotated[str, typer.Option(help="The manager or administrator who acts.")]
Reason = Annotated[str, typer.Option(help="Why, for the second person and the audit trail.")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="Read the password from standard input.")
]


class Told(TypedDict):
    """What every act of an operator wants to know of who acts, and when."""

    operator: "Operator"
    actor: "Actor"
    now: datetime


def ask_second(
    ask: "Callable[[House, Tx, Told], Awaitable[Approval]]",
    username: str,
    *,
    password_stdin: bool,
    data: Path | None,
) -> None:
    """This will ask for an act that takes two persons, and say how the second one agrees."""
    from hazina.kernel.ids import wire_id

    async def act(house: "House", me: "Operator", actor: "Actor") -> "Approval":
        told: Told = {"operator": me, "actor": actor, "now": house.clock.now()}
        return await house.db.run(lambda tx: ask(house, tx, told))

    one = in_house(lambda house: acting(house, username, password_stdin, act), data)
    screen.console.print(f"[green]✓[/green] asked: {one.summary}")
    screen.console.print(f"A second person: hazina mpesa approve {wire_id('apr', one.id)}")


async def acting(
    house: "House",
    username: str,
    password_stdin: bool,
    act: "Callable[[House, Operator, Actor], Awaitable[T]]",
) -> T:
    """The password, and the app's code where one is set up, open a session as at the console's
    door; it ends with the act. From standard input they are two lines."""
    from hazina.identity.login import OperatorLogin
    from hazina.identity.second_factor import SecondFactorNeeded
    from hazina.identity.sessions import OperatorSessions

    async def typed(what: str, *, hidden: bool) -> str:
        if password_stdin:
            return sys.stdin.readline().rstrip("\r\n")
        return str(await asyncio.to_thread(typer.prompt, what, hide_input=hidden))

    password = await typed("Password", hidden=True)
    origin, now, sessions = here("act"), house.clock.now(), house.get(OperatorSessions)
    login = house.get(OperatorLogin)
    try:
        opened = await login.for_page(username, password, origin, now)
    except SecondFactorNeeded as needed:
        code = await typed("Code from your app", hidden=False)
        opened = await login.finish_page(needed.ticket, replace(origin, otp=code), now)
    me = (await sessions.authenticate_page(house.db, opened.secret, origin, now)).person
    actor = me.as_actor(origin)
    try:
        return await act(house, me, actor)
    finally:
        await house.db.run(
            lambda tx: sessions.revoke(tx, me.id, opened.id, actor, now, why="act done")
        )
