"""Gold as JSON, under ``/gold``: prices and trades for customers, prices and pools for operators.

"Pool" is the specification's word for a lot; it is heard on this wire only.
"""

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from hazina.desk.webkit.current import (
    CurrentCustomer,
    CurrentOperator,
    CustomerActor,
    OperatorActor,
    require_role,
)
from hazina.identity.bearer import house_of, key_scope
from hazina.identity.people import Operator, Role
from hazina.infra.db import Tx
from hazina.infra.idempotency import once
from hazina.infra.ratelimit import RateLimiter
from hazina.kernel.actor import Actor
from hazina.kernel.ids import parse_id
from hazina.kernel.money import XAU
from hazina.kernel.page import MAX_LIMIT
from hazina.products.gold import wire
from hazina.products.gold.buy import Buying, BuyOrder
from hazina.products.gold.lots import Lots, NewLot
from hazina.products.gold.prices import GoldPrices, NewPrice
from hazina.products.gold.quotes import Quotes
from hazina.products.gold.sell import Selling, SellOrder
from hazina.products.gold.terms import Via
from hazina.products.gold.timeline import Timeline
from hazina.products.gold.trades import Trades

router = APIRouter(prefix="/gold", tags=["gold"])

IdempotencyKey = Annotated[
    str | None, Header(alias="Idempotency-Key", description="New for every new act, 8 to 64.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]
Cursor = Annotated[str | None, Query(max_length=64)]
PriceKeeper = Annotated[Operator, Depends(require_role(Role.MANAGER))]
LotKeeper = PriceKeeper


@router.get("/prices/current")
async def current_price(request: Request) -> wire.PriceOut:
    """The prices in force now; anyone may ask."""
    house = house_of(request)
    row = await house.get(GoldPrices).in_force(house.db, house.clock.now())
    return wire.PriceOut.of(row)


@router.get("/prices")
async def list_prices(
    request: Request, _operator: CurrentOperator, limit: Limit = 50, cursor: Cursor = None
) -> wire.PricesOut:
    """Every price, scheduled ones included, the latest beginning first."""
    house = house_of(request)
    page = await house.get(GoldPrices).list_all(house.db, limit=limit, cursor=cursor)
    items = [wire.PriceOut.of(row) for row in page.items]
    return wire.PricesOut(items=items, next_cursor=page.next_cursor)


@router.post("/prices", status_code=201, response_model=wire.PriceOut)
async def set_price(
    request: Request,
    body: wire.PriceIn,
    _operator: PriceKeeper,
    actor: OperatorActor,
    key: IdempotencyKey = None,
) -> Response:
    """Put two prices in force, at once or from a moment on. A step of more than 20 % needs
    ``confirm``."""
    house = house_of(request)
    wanted = NewPrice(
        body.buy_price_per_gram,
        body.sell_price_per_gram,
        body.effective_from,
        body.note,
        body.confirm,
    )

    async def act(tx: Tx) -> wire.PriceOut:
        prices = house.get(GoldPrices)
        return wire.PriceOut.of(await prices.set(tx, wanted, actor, house.clock.now()))

    return await _once(request, actor, key, act, 201)


@router.get("/pools")
async def list_pools(request: Request, _operator: CurrentOperator) -> wire.PoolsOut:
    """Every lot with its grams, in the order in which they are drawn on."""
    house = house_of(request)
    stock = await house.get(Lots).stock(house.db)
    return wire.PoolsOut(items=[wire.PoolOut.of_stock(one) for one in stock])


@router.post("/pools", status_code=201, response_model=wire.LotOut)
async def create_pool(
    request: Request,
    body: wire.PoolIn,
    _operator: LotKeeper,
    actor: OperatorActor,
    key: IdempotencyKey = None,
) -> Response:
    """Make a lot and book its gold into the vault."""
    house = house_of(request)
    gold = XAU.money(body.total_grams)
    wanted = NewLot(body.name, body.purity, gold, body.priority, body.note)

    async def act(tx: Tx) -> wire.LotOut:
        lot = await house.get(Lots).create(tx, wanted, actor, house.clock.now())
        return wire.LotOut.of(lot)

    return await _once(request, actor, key, act, 201)


@router.post("/pools/{pool_id}/topup", response_model=wire.LotOut)
async def top_up_pool(
    request: Request,
    pool_id: str,
    body: wire.TopUpIn,
    _operator: LotKeeper,
    actor: OperatorActor,
    key: IdempotencyKey = None,
) -> Response:
    """Bring more gold into a lot."""
    house = house_of(request)
    lot_id, gold = parse_id("lot", pool_id), XAU.money(body.added_grams)

    async def act(tx: Tx) -> wire.LotOut:
        lots, now = house.get(Lots), house.clock.now()
        return wire.LotOut.of(await lots.top_up(tx, lot_id, gold, body.note, actor, now))

    return await _once(request, actor, key, act, 200)


@router.patch("/pools/{pool_id}")
async def change_pool(
    request: Request,
    pool_id: str,
    body: wire.PoolChangeIn,
    _operator: LotKeeper,
    actor: OperatorActor,
) -> wire.LotOut:
    """Change what is written about a lot. What is in it changes by top-ups and trades alone."""
    house = house_of(request)
    lots, lot_id = house.get(Lots), parse_id("lot", pool_id)
    lot = await house.db.run(
        lambda tx: lots.change(
            tx,
            lot_id,
            purity=body.purity,
            priority=body.priority,
            note=body.note,
            actor=actor,
            now=house.clock.now(),
        )
    )
    return wire.LotOut.of(lot)


@router.post("/quotes", status_code=201, openapi_extra=key_scope("trade"))
async def request_quote(
    request: Request, body: wire.QuoteIn, customer: CurrentCustomer
) -> wire.QuoteOut:
    """Have terms promised for a short while; a quote is good for one trade."""
    house = house_of(request)
    quotes, wish = house.get(Quotes), body.wish()
    quote = await house.db.run(
        lambda tx: quotes.request(
            tx,
            customer_id=customer.id,
            side=body.side,
            wish=wish,
            via=Via(body.via),
            now=house.clock.now(),
        )
    )
    return wire.QuoteOut.of(quote)


@router.post(
    "/trade/buy",
    status_code=202,
    response_model=wire.BuyOut,
    openapi_extra=key_scope("trade"),
)
async def buy(
    request: Request,
    body: wire.BuyIn,
    customer: CurrentCustomer,
    actor: CustomerActor,
    key: IdempotencyKey = None,
) -> Response:
    """Buy gold: it is set aside, then M-Pesa asks the phone; or the wallet pays at once."""
    house, via = house_of(request), Via(body.pay_from)
    if via is Via.MPESA:
        limit = house.settings.stk_limit
        await house.get(RateLimiter).check(limit, "stk", str(customer.id))

    async def act(tx: Tx) -> wire.BuyOut:
        order = BuyOrder(
            customer.id,
            body.wish_or_none(),
            parse_id("quo", body.quote_id) if body.quote_id else None,
            via,
            body.phone_for_stk,
            body.partial,
        )
        trade = await house.get(Buying).request(tx, order, actor, house.clock.now())
        return wire.BuyOut.of(trade)

    return await _once(request, actor, key, act, 202)


@router.post(
    "/trade/sell",
    status_code=202,
    response_model=wire.SellOut,
    openapi_extra=key_scope("trade"),
)
async def sell(
    request: Request,
    body: wire.SellIn,
    customer: CurrentCustomer,
    actor: CustomerActor,
    key: IdempotencyKey = None,
) -> Response:
    """Sell gold: the grams are set aside, then M-Pesa pays the phone; or the wallet at once."""
    house = house_of(request)

    async def act(tx: Tx) -> wire.SellOut:
        order = SellOrder(
            customer.id,
            body.wish_or_none(),
            parse_id("quo", body.quote_id) if body.quote_id else None,
            Via(body.payout_to),
            body.payout_phone,
        )
        trade = await house.get(Selling).request(tx, order, actor, house.clock.now())
        return wire.SellOut.of(trade)

    return await _once(request, actor, key, act, 202)


@router.get("/trades")
async def list_trades(
    request: Request, customer: CurrentCustomer, limit: Limit = 50, cursor: Cursor = None
) -> wire.TradesOut:
    """The customer's trades, newest first."""
    house = house_of(request)
    page = await house.get(Trades).list_of(house.db, customer.id, limit=limit, cursor=cursor)
    items = [wire.TradeOut.of(trade) for trade in page.items]
    return wire.TradesOut(items=items, next_cursor=page.next_cursor)


@router.get("/trade/{trade_id}")
async def get_trade(
    request: Request, trade_id: str, customer: CurrentCustomer
) -> wire.TradeDetailOut:
    """One trade of the customer's, with its story."""
    house = house_of(request)
    trades, timeline = house.get(Trades), house.get(Timeline)
    async with house.db.transaction(readonly=True) as tx:
        trade = await trades.get(tx, parse_id("trd", trade_id), customer.id)
        payment = await timeline.payment(tx, trade)
        steps = await timeline.steps(tx, trade, payment)
        lots = await trades.lots_of(tx, trade.id)
    receipt = payment.receipt if payment else None
    return wire.TradeDetailOut.of_story(trade, steps, lots, receipt)


async def _once(
    request: Request,
    actor: Actor,
    key: str | None,
    act: Callable[[Tx], Awaitable[BaseModel]],
    status: int,
) -> Response:
    """This will do a command once per key and answer what it answered the first time."""

    async def use_case(tx: Tx) -> tuple[int, dict[str, object]]:
        return status, (await act(tx)).model_dump(mode="json")

    route = f"{request.method} {request.url.path}"
    house, body = house_of(request), await request.body()
    answered, content = await once(house, actor, route, key, body, use_case)
    return JSONResponse(content, answered)
