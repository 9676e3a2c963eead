"""How `hazina ledger` shows what it read: tables for people, JSON and CSV for programs."""

import csv
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING

from hazina.cli import screen

if TYPE_CHECKING:
    from hazina.cli.ledger_db import Answer
    from hazina.kernel.money import Money
    from hazina.kernel.page import Page
    from hazina.ledger.heads import Head
    from hazina.ledger.history import StatementLine, TrialLine
    from hazina.ledger.past import PastBalance
    from hazina.ledger.reading import AccountFacts, Side, TransferFacts

WORTH_SAYING_MS = 100
CSV_HEAD = [
    "number", "booked_at", "transfer_id", "kind", "code", "reference_type", "reference_id",
    "asset", "change", "balance", "held",
]  # fmt: skip


def proof_json(answer: "Answer") -> dict[str, object]:
    claims = [
        {"claim": v.claim, "holds": v.holds, "faults": v.faults, "took_ms": v.took_ms}
        for v in answer.verdicts
    ]
    return {
        "since_block": answer.since,
        "to_block": answer.upto,
        "remembered": answer.kept,
        "claims": claims,
    }


def show_proof(answer: "Answer") -> None:
    from rich.markup import escape

    from hazina.ledger.proof import MAX_LINES

    table = screen.plain_table("", "Claim")
    table.add_column("", justify="right", style="dim")
    for verdict in answer.verdicts:
        took = f"{verdict.took_ms:,} ms" if verdict.took_ms >= WORTH_SAYING_MS else ""
        table.add_row("[green]✓[/green]" if verdict.holds else "[red]✗[/red]", verdict.claim, took)
        for fault in verdict.faults:
            table.add_row("", f"[red]{escape(fault)}[/red]")
        if len(verdict.faults) == MAX_LINES:
            table.add_row("", "[dim]… and there may be more[/dim]")
    screen.console.print(table)
    failed = sum(not verdict.holds for verdict in answer.verdicts)
    if failed:
        screen.console.print(f"[red]{failed} of {len(answer.verdicts)} claims do not hold.[/red]")
        return
    screen.console.print(f"[green]All {len(answer.verdicts)} claims hold.[/green]")
    if answer.since:
        screen.console.print(
            f"[dim]since block {answer.since}, which was proven before, up to {answer.upto};"
            " all of history: --full[/dim]"
        )


def show_head_verdict(head: "Head", wrong: list[str], *, known: bool) -> None:
    from rich.markup import escape

    if wrong:
        for line in wrong:
            screen.console.print(f"[red]✗ head: {escape(line)}[/red]", soft_wrap=True)
        return
    screen.console.print(
        f"[green]✓[/green] head of block {head.block} from {escape(head.at)}:"
        " its signature holds and the chain has it"
    )
    if not known:
        screen.console.print(
            f"[dim]signed by {escape(head.public_key)}: compare it with the key you wrote down, or"
            " give --public-key[/dim]",
            soft_wrap=True,
        )


def show_trial_balance(lines: "list[TrialLine]") -> None:
    table = screen.plain_table("Purpose", "Asset")
    for name in ("Accounts", "Debits", "Credits", "Held", "Balance"):
        table.add_column(name, justify="right")
    moved = [line for line in lines if line.debits.units or line.credits.units or line.held.units]
    for line in moved:
        table.add_row(
            line.purpose.value, line.asset.code, str(line.accounts), line.debits.decimal,
            line.credits.decimal, line.held.decimal, line.balance.decimal,
        )  # fmt: skip
    for asset in sorted({line.asset for line in lines}, key=lambda asset: asset.code):
        of_asset = [line for line in lines if line.asset == asset]
        debits = asset.units(sum(line.debits.units for line in of_asset))
        credits_ = asset.units(sum(line.credits.units for line in of_asset))
        table.add_row(
            "[bold]total[/bold]", asset.code, "", debits.decimal, credits_.decimal, "", "",
            style="green" if debits == credits_ else "red",
        )  # fmt: skip
    screen.console.print(table)
    if len(moved) < len(lines):
        still = len(lines) - len(moved)
        screen.console.print(f"[dim]and {still} on which nothing was ever booked[/dim]")


def show_statement(
    lines: "list[StatementLine]", asset: str, between: "tuple[Money, Money] | None"
) -> None:
    table = screen.plain_table("No.", "Booked (UTC)", "Kind", "Code", "Reference")
    for name in ("Change", "Held", f"Balance {asset}"):
        table.add_column(name, justify="right")
    if between is not None:
        table.add_row("", "", "", "opening balance", "", "", "", between[0].decimal)
    for line in lines:
        table.add_row(
            str(line.version or ""), f"{line.booked_at:%Y-%m-%d %H:%M:%S}", line.kind.value,
            line.code.value, f"{line.reference.type} {line.reference.id}",
            line.change.decimal, line.held.decimal, line.balance.decimal,
        )  # fmt: skip
    if between is not None:
        table.add_row("", "", "", "closing balance", "", "", "", between[1].decimal)
    screen.console.print(table)


