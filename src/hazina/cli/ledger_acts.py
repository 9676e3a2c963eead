"""`hazina ledger freeze | unfreeze | close | credit | close-period`: acts of people on accounts."""

from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen
from hazina.cli.house import in_house
from hazina.cli.ledger import InAsset, OfPurpose, Owner, account_named, app, time_of
from hazina.cli.persons import Data, FromStdin, Reason, Told, Who, acting, ask_second

if TYPE_CHECKING:
    from hazina.desk.approvals import Approval
    from hazina.identity.people import Operator
    from hazina.infra.db import Tx
    from hazina.infra.house import House
    from hazina.kernel.actor import Actor
    from hazina.ledger.chart import AccountRef

Moment = "A time with its offset, 2026-11-17T12:00+03:00."


def register(_: typer.Typer) -> None:
    """The commands hang on `hazina ledger`, which is registered by its own file."""


def _act_command(act: str, done: str, help_text: str) -> None:
    """One command for each act of one person; they differ in their words alone."""

    @app.command(act, help=help_text)
    def command(
        operator: Who, reason: Reason, owner: Owner = None, asset: InAsset = "KES",
        purpose: OfPurpose = "wallet", password_stdin: FromStdin = False, data: Data = None,
    ) -> None:  # fmt: skip
        ref = account_named(owner, asset, purpose)
        _do(act, ref, operator, reason, password_stdin=password_stdin, data=data)
        whose = f" {owner}" if owner else ""
        words = f"{ref.purpose.value}{whose} in {ref.asset.code} is {done}"
        screen.console.print(f"[green]✓[/green] {words}", soft_wrap=True)


for name, done, words in (
    ("freeze", "frozen",
     "Let nothing new be taken from an account; what it holds can still be settled."),
    ("unfreeze", "open again", "Open a frozen account again."),
    ("close", "closed for ever", "Close an empty account without holds, for ever."),
):  # fmt: skip
    _act_command(name, done, words)


@app.command()
def credit(
    limit: Annotated[str, typer.Argument(help="How far below zero, such as 500; 0 ends credit.")],
    operator: Who,
    reason: Reason,
    owner: Owner = None,
    asset: InAsset = "KES",
    purpose: OfPurpose = "wallet",
    starts: Annotated[str | None, typer.Option(help=f"From when; else at once. {Moment}")] = None,
    ends: Annotated[str | None, typer.Option(help=f"Until when; else for good. {Moment}")] = None,
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Ask a second person to let an account fall below zero for a time."""
    from hazina.desk.ledger_acts import LedgerActs

    ref = account_named(owner, asset, purpose)
    begins, over = time_of(starts), time_of(ends)

    async def ask(house: "House", tx: "Tx", told: Told) -> "Approval":
        return await house.get(LedgerActs).ask_credit(
            tx, ref, ref.asset.money(limit), reason, starts_at=begins or told["now"],
            ends_at=over, **told,
        )  # fmt: skip

    ask_second(ask, operator, password_stdin=password_stdin, data=data)


@app.command("close-period")
def close_period(
    until: Annotated[str, typer.Argument(help=f"The end of what is closed. {Moment}")],
    operator: Who,
    reason: Reason,
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Ask a second person to close the books: nothing takes effect up to then any more."""
    from hazina.desk.ledger_acts import LedgerActs

    moment = time_of(until)
    assert moment is not None

    async def ask(house: "House", tx: "Tx", told: Told) -> "Approval":
        return await house.get(LedgerActs).ask_close_period(tx, moment, reason, **told)

    ask_second(ask, operator, password_stdin=password_stdin, data=data)


def _do(
    act: str, ref: "AccountRef", operator: str, reason: str, *, password_stdin: bool, data: Data
) -> None:
    from hazina.desk.ledger_acts import AccountAct, LedgerActs

    async def carry_out(house: "House", me: "Operator", actor: "Actor") -> None:
        told: Told = {"operator": me, "actor": actor, "now": house.clock.now()}
        acts = house.get(LedgerActs)
        await house.db.run(lambda tx: acts.do(tx, AccountAct(act), ref, reason, **told))

    in_house(lambda house: acting(house, operator, password_stdin, carry_out), data)
