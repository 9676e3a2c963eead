"""Open questions in the console: everything that waits, one of them with its evidence and its
ways out, and suspense.

Every operator may look and, but for auditors, ask; managers and administrators act. Acts that need
two persons end as a request among the approvals.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, TypedDict
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from hazina.desk.approvals import MAY, Approval, Approvals
from hazina.desk.webkit.acts import did
from hazina.desk.webkit.current import CurrentOperator, OperatorActor, require_role
from hazina.desk.webkit.filters import age
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import Form, FormSpec
from hazina.desk.webkit.proof import prove
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Column, Figure, Line, Link, Value
from hazina.flows.deposits import oversight as deposits
from hazina.flows.receipts import exits
from hazina.flows.receipts import repository as sql
from hazina.flows.receipts.again import AskAgain
from hazina.flows.receipts.late import LatePayouts
from hazina.flows.receipts.repository import PaymentView
from hazina.flows.receipts.reversals import ROWS as REVERSALS
from hazina.flows.receipts.settle import TABLE
from hazina.flows.receipts.statements import Statements
from hazina.flows.receipts.suspense import ORDERS, Suspense
from hazina.flows.receipts.unanswered import Unanswered
from hazina.flows.receipts.unmatched import Unmatched, get_row
from hazina.flows.receipts.waiting import (
    PREFIX,
    Waiting,
    page_waiting,
    waiting_deposit,
    waiting_payment,
    waiting_reversal,
    waiting_unmatched,
    waiting_withdrawal,
)
from hazina.flows.watch import (
    BEGINNING,
    EVENT_COLUMNS,
    LATE,
    NEWEST,
    Chapter,
    Place,
    event_rows,
    kept,
)
from hazina.flows.withdrawals import oversight as withdrawals
from hazina.flows.withdrawals.resend import Resend, said
from hazina.identity.bearer import house_of
from hazina.identity.customers import Customers
from hazina.identity.people import Operator, Role
from hazina.identity.second_factor import OperatorFactors
from hazina.infra.db import Row, Tx
from hazina.infra.house import House
from hazina.infra.jobs import HeldJob, Jobs
from hazina.kernel.actor import Actor
from hazina.kernel.errors import NotFound, Refusal
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.outcome import Accepted
from hazina.kernel.page import Page
from hazina.ledger.sealing import MAX_UNSEALED_S, find_lag

router = APIRouter()
Asker = Annotated[Operator, Depends(require_role(Role.OPERATOR, Role.MANAGER))]
Manager = Annotated[Operator, Depends(require_role(Role.MANAGER))]
Cursor = Annotated[str | None, Query(max_length=60)]
Shown = Annotated[str, Query(pattern="^(open|all)$")]

PAGE = 50
HELD_PAGE = 20
KINDS = {prefix: kind for kind, prefix in PREFIX.items()}
COLUMNS = [
    Column("What"),
    Column("Amount", numeric=True),
    Column("Who"),
    Column("State"),
    Column("For", numeric=True),
    Column("Why it waits"),
    Column("Next step"),
]
JOB_COLUMNS = ["Job", "About", "For"]


class By(TypedDict):
    """Who asks for an act that takes two, and when."""

    operator: Operator
    actor: Actor
    now: datetime


@dataclass(frozen=True, slots=True)
class Question:
    """One thing that waits, with what is known and the ways out of it."""

    one: Waiting
    open: bool
    evidence: str
    lines: list[Line]
    chapters: list[Chapter]
    exits: list[exits.Exit]


@router.get("/open-questions")
async def show_questions(
    request: Request, operator: CurrentOperator, cursor: Cursor = None
) -> HTMLResponse:
    """Everything whose ending nobody knows, or that only a person can end; the oldest first."""
    house = house_of(request)
    now = house.clock.now()
    page = await page_waiting(house.db, limit=PAGE, cursor=cursor)
    jobs = house.get(Jobs)
    held = await jobs.list_held(house.db, limit=HELD_PAGE)
    return render(
        request,
        "receipts/questions.html",
        figures=await _figures(house, page, held, now),
        columns=COLUMNS,
        rows=[_row(one, now) for one in page.items],
        job_columns=JOB_COLUMNS,
        held=[_held(one, now) for one in held.items],
        may_retry=operator.role is not Role.AUDITOR,
        older=f"/open-questions?cursor={page.next_cursor}" if page.next_cursor else "",
        newer="/open-questions" if cursor else "",
    )


@router.get("/suspense")
async def show_suspense(
    request: Request, _operator: CurrentOperator, shown: Shown = "open", cursor: Cursor = None
) -> HTMLResponse:
    """Shillings that are nobody's, the oldest first; or every payment that came unasked."""
    house, waits = house_of(request), shown == "open"
    now = house.clock.now()
    page = await (_nobodys if waits else _payments)(house, cursor)
    here = "/suspense" if waits else "/suspense?shown=all"
    more = f"{here}{'?' if waits else '&'}cursor={page.next_cursor}"
    return render(
        request,
        "receipts/suspense.html",
        waits=waits,
        filters=[
            (Link("Nobody's", "/suspense"), waits),
            (Link("All payments", "/suspense?shown=all"), not waits),
        ],
        columns=COLUMNS,
        rows=[_row(waiting_payment(one), now) for one in page.items],
        older=more if page.next_cursor else "",
        newer=here if cursor else "",
    )


