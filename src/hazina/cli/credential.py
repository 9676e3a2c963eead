"""`hazina credential`: the only way services get in, made on the machine of the house itself."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen
from hazina.cli.house import here, in_house
from hazina.identity.credentials import Scope

if TYPE_CHECKING:
    from hazina.identity.credentials import Credential
    from hazina.infra.house import House

app = typer.Typer(no_args_is_help=True, help="Credentials of other services: make, list, revoke.")


def register(main: typer.Typer) -> None:
    main.add_typer(app, name="credential", rich_help_panel=screen.RUN)


@app.command()
def create(
    namespace: Annotated[
        str, typer.Option(help="Whose books: made with its first credential; small letters.")
    ],
    label: Annotated[str, typer.Option(help="What for, in words for a list.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; more than once.")],
    allow: Annotated[
        list[str] | None,
        typer.Option(help="An address or network it may come from; more than once; none: any."),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=730, help="How long it lasts.")] = 365,
) -> None:
    """Make a credential and show its secret, once."""
    from hazina.identity.credentials import Credentials, NewCredential

    wanted = NewCredential(
        namespace=namespace,
        label=label,
        scopes=frozenset(scope),
        networks=tuple(allow or ()),
        lifetime=timedelta(days=days),
    )

    async def make(house: "House") -> "tuple[Credential, str]":
        credentials, now = house.get(Credentials), house.clock.now()
        return await house.db.run(
            lambda tx: credentials.create(tx, wanted, here("credential"), now)
        )

    made, secret = in_house(make)
    screen.console.print(f"[green]✓[/green] {made.label} in {made.namespace}, until", end=" ")
    screen.console.print(f"{made.expires_at:%Y-%m-%d}; the secret is not shown again:")
    # Plain lines, for whoever pipes them into a vault.
    typer.echo(f"credential {made.wire_id}")
    typer.echo(f"secret     {secret}")


@app.command("list")
def list_all() -> None:
    """List every credential, revoked ones included; never a secret."""

    async def read(house: "House") -> "list[Credential]":
        from hazina.identity.credentials import Credentials

        credentials = house.get(Credentials)
        found: list[Credential] = []
        after: str | None = None
        while True:
            page = await credentials.list_credentials(house.db, after=after)
            found += page.items
            after = page.next_cursor
            if after is None:
                return found

    table = screen.plain_table("Credential", "Namespace", "Label", "Scopes", "Used", "State")
    for one in in_house(read):
        used = f"{one.last_used_at:%Y-%m-%d}" if one.last_used_at else "never"
        state = f"until {one.expires_at:%Y-%m-%d}"
        if one.revoked_at:
            state = f"revoked {one.revoked_at:%Y-%m-%d}"
        scopes = " ".join(sorted(one.scopes))
        table.add_row(one.wire_id, one.namespace, one.label, scopes, used, state)
    screen.console.print(table)


@app.command()
def revoke(
    credential: Annotated[str, typer.Argument(help="Its id, as the list shows it.")],
) -> None:
    """End a credential: the next request it signs is refused."""

    async def end(house: "House") -> "Credential":
        from hazina.identity.credentials import Credentials

        credentials, now = house.get(Credentials), house.clock.now()
        return await house.db.run(
            lambda tx: credentials.revoke(tx, credential, here("credential"), now)
        )

    ended = in_house(end)
    screen.console.print(f"[green]✓[/green] {ended.label} in {ended.namespace} is revoked")
