"""Customers in the console: found by name, phone, receipt or id; one with their money, movements,
devices and trail; stopping an account and opening it again, with a reason.

Numbers and addresses stay masked here: nobody at the desk needs them whole.
"""

import re
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from hazina.desk.webkit.acts import did
from hazina.desk.webkit.current import CurrentOperator, OperatorActor, require_role
from hazina.desk.webkit.filters import money
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import Field, Form, FormSpec
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Column, Line, Value
from hazina.flows.deposits import oversight as deposits
from hazina.flows.deposits.request import Deposits
from hazina.flows.receipts.waiting import find_payment
from hazina.flows.withdrawals import oversight as withdrawals
from hazina.flows.withdrawals.request import Withdrawals
from hazina.identity.bearer import house_of
from hazina.identity.customers import PREFIX, Customers
from hazina.identity.devices import Devices
from hazina.identity.freeze import WHY, Guards, Standing
from hazina.identity.names import UsernameInvalid, parse_username
from hazina.identity.people import Customer, Operator, Role
from hazina.identity.phones import PhoneInvalid, parse_phone
from hazina.infra.audit import Audit, AuditEvent
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import parse_id, wire_id
from hazina.ledger.chart import Purpose
from hazina.ledger.history import History, StatementLine
from hazina.ledger.service import Ledger
from hazina.web.statement import SHOWN_ASSETS, merged
from hazina.web.wallet.words import page_of, words_for

router = APIRouter(prefix="/customers")
Clerk = Annotated[Operator, Depends(require_role(Role.OPERATOR, Role.MANAGER))]
Keeper = Annotated[Operator, Depends(require_role(Role.MANAGER))]
Cursor = Annotated[str | None, Query(max_length=200)]
Asked = Annotated[str, Query(max_length=80)]

PAGE = 50
LINES = 20
RECEIPT = re.compile(r"[A-Z0-9]{10}", re.ASCII)
# What leads to a page of the console about a movement.
PAGES_HERE = ("/deposits/", "/withdrawals/")
STOP_WHY = Field("reason", "Why", str, kind="area", max_length=300,
                 help="Kept with your name. The customer is told that the account is stopped,"
                      " not why.")  # fmt: skip
LIFT_WHY = Field("lift_reason", "Why it may be opened again", str, kind="area", max_length=300)
STOP, LIFT = FormSpec(STOP_WHY), FormSpec(LIFT_WHY)
LIST_COLUMNS = [Column("Username"), Column("Phone"), Column("Kind"), Column("Since")]
MONEY_COLUMNS = [
    Column("What"),
    Column("Available", numeric=True),
    Column("Held", numeric=True),
    Column("Arriving", numeric=True),
]
LINE_COLUMNS = [
    Column("When"),
    Column("What"),
    Column("Amount", numeric=True),
    Column("Balance after", numeric=True),
]
OPEN_COLUMNS = [Column("What"), Column("Amount", numeric=True), Column("State"), Column("Since")]
TRAIL_COLUMNS = ["When", "What", "By", "With"]


@router.get("")
async def show_list(
    request: Request, _operator: CurrentOperator, q: Asked = "", cursor: Cursor = None
) -> Response:
    """Everybody, the newest first; or whoever a name, phone, receipt or id leads to."""
    house = house_of(request)
    asked = "".join(letter for letter in q if letter.isprintable()).strip()
    if asked:
        found = await find(house, asked)
        if len(found) == 1:
            return redirect(request, _path(found[0].id))
        more = None
    else:
        page = await house.get(Customers).list_newest(house.db, limit=PAGE, cursor=cursor)
        found, more = list(page.items), page.next_cursor
    return render(
        request,
        "console/customers.html",
        asked=asked,
        columns=LIST_COLUMNS,
        rows=[_row(one) for one in found],
        older=f"/customers?cursor={more}" if more else "",
        newer="/customers" if cursor else "",
    )


@router.get("/{customer_id}")
async def show(
    request: Request, customer_id: str, operator: CurrentOperator, cursor: Cursor = None
) -> HTMLResponse:
    return await _page(request, customer_id, operator, STOP.blank(), LIFT.blank(), cursor)