def show_facts(told: Mapping[str, object]) -> None:
    """One name and value a line; what is empty is left out."""
    from rich.markup import escape

    table = screen.plain_table("", "")
    table.show_header = False
    for name, value in told.items():
        if isinstance(value, Mapping):
            value = " ".join(f"{key} {one}" for key, one in value.items() if one is not None)
        if value not in (None, ""):
            table.add_row(f"[dim]{name.replace('_', ' ')}[/dim]", escape(str(value)))
    screen.console.print(table)


def trial_json(line: "TrialLine") -> dict[str, object]:
    return {
        "purpose": line.purpose.value,
        "asset": line.asset.code,
        "accounts": line.accounts,
        "debits": line.debits.decimal,
        "credits": line.credits.decimal,
        "held": line.held.decimal,
        "balance": line.balance.decimal,
    }


def statement_json(
    page: "Page[StatementLine]", between: "tuple[Money, Money] | None"
) -> dict[str, object]:
    told: dict[str, object] = {
        "items": [_line_json(line) for line in page.items],
        "next_cursor": page.next_cursor,
    }
    if between is not None:
        told |= {"opening": between[0].decimal, "closing": between[1].decimal}
    return told


def statement_csv(page: "Page[StatementLine]", between: "tuple[Money, Money] | None") -> str:
    """The lines as a table; of a period with its opening and, on the last page, closing balance."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(CSV_HEAD)
    if between is not None:
        table.writerow(_balance_row("opening_balance", between[0]))
    for line in page.items:
        table.writerow(
            [line.version or "", line.booked_at.isoformat(), line.transfer_id, line.kind.value,
             line.code.value, line.reference.type, line.reference.id, line.amount.asset.code,
             line.change.decimal, line.balance.decimal, line.held.decimal]
        )  # fmt: skip
    if between is not None and page.next_cursor is None:
        table.writerow(_balance_row("closing_balance", between[1]))
    return text.getvalue()


def _balance_row(code: str, balance: "Money") -> list[str]:
    return ["", "", "", "", code, "", "", balance.asset.code, "", balance.decimal, ""]


def account_json(facts: "AccountFacts", worth: "PastBalance") -> dict[str, object]:
    ref = facts.ref
    return {
        "id": str(facts.id),
        "purpose": ref.purpose.value,
        "asset": ref.asset.code,
        "owner": None if ref.owner is None else str(ref.owner),
        "state": facts.state,
        "floor": facts.floor.decimal if ref.line.bounded else None,
        "opened_at": facts.opened_at.isoformat(),
        "balance": worth.posted.decimal,
        "held": None if worth.held is None else worth.held.decimal,
        "incoming": None if worth.incoming is None else worth.incoming.decimal,
        "available": None if worth.held is None else (worth.posted - worth.held).decimal,
        "version": worth.version,
        "booked_at": None if worth.booked_at is None else worth.booked_at.isoformat(),
    }


def transfer_json(found: "TransferFacts") -> dict[str, object]:
    sealed = None
    if found.block is not None:
        sealed = {"block": found.block, "position": found.position}
    return {
        "id": str(found.id),
        "kind": found.kind.value,
        "code": found.code,
        "asset": found.amount.asset.code,
        "amount": found.amount.decimal,
        "debit": _side_json(found.debit),
        "credit": _side_json(found.credit),
        "reference": {"type": found.reference.type, "id": str(found.reference.id)},
        "hold": None if found.pending_id is None else str(found.pending_id),
        "group": None if found.group is None else str(found.group),
        "actor": found.actor,
        "booked_at": found.booked_at.isoformat(),
        "effective_at": found.effective_at.isoformat(),
        "expires_at": None if found.expires_at is None else found.expires_at.isoformat(),
        "metadata": found.metadata,
        "sealed": sealed,
    }


def _side_json(side: "Side") -> dict[str, object]:
    owner = None if side.owner is None else str(side.owner)
    return {"purpose": side.purpose, "owner": owner, "account": str(side.id)}


def _line_json(line: "StatementLine") -> dict[str, object]:
    return {
        "version": line.version or None,
        "transfer_id": str(line.transfer_id),
        "kind": line.kind.value,
        "code": line.code.value,
        "asset": line.amount.asset.code,
        "amount": line.amount.decimal,
        "change": line.change.decimal,
        "held": line.held.decimal,
        "balance": line.balance.decimal,
        "booked_at": line.booked_at.isoformat(),
        "reference": {"type": line.reference.type, "id": str(line.reference.id)},
    }
