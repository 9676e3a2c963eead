"""The control API of the books: transactions, callbacks, the portal's statement.

`/sim/books` and `/sim/deliveries` give everything unless asked for pages: `limit` begins, `cursor`
goes on, `next_cursor` is null at the end. A cursor stays good while new rows arrive.
"""

import json
import sqlite3
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Response

from hazina.simulators.daraja import books as b
from hazina.simulators.daraja.clock import day_start_ms, in_eat, read_eat
from hazina.simulators.daraja.control import Shown, TheWorld
from hazina.simulators.daraja.money import decimal_text
from hazina.simulators.daraja.statement import Wish, statement
from hazina.simulators.daraja.world import World

router = APIRouter()

Limit = Annotated[int | None, Query(ge=1, le=1000)]
Cursor = Annotated[int, Query(ge=0)]
DEFAULT_LIMIT = 200
DAY_MS = 86_400_000


def show_page(
    rows: list[sqlite3.Row], key: str, limit: int | None
) -> tuple[list[sqlite3.Row], str | None]:
    """This will cut the one row too many and tell where the next page begins."""
    if limit is None or len(rows) <= limit:
        return rows, None
    return rows[:limit], str(rows[limit - 1][key])


def _most(limit: int | None, cursor: int) -> int | None:
    return limit if limit is not None or not cursor else DEFAULT_LIMIT


@router.get("/sim/books")
async def get_books(world: TheWorld, limit: Limit = None, cursor: Cursor = 0) -> Shown:
    """This will show transactions, oldest first; the first page has balances and the proof too."""
    limit = _most(limit, cursor)
    rows = world.store.rows(
        "SELECT rowid AS number, * FROM transactions WHERE rowid > ? ORDER BY rowid LIMIT ?",
        cursor, -1 if limit is None else limit + 1,
    )  # fmt: skip
    rows, following = show_page(rows, "number", limit)
    shown = {} if cursor else show_balances(world)
    return {
        **shown,
        "transactions": [_show_transaction(world, row) for row in rows],
        "next_cursor": following,
    }


def show_balances(world: World) -> Shown:
    """This will show every total, proved from the entries."""
    balanced, total, opening = world.books.proof()
    handsets = "SELECT SUM(balance) FROM accounts WHERE name GLOB 'handset:*'"
    return {
        "organisation": {
            "working": decimal_text(world.books.balance(b.WORKING)),
            "utility": decimal_text(world.books.balance(b.UTILITY)),
            "charges_paid": decimal_text(world.books.balance(b.CHARGES)),
        },
        "mpesa_revenue": decimal_text(world.books.balance(b.REVENUE)),
        "handsets": decimal_text(world.store.number(handsets)),
        "total": decimal_text(total),
        "opening": decimal_text(opening),
        "balanced": balanced,
    }


@router.get("/sim/books/{receipt}")
async def get_transaction(world: TheWorld, receipt: str) -> Shown:
    """This will show one transaction with its lines; 404 when no book knows the receipt."""
    row = world.store.row("SELECT * FROM transactions WHERE receipt = ?", receipt)
    if row is None:
        raise HTTPException(404, "no such receipt")
    lines = world.store.rows(
        "SELECT account, amount, balance_after FROM entries WHERE receipt = ? ORDER BY id", receipt
    )
    return {
        **_show_transaction(world, row),
        "entries": [
            {
                "account": line["account"],
                "amount": decimal_text(line["amount"]),
                "balance_after": decimal_text(line["balance_after"]),
            }
            for line in lines
        ],
    }


def _show_transaction(world: World, row: sqlite3.Row) -> Shown:
    turn = world.store.row(
        "SELECT * FROM reversals WHERE original = ?1 OR receipt = ?1", row["receipt"]
    )
    original = None if turn is None else str(turn["original"])
    return {
        "receipt": row["receipt"],
        "kind": row["kind"],
        "phone": row["phone"],
        "amount": decimal_text(row["amount"]),
        "charge": decimal_text(row["charge"]),
        "reference": row["reference"],
        "detail": row["detail"],
        "originator_conversation_id": row["originator_id"],
        "conversation_id": row["conversation_id"],
        "reverses": original if original != row["receipt"] else None,
        "reversed_by": turn["receipt"] if turn and original == row["receipt"] else None,
        "at": in_eat(row["at_ms"]).isoformat(),
    }


@router.get("/sim/deliveries")
async def get_deliveries(
    world: TheWorld, kind: str | None = None, limit: Limit = None, cursor: Cursor = 0
) -> Shown:
    """This will show callback deliveries, oldest first."""
    limit = _most(limit, cursor)
    rows = world.store.rows(
        "SELECT * FROM deliveries WHERE (?1 IS NULL OR kind = ?1) AND id > ?2 ORDER BY id LIMIT ?3",
        kind, cursor, -1 if limit is None else limit + 1,
    )  # fmt: skip
    rows, following = show_page(rows, "id", limit)
    return {
        "deliveries": [
            {
                "id": row["id"],
                "kind": row["kind"],
                "subject": row["subject"],
                "url": row["url"],
                "forwarded_for": row["forwarded_for"],
                "body": json.loads(row["body"]),
                "state": row["state"],
                "attempts": row["attempts"],
                "status": row["status"],
                "error": row["error"],
                "due_at": in_eat(row["due_ms"]).isoformat(),
            }
            for row in rows
        ],
        "next_cursor": following,
    }


def _bound(text: str | None, missing: int, *, end: bool) -> int:
    if not text:
        return missing
    at_ms = read_eat(text)
    if at_ms is None:
        raise HTTPException(422, f"no date or moment: {text[:40]}")
    if not end:
        return at_ms
    # A day is meant as a whole, a moment to its second.
    return at_ms + (DAY_MS if len(text) <= 10 else 1000)


@router.get("/sim/statement.csv")
async def get_statement(
    world: TheWorld,
    begin: Annotated[str | None, Query(alias="from")] = None,
    end: Annotated[str | None, Query(alias="to")] = None,
    account: Literal["all", "working", "utility", "charges"] = "all",
    charges: bool = True,  # noqa: FBT001, FBT002 - query parameters
    failed: bool = False,  # noqa: FBT001, FBT002
    masked: bool = False,  # noqa: FBT001, FBT002
    negative: bool = True,  # noqa: FBT001, FBT002
    iso: bool = False,  # noqa: FBT001, FBT002
    thousands: bool = False,  # noqa: FBT001, FBT002
) -> Response:
    """This will print the portal's statement from day to day, both included; else everything."""
    first = world.store.number("SELECT MIN(at_ms) FROM transactions")
    wish = Wish(
        _bound(begin, day_start_ms(first), end=False),
        _bound(end, day_start_ms(world.now_ms()) + DAY_MS, end=True),
        account, charges, failed, masked, negative, iso, thousands,
    )  # fmt: skip
    headers = {"Content-Disposition": 'attachment; filename="statement.csv"'}
    return Response(statement(world, wish), media_type="text/csv", headers=headers)