@router.post("/{customer_id}/stop")
async def stop(
    request: Request, customer_id: str, operator: Clerk, actor: OperatorActor
) -> Response:
    """Takes no more money commands of this account; what comes in is booked."""
    form, house, found = await STOP.read(request), house_of(request), parse_id(PREFIX, customer_id)

    async def act(tx: Tx) -> None:
        await house.get(Customers).get(tx, found)
        await house.get(Guards).block(
            tx, found, form.value(STOP_WHY), by=operator.username, actor=actor,
            now=house.clock.now(),
        )  # fmt: skip

    if not form.ok or not await did(request, actor, form, act):
        return await _page(request, customer_id, operator, form, LIFT.blank(), None)
    return redirect(request, _path(found), "Stopped: nothing leaves this account.", Tone.WARN)


@router.post("/{customer_id}/lift")
async def lift(
    request: Request, customer_id: str, operator: Keeper, actor: OperatorActor
) -> Response:
    form, house, found = await LIFT.read(request), house_of(request), parse_id(PREFIX, customer_id)

    async def act(tx: Tx) -> None:
        why, now = form.value(LIFT_WHY), house.clock.now()
        await house.get(Guards).unblock(tx, found, why, actor, now)

    if not form.ok or not await did(request, actor, form, act):
        return await _page(request, customer_id, operator, STOP.blank(), form, None)
    return redirect(request, _path(found), "This account is open again.")


async def find(house: House, asked: str) -> list[Customer]:
    """Whom a search leads to: an id or receipt or phone names one, a name begins like some."""
    customers = house.get(Customers)
    owner = await _owner(house, asked)
    if owner is not None:
        return [await customers.get(house.db, owner)]
    try:
        by_phone = await customers.find_by_phone(house.db, parse_phone(asked))
        return [by_phone] if by_phone else []
    except PhoneInvalid:
        pass
    try:
        exact = await customers.find_by_username(house.db, parse_username(asked))
    except UsernameInvalid:
        exact = None
    if exact is not None:
        return [exact]
    return await customers.list_named(house.db, asked.lower(), limit=PAGE)


async def _owner(house: House, asked: str) -> UUID | None:
    """The customer of an id or a receipt; None where it is neither, or nobody's."""
    db, receipt = house.db, asked.upper()
    try:
        if asked.startswith(f"{PREFIX}_"):
            return (await house.get(Customers).get(db, parse_id(PREFIX, asked))).id
        async with db.transaction(readonly=True) as tx:
            if asked.startswith("dep_"):
                row = await deposits.DEPOSITS.find_row(tx, parse_id("dep", asked))
                return UUID(str(row["customer_id"]))
            if asked.startswith("wdr_"):
                row = await withdrawals.WITHDRAWALS.find_row(tx, parse_id("wdr", asked))
                return UUID(str(row["customer_id"]))
    except NotFound:
        return None
    if not RECEIPT.fullmatch(receipt):
        return None
    owner = await deposits.find_owner(db, receipt) or await withdrawals.find_owner(db, receipt)
    if owner is None:
        payment = await find_payment(db, receipt)
        owner = payment.customer_id if payment else None
    return owner


