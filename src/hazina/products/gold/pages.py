"""Gold's pages for customers: home, trades, and one trade that moves by itself."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import HTMLResponse, StreamingResponse

from hazina.desk.webkit.current import CurrentCustomer
from hazina.desk.webkit.sse import Look, live
from hazina.desk.webkit.templates import render, render_fragment
from hazina.desk.webkit.view import Figure
from hazina.identity.bearer import house_of
from hazina.infra.house import House
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES, XAU, Money, Rounding
from hazina.ledger.chart import customer as account_of
from hazina.ledger.service import Ledger
from hazina.products.gold import words
from hazina.products.gold.prices import GoldPrices
from hazina.products.gold.repository import PriceRow
from hazina.products.gold.states import TradeState
from hazina.products.gold.terms import Side
from hazina.products.gold.timeline import Timeline
from hazina.products.gold.trades import Trades

router = APIRouter(prefix="/gold")
RECENT, SHOWN = 5, 30
GRAM = XAU.units(10**XAU.scale)


@router.get("")
async def home(request: Request, customer: CurrentCustomer) -> HTMLResponse:
    """What I own, what it is worth and has cost, and what I can do."""
    house = house_of(request)
    trades, now = house.get(Trades), house.clock.now()
    async with house.db.transaction(readonly=True) as tx:
        balance = await house.get(Ledger).balance(tx, account_of(customer.id, XAU))
        price = await house.get(GoldPrices).find_at(tx, now)
        holding = await trades.holding(tx, customer.id)
        recent = await trades.list_of(tx, customer.id, limit=RECENT)
    parts = [Figure("Worth now", _worth(balance.posted, price))]
    if holding.average is not None:
        a_gram = holding.average.cost(GRAM, Rounding.HALF_EVEN)
        parts.append(Figure("Average cost of a gram", a_gram))
    if balance.held:
        parts.append(Figure("Being sold", balance.held))
    if balance.incoming:
        parts.append(Figure("On its way", balance.incoming))
    return render(
        request,
        "gold/home.html",
        balance=balance,
        parts=parts,
        price=price,
        activity=[words.activity_of(trade) for trade in recent.items],
        more=recent.next_cursor is not None,
    )


@router.get("/trades")
async def list_trades(
    request: Request,
    customer: CurrentCustomer,
    cursor: Annotated[str | None, Query(max_length=64)] = None,
) -> HTMLResponse:
    """Every purchase and sale, newest first."""
    house = house_of(request)
    page = await house.get(Trades).list_of(house.db, customer.id, limit=SHOWN, cursor=cursor)
    return render(
        request,
        "gold/trades.html",
        activity=[words.activity_of(trade) for trade in page.items],
        newer="/gold/trades" if cursor else "",
        older=f"/gold/trades?cursor={page.next_cursor}" if page.next_cursor else "",
    )


@router.get("/trades/{trade_id}")
async def show_trade(request: Request, trade_id: str, customer: CurrentCustomer) -> HTMLResponse:
    """One trade: its story, its receipt, and why it comes to what it does."""
    seen = await _look(house_of(request), trade_id, customer)
    return render(request, "gold/trade.html", **seen)


@router.get("/trades/{trade_id}/live")
async def watch_trade(
    request: Request, trade_id: str, customer: CurrentCustomer
) -> StreamingResponse:
    """The moving part of the trade's page, each time it changes."""
    house = house_of(request)
    await _look(house, trade_id, customer)

    async def look() -> Look:
        seen = await _look(house, trade_id, customer)
        return Look(render_fragment(request, "gold/_trade.html", **seen), bool(seen["final"]))

    return live(request, look)


async def _look(house: House, trade_id: str, customer: CurrentCustomer) -> dict[str, Any]:
    """What the trade's page shows. Raises: NotFound."""
    trades, timeline = house.get(Trades), house.get(Timeline)
    async with house.db.transaction(readonly=True) as tx:
        trade = await trades.get(tx, parse_id("trd", trade_id), customer.id)
        payment = await timeline.payment(tx, trade)
        steps = await timeline.steps(tx, trade, payment)
        lots = await trades.lots_of(tx, trade.id)
    chip, tone = words.CHIPS[trade.state]
    receipt = trade.receipt or (payment.receipt if payment else None)
    return {
        "trade": trade,
        "buying": trade.side is Side.BUY,
        "title": words.title(trade),
        "chip": chip,
        "tone": tone,
        "steps": steps,
        "final": trade.state in words.FINAL,
        "done": trade.state is TradeState.COMPLETED,
        "receipt": words.receipt_lines(trade, receipt),
        "why": words.why_lines(trade.terms, trade.prices, lots),
        "url": f"/gold/trades/{wire_id('trd', trade.id)}",
    }


def _worth(gold: Money, price: PriceRow | None) -> Money:
    return price.prices.sell.cost(gold, Rounding.DOWN) if price else KES.units(0)
