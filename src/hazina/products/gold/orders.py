"""Pages to buy and sell: form → review with a price that is kept for a minute → confirm → trade.

The confirmation carries an idempotency key made with its review, so a double click is one trade.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from uuid import UUID

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from hazina.desk.webkit.current import CurrentCustomer, CustomerActor
from hazina.desk.webkit.filters import plain
from hazina.desk.webkit.forms import (
    Choice,
    Field,
    Form,
    FormSpec,
    amount_field,
    check_field,
    choice_field,
    code_field,
)
from hazina.desk.webkit.templates import render
from hazina.identity.bearer import house_of
from hazina.identity.outward import OutwardGuard
from hazina.identity.people import Customer
from hazina.identity.phones import Phone, parse_phone
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.infra.idempotency import once
from hazina.infra.ratelimit import RateLimiter
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Refusal
from hazina.kernel.ids import new_id, parse_id, wire_id
from hazina.kernel.money import KES, XAU
from hazina.ledger.chart import customer as account_of
from hazina.ledger.service import Ledger
from hazina.products.gold import words
from hazina.products.gold.buy import Buying, BuyOrder
from hazina.products.gold.prices import GoldPrices
from hazina.products.gold.quotes import Quotes, Wish
from hazina.products.gold.repository import Quote, Trade
from hazina.products.gold.sell import Selling, SellOrder
from hazina.products.gold.terms import Side, Terms, Via

router = APIRouter(prefix="/gold")

SPEND = amount_field("amount", "Shillings to spend", KES, whole=True, required=False)
OR_GRAMS = amount_field("grams", "Or grams to buy", XAU, required=False)
GRAMS = amount_field("grams", "Grams to sell", XAU, required=False)
OR_BRING = amount_field("amount", "Or shillings to receive", KES, required=False)
PARTIAL = check_field("partial", "If there is less gold, buy what is there")
QUOTE: Field[str] = Field("quote", "Price", str, kind="hidden", required=False)
VIA = "via"
OTP = code_field(help="Asked for again, because money leaves. A recovery code works too.")
PHONE = Field(
    "phone", "M-Pesa number", parse_phone, kind="tel", required=False, autocomplete="tel",
    max_length=32, help="Leave empty for your own.",
)  # fmt: skip


class OrderRefused(Refusal):
    """A stored refusal, shown again as it was answered the first time."""

    code = "order_refused"

    @classmethod
    def of(cls, answer: dict[str, object]) -> "OrderRefused":
        error = answer["error"]
        assert isinstance(error, dict)
        return cls(error["message"], action=error.get("action"))


@dataclass(frozen=True, slots=True)
class Desk:
    """One of the two ways to trade, for one customer."""

    side: Side
    spec: FormSpec
    via: Field[str]

    @property
    def path(self) -> str:
        return f"/gold/{self.side.value}"


@router.get("/buy")
async def show_buy(request: Request, customer: CurrentCustomer, amount: str = "") -> HTMLResponse:
    return await _show(request, customer, Side.BUY, amount)


@router.get("/sell")
async def show_sell(request: Request, customer: CurrentCustomer, grams: str = "") -> HTMLResponse:
    return await _show(request, customer, Side.SELL, grams)


@router.post("/buy")
async def review_buy(request: Request, customer: CurrentCustomer) -> HTMLResponse:
    return await _review(request, customer, Side.BUY)


@router.post("/sell")
async def review_sell(request: Request, customer: CurrentCustomer) -> HTMLResponse:
    return await _review(request, customer, Side.SELL)


@router.post("/buy/confirm")
async def confirm_buy(
    request: Request, customer: CurrentCustomer, actor: CustomerActor
) -> Response:
    house, now = house_of(request), house_of(request).clock.now()

    async def act(tx: Tx, quote_id: UUID, via: Via, form: Form) -> Trade:
        phone = form.find(PHONE)
        order = BuyOrder(
            customer.id, None, quote_id, via, phone.e164 if phone else None,
            bool(form.find(PARTIAL)),
        )  # fmt: skip
        return await house.get(Buying).request(tx, order, actor, now)

    return await _confirm(request, customer, actor, Side.BUY, act)


@router.post("/sell/confirm")
async def confirm_sell(
    request: Request, customer: CurrentCustomer, actor: CustomerActor
) -> Response:
    house, now = house_of(request), house_of(request).clock.now()

    async def act(tx: Tx, quote_id: UUID, via: Via, form: Form) -> Trade:
        phone = form.find(PHONE)
        order = SellOrder(customer.id, None, quote_id, via, phone.e164 if phone else None)
        proven = replace(actor, otp=form.find(OTP))
        return await house.get(Selling).request(tx, order, proven, now)

    return await _confirm(request, customer, actor, Side.SELL, act)


Act = Callable[[Tx, UUID, Via, Form], Awaitable[Trade]]


async def _show(request: Request, customer: Customer, side: Side, text: str) -> HTMLResponse:
    house = house_of(request)
    desk = await _desk(house, customer, side)
    field = "amount" if side is Side.BUY else "grams"
    form = desk.spec.blank(**{field: text[:40], VIA: Via.MPESA.value})
    return await _form(request, customer, desk, form)


async def _review(request: Request, customer: Customer, side: Side) -> HTMLResponse:
    """What it comes to, at a price that is kept while the ring runs."""
    house = house_of(request)
    desk = await _desk(house, customer, side)
    form = await desk.spec.read(request)
    if not form.ok:
        return await _form(request, customer, desk, form)
    via, quotes, now = Via(form.value(desk.via)), house.get(Quotes), house.clock.now()
    try:
        wish = Wish(form.find(SPEND), form.find(GRAMS))
        quote = await house.db.run(
            lambda tx: quotes.request(
                tx, customer_id=customer.id, side=side, wish=wish, via=via, now=now
            )
        )
        terms = quote.terms
        if side is Side.BUY:
            buying, partial = house.get(Buying), bool(form.find(PARTIAL))
            terms = await buying.preview(house.db, quote, partial=partial)
    except Refusal as refusal:
        form.refuse_with(_at_its_field(refusal))
        return await _form(request, customer, desk, form)
    return await _reviewed(request, customer, desk, form, quote, terms)


async def _reviewed(
    request: Request, customer: Customer, desk: Desk, form: Form, quote: Quote, terms: Terms
) -> HTMLResponse:
    house, via = house_of(request), Via(form.value(desk.via))
    phone = form.find(PHONE)
    ask_code = (
        desk.side is Side.SELL
        and via is Via.MPESA
        and await house.get(OutwardGuard).asks(house.db, customer.id, terms.total, phone)
    )
    number = phone.masked if isinstance(phone, Phone) else customer.phone_masked
    carried = [(name, text) for name, text in form.carried() if name != QUOTE.name]
    return render(
        request,
        "gold/review.html",
        path_of=desk.path,
        buying=desk.side is Side.BUY,
        by_mpesa=via is Via.MPESA,
        quote=quote,
        form=form,
        ask_code=ask_code,
        lines=words.review_lines(quote, terms, via, number),
        carried=[*carried, (QUOTE.name, wire_id("quo", quote.id))],
        key=new_id().hex,
        now=house.clock.now(),
        total_s=house.settings.quote_lifetime_s,
    )


async def _confirm(
    request: Request, customer: Customer, actor: Actor, side: Side, act: Act
) -> Response:
    """One trade per key, however often the button was pressed; then its page."""
    house = house_of(request)
    desk = await _desk(house, customer, side)
    form = await desk.spec.read(request)
    if not form.ok:
        return await _form(request, customer, desk, form)
    try:
        via = Via(form.value(desk.via))
        if side is Side.BUY and via is Via.MPESA:
            limiter = house.get(RateLimiter)
            await limiter.check(house.settings.stk_limit, "stk", str(customer.id))
        quote_id = parse_id("quo", form.find(QUOTE) or "")
        trade_id = await _trade_once(
            house, actor, desk, form, lambda tx: act(tx, quote_id, via, form)
        )
    except Refusal as refusal:
        form.refuse_with(_at_its_field(refusal))
        return await _form(request, customer, desk, form)
    return RedirectResponse(f"/gold/trades/{trade_id}", status_code=303)


async def _trade_once(
    house: House, actor: Actor, desk: Desk, form: Form, act: Callable[[Tx], Awaitable[Trade]]
) -> str:
    """The wire id of the trade that this form's key made, now or before. Raises: OrderRefused."""

    async def use_case(tx: Tx) -> tuple[int, dict[str, object]]:
        return 202, {"trade_id": wire_id("trd", (await act(tx)).id)}

    body = repr(sorted(form.carried())).encode()
    route = f"POST {desk.path}/confirm"
    status, answer = await once(house, actor, route, form.key, body, use_case)
    if status >= 400:
        raise OrderRefused.of(answer)
    return str(answer["trade_id"])


