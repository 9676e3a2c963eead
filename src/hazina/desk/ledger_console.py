"""The ledger in the console: accounts found and looked at, and what people do to them.

Freezing, opening and closing are one person's, who proves themselves on the second look; credit and
closing a period wait for a second person among the approvals. Nothing here moves money.
"""

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from hazina.desk.approvals import MAY, PREFIX, Approval, Approvals
from hazina.desk.ledger_acts import CLOSE, GRANT, HOUSE, AccountAct, LedgerActs, path_of
from hazina.desk.webkit.acts import did
from hazina.desk.webkit.current import (
    CurrentOperator,
    OperatorActor,
    operator_session,
    require_role,
)
from hazina.desk.webkit.filters import age, money
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import Field, Form, FormSpec, moment_field
from hazina.desk.webkit.proof import CODE, PASSWORD, prove
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Column, Figure, Line, Value
from hazina.identity.bearer import house_of
from hazina.identity.customers import PREFIX as CUSTOMER
from hazina.identity.customers import Customers
from hazina.identity.names import UsernameInvalid, parse_username
from hazina.identity.operators import Operators
from hazina.identity.people import Operator, Role
from hazina.identity.phones import PhoneInvalid, parse_phone
from hazina.identity.second_factor import OperatorFactors
from hazina.infra.db import Tx
from hazina.infra.house import House
from hazina.kernel.errors import NotFound
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import ASSETS, Asset, Money
from hazina.ledger.accounts import AccountEvent, Accounts, ActOnAccount
from hazina.ledger.chart import CHART, AccountRef, Owner, Purpose
from hazina.ledger.history import History, StatementLine
from hazina.ledger.reading import AccountFacts, NoSuchAccount, account_facts
from hazina.ledger.service import Ledger

router = APIRouter(prefix="/ledger")
Keeper = Annotated[Operator, Depends(require_role(Role.MANAGER))]
Asked = Annotated[str, Query(max_length=80)]

LINES = 20
REASON = Field("reason", "Why", str, kind="area", max_length=500,
               help="Kept for ever, with your name.")  # fmt: skip
ASK, DO = FormSpec(REASON), FormSpec(REASON, PASSWORD, CODE)
UNTIL = moment_field(
    "until", "Everything up to", help="Like 2026-11-30 23:59, East Africa Time. It has to be over."
)
PERIOD = FormSpec(UNTIL, REASON)
STARTS = moment_field("starts", "From", required=False,
                      help="Like 2026-12-01 00:00, East Africa Time. Empty: at once.")  # fmt: skip
ENDS = moment_field("ends", "Until", required=False,
                    help="When it ends by itself. Empty: when somebody ends it.")  # fmt: skip

STATES = {"open": ("Open", Tone.GOOD), "frozen": ("Frozen", Tone.WARN),
          "closed": ("Closed", Tone.NEUTRAL)}  # fmt: skip
EVENTS = {"frozen": "Frozen", "unfrozen": "Opened again", "closed": "Closed",
          "credit": "Credit granted"}  # fmt: skip
# What is asked, what happens, what goes on all the same, who undoes it, the button.
ACTS: dict[AccountAct, tuple[str, str, str, str, str]] = {
    AccountAct.FREEZE: (
        "Freeze this account",
        "Nothing new is taken from it, by anybody.",
        "What comes in is booked, and what is held already is settled.",
        "a manager or an administrator, here",
        "Freeze it now",
    ),
    AccountAct.UNFREEZE: (
        "Open this account again",
        "It pays out as before.",
        "Everything else.",
        "whoever freezes it again",
        "Open it now",
    ),
    AccountAct.CLOSE: (
        "Close this account for ever",
        "Nothing is ever booked on it again. It has to be empty, without holds.",
        "Its history stays, and can be read.",
        "nobody: a closed account stays closed",
        "Close it for ever",
    ),
}
GONE = (
    "That is not possible now",
    "Somebody was quicker, or this account cannot be used like that. There is nothing to do.",
)
POSSIBLE = {"open": (AccountAct.FREEZE, AccountAct.CLOSE),
            "frozen": (AccountAct.UNFREEZE, AccountAct.CLOSE), "closed": ()}  # fmt: skip
FOUND_COLUMNS = [Column("Account"), Column("State"), Column("Balance", numeric=True),
                 Column("Held", numeric=True)]  # fmt: skip
WAITING_COLUMNS = [Column("What"), Column("Why"), Column("Asked by"), Column("For", numeric=True),
                   Column("Next step")]  # fmt: skip
