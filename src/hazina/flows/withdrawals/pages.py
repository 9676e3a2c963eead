"""Taking shillings out: form, review, confirm, and a timeline that moves by itself."""

from dataclasses import replace
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
from hazina.flows.deposits.story import Story
from hazina.flows.money_form import (
    AMOUNT,
    OTP,
    PHONE,
    act_body,
    act_key,
    handset_url,
    money_form,
    refuse,
    said,
    spelled,
)
from hazina.flows.withdrawals.purpose import PayoutPurposes
from hazina.flows.withdrawals.repository import WithdrawalView
from hazina.flows.withdrawals.request import InsufficientFunds, Withdrawals
from hazina.flows.withdrawals.routes import answer
from hazina.flows.withdrawals.states import WithdrawalState
from hazina.flows.withdrawals.story import CHIPS, story
from hazina.identity.outward import OutwardGuard
from hazina.identity.people import Customer
from hazina.infra.db import Tx
from hazina.infra.envelope import refusal_in
from hazina.infra.house import House
from hazina.infra.idempotency import once
from hazina.infra.settings import Settings
from hazina.kernel.errors import Refusal
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES, Money
from hazina.ledger.chart import customer
from hazina.ledger.core import Balance
from hazina.ledger.service import Ledger

router = APIRouter(prefix="/withdrawals")
PAGE = 20
Cursor = Annotated[str | None, Query(max_length=60)]


@router.get("")
async def show_list(request: Request, me: CurrentCustomer, cursor: Cursor = None) -> Response:
    """Every withdrawal of the customer's, also those that came to nothing."""
    house: House = request.app.state.house
    page = await house.get(Withdrawals).list_of(house.db, me.id, limit=PAGE, cursor=cursor)
    older = f"/withdrawals?cursor={page.next_cursor}" if page.next_cursor else ""
    return render(
        request,
        "withdrawals/list.html",
        items=[activity(view) for view in page.items],
        older=older,
        newer="/withdrawals" if cursor else "",
    )


@router.get("/new")
async def show_form(
    request: Request,
    me: CurrentCustomer,
    amount: Annotated[str, Query(max_length=40)] = "",
) -> Response:
    """The empty form; ``amount`` fills it in for somebody who tries again."""
    return await _form_page(request, me, _spec(request).blank(amount=amount))


@router.post("/new")
async def change_form(request: Request, me: CurrentCustomer) -> Response:
    """Back from the review, with what was typed."""
    sent = await _spec(request).read(request)
    return await _form_page(request, me, _spec(request).blank(**dict(sent.carried())))


@router.get("/review")
async def no_review(request: Request) -> Response:
    """A review is made of a form; without one it begins again."""
    return redirect(request, "/withdrawals/new")


@router.post("/review")
async def review(request: Request, me: CurrentCustomer) -> Response:
    """What will happen, before it does. Nothing is written, nothing reserved."""
    house: House = request.app.state.house
    form = await _spec(request).read(request)
    if not form.ok:
        return await _form_page(request, me, form)
    balance = await house.get(Ledger).balance(house.db, customer(me.id, KES))
    try:
        fee = house.get(Withdrawals).fee(form.value(AMOUNT)).total
        _refuse_shortage(form.value(AMOUNT) + fee, balance)
    except Refusal as refusal:
        refuse(form, refusal)
        return await _form_page(request, me, form)
    act_key(form)
    return await _review_page(request, me, form, fee, balance)


@router.post("")
async def confirm(request: Request, me: CurrentCustomer, actor: CustomerActor) -> Response:
    """Reserves the money and asks M-Pesa to pay; sent twice, it is one withdrawal."""
    house: House = request.app.state.house
    form = await _spec(request).read(request)
    if not form.ok:
        return await _form_page(request, me, form)
    phone = form.find(PHONE)

    async def ask(tx: Tx) -> tuple[int, dict[str, object]]:
        view = await house.get(Withdrawals).request(
            tx,
            customer_id=me.id,
            amount=form.value(AMOUNT),
            phone=phone.e164 if phone else None,
            actor=replace(actor, otp=form.find(OTP)),
            now=house.clock.now(),
        )
        return 202, answer(view).model_dump(mode="json")

    try:
        status, told = await once(house, actor, "POST /withdrawals", form.key, act_body(form), ask)
        if status >= 400:
            raise refusal_in(status, told)
    except Refusal as refusal:
        refuse(form, refusal)
        if OTP.name in form.errors:
            fee = house.get(Withdrawals).fee(form.value(AMOUNT)).total
            balance = await house.get(Ledger).balance(house.db, customer(me.id, KES))
            return await _review_page(request, me, form, fee, balance)
        return await _form_page(request, me, form)
    return redirect(request, f"/withdrawals/{told['withdrawal_id']}")


@router.get("/{withdrawal_id}")
async def show(request: Request, withdrawal_id: str, me: CurrentCustomer) -> Response:
    """One withdrawal and where it stands."""
    house: House = request.app.state.house
    found = parse_id("wdr", withdrawal_id)
    view, told = await _told(house, found, me.id)
    handset = await _handset(house, found, me.id)
    return render(request, "withdrawals/show.html", **_context(house, view, told, handset))