async def _form(request: Request, customer: Customer, desk: Desk, form: Form) -> HTMLResponse:
    house = house_of(request)
    price = await house.get(GoldPrices).find_at(house.db, house.clock.now())
    gold = await house.get(Ledger).balance(house.db, account_of(customer.id, XAU))
    return render(
        request,
        f"gold/{desk.side.value}.html",
        status=form.status,
        form=form,
        price=price,
        gold=gold,
        path_of=desk.path,
    )


async def _desk(house: House, customer: Customer, side: Side) -> Desk:
    """The form of one side, with the customer's own number and balance beside the choices."""
    balance = await house.get(Ledger).balance(house.db, account_of(customer.id, KES))
    mine, there = customer.phone_masked, plain(balance.available)
    if side is Side.BUY:
        via = choice_field(
            VIA, "Pay from",
            [Choice("mpesa", "M-Pesa", f"A prompt comes to {mine}, or the number you give."),
             Choice("wallet", "Your wallet", f"{there} available.")],
        )  # fmt: skip
        return Desk(side, FormSpec(SPEND, OR_GRAMS, via, PHONE, PARTIAL, QUOTE), via)
    via = choice_field(
        VIA, "Pay it to",
        [Choice("mpesa", "M-Pesa", f"To {mine}, or the number you give. Whole shillings."),
         Choice("wallet", "Your wallet", f"At once, to the cent. You have {there} there.")],
    )  # fmt: skip
    return Desk(side, FormSpec(GRAMS, OR_BRING, via, PHONE, QUOTE, OTP), via)


def _at_its_field(refusal: Refusal) -> Refusal:
    """JSON names the shillings ``amount_kes``; the form's field is shorter."""
    if refusal.details.get("field") == "amount_kes":
        refusal.details["field"] = SPEND.name
    if refusal.details.get("field") == OTP.name:
        # The code is asked for on the review, and its price is gone: said above the form.
        del refusal.details["field"]
    return refusal
