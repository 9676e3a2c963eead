"""Withdrawals in the console: a list by state, and one with all that is known. Read only; what may
be done about one that is open stands among the open questions."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from hazina.desk.webkit.current import CurrentOperator
from hazina.desk.webkit.filters import age
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Line
from hazina.flows.watch import (
    ATTEMPT_COLUMNS,
    EVENT_COLUMNS,
    Chapter,
    attempt_rows,
    event_rows,
    moment,
)
from hazina.flows.withdrawals import oversight
from hazina.flows.withdrawals.request import TABLE
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.identity.customers import Customers
from hazina.infra.db import Row
from hazina.infra.house import House
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES

router = APIRouter()

State = Annotated[WithdrawalState | None, Query(description="One state; empty: all open.")]
Cursor = Annotated[str | None, Query(max_length=60)]


@router.get("/withdrawals")
async def show_list(
    request: Request, _operator: CurrentOperator, state: State = None, cursor: Cursor = None
) -> Response:
    """Withdrawals in one state, or all that are open, newest first."""
    title, lede = "Withdrawals", "Shillings that M-Pesa pays out for us."
    return await oversight.WITHDRAWALS.page(request, state, cursor, title=title, lede=lede)


@router.get("/withdrawals/{withdrawal_id}")
async def show(request: Request, withdrawal_id: str, _operator: CurrentOperator) -> Response:
    """One withdrawal: where it stands and everything that led there."""
    house: House = request.app.state.house
    found = parse_id("wdr", withdrawal_id)
    async with house.db.transaction(readonly=True) as tx:
        row = await oversight.WITHDRAWALS.find_row(tx, found)
        owner = await house.get(Customers).get(tx, row["customer_id"])
        asked = [[moment(one["asked_at"])] for one in await tx.fetch(oversight.ASKED, found)]
        chapters = [
            Chapter("Timeline", EVENT_COLUMNS, event_rows(await TABLE.events(tx, found)), ""),
            Chapter(
                "Attempts to pay",
                ATTEMPT_COLUMNS,
                await attempt_rows(tx, "withdrawals.attempt", found),
                "M-Pesa has not been asked yet.",
            ),
            Chapter(
                "Questions to M-Pesa", ["Asked at"], asked, "Nothing had to be asked about it."
            ),
        ]
    one = oversight.WITHDRAWALS.watched(row)
    return render(
        request,
        "deposits/watch_detail.html",
        title="Withdrawal",
        back="/withdrawals",
        back_label="Withdrawals",
        one=one,
        age=age(one.since, house.clock.now()),
        lines=_lines(row, owner.username),
        chapters=chapters,
    )


def _lines(row: Row, username: str) -> list[Line]:
    fee, excise = KES.units(int(row["fee"])), KES.units(int(row["excise"]))
    return [
        Line("Id", wire_id("wdr", row["id"])),
        Line("Customer", username),
        Line("Phone", row["phone_masked"]),
        Line("Asked", row["requested_at"]),
        Line("Fee", fee),
        Line("Of it, excise duty", excise),
        Line("M-Pesa receipt", row["receipt"]),
        Line("M-Pesa's conversation", row["conversation_id"]),
        Line("Times asked about", row["questions"]),
        Line("Paid out for", row["purpose"] or "The customer's own balance"),
        Line("Counted on the day", f"{row['limit_day']:%-d %b %Y}"),
        Line("Ledger group", str(row["group_id"]) if row["group_id"] else None),
        Line("M-Pesa's words", row["words"], row["code"] or ""),
    ]
