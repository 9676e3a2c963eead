"""Deposits in the console: a list by state, and one deposit with all that is known. Read only."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from hazina.desk.webkit.current import CurrentOperator
from hazina.desk.webkit.filters import age
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Column, Line, Value
from hazina.flows.deposits import oversight
from hazina.flows.deposits.request import TABLE
from hazina.flows.deposits.states import DepositState
from hazina.flows.watch import (
    ATTEMPT_COLUMNS,
    EVENT_COLUMNS,
    Chapter,
    attempt_rows,
    event_rows,
    moment,
    short,
)
from hazina.identity.customers import Customers
from hazina.infra.db import Row, Tx
from hazina.infra.house import House
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES

router = APIRouter(prefix="/deposits")

RECEIPT_COLUMNS: list[str | Column] = [
    "Receipt",
    Column("Amount", numeric=True),
    "Paid at",
    "Known since",
    "Group",
]
State = Annotated[DepositState | None, Query(description="One state; empty: all open.")]
Cursor = Annotated[str | None, Query(max_length=60)]


@router.get("")
async def show_list(
    request: Request, _operator: CurrentOperator, state: State = None, cursor: Cursor = None
) -> Response:
    """Deposits in one state, or all that are open, newest first."""
    title, lede = "Deposits", "Shillings that people put in by M-Pesa."
    return await oversight.DEPOSITS.page(request, state, cursor, title=title, lede=lede)


@router.get("/{deposit_id}")
async def show(request: Request, deposit_id: str, _operator: CurrentOperator) -> Response:
    """One deposit: where it stands and everything that led there."""
    house: House = request.app.state.house
    found = parse_id("dep", deposit_id)
    async with house.db.transaction(readonly=True) as tx:
        row = await oversight.DEPOSITS.find_row(tx, found)
        owner = await house.get(Customers).get(tx, row["customer_id"])
        chapters = [
            Chapter("Timeline", EVENT_COLUMNS, event_rows(await TABLE.events(tx, found)), ""),
            Chapter(
                "Attempts to prompt the phone",
                ATTEMPT_COLUMNS,
                await attempt_rows(tx, "deposits.attempt", found),
                "M-Pesa has not been asked yet.",
            ),
            Chapter(
                "Receipts", RECEIPT_COLUMNS, await _receipts(tx, row), "No receipt has come yet."
            ),
        ]
    one = oversight.DEPOSITS.watched(row)
    return render(
        request,
        "deposits/watch_detail.html",
        title="Deposit",
        back="/deposits",
        back_label="Deposits",
        one=one,
        age=age(one.since, house.clock.now()),
        lines=_lines(row, owner.username),
        chapters=chapters,
    )


async def _receipts(tx: Tx, row: Row) -> list[list[Value]]:
    return [
        [
            found["receipt"],
            KES.units(int(found["amount"])),
            moment(found["completed_at"]) if found["completed_at"] else None,
            moment(found["received_at"]),
            short(found["group_id"]),
        ]
        for found in await tx.fetch(oversight.RECEIPTS, row["id"])
    ]


def _lines(row: Row, username: str) -> list[Line]:
    purpose = f"{row['purpose']}, {row['plan']}" if row["purpose"] else "None"
    return [
        Line("Id", wire_id("dep", row["id"])),
        Line("Customer", username),
        Line("Phone", row["phone_masked"]),
        Line("Reference on the phone", row["reference"]),
        Line("Asked", row["requested_at"]),
        Line("Credited so far", KES.units(int(row["credited"]))),
        Line("M-Pesa receipt", row["receipt"]),
        Line("M-Pesa's ids", row["checkout_request_id"], row["merchant_request_id"] or ""),
        Line("Those ids came by", row["ids_from"]),
        Line("Times asked about", row["queries"]),
        Line("Paid for", purpose),
        Line("Counted on the day", f"{row['limit_day']:%-d %b %Y}"),
        Line("M-Pesa's words", row["words"], row["code"] or ""),
    ]
