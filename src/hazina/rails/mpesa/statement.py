"""The organisation portal's statement as CSV. Pure.

Known traps: lines before the header; times in two spellings; thousands commas; what was withdrawn
with or without a minus; a charge under its payment's own receipt. Only completed lines count.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import BinaryIO

from hazina.kernel.clock import EAT
from hazina.rails.mpesa.c2b import payer_mask_of, payer_of, read_account
from hazina.rails.mpesa.wire import read_cents, read_receipt, read_time
from hazina.rails.receipts import LineKind, Statement, StatementLine, StatementUnreadable

RECEIPT, DONE, STATUS = "Receipt No.", "Completion Time", "Transaction Status"
PAID_IN, WITHDRAWN, REASON = "Paid In", "Withdrawn", "Reason Type"
PARTY, LINKED, ACCOUNT = "Other Party Info", "Linked Transaction ID", "A/C No."
NEEDED = {RECEIPT, DONE, STATUS, PAID_IN, WITHDRAWN, REASON}
MAX_BYTES = 64 * 1024 * 1024


def read_statement(file: BinaryIO) -> Statement:
    """This will read every completed line, from the file's beginning and never all of it at once;
    the file stays open. Raises: StatementUnreadable."""
    if file.seek(0, io.SEEK_END) > MAX_BYTES:
        raise StatementUnreadable
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        return _read(csv.reader(text, strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise StatementUnreadable from None
    finally:
        text.detach()


def _read(rows: Iterator[list[str]]) -> Statement:
    """One row after the other: a year of them would be a hundred times the file in memory."""
    head = next((row for row in rows if {cell.strip() for cell in row} >= NEEDED), None)
    if head is None:
        raise StatementUnreadable
    names = [cell.strip() for cell in head]
    lines: list[StatementLine] = []
    unread = 0
    for row in rows:
        cells = {name: cell.strip() for name, cell in zip(names, row, strict=False)}
        if cells.get(STATUS, "").lower() != "completed":
            unread += bool("".join(row).strip()) and not cells.get(STATUS)
            continue
        found = _line(cells)
        lines += [found] if found else []
        unread += found is None
    return Statement(tuple(lines), unread)


def _line(cells: Mapping[str, str]) -> StatementLine | None:
    receipt, at = read_receipt(cells[RECEIPT]), _time(cells[DONE])
    paid_in, withdrawn = _cents(cells[PAID_IN]), _cents(cells[WITHDRAWN])
    if receipt is None or at is None or bool(paid_in) == bool(withdrawn):
        return None
    digest, shown = payer_of(cells.get(PARTY, "").partition(" - ")[0])
    linked = read_receipt(cells.get(LINKED, ""))
    inward = bool(paid_in)
    return StatementLine(
        receipt=receipt,
        kind=_kind(cells[REASON].lower(), inward=inward, linked=linked),
        inward=inward,
        amount_units=paid_in or withdrawn,
        at=at,
        account=read_account(cells.get(ACCOUNT, "")),
        linked=linked,
        payer_digest=digest,
        payer_shown=shown,
        payer_mask=payer_mask_of(cells.get(PARTY, "").partition(" - ")[0]),
    )


def _kind(reason: str, *, inward: bool, linked: str | None) -> LineKind:
    if reason.endswith("charge"):
        return LineKind.CHARGE
    if "reversal" in reason:
        return LineKind.RETURN if linked and not inward else LineKind.OTHER
    if inward and reason.startswith(("pay bill", "customer ")):
        return LineKind.PAYMENT
    if not inward and "payment to customer" in reason:
        return LineKind.PAYOUT
    return LineKind.OTHER


def _cents(text: str) -> int:
    """An amount without its sign; nothing, and what cannot be read, is 0."""
    return abs(read_cents(text.replace(",", "")) or 0)


def _time(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%d-%m-%Y %H:%M:%S").replace(tzinfo=EAT).astimezone(UTC)
    except ValueError:
        return read_time(text)
