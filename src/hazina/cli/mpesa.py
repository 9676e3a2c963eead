"""`hazina mpesa`: registering with M-Pesa, what is open, and the acts that end what is unknown."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hazina.cli import screen
from hazina.cli.house import in_house
from hazina.cli.persons import (
    AsJson,
    Data,
    FromStdin,
    Reason,
    Told,
    Who,
    acting,
    ask_second,
)

if TYPE_CHECKING:
    from hazina.desk.approvals import Approval
    from hazina.flows.receipts.statements import Imported
    from hazina.flows.receipts.waiting import Waiting
    from hazina.identity.people import Operator
    from hazina.infra.db import Tx
    from hazina.infra.house import House
    from hazina.kernel.actor import Actor

mpesa = typer.Typer(no_args_is_help=True, help="M-Pesa: register, what is open, and its ends.")

PaymentId = Annotated[str, typer.Argument(help="pay_…, from `hazina mpesa open`.")]
WithdrawalId = Annotated[str, typer.Argument(help="wdr_…, from `hazina mpesa open`.")]
Moment = Annotated[datetime, typer.Option(help="East Africa Time: 2026-11-20T08:00:00.")]


def register(app: typer.Typer) -> None:
    app.add_typer(mpesa, name="mpesa", rich_help_panel=screen.RUN)


@mpesa.command("register")
def register_addresses(
    number: Annotated[str, typer.Option(help="A number of the house's own, for pulling.")],
    data: Data = None,
) -> None:
    """Give M-Pesa the addresses to which payments are told, and ask for the right to pull.

    M-Pesa takes them once for ever; registered already is success.
    """
    from hazina.identity.phones import parse_phone
    from hazina.kernel.outcome import Accepted
    from hazina.rails.receipts import ReceiptRail

    phone = parse_phone(number)

    async def tell(house: "House") -> list[tuple[str, bool, str]]:
        rail: ReceiptRail = house.get(ReceiptRail)  # type: ignore[type-abstract]
        answers = {
            "addresses": await rail.register_notices(),
            "pull": await rail.register_pull(phone.msisdn),
        }
        return [
            (name, True, "registered before" if one.value.before else "registered")
            if isinstance(one, Accepted)
            else (name, False, str(one))
            for name, one in answers.items()
        ]

    told = in_house(tell, data)
    for name, good, words in told:
        screen.console.print(f"{'[green]✓[/green]' if good else '[red]✗[/red]'} {name}: {words}")
    if not all(good for _, good, _ in told):
        raise typer.Exit(1)


@mpesa.command("open")
def list_open(data: Data = None, as_json: AsJson = False) -> None:
    """Everything of M-Pesa's that waits: why, since when, and the next step."""
    from hazina.desk.webkit.filters import age
    from hazina.flows.receipts.waiting import list_waiting

    async def look(house: "House") -> "tuple[list[Waiting], datetime]":
        return await list_waiting(house.db), house.clock.now()

    found, now = in_house(look, data)
    if as_json:
        typer.echo(json.dumps([_waiting(one, now) for one in found]))
        return
    if not found:
        screen.console.print("[green]Nothing of M-Pesa's is open.[/green]")
        return
    table = screen.plain_table("What", "Amount", "Who", "State", "For", "Why", "Next step")
    for one in found:
        table.add_row(
            one.wire, str(one.amount), one.who, one.state, age(one.since, now), one.why,
            one.next_step,
        )  # fmt: skip
    screen.console.print(table)


@mpesa.command()
def resend(
    withdrawal: WithdrawalId, operator: Who, password_stdin: FromStdin = False, data: Data = None
) -> None:
    """Send an unknown payout again: the same bytes under the same id, within 24 hours.

    M-Pesa takes an id once. Whatever it answers, the money stays held until it is known.
    """
    from hazina.flows.withdrawals.resend import Resend, said
    from hazina.kernel.ids import parse_id

    async def send(house: "House", me: "Operator", actor: "Actor") -> str:
        found = parse_id("wdr", withdrawal)
        return said(await house.get(Resend).send(found, operator=me, actor=actor))

    words = in_house(lambda house: acting(house, operator, password_stdin, send), data)
    screen.console.print(f"M-Pesa: {words}")