@router.get("/open-questions/{wire}")
async def show(request: Request, wire: str, operator: CurrentOperator) -> HTMLResponse:
    return await _page(request, wire, operator, {})


@router.post("/open-questions/{wire}/ask")
async def ask(request: Request, wire: str, operator: Asker, actor: OperatorActor) -> Response:
    kind, found = _read(wire)
    form, house = await exits.ASK.read(request), house_of(request)
    now = house.clock.now()

    async def act(tx: Tx) -> None:
        await house.get(AskAgain).ask(tx, kind, found, actor, now)

    if not await did(request, actor, form, act):
        return await _page(request, wire, operator, {"ask": form})
    return redirect(request, f"/open-questions/{wire}", "M-Pesa is asked. Look again in a minute.")


@router.get("/open-questions/{wire}/resend")
async def look_again(request: Request, wire: str, operator: Manager) -> HTMLResponse:
    """The second look before the same bytes go out again."""
    return await _second_look(request, wire, operator, exits.RESEND.blank())


@router.post("/open-questions/{wire}/resend")
async def resend(request: Request, wire: str, operator: Manager, actor: OperatorActor) -> Response:
    form, house = await exits.RESEND.read(request), house_of(request)
    if form.ok:
        await prove(house, form, operator, actor, house.clock.now())
    if not form.ok:
        return await _second_look(request, wire, operator, form)
    try:
        outcome = await house.get(Resend).send(
            parse_id("wdr", wire), operator=operator, actor=actor
        )
    except Refusal as refusal:
        form.refuse_with(refusal)
        return await _second_look(request, wire, operator, form)
    tone = Tone.GOOD if isinstance(outcome, Accepted) else Tone.WARN
    return redirect(request, f"/open-questions/{wire}", f"M-Pesa: {said(outcome)}", tone)


@router.post("/open-questions/{wire}/absent")
async def absent(request: Request, wire: str, operator: Manager, actor: OperatorActor) -> Response:
    """A payout that was never made, or a prompt that was never paid."""
    house = house_of(request)
    kind, found = _read(wire)
    if kind not in ("withdrawal", "deposit"):
        raise NotFound
    knows = house.get(Statements) if kind == "withdrawal" else house.get(Unanswered)

    async def ask(tx: Tx, form: Form, by: By) -> None:
        await knows.ask_absent(tx, found, reason=form.value(exits.ABSENT_WHY), **by)

    return await _asked(request, wire, operator, actor, "absent", exits.ABSENT, ask)


@router.post("/open-questions/{wire}/late")
async def late(request: Request, wire: str, operator: Manager, actor: OperatorActor) -> Response:
    """A payout that had ended as not paid, and was paid after all; or was booked under another
    receipt than it has."""
    part, found = house_of(request).get(LatePayouts), parse_id("wdr", wire)

    async def ask(tx: Tx, form: Form, by: By) -> None:
        receipt, why = form.value(exits.LATE_RECEIPT), form.value(exits.LATE_WHY)
        await part.ask_paid(tx, found, receipt, reason=why, **by)

    return await _asked(request, wire, operator, actor, "late", exits.LATE, ask)


