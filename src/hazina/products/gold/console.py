"""Gold in the console: prices with their history, lots with what is in them.

Every operator may look; managers and administrators act. The form's key makes a double click one
act.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from hazina.desk.webkit.acts import did
from hazina.desk.webkit.charts import Chart, Series, line_chart
from hazina.desk.webkit.current import CurrentOperator, OperatorActor, require_role
from hazina.desk.webkit.filters import plain
from hazina.desk.webkit.flash import redirect
from hazina.desk.webkit.forms import Field, Form, FormSpec, amount_field, check_field
from hazina.desk.webkit.templates import render
from hazina.identity.bearer import house_of
from hazina.identity.people import Operator, Role
from hazina.infra.db import Tx
from hazina.kernel.clock import EAT
from hazina.kernel.errors import Invalid
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import XAU
from hazina.products.gold.lots import Lots, LotStock, NewLot
from hazina.products.gold.prices import GoldPrices, NewPrice
from hazina.products.gold.repository import PriceRow

router = APIRouter(prefix="/gold")
Keeper = Annotated[Operator, Depends(require_role(Role.MANAGER))]
HISTORY = 30


def _moment(text: str) -> datetime:
    """``2026-11-21 08:00``, East Africa Time. Raises: Invalid."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=EAT).astimezone(UTC)
    except ValueError:
        raise Invalid.field("effective_from", "Write it like 2026-11-21 08:00.") from None


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        raise Invalid.field("priority", "Write a whole number.")
    return int(text)


BUY = Field("buy_price_per_gram", "Customers buy at", str, kind="amount", unit="KES per g",
            max_length=20)  # fmt: skip
SELL = Field("sell_price_per_gram", "Customers sell at", str, kind="amount", unit="KES per g",
             max_length=20)  # fmt: skip
FROM = Field("effective_from", "From", _moment, required=False, max_length=20,
             help="Like 2026-11-21 08:00, East Africa Time. Empty: at once.")  # fmt: skip
WHY = Field("note", "Note", str, required=False, max_length=500, help="Where the price is from.")
SURE = check_field("confirm", "I am sure, even if it moves by more than 20 %")
PRICE = FormSpec(BUY, SELL, FROM, WHY, SURE)

NAME = Field("name", "Name", str, max_length=80, help="As written on the vault's list.")
PURITY = Field("purity", "Purity", str, max_length=16, help="24k or 999.9.")
TOTAL = amount_field("grams", "Fine gold", XAU)
PRIORITY = Field("priority", "Priority", _number, kind="digits", max_length=5,
                 help="A smaller number is sold first.")  # fmt: skip
NOTE = Field("note", "Note", str, required=False, max_length=500)
LOT = FormSpec(NAME, PURITY, TOTAL, PRIORITY, NOTE)

ADDED = amount_field("grams", "Fine gold to add", XAU)
REASON = Field("note", "Note", str, max_length=500, help="What was brought in, and by whom.")
TOP_UP = FormSpec(ADDED, REASON)


@dataclass(frozen=True, slots=True)
class Bar:
    """One piece of a stacked bar, in hundredths of a percent."""

    kind: str
    left: str
    width: str


@router.get("/prices")
async def show_prices(request: Request, _operator: CurrentOperator) -> HTMLResponse:
    return await _prices(request, PRICE.blank())


@router.post("/prices")
async def set_price(request: Request, _operator: Keeper, actor: OperatorActor) -> Response:
    form, house = await PRICE.read(request), house_of(request)
    if not form.ok:
        return await _prices(request, form)
    wanted = NewPrice(
        form.value(BUY), form.value(SELL), form.find(FROM), form.find(WHY) or "",
        bool(form.find(SURE)),
    )  # fmt: skip

    async def act(tx: Tx) -> None:
        await house.get(GoldPrices).set(tx, wanted, actor, house.clock.now())

    if not await did(request, actor, form, act):
        return await _prices(request, form)
    when = "scheduled" if wanted.effective_from else "in force"
    return redirect(request, "/gold/prices", f"The new price is {when}.")


@router.get("/lots")
async def show_lots(request: Request, _operator: CurrentOperator) -> HTMLResponse:
    return await _lots(request, LOT.blank(purity="24k", priority="100"))