@mpesa.command()
def statement(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The portal's CSV.")],
    covers_from: Moment,
    covers_to: Moment,
    operator: Who,
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Import a statement of all accounts that is complete between two moments.

    It credits nobody: payments that nobody knew of are asked about.
    """
    from hazina.flows.receipts.statements import Statements
    from hazina.kernel.clock import EAT

    async def take(house: "House", me: "Operator", actor: "Actor") -> "Imported":
        with file.open("rb") as body:
            return await house.get(Statements).take(
                body,
                covers_from.replace(tzinfo=EAT),
                covers_to.replace(tzinfo=EAT),
                by=me.username,
                actor=actor,
            )

    done = in_house(lambda house: acting(house, operator, password_stdin, take), data)
    again = " (known already)" if done.again else ""
    screen.console.print(f"[green]✓[/green] {done.lines} lines read{again}")
    if done.unread:
        screen.console.print(f"[red]{done.unread} could not be read: it proves no absence.[/red]")
    for receipt in done.unknown:
        screen.console.print(f"  {receipt} was paid and is in no book of ours: M-Pesa is asked")
    for receipt in done.returns:
        screen.console.print(f"  {receipt} went back at M-Pesa: it is asked, then booked")
    if done.doubted:
        screen.console.print(f"  {done.doubted} payouts that had ended as not paid are asked about")
    if done.unmatched:
        words = "are in one of both books only: see hazina mpesa open"
        screen.console.print(f"[red]{done.unmatched} {words}[/red]")
    if done.unlisted:
        words = "payouts are booked as paid and not in it: see hazina mpesa open"
        screen.console.print(f"[red]{done.unlisted} {words}[/red]")


@mpesa.command()
def absent(
    what: Annotated[str, typer.Argument(help="wdr_… or dep_…, from `hazina mpesa open`.")],
    operator: Who,
    reason: Reason,
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Ask a second person to call a payout never made, or a prompt never paid, once proven.

    What was booked as paid is given back to the customer.
    """
    from hazina.flows.receipts.statements import Statements
    from hazina.flows.receipts.unanswered import Unanswered
    from hazina.kernel.ids import parse_id

    async def ask(house: "House", tx: "Tx", told: Told) -> "Approval":
        if what.startswith("dep_"):
            found = parse_id("dep", what)
            return await house.get(Unanswered).ask_absent(tx, found, reason=reason, **told)
        found = parse_id("wdr", what)
        return await house.get(Statements).ask_absent(tx, found, reason=reason, **told)

    ask_second(ask, operator, password_stdin=password_stdin, data=data)


@mpesa.command("paid-late")
def paid_late(
    withdrawal: WithdrawalId,
    receipt: Annotated[str, typer.Option(help="M-Pesa's, as an imported statement has it.")],
    operator: Who,
    reason: Reason,
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Ask a second person to book a payout that was made after it had ended as not paid.

    The customer's shillings go after it; what is spent they owe. One that is booked as paid and
    doubted has that receipt from then on.
    """
    from hazina.flows.receipts.late import LatePayouts
    from hazina.kernel.ids import parse_id

    ask_second(
        lambda house, tx, told: house.get(LatePayouts).ask_paid(
            tx, parse_id("wdr", withdrawal), receipt, reason=reason, **told
        ),
        operator, password_stdin=password_stdin, data=data,
    )  # fmt: skip


@mpesa.command()
def settled(
    unmatched: Annotated[str, typer.Argument(help="unm_…, from `hazina mpesa open`.")],
    operator: Who,
    reason: Reason,
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Ask a second person to agree what it was that only one of both books has.

    Nothing is booked by it.
    """
    from hazina.flows.receipts.unmatched import Unmatched
    from hazina.kernel.ids import parse_id

    async def ask(house: "House", tx: "Tx", told: Told) -> "Approval":
        found = parse_id("unm", unmatched)
        return await house.get(Unmatched).ask_settled(tx, found, reason=reason, **told)

    ask_second(ask, operator, password_stdin=password_stdin, data=data)


@mpesa.command()
def allocate(
    payment: PaymentId,
    username: Annotated[str, typer.Option(help="The customer whose it is.")],
    operator: Who,
    reason: Reason,
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Ask a second person to give a payment that is in suspense to a customer."""
    from hazina.flows.receipts.suspense import Suspense
    from hazina.kernel.ids import parse_id

    ask_second(
        lambda house, tx, told: house.get(Suspense).ask_allocate(
            tx, parse_id("pay", payment), username, reason=reason, **told
        ),
        operator, password_stdin=password_stdin, data=data,
    )  # fmt: skip


@mpesa.command("return")
def send_back(
    payment: PaymentId,
    operator: Who,
    reason: Reason,
    went_back: Annotated[
        bool | None,
        typer.Option(
            "--went-back/--not-went-back", help="For one under way: how it ended at M-Pesa."
        ),
    ] = None,
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Ask a second person to have a payment in suspense sent back, or to say how that ended."""
    from hazina.flows.receipts.suspense import Suspense
    from hazina.kernel.ids import parse_id

    async def ask(house: "House", tx: "Tx", told: Told) -> "Approval":
        found, part = parse_id("pay", payment), house.get(Suspense)
        if went_back is None:
            return await part.ask_return(tx, found, reason=reason, **told)
        return await part.ask_return_ended(tx, found, went_back=went_back, reason=reason, **told)

    ask_second(ask, operator, password_stdin=password_stdin, data=data)


@mpesa.command()
def approvals(data: Data = None, as_json: AsJson = False) -> None:
    """What waits for a second person."""
    from hazina.desk.approvals import Approvals
    from hazina.kernel.ids import wire_id

    async def look(house: "House") -> "list[Approval]":
        return list(await house.get(Approvals).list_open(house.db))

    found = in_house(look, data)
    if as_json:
        listed = [
            {
                "id": wire_id("apr", one.id),
                "act": one.act,
                "summary": one.summary,
                "reason": one.reason,
                "asked_by": one.asked_by_name,
                "asked_at": one.asked_at.isoformat(),
            }
            for one in found
        ]
        typer.echo(json.dumps(listed))
        return
    table = screen.plain_table("Id", "What", "Why", "Asked by")
    for one in found:
        table.add_row(wire_id("apr", one.id), one.summary, one.reason, one.asked_by_name)
    screen.console.print(table if found else "Nothing waits for a second person.")


@mpesa.command()
def approve(
    approval: Annotated[str, typer.Argument(help="apr_…, from `hazina mpesa approvals`.")],
    operator: Who,
    reject: Annotated[str | None, typer.Option(help="Say no instead, and why.")] = None,
    password_stdin: FromStdin = False,
    data: Data = None,
) -> None:
    """Agree as the second person, which carries the act out at once; or say no."""
    from hazina.desk.approvals import Approvals
    from hazina.kernel.ids import parse_id

    async def decide(house: "House", me: "Operator", actor: "Actor") -> "Approval":
        found, now, part = parse_id("apr", approval), house.clock.now(), house.get(Approvals)
        if reject is not None:
            return await house.db.run(
                lambda tx: part.reject(tx, found, operator=me, actor=actor, answer=reject, now=now)
            )
        return await house.db.run(
            lambda tx: part.approve(tx, found, operator=me, actor=actor, now=now)
        )

    done = in_house(lambda house: acting(house, operator, password_stdin, decide), data)
    word = "rejected" if reject is not None else "approved and done"
    screen.console.print(f"[green]✓[/green] {word}: {done.summary}")


def _waiting(one: "Waiting", now: datetime) -> dict[str, object]:
    return {
        "kind": one.kind,
        "id": one.wire,
        "amount": one.amount.decimal,
        "asset": one.amount.asset.code,
        "who": one.who,
        "state": one.state,
        "since": one.since.isoformat(),
        "age_s": int((now - one.since).total_seconds()),
        "why": one.why,
        "next_step": one.next_step,
    }