@router.post("/open-questions/{wire}/give")
async def give(request: Request, wire: str, operator: Manager, actor: OperatorActor) -> Response:
    """A payment that is nobody's is given to a customer."""
    part, found = house_of(request).get(Suspense), parse_id("pay", wire)

    async def ask(tx: Tx, form: Form, by: By) -> None:
        username, why = form.value(exits.USERNAME), form.value(exits.GIVE_WHY)
        await part.ask_allocate(tx, found, username, reason=why, **by)

    return await _asked(request, wire, operator, actor, "give", exits.GIVE, ask)


@router.post("/open-questions/{wire}/return")
async def send_back(
    request: Request, wire: str, operator: Manager, actor: OperatorActor
) -> Response:
    """A payment that is nobody's goes back to who paid it."""
    part, found = house_of(request).get(Suspense), parse_id("pay", wire)

    async def ask(tx: Tx, form: Form, by: By) -> None:
        await part.ask_return(tx, found, reason=form.value(exits.BACK_WHY), **by)

    return await _asked(request, wire, operator, actor, "return", exits.BACK, ask)


@router.post("/open-questions/{wire}/returned")
async def returned(
    request: Request, wire: str, operator: Manager, actor: OperatorActor
) -> Response:
    """How sending a payment back ended, where M-Pesa does not say."""
    part, found = house_of(request).get(Suspense), parse_id("pay", wire)

    async def ask(tx: Tx, form: Form, by: By) -> None:
        back, why = form.value(exits.WENT) == "back", form.value(exits.ENDED_WHY)
        await part.ask_return_ended(tx, found, went_back=back, reason=why, **by)

    return await _asked(request, wire, operator, actor, "returned", exits.ENDED, ask)


@router.post("/open-questions/{wire}/settled")
async def settled(request: Request, wire: str, operator: Manager, actor: OperatorActor) -> Response:
    """What only one of both books has was looked into."""
    part, found = house_of(request).get(Unmatched), parse_id("unm", wire)

    async def ask(tx: Tx, form: Form, by: By) -> None:
        await part.ask_settled(tx, found, reason=form.value(exits.SETTLED_WHY), **by)

    return await _asked(request, wire, operator, actor, "settled", exits.SETTLED, ask)


@router.post("/held-jobs/{key}/retry")
async def retry(request: Request, key: int, _operator: Asker, actor: OperatorActor) -> Response:
    """Queues a held job anew; every job is safe to run twice."""
    form, house = await exits.ASK.read(request), house_of(request)
    try:
        await house.db.run(
            lambda tx: house.get(AskAgain).try_job(tx, key, actor, house.clock.now())
        )
    except NotFound as refusal:
        form.refuse_with(refusal)
        words = "That job is not held any more."
        return redirect(request, "/open-questions", words, Tone.NEUTRAL)
    return redirect(request, "/open-questions", "Queued. It leaves this list when it went well.")


async def _asked(
    request: Request,
    wire: str,
    operator: Operator,
    actor: Actor,
    name: str,
    spec: FormSpec,
    ask: Callable[[Tx, Form, By], Awaitable[None]],
) -> Response:
    """An act for two: what it leaves is a request that somebody else has to agree to."""
    form = await spec.read(request)
    by: By = {"operator": operator, "actor": actor, "now": house_of(request).clock.now()}
    if not form.ok or not await did(request, actor, form, lambda tx: ask(tx, form, by)):
        return await _page(request, wire, operator, {name: form})
    words = "Asked. A second person has to agree, under Approvals."
    return redirect(request, f"/open-questions/{wire}", words, Tone.NEUTRAL)


async def _page(
    request: Request, wire: str, operator: Operator, forms: Mapping[str, Form]
) -> HTMLResponse:
    house = house_of(request)
    now = house.clock.now()
    async with house.db.transaction(readonly=True) as tx:
        question = await _question(tx, house, wire, forms)
        asked = await house.get(Approvals).list_of(tx, question.one.id)
    ways = {way.name for way in question.exits if not way.missing}
    return render(
        request,
        "receipts/question.html",
        status=max((form.status for form in forms.values()), default=200),
        question=question,
        one=question.one,
        gone=[form for name, form in forms.items() if name not in ways],
        age=age(question.one.since, now),
        approvals=[(wire_id("apr", one.id), one) for one in asked],
        url=f"/open-questions/{question.one.wire}",
        may_ask=operator.role is not Role.AUDITOR,
        may_act=operator.role in MAY,
    )