LATEST_COLUMNS = [Column("When"), Column("Account"), Column("What"), Column("Why"), Column("By")]
DONE_COLUMNS = [Column("When"), Column("What"), Column("Why"), Column("By")]
ASKED_COLUMNS = [Column("What"), Column("Asked by"), Column("State"), Column("For", numeric=True)]
LINE_COLUMNS = [Column("When"), Column("What"), Column("Amount", numeric=True),
                Column("Balance after", numeric=True)]  # fmt: skip


def credit_spec(asset: Asset) -> FormSpec:
    """Credit in the account's own asset; none at all ends it."""

    def parse(text: str) -> Money:
        return asset.money(text.upper().removeprefix(asset.code).strip().replace(",", ""))

    limit = Field("limit", "How far below zero", parse, kind="amount", unit=asset.code,
                  help="0 ends credit.")  # fmt: skip
    return FormSpec(limit, STARTS, ENDS, REASON)


@router.get("")
async def show(request: Request, operator: CurrentOperator, q: Asked = "") -> Response:
    """What waits for a second person, the latest acts, and the way to one account."""
    house = house_of(request)
    asked = "".join(letter for letter in q if letter.isprintable()).strip()
    found = await _found(house, asked) if asked else []
    if len(found) == 1:
        return redirect(request, path_of(found[0].ref))
    accounts, now = house.get(Accounts), house.clock.now()
    waiting = await house.get(Approvals).list_open(house.db)
    ours = [one for one in waiting if one.act in (GRANT, CLOSE)]
    names = await _names(house)
    closed = await accounts.closed_until(house.db)
    return render(
        request,
        "desk/ledger.html",
        asked=asked,
        found_columns=FOUND_COLUMNS,
        found=[await _found_row(house, one) for one in found],
        figures=[
            Figure("Books closed up to", closed or "Never closed"),
            Figure("Waiting for a second person", len(ours)),
        ],
        may=operator.role in MAY,
        waiting_columns=WAITING_COLUMNS,
        waiting=[_waiting_row(one, operator, now) for one in ours],
        latest_columns=LATEST_COLUMNS,
        latest=[_latest_row(one, names) for one in await accounts.list_latest(house.db, limit=20)],
    )


@router.get("/period")
async def show_period(request: Request, _operator: Keeper) -> Response:
    return await _period_page(request, PERIOD.blank(), look=False)


@router.post("/period/review")
async def review_period(request: Request, _operator: Keeper) -> Response:
    """What will be asked for; nothing is yet."""
    form = await PERIOD.read(request)
    return await _period_page(request, form, look=form.ok)


@router.post("/period")
async def ask_period(request: Request, operator: Keeper, actor: OperatorActor) -> Response:
    """This will ask a second person to close the books."""
    form, house = await PERIOD.read(request), house_of(request)

    async def ask(tx: Tx) -> None:
        await house.get(LedgerActs).ask_close_period(
            tx, form.value(UNTIL), form.value(REASON), operator=operator, actor=actor,
            now=house.clock.now(),
        )  # fmt: skip

    if not form.ok or not await did(request, actor, form, ask):
        return await _period_page(request, form, look=False)
    return redirect(request, "/ledger", "A second person is asked to approve it.")


@router.get("/accounts/{purpose}/{asset}/{owner}")
async def show_account(
    request: Request, purpose: str, asset: str, owner: str, operator: CurrentOperator
) -> HTMLResponse:
    """One account as it is, what was done to it, and what may be."""
    house, ref = house_of(request), ref_of(purpose, asset, owner)
    facts, now = await account_facts(house.db, ref), house.clock.now()
    names = await _names(house)
    events = await house.get(Accounts).list_events(house.db, ref)
    requests = await house.get(Approvals).list_of(house.db, facts.id)
    chip, tone = STATES[facts.state]
    return render(
        request,
        "desk/ledger_account.html",
        title=await _title(house, ref),
        chip=chip,
        tone=tone,
        lines=await _facts_lines(house, facts),
        url=path_of(ref),
        acts=[(act, ACTS[act][0]) for act in _possible(facts)] if operator.role in MAY else [],
        credit=operator.role in MAY and ref.line.bounded and facts.state != "closed",
        done_columns=DONE_COLUMNS,
        done=[_done_row(one, names) for one in events[:LINES]],
        asked_columns=ASKED_COLUMNS,
        asked=[_asked_row(one, now) for one in reversed(requests)],
        line_columns=LINE_COLUMNS,
        moves=await _moves(house, ref),
    )


