"""Putting shillings in: form, review, confirm, and a timeline that moves by itself."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from hazina.desk.webkit.current import CurrentCustomer, CustomerActor
from hazina.desk.webkit.filters import plain
from hazina.desk.webkit.flash import redirect
from hazina.desk.webkit.forms import Form, FormSpec
from hazina.desk.webkit.sse import Look, live
from hazina.desk.webkit.templates import render, render_fragment
from hazina.desk.webkit.view import Activity, Line
from hazina.flows.deposits.account_number import spoken
from hazina.flows.deposits.accounts import AccountNumbers
from hazina.flows.deposits.paybill_code import PaybillCodes
from hazina.flows.deposits.purpose import DepositPurposes
from hazina.flows.deposits.repository import DepositView
from hazina.flows.deposits.request import Deposits
from hazina.flows.deposits.routes import answer
from hazina.flows.deposits.story import PROMPT_SECONDS, Story, chip_of, story
from hazina.flows.deposits.terms import SHILLING, check_deposit
from hazina.flows.money_form import (
    AMOUNT,
    PHONE,
    act_body,
    act_key,
    handset_url,
    money_form,
    refuse,
    said,
    spelled,
)
from hazina.identity.people import Customer
from hazina.infra.db import Tx
from hazina.infra.envelope import refusal_in
from hazina.infra.house import House
from hazina.infra.idempotency import once
from hazina.infra.ratelimit import RateLimiter
from hazina.infra.settings import Settings
from hazina.kernel.errors import NotFound, Refusal
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES
from hazina.rails.receipts import ReceiptRail

router = APIRouter(prefix="/deposits")
PAGE = 20
CODE_LIMIT = "30/minute"  # of one customer, for M-Pesa's sake
Cursor = Annotated[str | None, Query(max_length=60)]


@router.get("")
async def show_list(request: Request, me: CurrentCustomer, cursor: Cursor = None) -> Response:
    """Every deposit of the customer's, also those that came to nothing."""
    house: House = request.app.state.house
    page = await house.get(Deposits).list_of(house.db, me.id, limit=PAGE, cursor=cursor)
    older = f"/deposits?cursor={page.next_cursor}" if page.next_cursor else ""
    return render(
        request,
        "deposits/list.html",
        items=[activity(view) for view in page.items],
        older=older,
        newer="/deposits" if cursor else "",
    )