async def _second_look(request: Request, wire: str, operator: Operator, form: Form) -> HTMLResponse:
    house, found = house_of(request), parse_id("wdr", wire)
    now = house.clock.now()
    async with house.db.transaction(readonly=True) as tx:
        row = await withdrawals.WITHDRAWALS.find_row(tx, found)
        refused = await house.get(Resend).refusal(tx, found, now)
        owner = await house.get(Customers).get(tx, row["customer_id"])
    one = withdrawals.WITHDRAWALS.watched(row)
    lines = [
        Line("Leaves", one.amount, "Once at most: M-Pesa takes an id once.", strong=True),
        Line("To", one.phone, f"asked for by {owner.username}"),
        Line("Now", one.chip, f"for {age(one.since, now)}"),
        Line("Sent so far", row["attempts"], "times, with these very bytes"),
        Line(
            "Asked M-Pesa about it", row["questions"], f"{row['not_found']} times it found nothing"
        ),
        Line("You sign as", operator.username),
    ]
    return render(
        request,
        "receipts/resend.html",
        status=form.status,
        form=form,
        lines=lines,
        refused=refused,
        factor=await house.get(OperatorFactors).is_on(house.db, operator.id),
        back=f"/open-questions/{one.wire}",
        url=f"/open-questions/{one.wire}/resend",
    )


async def _question(tx: Tx, house: House, wire: str, forms: Mapping[str, Form]) -> Question:
    """Raises: NotFound."""
    kind, found = _read(wire)
    if kind == "deposit":
        row = await deposits.DEPOSITS.find_row(tx, found)
        seen, payment = deposits.DEPOSITS.watched(row), await exits.payment_of_deposit(tx, row)
        missing = await house.get(Unanswered).missing(tx, row, house.clock.now())
        ways = exits.of_deposit(row, payment, missing, forms)
        return Question(waiting_deposit(seen), not seen.settled, seen.path, [], [], ways)
    if kind == "withdrawal":
        row = await withdrawals.WITHDRAWALS.find_row(tx, found)
        seen = withdrawals.WITHDRAWALS.watched(row)
        ways = await exits.of_withdrawal(tx, house, row, forms)
        return Question(waiting_withdrawal(seen), not seen.settled, seen.path, [], [], ways)
    if kind == "unmatched":
        row = await get_row(tx, found)
        lines = [Line("M-Pesa receipt", row["receipt"]), Line("At", row["at"])]
        if row["ended_why"]:
            lines.append(Line("What it was", row["ended_why"]))
        ways = exits.of_unmatched(row, forms)
        return Question(waiting_unmatched(row), bool(ways), "", lines, [], ways)
    if kind == "reversal":
        return await _reversal(tx, house, found, forms)
    return await _payment(tx, house, found, forms)


async def _reversal(tx: Tx, house: House, found: UUID, forms: Mapping[str, Form]) -> Question:
    row = await tx.fetchrow(sql.REVERSAL, found)
    if row is None:
        raise NotFound
    events = event_rows(await REVERSALS.events(tx, found))
    owner = row["customer_id"]
    lines = [
        Line("The payment's M-Pesa receipt", row["receipt"]),
        Line("What took it back", row["by_receipt"]),
        Line("Told by", row["heard_from"]),
        Line("Times asked about", row["questions"]),
        Line("Taken from", (await house.get(Customers).get(tx, owner)).username if owner else None),
    ]
    ways = exits.of_reversal(row, forms)
    chapters = [Chapter("Timeline", EVENT_COLUMNS, events, "")]
    return Question(waiting_reversal(row), bool(ways), "", lines, chapters, ways)


async def _payment(tx: Tx, house: House, found: UUID, forms: Mapping[str, Form]) -> Question:
    row = await tx.fetchrow(sql.GET, found)
    if row is None:
        raise NotFound
    one = PaymentView.of(row)
    chapters = [Chapter("Timeline", EVENT_COLUMNS, event_rows(await TABLE.events(tx, found)), "")]
    for order in await tx.fetch(sql.ORDERS_OF, found):
        events = event_rows(await ORDERS.events(tx, order["id"]))
        chapters.append(Chapter("Sending it back", EVENT_COLUMNS, events, ""))
    ways = await exits.of_payment(tx, house, one, forms)
    return Question(
        waiting_payment(one), bool(ways), "", await _facts(tx, house, one), chapters, ways
    )