@router.get("/accounts/{purpose}/{asset}/{owner}/credit")
async def show_credit(
    request: Request, purpose: str, asset: str, owner: str, _operator: Keeper
) -> Response:
    ref = ref_of(purpose, asset, owner)
    return await _credit_page(request, ref, credit_spec(ref.asset).blank(), look=False)


@router.post("/accounts/{purpose}/{asset}/{owner}/credit/review")
async def review_credit(
    request: Request, purpose: str, asset: str, owner: str, _operator: Keeper
) -> Response:
    """What will be asked for; nothing is yet."""
    ref = ref_of(purpose, asset, owner)
    form = await credit_spec(ref.asset).read(request)
    return await _credit_page(request, ref, form, look=form.ok)


@router.post("/accounts/{purpose}/{asset}/{owner}/credit")
async def ask_credit(
    request: Request, purpose: str, asset: str, owner: str, operator: Keeper, actor: OperatorActor
) -> Response:
    """This will ask a second person to let the account fall below zero for a time."""
    house, ref = house_of(request), ref_of(purpose, asset, owner)
    form, now = await credit_spec(ref.asset).read(request), house.clock.now()
    named = await _title(house, ref)

    async def ask(tx: Tx) -> None:
        await house.get(LedgerActs).ask_credit(
            tx, ref, _limit(form), form.value(REASON), starts_at=form.find(STARTS) or now,
            ends_at=form.find(ENDS), operator=operator, actor=actor, now=now, named=named,
        )  # fmt: skip

    if not form.ok or not await did(request, actor, form, ask):
        return await _credit_page(request, ref, form, look=False)
    return redirect(request, path_of(ref), "A second person is asked to approve it.")


@router.get("/accounts/{purpose}/{asset}/{owner}/{act}")
async def show_act(
    request: Request, purpose: str, asset: str, owner: str, act: AccountAct, _operator: Keeper
) -> Response:
    return await _act_page(request, ref_of(purpose, asset, owner), act, ASK.blank(), look=False)


@router.post("/accounts/{purpose}/{asset}/{owner}/{act}/review")
async def review_act(
    request: Request, purpose: str, asset: str, owner: str, act: AccountAct, _operator: Keeper
) -> Response:
    """What will happen; nothing has yet. The button asks who is there."""
    ref, form = ref_of(purpose, asset, owner), await ASK.read(request)
    if not form.ok:
        return await _act_page(request, ref, act, form, look=False)
    look = DO.blank(key=form.key, reason=form.value(REASON))
    return await _act_page(request, ref, act, look, look=True)


@router.post("/accounts/{purpose}/{asset}/{owner}/{act}")
async def do_act(
    request: Request,
    purpose: str,
    asset: str,
    owner: str,
    act: AccountAct,
    operator: Keeper,
    actor: OperatorActor,
) -> Response:
    """This will do it, once for the form that was looked at."""
    house, ref = house_of(request), ref_of(purpose, asset, owner)
    form, now = await DO.read(request), house.clock.now()
    if form.ok:
        await prove(house, form, operator, actor, now)

    async def do(tx: Tx) -> None:
        await house.get(LedgerActs).do(
            tx, act, ref, form.value(REASON), operator=operator, actor=actor, now=now
        )

    if not form.ok or not await did(request, actor, form, do):
        return await _act_page(request, ref, act, form, look="reason" not in form.errors)
    done = f"{await _title(house, ref)}: {act.value} done."
    tone = Tone.GOOD if act is AccountAct.UNFREEZE else Tone.WARN
    return redirect(request, path_of(ref), done, tone)


def ref_of(purpose: str, asset: str, owner: str) -> AccountRef:
    """Raises: NotFound: there can be no such account."""
    try:
        whose = None if owner == HOUSE else parse_id(CUSTOMER, owner)
        return AccountRef(Purpose(purpose), ASSETS[asset], whose)
    except (KeyError, ValueError):
        raise NotFound from None


async def _found(house: House, asked: str) -> list[AccountFacts]:
    """The accounts that somebody's name, number or id, or a purpose, leads to."""
    refs = []
    for whose, purposes in await _meant(house, asked):
        refs += [AccountRef(one, asset, whose) for one in purposes for asset in ASSETS.values()]
    found = []
    for ref in refs:
        try:
            found.append(await account_facts(house.db, ref))
        except NoSuchAccount:
            continue
    return found


