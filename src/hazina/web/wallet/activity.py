"""Activity: every booked line with the balance after it, as a page and as a file to take home."""

from collections.abc import AsyncIterator
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from starlette.responses import Response, StreamingResponse

from hazina.desk.webkit.csv_text import csv_lines
from hazina.desk.webkit.current import CurrentCustomer
from hazina.desk.webkit.filters import money
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Column, Link, Value
from hazina.infra.house import House
from hazina.kernel.clock import EAT
from hazina.kernel.ids import wire_id
from hazina.kernel.page import MAX_LIMIT
from hazina.ledger.history import History, StatementLine
from hazina.web.api.user import REFERENCE_PREFIX
from hazina.web.statement import SHOWN_ASSETS, assets_of, merged
from hazina.web.wallet.words import name_of, page_of, words_for

router = APIRouter(prefix="/activity")

PAGE = 25
COLUMNS = [
    Column("When"),
    Column("What"),
    Column("Amount", numeric=True),
    Column("Balance after", numeric=True),
]
NAMES = {"KES": "Shillings", "XAU": "Gold"}
HEAD = ("booked_at", "asset", "what", "in", "out", "balance", "held", "belongs_to", "id")

AssetCode = Annotated[str, Query(max_length=8)]
Cursor = Annotated[str | None, Query(max_length=200)]


@router.get("")
async def show(
    request: Request, me: CurrentCustomer, asset: AssetCode = "", cursor: Cursor = None
) -> Response:
    """One page of the statement; the filter and the place are in the address."""
    house: House = request.app.state.house
    assets = assets_of(asset)
    page = await merged(
        house.get(History), me.id, assets, limit=PAGE, cursor=cursor, booked_only=True
    )
    query = f"asset={assets[0].code}" if asset else ""
    return render(
        request,
        "wallet/activity.html",
        columns=COLUMNS,
        rows=[_row(line) for line in page.items],
        filters=_filters(asset.upper()),
        older=_path(query, f"cursor={page.next_cursor}") if page.next_cursor else "",
        newer=_path(query) if cursor else "",
        csv=_path(query, base="/activity/statement.csv"),
    )


@router.get("/statement.csv")
async def download(request: Request, me: CurrentCustomer, asset: AssetCode = "") -> Response:
    """The whole statement, newest first, written while it is read."""
    house: House = request.app.state.house
    assets = assets_of(asset)
    day = house.clock.now().astimezone(EAT).strftime("%Y-%m-%d")
    name = f"hazina-{'-'.join(one.code for one in assets).lower()}-{day}.csv"

    async def lines() -> AsyncIterator[str]:
        yield csv_lines([HEAD])
        async for part in _parts(house.get(History), me.id, asset):
            yield csv_lines(_cells(line) for line in part)

    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines(), media_type="text/csv; charset=utf-8", headers=headers)


async def _parts(history: History, owner: UUID, asset: str) -> AsyncIterator[list[StatementLine]]:
    cursor: str | None = None
    while True:
        page = await merged(
            history, owner, assets_of(asset), limit=MAX_LIMIT, cursor=cursor, booked_only=True
        )
        yield list(page.items)
        cursor = page.next_cursor
        if cursor is None:
            return


def _row(line: StatementLine) -> list[Value]:
    what: str = words_for(line.code).title
    if path := page_of(line.reference):
        what = Markup('<a href="{}">{}</a>').format(path, what)
    return [line.booked_at, what, money(line.change, sign=True), line.balance]


def _cells(line: StatementLine) -> list[str]:
    incoming = line.change.units >= 0
    amount = line.change if incoming else -line.change
    prefix = REFERENCE_PREFIX.get(line.reference.type, line.reference.type)
    return [
        line.booked_at.astimezone(EAT).isoformat(timespec="seconds"),
        line.change.asset.code,
        words_for(line.code).title,
        amount.decimal if incoming else "",
        "" if incoming else amount.decimal,
        line.balance.decimal,
        line.held.decimal,
        name_of(line.reference),
        wire_id(prefix, line.reference.id),
    ]


def _filters(chosen: str) -> list[tuple[Link, bool]]:
    """Every filter and whether it is the one in force."""
    found = [(Link("Everything", "/activity"), not chosen)]
    for asset in SHOWN_ASSETS:
        link = Link(NAMES.get(asset.code, asset.code), f"/activity?asset={asset.code}")
        found.append((link, chosen == asset.code))
    return found


def _path(*parts: str, base: str = "/activity") -> str:
    query = "&".join(part for part in parts if part)
    return f"{base}?{query}" if query else base