async def _facts(tx: Tx, house: House, one: PaymentView) -> list[Line]:
    lines = [
        Line("M-Pesa receipt", one.receipt),
        Line("Account that was typed", one.account),
        Line("Paid by", one.payer, "as M-Pesa shows it"),
        Line("Paid at", one.paid_at),
        Line("Heard by", one.heard_from, "" if one.trusted else "from a stranger: proves nothing"),
        Line("Times asked about", one.questions),
    ]
    if one.why:
        lines.append(Line("Why it waits", one.why))
    if one.customer_id is not None:
        owner = await house.get(Customers).get(tx, one.customer_id)
        link = Markup('<a href="/customers/{}">{}</a>')
        lines.append(Line("Belongs to", link.format(wire_id("cus", owner.id), owner.username)))
    if one.deposit_id is not None:
        path = wire_id("dep", one.deposit_id)
        link = Markup('<a href="/deposits/{}">{}</a>')
        lines.append(Line("Deposit", link.format(path, path)))
    return lines


async def _nobodys(house: House, cursor: str | None) -> Page[PaymentView]:
    after = Place.of(cursor) if cursor else BEGINNING
    rows = await house.db.fetch(sql.NOBODYS, PAGE + 1, after.since, after.id)
    found = [PaymentView.of(row) for row in rows]
    return Page.of(found, PAGE, lambda one: str(Place(one.since, one.id)))


async def _payments(house: House, cursor: str | None) -> Page[PaymentView]:
    before = parse_id("pay", cursor) if cursor else NEWEST
    rows: list[Row] = await house.db.fetch(sql.NEWEST_FIRST, PAGE + 1, before)
    return Page.of([PaymentView.of(row) for row in rows], PAGE, lambda one: wire_id("pay", one.id))


def _read(wire: str) -> tuple[str, UUID]:
    """Which thing an id names. Raises: NotFound."""
    prefix = wire.partition("_")[0]
    if prefix not in KINDS:
        raise NotFound
    return KINDS[prefix], parse_id(prefix, wire)


async def _figures(
    house: House, page: Page[Waiting], held: Page[HeldJob], now: datetime
) -> list[Figure]:
    lag = await find_lag(house.db)
    asked = await house.get(Approvals).page_open(house.db, limit=PAGE, cursor=None)
    late = bool(page.items) and now - page.items[0].since > LATE
    oldest = f"The oldest for {age(page.items[0].since, now)}" if page.items else "All is answered"
    unsealed = lag.age_s if lag else 0
    return [
        Figure("Open questions", _count(page), oldest, _tone(page.items, late=late)),
        Figure("Waiting for approval", _count(asked), "Two persons", Tone.NEUTRAL, "/approvals"),
        Figure("Held jobs", _count(held), "Every attempt failed" if held.items else "None is held",
               _tone(held.items, late=True)),
        Figure("Seconds unsealed", int(unsealed), "of the ledger; a minute is too long",
               Tone.BAD if unsealed > MAX_UNSEALED_S else Tone.GOOD),
    ]  # fmt: skip


def _count(page: Page[Waiting] | Page[HeldJob] | Page[Approval]) -> int | str:
    return f"{len(page.items)} or more" if page.next_cursor else len(page.items)


def _tone(items: Sequence[object], *, late: bool) -> Tone:
    if not items:
        return Tone.GOOD
    return Tone.WARN if late else Tone.NEUTRAL


def _row(one: Waiting, now: datetime) -> list[Value]:
    prefix, _, digits = one.wire.partition("_")
    link = Markup('<a href="/open-questions/{}"><span class="code keep">{}_…{}</span></a>')
    return [
        link.format(one.wire, prefix, digits[-8:]),
        one.amount,
        kept(one.who),
        kept(one.state.capitalize()),
        age(one.since, now),
        one.why,
        one.next_step,
    ]


def _held(one: HeldJob, now: datetime) -> tuple[int, list[Value]]:
    about = Markup('<span class="code" title="{}">…{}</span>').format(
        one.subject.hex, one.subject.hex[-8:]
    )
    return one.key, [one.name, about, age(one.since, now)]