async def _meant(house: House, asked: str) -> list[tuple[UUID | None, list[Purpose]]]:
    theirs = [one for one, line in CHART.items() if line.owner is not Owner.SYSTEM]
    of_house = [one for one in CHART if one not in theirs and one.value == asked.lower()]
    if of_house:
        return [(None, of_house)]
    customers = house.get(Customers)
    try:
        person = await customers.find_by_phone(house.db, parse_phone(asked))
        return [(person.id, theirs)] if person else []
    except PhoneInvalid:
        pass
    try:
        return [(parse_id("", asked.rpartition("_")[2]), theirs)]
    except NotFound:
        pass
    try:
        person = await customers.find_by_username(house.db, parse_username(asked))
    except UsernameInvalid:
        person = None
    return [(person.id, theirs)] if person else []


async def _names(house: House) -> dict[str, str]:
    """Operators by how the trail writes them."""
    page = await house.get(Operators).list_operators(house.db)
    return {f"operator:{one.id}": one.username for one in page.items}


async def _title(house: House, ref: AccountRef) -> str:
    """``wallet of demo in KES``; whoever is not a customer is called by their id."""
    if ref.owner is None:
        return f"{ref.purpose.value} in {ref.asset.code}"
    whose = str(ref.owner)
    if ref.line.owner is Owner.CUSTOMER:
        with suppress(NotFound):
            whose = (await house.get(Customers).get(house.db, ref.owner)).username
    return f"{ref.purpose.value} of {whose} in {ref.asset.code}"


async def _facts_lines(house: House, facts: AccountFacts) -> list[Line]:
    ref = facts.ref
    worth = await house.get(History).balance_at(ref)
    lines = [Line("Balance", worth.posted, strong=True)]
    if ref.line.bounded:
        held = await house.get(Ledger).balance(house.db, ref)
        lines += [
            Line("Held", held.held, "leaves as soon as it is settled"),
            Line("Arriving", held.incoming),
            Line("May fall to", facts.floor, "without credit"),
        ]
    else:
        lines.append(Line("May fall to", "anything", "one of the house's own: it has no floor"))
    if ref.line.owner is Owner.CUSTOMER and ref.owner is not None:
        wire = wire_id(CUSTOMER, ref.owner)
        link = Markup('<a href="/customers/{}">Everything of theirs</a>').format(wire)
        lines.append(Line("Customer", link))
    return [*lines, Line("Opened", facts.opened_at), Line("Id", str(facts.id))]


def _possible(facts: AccountFacts) -> list[AccountAct]:
    bounded = facts.ref.line.bounded
    return [one for one in POSSIBLE[facts.state] if bounded or one is not AccountAct.CLOSE]


async def _found_row(house: House, facts: AccountFacts) -> list[Value]:
    worth = await house.get(History).balance_at(facts.ref)
    return [_link(facts.ref, await _title(house, facts.ref)), _chip(*STATES[facts.state]),
            worth.posted, worth.held]  # fmt: skip


def _waiting_row(one: Approval, operator: Operator, now: datetime) -> list[Value]:
    path = f"/approvals/{wire_id(PREFIX, one.id)}"
    step = "Another person agrees" if one.asked_by == operator.id else "Look and decide"
    link = Markup('<a href="{}">{}</a>').format(path, step)
    return [one.summary, one.reason, one.asked_by_name, age(one.asked_at, now), link]


def _latest_row(one: ActOnAccount, names: Mapping[str, str]) -> list[Value]:
    when, *rest = _done_row(one.event, names)
    ref = one.ref
    return [when, _link(ref, f"{ref.purpose.value} in {ref.asset.code}"), *rest]


def _done_row(event: AccountEvent, names: Mapping[str, str]) -> list[Value]:
    by = names.get(event.actor, event.actor)
    return [event.at, EVENTS.get(event.event, event.event), event.reason, by]


def _asked_row(one: Approval, now: datetime) -> list[Value]:
    words = {"open": ("Waits", Tone.WARN), "approved": ("Approved", Tone.GOOD)}
    link = Markup('<a href="/approvals/{}">{}</a>').format(wire_id(PREFIX, one.id), one.summary)
    chip = _chip(*words.get(one.state, ("Rejected", Tone.BAD)))
    return [link, one.asked_by_name, chip, age(one.asked_at, now) if one.state == "open" else ""]