@router.get("/new")
async def show_form(
    request: Request,
    me: CurrentCustomer,
    amount: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """The empty form; ``amount`` fills it in for somebody who tries again."""
    form = _spec(request).blank(amount=amount)
    return await _form_page(request, me, form)


@router.post("/new")
async def change_form(request: Request, me: CurrentCustomer) -> Response:
    """Back from the review, with what was typed."""
    sent = await _spec(request).read(request)
    return await _form_page(request, me, _spec(request).blank(**dict(sent.carried())))


@router.get("/review")
async def no_review(request: Request) -> Response:
    """A review is made of a form; without one it begins again."""
    return redirect(request, "/deposits/new")


@router.post("/review")
async def review(request: Request, me: CurrentCustomer) -> Response:
    """What will happen, before it does. Nothing is written."""
    settings: Settings = request.app.state.house.settings
    form = await _spec(request).read(request)
    if form.ok:
        try:
            check_deposit(form.value(AMOUNT), settings)
        except Refusal as refusal:
            refuse(form, refusal)
    if not form.ok:
        return await _form_page(request, me, form)
    act_key(form)
    return render(request, "deposits/review.html", form=form, lines=_lines(form, me))


@router.post("")
async def confirm(request: Request, me: CurrentCustomer, actor: CustomerActor) -> Response:
    """Asks M-Pesa to prompt the phone; sent twice, it is one deposit."""
    house: House = request.app.state.house
    form = await _spec(request).read(request)
    if not form.ok:
        return await _form_page(request, me, form)
    phone = form.find(PHONE)

    async def ask(tx: Tx) -> tuple[int, dict[str, object]]:
        view = await house.get(Deposits).request(
            tx,
            customer_id=me.id,
            amount=form.value(AMOUNT),
            phone=phone.e164 if phone else None,
            actor=actor,
            now=house.clock.now(),
        )
        return 202, answer(view).model_dump(mode="json")

    try:
        await house.get(RateLimiter).check(house.settings.stk_limit, "stk", str(me.id))
        status, told = await once(house, actor, "POST /deposits", form.key, act_body(form), ask)
        if status >= 400:
            raise refusal_in(status, told)
    except Refusal as refusal:
        refuse(form, refusal)
        return await _form_page(request, me, form)
    return redirect(request, f"/deposits/{told['deposit_id']}")


@router.get("/paybill")
async def show_paybill(
    request: Request,
    me: CurrentCustomer,
    amount: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """A code for M-Pesa's app, for an amount; where M-Pesa gives none, that is said."""
    house: House = request.app.state.house
    lines, found = await _paybill(house, me), None
    if not lines:
        return redirect(request, "/deposits/new")
    form = _code_spec(request).parse({"amount": amount}) if amount else _code_spec(request).blank()
    if amount and form.ok:
        try:
            await house.get(RateLimiter).check(CODE_LIMIT, "code", str(me.id))
            found = await _picture(house, me, check_deposit(form.value(AMOUNT), house.settings))
        except Refusal as refusal:
            refuse(form, refusal)
    shown = form.value(AMOUNT) if amount and form.ok else None
    return render(
        request,
        "deposits/paybill.html",
        status=form.status,
        form=form,
        amount=shown,
        picture=f"/deposits/paybill.png?amount={shown.units // SHILLING}"
        if shown and found
        else "",
        lines=lines,
    )


@router.get("/paybill.png", include_in_schema=False)
async def show_code(
    request: Request, me: CurrentCustomer, amount: Annotated[int, Query(ge=1, le=250_000)]
) -> Response:
    """The picture itself, mostly from memory."""
    house: House = request.app.state.house
    await house.get(RateLimiter).check(CODE_LIMIT, "code", str(me.id))
    picture = await _picture(house, me, amount)
    if picture is None:
        raise NotFound
    headers = {"Cache-Control": "private, max-age=600"}
    return Response(picture, media_type="image/png", headers=headers)


@router.get("/{deposit_id}")
async def show(request: Request, deposit_id: str, me: CurrentCustomer) -> Response:
    """One deposit and where it stands."""
    house: House = request.app.state.house
    found = parse_id("dep", deposit_id)
    view, told = await _told(house, found, me.id)
    return render(
        request,
        "deposits/show.html",
        **_context(house, view, told, await _handset(house, found, me.id)),
    )


@router.get("/{deposit_id}/events")
async def events(request: Request, deposit_id: str, me: CurrentCustomer) -> Response:
    """The moving part of that page, each time something happened."""
    house: House = request.app.state.house
    found = parse_id("dep", deposit_id)
    handset = await _handset(house, found, me.id)

    async def look() -> Look:
        view, told = await _told(house, found, me.id)
        context = _context(house, view, told, handset)
        html = render_fragment(request, "deposits/_status.html", **context)
        return Look(html, told.final, told.same)

    return live(request, look)


def activity(view: DepositView) -> Activity:
    """A deposit as one line of a list."""
    chip, tone = chip_of(view)
    return Activity(
        "Deposit",
        view.requested_at,
        view.credited or None,
        _note(view),
        f"/deposits/{wire_id('dep', view.id)}",
        "in",
        chip,
        tone,
    )


def _note(view: DepositView) -> str:
    """What was not given yet stands in words, not among the amounts."""
    if view.credited:
        return f"Receipt {view.receipt}" if view.receipt else said("From {}", view.phone_masked)
    return said("{} asked, from {}", view.amount, view.phone_masked)


def _spec(request: Request) -> FormSpec:
    settings: Settings = request.app.state.house.settings
    return money_form(settings.deposit_min_kes, settings.deposit_max_kes)


async def _form_page(request: Request, me: Customer, form: Form) -> Response:
    return render(
        request,
        "deposits/new.html",
        status=form.status,
        form=form,
        own=me.phone_masked,
        other=bool(form[PHONE.name].value or form[PHONE.name].error),
        paybill=await _paybill(request.app.state.house, me),
    )


def _code_spec(request: Request) -> FormSpec:
    settings: Settings = request.app.state.house.settings
    least, most = settings.deposit_min_kes, settings.deposit_max_kes
    return FormSpec(money_form(least, most).fields[AMOUNT.name])


async def _picture(house: House, me: Customer, amount_kes: int) -> bytes | None:
    numbers = house.get(AccountNumbers)
    number = await house.db.run(lambda tx: numbers.of(tx, me.id, house.clock.now()))
    return await house.get(PaybillCodes).find(number, amount_kes)


async def _paybill(house: House, me: Customer) -> list[Line]:
    """The other way in: from M-Pesa's own menu. Empty where there is no M-Pesa."""
    business = house.get(ReceiptRail).shortcode  # type: ignore[type-abstract]
    if not business:
        return []
    numbers = house.get(AccountNumbers)
    number = await house.db.run(lambda tx: numbers.of(tx, me.id, house.clock.now()))
    return [
        Line("Business number", business),
        Line("Account number", spoken(number), "Yours, for ever. Spaces do not matter."),
    ]


def _lines(form: Form, me: Customer) -> list[Line]:
    amount, phone = form.value(AMOUNT), form.find(PHONE)
    return [
        Line("Leaves your phone", amount, "From its M-Pesa balance.", strong=True),
        Line("Arrives here", amount, "In your KES balance.", strong=True),
        Line("Our fee", KES.units(0)),
        Line("Who is asked", spelled(phone) if phone else me.phone_masked, _who(other=bool(phone))),
        Line("How long", "Mostly a minute", "The prompt comes in seconds and waits a minute."),
        Line(
            "Can it be undone?",
            "Until the PIN",
            "Without the PIN nothing is taken. Afterwards only M-Pesa can reverse it; you can "
            "withdraw the money again at any time.",
        ),
    ]


def _who(*, other: bool) -> str:
    if other:
        return "The prompt goes to this phone, and whoever holds it pays. Check the number."
    return "Your own phone gets the prompt. Nobody else can answer it."


async def _told(house: House, deposit_id: UUID, owner: UUID) -> tuple[DepositView, Story]:
    deposits = house.get(Deposits)
    async with house.db.transaction(readonly=True) as tx:
        view = await deposits.get(tx, deposit_id, owner)
        rows = await deposits.timeline(tx, deposit_id, owner)
    return view, story(view, rows, credited=bool(view.credited))


async def _handset(house: House, deposit_id: UUID, owner: UUID) -> str:
    """The simulated phone that is prompted. Raises: NotFound, also outside of demonstrations."""
    deposits = house.get(Deposits)
    async with house.db.transaction(readonly=True) as tx:
        await deposits.get(tx, deposit_id, owner)
        if not handset_url(house.settings, ""):
            return ""
        return handset_url(house.settings, await deposits.reveal_msisdn(tx, deposit_id, owner))


def _context(house: House, view: DepositView, told: Story, handset: str) -> dict[str, Any]:
    wire = wire_id("dep", view.id)
    lines = [
        Line("Reference", view.reference),
        Line("M-Pesa receipt", view.receipt or "Not yet"),
        Line("Phone", view.phone_masked),
    ]
    return {
        "view": view,
        "story": told,
        "lines": lines,
        "events_path": f"/deposits/{wire}/events",
        "again": f"/deposits/new?amount={view.amount.units // 100}",
        "purpose": house.get(DepositPurposes).page_of(view.purpose, view.purpose_id),
        "handset": "" if told.final else handset,
        "now": house.clock.now(),
        "prompt_seconds": PROMPT_SECONDS,
        "title": f"Deposit of {plain(view.amount)}",
    }
