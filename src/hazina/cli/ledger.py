"""`hazina ledger`: the proof, the trial balance, one account, one transfer, signed heads.

It reads, and writes one row: what the proof found, so that the next one can go on from there.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from hazina.cli import ledger_db, ledger_show, screen

if TYPE_CHECKING:
    from hazina.ledger.chart import AccountRef
    from hazina.ledger.heads import Head

app = typer.Typer(no_args_is_help=True, help="The ledger: prove it, sum it, read an account.")

AsJson = Annotated[bool, typer.Option("--json", help="Machine-readable, on one line.")]


def _id(text: str) -> UUID:
    """An id as people meet it: with its prefix, or bare."""
    try:
        return UUID(text.rpartition("_")[2])
    except ValueError:
        raise typer.BadParameter(
            f"{text} is no id. One is 32 hexadecimal digits, with or without its prefix, such as"
            " cus_01a20015043b7f838a647b9ddc874cea; the console shows a customer's."
        ) from None


AsCsv = Annotated[bool, typer.Option("--csv", help="For a spreadsheet, with a head line.")]
Owner = Annotated[
    UUID | None,
    typer.Argument(
        parser=_id,
        metavar="OWNER",
        help="Whose account: a customer's or a lot's id, with or without its prefix. None: one of"
        " the house's own.",
    ),
]
InAsset = Annotated[str, typer.Option(help="KES or XAU.")]
OfPurpose = Annotated[str, typer.Option(help="wallet, lot, or a purpose of the house's own.")]
Moment = "A time with its offset, 2026-11-17T12:00+03:00."


def register(main: typer.Typer) -> None:
    main.add_typer(app, name="ledger", rich_help_panel=screen.RUN)


@app.command()
def verify(
    as_json: AsJson = False,
    full: Annotated[
        bool, typer.Option("--full", help="All of history, not only since the last proof.")
    ] = False,
    head: Annotated[
        Path | None, typer.Option("--head", help="Prove this old head against the chain of today.")
    ] = None,
    public_key: Annotated[
        str | None, typer.Option(help="The key that must have signed the head (base64).")
    ] = None,
) -> None:
    """Check every claim the ledger makes about itself, in one snapshot. Exit 1 if one fails."""
    old = None if head is None else _head_file(head)
    if old is not None:
        keys = frozenset([public_key] if public_key else ledger_db.own_public_keys())
        wrong = ledger_db.read(lambda tx: ledger_db.against_head(tx, old, keys))
    else:
        keys, wrong = frozenset(), []
    # The chain from the head's block on must hold as well: only then it pins what is below it.
    start = None if old is None else old.block
    answer = ledger_db.prove(full=full, start=start, quiet=as_json)
    held = not wrong and all(verdict.holds for verdict in answer.verdicts)
    if as_json:
        told = ledger_show.proof_json(answer) | {"holds": held}
        if old is not None:
            told["head"] = {"block": old.block, "holds": not wrong, "faults": wrong}
        typer.echo(json.dumps(told))
    else:
        if old is not None:
            ledger_show.show_head_verdict(old, wrong, known=bool(keys))
        ledger_show.show_proof(answer)
    if not held:
        raise typer.Exit(1)


@app.command("trial-balance")
def trial_balance(
    at: Annotated[str | None, typer.Option("--at", help=f"As booked by then. {Moment}")] = None,
    as_json: AsJson = False,
) -> None:
    """Sum every purpose in every asset, now or then: debits and credits of an asset are equal."""
    from hazina.ledger.history import History

    moment = time_of(at)
    lines = ledger_db.read(lambda tx: History(tx).trial_balance(moment))
    if as_json:
        typer.echo(json.dumps([ledger_show.trial_json(line) for line in lines]))
    else:
        ledger_show.show_trial_balance(lines)


@app.command()
def statement(
    owner: Owner = None,
    asset: InAsset = "KES",
    purpose: OfPurpose = "wallet",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Lines of a page.")] = 50,
    before: Annotated[
        str | None, typer.Option(help="Go on where the last page ended, newest first.")
    ] = None,
    since: Annotated[str | None, typer.Option(help=f"From here, oldest first. {Moment}")] = None,
    until: Annotated[str | None, typer.Option(help=f"Up to here, without it. {Moment}")] = None,
    after: Annotated[
        str | None, typer.Option(help="Go on where a period's last page ended.")
    ] = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """List one account's movements: newest first, or of a period between its two balances."""
    from datetime import UTC

    from hazina.ledger.history import History
    from hazina.ledger.reading import account_facts

    ref = account_named(owner, asset, purpose)
    ledger_db.read(lambda tx: account_facts(tx, ref))  # one that was never opened is said to be so
    if since or until or after or not ref.line.bounded:
        first = time_of(since) or datetime(2000, 1, 1, tzinfo=UTC)
        end = time_of(until) or datetime(2200, 1, 1, tzinfo=UTC)
        found = ledger_db.read(
            lambda tx: History(tx).period(ref, first, end, limit=limit, cursor=after)
        )
        page, between = found.lines, (found.opening, found.closing)
        more = "--after"
    else:
        page = ledger_db.read(lambda tx: History(tx).statement(ref, limit=limit, cursor=before))
        between, more = None, "--before"
    if as_json:
        typer.echo(json.dumps(ledger_show.statement_json(page, between)))
    elif as_csv:
        typer.echo(ledger_show.statement_csv(page, between), nl=False)
        if page.next_cursor:
            screen.errors.print(f"more lines: {more} {page.next_cursor}", soft_wrap=True)
    else:
        ledger_show.show_statement(list(page.items), ref.asset.code, between)
        if page.next_cursor:
            screen.console.print(
                f"[dim]{'older' if between is None else 'more'} lines:"
                f" {more} {page.next_cursor}[/dim]",
                soft_wrap=True,
            )


