"""The organisation portal's statement as CSV, of this simulator's own books.

The header, the spelling of times and the order (latest first) are the portal's. Each line of an
organisation account is a row: a payout and its charge share a receipt, a transfer between own
accounts has a row on each. Free text (account numbers) stays as the payer typed it.
"""

import csv
import io
from dataclasses import dataclass

from hazina.simulators.daraja.books import CHARGES, PAY_BILL, PAYOUT, REVERSAL, UTILITY, WORKING
from hazina.simulators.daraja.clock import dashed, spaced
from hazina.simulators.daraja.money import decimal_text
from hazina.simulators.daraja.wire import masked_phone
from hazina.simulators.daraja.world import World

HEADER = (
    "Receipt No.", "Completion Time", "Initiation Time", "Details", "Transaction Status",
    "Paid In", "Withdrawn", "Balance", "Balance Confirmed", "Reason Type", "Other Party Info",
    "Linked Transaction ID", "A/C No.",
)  # fmt: skip

ACCOUNTS = {"working": WORKING, "utility": UTILITY, "charges": CHARGES}
NAMES = {"working": "Working Account", "utility": "Utility Account", "charges": "Charges Paid"}


@dataclass(frozen=True, slots=True)
class Wish:
    """What to print, and in which of the spellings integrators met."""

    from_ms: int
    to_ms: int
    """Not included."""
    account: str = "all"
    charges: bool = True
    failed: bool = False
    masked: bool = False
    negative: bool = True
    """Withdrawn as -60.00."""
    iso: bool = False
    thousands: bool = False


@dataclass(frozen=True, slots=True)
class _Line:
    at_ms: int
    order: int
    cells: tuple[str, ...]


def statement(world: World, wish: Wish) -> str:
    """This will print the statement: preamble, header, rows."""
    out = io.StringIO(newline="")
    paper = csv.writer(out, lineterminator="\r\n")
    name = "All accounts" if wish.account == "all" else NAMES[wish.account]
    period = f"From {dashed(wish.from_ms)} To {dashed(wish.to_ms - 1000)}"
    paper.writerows(
        [
            ("Organization Name", world.config.organisation),
            ("Short Code", world.config.shortcode),
            ("Account", name),
            ("Time Period", period),
            (),
            HEADER,
        ]
    )
    lines = _booked(world, wish) + (_failed(world, wish) if wish.failed else [])
    lines.sort(key=lambda line: (line.at_ms, line.order), reverse=True)
    paper.writerows(line.cells for line in lines)
    return out.getvalue()


def _booked(world: World, wish: Wish) -> list[_Line]:
    chosen = tuple(ACCOUNTS.values()) if wish.account == "all" else (ACCOUNTS[wish.account],)
    rows = world.store.rows(
        "SELECT t.*, e.id AS entry, e.account, e.amount AS moved, e.balance_after, r.original,"
        " h.name FROM transactions t JOIN entries e ON e.receipt = t.receipt"
        " LEFT JOIN reversals r ON r.receipt = t.receipt LEFT JOIN handsets h ON h.phone = t.phone"
        " WHERE t.at_ms >= ? AND t.at_ms < ? AND e.account IN (?, ?, ?)",
        wish.from_ms, wish.to_ms, *chosen, *[None] * (3 - len(chosen)),
    )  # fmt: skip
    lines = []
    for row in rows:
        is_charge = row["account"] == CHARGES
        if is_charge and not wish.charges:
            continue
        reason = f"{row['kind']} Charge" if is_charge else str(row["kind"])
        party = _party(world, wish, row["phone"], row["name"])
        cells = _cells(
            wish, row["receipt"], int(row["at_ms"]), int(row["started_ms"]),
            _details(reason, str(row["kind"]), party, row["reference"], row["detail"]),
            "Completed", int(row["moved"]), int(row["balance_after"]), reason, party,
            row["original"] or "", row["reference"],
        )  # fmt: skip
        lines.append(_Line(int(row["at_ms"]), int(row["entry"]), cells))
    return lines


def _failed(world: World, wish: Wish) -> list[_Line]:
    """Payouts and PayBill payments that came to nothing; they moved no balance."""
    payouts = world.store.rows(
        "SELECT *, remarks AS said, '' AS reference FROM payouts"
        " WHERE result_code <> '0' AND finished_ms >= ? AND finished_ms < ?",
        wish.from_ms, wish.to_ms,
    )  # fmt: skip
    payments = world.store.rows(
        "SELECT *, result_desc AS said FROM paybills"
        " WHERE result_code <> '0' AND finished_ms >= ? AND finished_ms < ?",
        wish.from_ms, wish.to_ms,
    )  # fmt: skip
    account = {"all": (PAYOUT, PAY_BILL), "utility": (PAYOUT,), "working": (PAY_BILL,)}
    lines = []
    for kind, rows in ((PAYOUT, payouts), (PAY_BILL, payments)):
        for row in rows if kind in account.get(wish.account, ()) else ():
            handset = world.books.find_handset(row["phone"])
            party = _party(world, wish, row["phone"], None if handset is None else handset.name)
            moved = int(row["amount"]) if kind == PAY_BILL else -int(row["amount"])
            cells = _cells(
                wish, row["receipt"], int(row["finished_ms"]), int(row["created_ms"]),
                _details(kind, kind, party, row["reference"], row["said"]),
                "Failed", moved, None, kind, party, "", row["reference"],
            )  # fmt: skip
            lines.append(_Line(int(row["finished_ms"]), 0, cells))
    return lines


def _party(world: World, wish: Wish, phone: str | None, name: str | None) -> str:
    if phone is None:
        return f"{world.config.shortcode} - {world.config.organisation}"
    shown = masked_phone(phone, "tight") if wish.masked else phone
    return shown if name is None else f"{shown} - {name}"


def _details(reason: str, kind: str, party: str, reference: str, detail: str) -> str:
    if reason != kind:
        return reason
    if kind == PAY_BILL:
        return f"Pay Bill from {party} Acc. {reference}"
    if kind == PAYOUT:
        return f"Business Payment to {party} Remarks: {detail}"
    if kind == REVERSAL:
        return f"Reversal to {party}: {detail}"
    return detail or kind


def _cells(
    wish: Wish,
    receipt: str | None,
    done_ms: int,
    begun_ms: int,
    details: str,
    state: str,
    moved: int,
    balance: int | None,
    reason: str,
    party: str,
    linked: str,
    account_number: str,
) -> tuple[str, ...]:
    withdrawn = moved if wish.negative else -moved
    return (
        receipt or "", _moment(wish, done_ms), _moment(wish, begun_ms), details, state,
        _amount(wish, moved) if moved > 0 else "",
        _amount(wish, withdrawn) if moved < 0 else "",
        "" if balance is None else _amount(wish, balance),
        "true" if state == "Completed" else "false", reason, party, linked, account_number,
    )  # fmt: skip


def _moment(wish: Wish, at_ms: int) -> str:
    return spaced(at_ms) if wish.iso else dashed(at_ms)


def _amount(wish: Wish, cents: int) -> str:
    text = decimal_text(abs(cents))
    if wish.thousands:
        whole, _, rest = text.partition(".")
        text = f"{int(whole):,}.{rest}"
    return f"-{text}" if cents < 0 else text