async def _moves(house: House, ref: AccountRef) -> list[list[Value]]:
    """The newest lines of an account that keeps them in order."""
    if not ref.line.bounded:
        return []
    page = await house.get(History).statement(ref, limit=LINES)
    return [_move_row(line) for line in page.items]


def _move_row(line: StatementLine) -> list[Value]:
    what = f"{line.code.value}, {line.reference.type} {line.reference.id.hex}"
    return [line.booked_at, what, money(line.change, sign=True), line.balance]


def _link(ref: AccountRef, label: str) -> Markup:
    return Markup('<a href="{}">{}</a>').format(path_of(ref), label)


def _chip(word: str, tone: Tone) -> Markup:
    return Markup('<span class="chip {}">{}</span>').format(tone, word)


def _limit(form: Form) -> Money:
    field = form["limit"].field
    found = form.value(field)
    assert isinstance(found, Money)
    return found


async def _act_page(
    request: Request, ref: AccountRef, act: AccountAct, form: Form, *, look: bool
) -> HTMLResponse:
    house = house_of(request)
    facts = await account_facts(house.db, ref)
    title, happens, stays, undone, button = ACTS[act]
    lines = [
        Line("Account", await _title(house, ref), strong=True),
        Line("Now", STATES[facts.state][0].lower()),
        Line("Balance", (await house.get(History).balance_at(ref)).posted),
        Line("Afterwards", happens),
        Line("Goes on all the same", stays),
        *([Line("Why", form.find(REASON) or form["reason"].value)] if look else []),
        Line("Takes effect", "at once"),
        Line("Who undoes it", undone),
    ]
    danger = act is not AccountAct.UNFREEZE
    me = await operator_session(request)
    return _look_page(
        request, form, lines, title=title, back=path_of(ref), url=f"{path_of(ref)}/{act.value}",
        look=look, button=button, kind="danger" if danger else "",
        possible=act in _possible(facts),
        factor=await house.get(OperatorFactors).is_on(house.db, me.person.id),
    )  # fmt: skip


async def _credit_page(
    request: Request, ref: AccountRef, form: Form, *, look: bool
) -> HTMLResponse:
    house = house_of(request)
    facts = await account_facts(house.db, ref)
    until = form.find(ENDS) if look else None
    lines = [
        Line("Account", await _title(house, ref), strong=True),
        Line("Balance", (await house.get(History).balance_at(ref)).posted),
        *(
            [
                Line("May fall below zero by", _limit(form), strong=True),
                Line("From", form.find(STARTS) or "at once, when it is approved"),
                Line("Until", until or "somebody ends it"),
                Line("Why", form.value(REASON)),
            ]
            if look
            else []
        ),
        Line("Afterwards", "It takes the place of any credit granted before."),
        Line("Takes effect", "when a second person agrees"),
        Line("Who undoes it", "two persons, by a credit of 0"),
    ]
    return _look_page(
        request, form, lines, title="Credit for this account", back=path_of(ref),
        url=f"{path_of(ref)}/credit", look=look, button="Ask a second person",
        possible=ref.line.bounded and facts.state != "closed",
    )  # fmt: skip


async def _period_page(request: Request, form: Form, *, look: bool) -> HTMLResponse:
    closed = await house_of(request).get(Accounts).closed_until(house_of(request).db)
    lines = [
        Line("Closed now", closed or "nothing yet", "up to and with this time" if closed else ""),
        *([Line("Will be closed up to", form.value(UNTIL), strong=True)] if look else []),
        *([Line("Why", form.value(REASON))] if look else []),
        Line("Afterwards", "Nothing takes effect at or before that time any more."),
        Line("Goes on all the same", "Everything that is booked today."),
        Line("Takes effect", "when a second person agrees"),
        Line("Who undoes it", "nobody: a closed period stays closed"),
    ]
    return _look_page(
        request, form, lines, title="Close the books", back="/ledger", url="/ledger/period",
        look=look, button="Ask a second person", possible=True,
    )  # fmt: skip


def _look_page(
    request: Request,
    form: Form,
    lines: list[Line],
    *,
    title: str,
    back: str,
    url: str,
    look: bool,
    button: str,
    possible: bool,
    kind: str = "",
    factor: bool = False,
) -> HTMLResponse:
    return render(
        request, "desk/second_look.html", status=form.status, form=form, lines=lines, title=title,
        back=back, back_label="Back", url=url, look=look, button=button, kind=kind, factor=factor,
        possible=possible, gone=GONE,
    )  # fmt: skip