@router.post("/lots")
async def create_lot(request: Request, _operator: Keeper, actor: OperatorActor) -> Response:
    form, house = await LOT.read(request), house_of(request)
    if not form.ok:
        return await _lots(request, form)
    wanted = NewLot(
        form.value(NAME), form.value(PURITY), form.value(TOTAL), form.value(PRIORITY),
        form.find(NOTE) or "",
    )  # fmt: skip

    async def act(tx: Tx) -> None:
        await house.get(Lots).create(tx, wanted, actor, house.clock.now())

    if not await did(request, actor, form, act):
        return await _lots(request, form)
    return redirect(request, "/gold/lots", f"{plain(wanted.grams)} are for sale as {wanted.name}.")


@router.get("/lots/{lot_id}/topup")
async def show_top_up(request: Request, lot_id: str, _operator: Keeper) -> HTMLResponse:
    return await _top_up(request, lot_id, TOP_UP.blank())


@router.post("/lots/{lot_id}/topup")
async def top_up(
    request: Request, lot_id: str, _operator: Keeper, actor: OperatorActor
) -> Response:
    form, house = await TOP_UP.read(request), house_of(request)
    if not form.ok:
        return await _top_up(request, lot_id, form)
    which, gold, why = parse_id("lot", lot_id), form.value(ADDED), form.value(REASON)

    async def act(tx: Tx) -> None:
        await house.get(Lots).top_up(tx, which, gold, why, actor, house.clock.now())

    if not await did(request, actor, form, act):
        return await _top_up(request, lot_id, form)
    return redirect(request, "/gold/lots", f"{plain(gold)} were added.")


async def _prices(request: Request, form: Form) -> HTMLResponse:
    house = house_of(request)
    prices, now = house.get(GoldPrices), house.clock.now()
    rows = (await prices.list_all(house.db, limit=HISTORY)).items
    begun = [row for row in rows if row.effective_from <= now]
    return render(
        request,
        "gold/prices.html",
        status=form.status,
        form=form,
        current=begun[0] if begun else None,
        scheduled=[row for row in rows if row.effective_from > now],
        chart=_chart(begun) if begun else None,
        rows=[[row.effective_from, row.prices.buy, row.prices.sell, row.note] for row in rows],
    )


async def _lots(request: Request, form: Form) -> HTMLResponse:
    house = house_of(request)
    stock = await house.get(Lots).stock(house.db)
    return render(
        request,
        "gold/lots.html",
        status=form.status,
        form=form,
        lots=[(one, wire_id("lot", one.lot.id), _bars(one)) for one in stock],
        figures=_totals(stock),
    )


async def _top_up(request: Request, lot_id: str, form: Form) -> HTMLResponse:
    house, which = house_of(request), parse_id("lot", lot_id)
    lot = await house.get(Lots).get(house.db, which)
    return render(
        request,
        "gold/topup.html",
        status=form.status,
        form=form,
        lot=lot,
        url=f"/gold/lots/{wire_id('lot', which)}/topup",
    )


def _chart(begun: Sequence[PriceRow]) -> Chart:
    rows = list(reversed(begun))
    return line_chart(
        "Price of a gram",
        [row.effective_from.astimezone(EAT).strftime("%-d %b %H:%M") for row in rows],
        [
            Series("Customers buy at", [Decimal(row.prices.buy.decimal) for row in rows], "gold"),
            Series("Customers sell at", [Decimal(row.prices.sell.decimal) for row in rows]),
        ],
        unit="KES per gram",
    )


def _bars(stock: LotStock) -> list[Bar]:
    """Available, held and sold as pieces of the whole, side by side."""
    whole, left, bars = max(stock.total.units, 1), 0, []
    for kind, piece in (
        ("green", stock.available),
        ("gold", stock.held),
        ("grey", stock.sold),
    ):
        width = 10_000 * max(piece.units, 0) // whole
        bars.append(Bar(kind, _percent(left), _percent(width)))
        left += width
    return bars


def _totals(stock: Sequence[LotStock]) -> list[tuple[str, object]]:
    zero = XAU.units(0)
    return [
        ("In the lots", sum((one.available + one.held for one in stock), zero)),
        ("For sale", sum((one.available for one in stock), zero)),
        ("Held for purchases", sum((one.held for one in stock), zero)),
        ("Sold to customers", sum((one.sold for one in stock), zero)),
    ]


def _percent(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02d}%"