async def _page(
    request: Request,
    customer_id: str,
    operator: Operator,
    stopping: Form,
    lifting: Form,
    cursor: str | None,
) -> HTMLResponse:
    house, found = house_of(request), parse_id(PREFIX, customer_id)
    one, now = await house.get(Customers).get(house.db, found), house.clock.now()
    standing = await house.get(Guards).standing(house.db, found)
    lines = await merged(
        house.get(History), found, SHOWN_ASSETS, limit=LINES, cursor=cursor, booked_only=True
    )
    devices = await house.db.run(lambda tx: house.get(Devices).list_devices(tx, found, now))
    trail = await house.get(Audit).list_of_object(house.db, "customer", found, limit=LINES)
    here = _path(found)
    return render(
        request,
        "console/customer.html",
        status=max(stopping.status, lifting.status),
        one=one,
        facts=_facts(one),
        chips=_chips(standing, now),
        standing=standing,
        may_stop=operator.role is not Role.AUDITOR,
        may_lift=operator.role in (Role.MANAGER, Role.ADMINISTRATOR),
        stopping=stopping,
        lifting=lifting,
        url=here,
        money_columns=MONEY_COLUMNS,
        money=await _money(house, found),
        open_columns=OPEN_COLUMNS,
        under_way=await _under_way(house, found),
        line_columns=LINE_COLUMNS,
        lines=[_line(line) for line in lines.items],
        older=f"{here}?cursor={lines.next_cursor}" if lines.next_cursor else "",
        newer=here if cursor else "",
        devices=devices,
        trail_columns=TRAIL_COLUMNS,
        trail=[_trace(event) for event in trail.items],
    )


def _path(customer_id: UUID) -> str:
    return f"/customers/{wire_id(PREFIX, customer_id)}"


def _row(one: Customer) -> list[Value]:
    link = Markup('<a href="{}">{}</a>').format(_path(one.id), one.username)
    return [link, one.phone_masked.replace(" ", "\u00a0"), one.kind.value, one.created_at]


def _facts(one: Customer) -> list[Line]:
    return [
        Line("Phone", one.phone_masked),
        Line("E-mail", one.email_masked),
        Line("Kind", one.kind.value),
        Line("Since", one.created_at),
        Line("Id", wire_id(PREFIX, one.id)),
    ]


def _chips(standing: Standing, now: datetime) -> list[tuple[str, Tone, str]]:
    """What holds the account back: a word, its tone, a sentence."""
    found = []
    if standing.blocked_at is not None:
        found.append(("Stopped by us", Tone.BAD, f"{standing.blocked_by}: {standing.blocked_why}"))
    if standing.frozen_at is not None:
        found.append(("Frozen", Tone.WARN, "by the customer, who alone lifts it"))
    if standing.cooling(now):
        found.append(("Cooling down", Tone.WAIT, WHY.get(standing.cool_why, standing.cool_why)))
    return found or [("Open", Tone.GOOD, "")]


async def _money(house: House, owner: UUID) -> list[list[Value]]:
    found = await house.get(Ledger).balances_by_purpose(house.db, owner)
    kept = {b.posted.asset: b for purpose, b in found if purpose == Purpose.WALLET}
    return [
        [asset.code, kept[asset].available, kept[asset].held, kept[asset].incoming]
        for asset in SHOWN_ASSETS
        if asset in kept
    ]


async def _under_way(house: House, owner: UUID) -> list[list[Value]]:
    """What still waits for something, the newest first; each leads to its page."""
    found: list[tuple[datetime, list[Value]]] = []
    for paid_in in await house.get(Deposits).list_open(house.db, owner):
        link = _link(f"/deposits/{wire_id('dep', paid_in.id)}", "Deposit")
        cells: list[Value] = [link, paid_in.amount, paid_in.state.value, paid_in.state_since]
        found.append((paid_in.requested_at, cells))
    for paid_out in await house.get(Withdrawals).list_open(house.db, owner):
        link = _link(f"/withdrawals/{wire_id('wdr', paid_out.id)}", "Withdrawal")
        cells = [link, paid_out.amount, paid_out.state.value, paid_out.state_since]
        found.append((paid_out.requested_at, cells))
    return [cells for _, cells in sorted(found, key=lambda pair: pair[0], reverse=True)]


def _line(line: StatementLine) -> list[Value]:
    what: str = words_for(line.code).title
    path = page_of(line.reference)
    if path.startswith(PAGES_HERE):
        what = _link(path, what)
    return [line.booked_at, what, money(line.change, sign=True), line.balance]


def _link(path: str, label: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(path, label)


def _trace(event: AuditEvent) -> list[Value]:
    after = ", ".join(f"{name}: {value}" for name, value in (event.after or {}).items())
    words = event.action.replace("_", " ").replace(".", " ")
    return [event.at, words, event.actor_kind, after[:200]]