@app.command()
def account(
    owner: Owner = None,
    asset: InAsset = "KES",
    purpose: OfPurpose = "wallet",
    at: Annotated[str | None, typer.Option("--at", help=f"As booked by then. {Moment}")] = None,
    effective: Annotated[
        str | None, typer.Option(help=f"As it counts then, whenever it was booked. {Moment}")
    ] = None,
    version: Annotated[int | None, typer.Option(min=0, help="After its line of this number.")] = (
        None
    ),
    parts: Annotated[
        bool, typer.Option("--parts", help="Also what it and all its parts hold together, now.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one account and what it is worth: now, at a time, or after one of its lines."""
    from hazina.ledger.accounts import Accounts
    from hazina.ledger.past import balance_at
    from hazina.ledger.reading import account_facts
    from hazina.ledger.service import Ledger

    ref, booked, counts = account_named(owner, asset, purpose), time_of(at), time_of(effective)
    facts = ledger_db.read(lambda tx: account_facts(tx, ref))
    worth = ledger_db.read(
        lambda tx: balance_at(tx, ref, version=version, booked=booked, effective=counts)
    )
    told = ledger_show.account_json(facts, worth)
    if parts:
        total = ledger_db.read(lambda tx: Accounts(Ledger()).sum(tx, ref))
        told["with_parts"] = {
            "posted": total.posted.decimal,
            "held": total.held.decimal,
            "incoming": total.incoming.decimal,
        }
    if as_json:
        typer.echo(json.dumps(told))
    else:
        ledger_show.show_facts(told)


@app.command()
def transfer(
    transfer_id: Annotated[
        UUID, typer.Argument(parser=_id, metavar="ID", help="The transfer's id.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show one transfer: what it moved, why, for whom, and where it is sealed."""
    from hazina.ledger.reading import transfer_facts

    found = ledger_db.read(lambda tx: transfer_facts(tx, transfer_id))
    told = ledger_show.transfer_json(found)
    if as_json:
        typer.echo(json.dumps(told))
    else:
        ledger_show.show_facts(told)


@app.command()
def head(
    as_json: AsJson = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write it to this file.")] = None,
) -> None:
    """Sign what the newest block says. Kept elsewhere, it pins all history up to there."""
    from hazina.kernel.clock import SystemClock
    from hazina.ledger.heads import take_head

    signer, now = ledger_db.signer(), SystemClock().now()
    signed = ledger_db.read(lambda tx: take_head(tx, signer, now))
    text = json.dumps(signed.as_json(), indent=1)
    if out is not None:
        out.write_text(text + "\n")
        screen.console.print(f"[green]✓[/green] {out}: block {signed.block}", soft_wrap=True)
    elif as_json:
        typer.echo(json.dumps(signed.as_json()))
    else:
        ledger_show.show_facts(signed.as_json())


def account_named(owner: UUID | None, asset: str, purpose: str) -> "AccountRef":
    from hazina.kernel.money import ASSETS
    from hazina.ledger.chart import AccountRef, Purpose

    if asset not in ASSETS:
        raise screen.fail(f"there is no asset {asset}: it is one of {', '.join(sorted(ASSETS))}")
    if purpose not in set(Purpose):
        raise screen.fail(f"no account is for {purpose}: hazina ledger trial-balance lists them")
    try:
        return AccountRef(Purpose(purpose), ASSETS[asset], owner)
    except ValueError:
        if owner is None:
            raise screen.fail(
                f"no {purpose} account in {asset} is the house's own: name its owner's id"
            ) from None
        raise screen.fail(f"no {purpose} account in {asset} has an owner") from None


def time_of(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise screen.fail(f"{text} is no time; write it like 2026-11-17T12:00+03:00") from None
    if moment.tzinfo is None:
        raise screen.fail(f"{text} says no offset; write it like 2026-11-17T12:00+03:00")
    return moment


def _head_file(path: Path) -> "Head":
    from hazina.ledger.heads import Head, HeadUnreadable

    try:
        return Head.of_json(path.read_bytes())
    except OSError as why:
        raise screen.fail(f"{path} cannot be read: {why.strerror}") from None
    except HeadUnreadable as why:
        raise screen.fail(why.message) from None