@router.get("/{withdrawal_id}/events")
async def events(request: Request, withdrawal_id: str, me: CurrentCustomer) -> Response:
    """The moving part of that page, each time something happened."""
    house: House = request.app.state.house
    found = parse_id("wdr", withdrawal_id)
    handset = await _handset(house, found, me.id)

    async def look() -> Look:
        view, told = await _told(house, found, me.id)
        context = _context(house, view, told, handset)
        return Look(render_fragment(request, "withdrawals/_status.html", **context), told.final)

    return live(request, look)


# What is doubted has left the wallet; it comes back by two persons.
LEFT = (WithdrawalState.PAID, WithdrawalState.DOUBTED)


def activity(view: WithdrawalView) -> Activity:
    """A withdrawal as one line of a list."""
    chip, tone = CHIPS[view.state]
    return Activity(
        "Withdrawal",
        view.requested_at,
        -view.amount if view.state in LEFT else None,
        _note(view),
        f"/withdrawals/{wire_id('wdr', view.id)}",
        "out",
        chip,
        tone,
    )


def _note(view: WithdrawalView) -> str:
    """What has not left yet stands in words, not among the amounts."""
    if view.state is WithdrawalState.PAID:
        return f"Receipt {view.receipt}" if view.receipt else said("To {}", view.phone_masked)
    return said("{} asked, to {}", view.amount, view.phone_masked)


def _spec(request: Request) -> FormSpec:
    settings: Settings = request.app.state.house.settings
    return money_form(settings.withdrawal_min_kes, settings.withdrawal_max_kes, outward=True)


async def _form_page(request: Request, me: Customer, form: Form) -> Response:
    house: House = request.app.state.house
    balance = await house.get(Ledger).balance(house.db, customer(me.id, KES))
    left = await house.get(Withdrawals).left_today(house.db, me.id, house.clock.now())
    return render(
        request,
        "withdrawals/new.html",
        status=form.status,
        form=form,
        own=me.phone_masked,
        other=bool(form[PHONE.name].value or form[PHONE.name].error),
        balance=balance,
        left=left,
        limit=KES.units(house.settings.withdrawal_daily_limit_kes * 100),
        least=KES.units(house.settings.withdrawal_min_kes * 100),
    )


async def _review_page(
    request: Request, me: Customer, form: Form, fee: Money, balance: Balance
) -> Response:
    house: House = request.app.state.house
    ask_code = await house.get(OutwardGuard).asks(
        house.db, me.id, form.value(AMOUNT), form.find(PHONE)
    )
    return render(
        request,
        "withdrawals/review.html",
        status=form.status,
        form=form,
        lines=_lines(form, me, fee, balance),
        ask_code=ask_code,
    )


def _refuse_shortage(needed: Money, balance: Balance) -> None:
    """Said before the review already; the ledger decides when it is confirmed."""
    if needed > balance.available:
        raise InsufficientFunds(
            f"{plain(needed)} are needed, and {plain(balance.available)} are there."
        )


def _lines(form: Form, me: Customer, fee: Money, balance: Balance) -> list[Line]:
    amount, phone = form.value(AMOUNT), form.find(PHONE)
    to = spelled(phone) if phone else me.phone_masked
    other = "Check the number: whoever holds this phone gets the money."
    return [
        Line("Leaves here", amount + fee, "Reserved at once, gone when M-Pesa has paid.", True),
        Line("Arrives", amount, "On the phone, in its M-Pesa balance.", strong=True),
        Line("Our fee", fee),
        Line("Who is paid", to, other if phone else "Your own M-Pesa phone."),
        Line("How long", "Mostly a minute", "If M-Pesa is slow, you see here what we know."),
        Line("Left afterwards", balance.available - amount - fee),
        Line(
            "Can it be undone?",
            "No",
            "Once M-Pesa has paid, nobody here can call it back. If it cannot pay, your money is "
            "free again.",
        ),
    ]


async def _told(house: House, withdrawal_id: UUID, owner: UUID) -> tuple[WithdrawalView, Story]:
    withdrawals = house.get(Withdrawals)
    async with house.db.transaction(readonly=True) as tx:
        view = await withdrawals.get(tx, withdrawal_id, owner)
        rows = await withdrawals.timeline(tx, withdrawal_id, owner)
    return view, story(view, rows)


async def _handset(house: House, withdrawal_id: UUID, owner: UUID) -> str:
    """The simulated phone that is paid. Raises: NotFound, also outside of demonstrations."""
    withdrawals = house.get(Withdrawals)
    async with house.db.transaction(readonly=True) as tx:
        await withdrawals.get(tx, withdrawal_id, owner)
        if not handset_url(house.settings, ""):
            return ""
        msisdn = await withdrawals.reveal_msisdn(tx, withdrawal_id, owner)
        return handset_url(house.settings, msisdn)


def _context(house: House, view: WithdrawalView, told: Story, handset: str) -> dict[str, Any]:
    wire = wire_id("wdr", view.id)
    lines = [
        Line("Arrives", view.amount),
        Line("Our fee", view.fee),
        Line("M-Pesa receipt", view.receipt or "Not yet"),
        Line("Phone", view.phone_masked),
    ]
    return {
        "view": view,
        "story": told,
        "lines": lines,
        "events_path": f"/withdrawals/{wire}/events",
        "again": f"/withdrawals/new?amount={view.amount.units // 100}",
        "purpose": house.get(PayoutPurposes).page_of(view.purpose, view.purpose_id),
        "handset": handset,
    }
