"""Approvals in the console: what waits for a second person, and saying yes or no to one of them.

Whoever is signed in may look. A yes asks for the password again (and the code, where one is set
up): a console that was left open approves nothing.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from hazina.desk.approvals import MAY, PREFIX, Approval, Approvals
from hazina.desk.webkit.acts import did
from hazina.desk.webkit.current import CurrentOperator, OperatorActor, require_role
from hazina.desk.webkit.filters import age
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import Field, Form, FormSpec
from hazina.desk.webkit.proof import CODE, PASSWORD, prove
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Column, Line, Link, Value
from hazina.identity.bearer import house_of
from hazina.identity.people import Operator, Role
from hazina.identity.second_factor import OperatorFactors
from hazina.infra.db import Tx
from hazina.kernel.ids import parse_id, wire_id

router = APIRouter(prefix="/approvals")
Decider = Annotated[Operator, Depends(require_role(Role.MANAGER))]
Cursor = Annotated[str | None, Query(max_length=60)]
Shown = Annotated[str, Query(pattern="^(open|decided)$")]

PAGE = 50
YES = FormSpec(PASSWORD, CODE)
WHY_NOT = Field("answer", "Why not", str, kind="area", max_length=500,
                help="Whoever asked reads this.")  # fmt: skip
NO = FormSpec(WHY_NOT)
COLUMNS = [Column("What"), Column("Why"), Column("Asked by"), Column("For", numeric=True)]
DECIDED_COLUMNS = [Column("What"), Column("Asked by"), Column("Answer"), Column("By"),
                   Column("When")]  # fmt: skip
ANSWERS = {"approved": "Approved", "rejected": "Rejected", "open": "Waits"}
TONES = {"approved": Tone.GOOD, "rejected": Tone.BAD, "open": Tone.WARN}


@router.get("")
async def show_list(
    request: Request, _operator: CurrentOperator, shown: Shown = "open", cursor: Cursor = None
) -> HTMLResponse:
    """What waits, the oldest first; or what was decided, the newest first."""
    house = house_of(request)
    approvals, now, waits = house.get(Approvals), house.clock.now(), shown == "open"
    listed = approvals.page_open if waits else approvals.page_decided
    page = await listed(house.db, limit=PAGE, cursor=cursor)
    here = "/approvals" if waits else "/approvals?shown=decided"
    more = f"{here}{'?' if waits else '&'}cursor={page.next_cursor}"
    return render(
        request,
        "desk/approvals.html",
        waits=waits,
        filters=[
            (Link("Waiting", "/approvals"), waits),
            (Link("Decided", "/approvals?shown=decided"), not waits),
        ],
        columns=COLUMNS if waits else DECIDED_COLUMNS,
        rows=[_open_row(one, now) if waits else _decided_row(one) for one in page.items],
        older=more if page.next_cursor else "",
        newer=here if cursor else "",
    )


@router.get("/{approval_id}")
async def show(request: Request, approval_id: str, operator: CurrentOperator) -> HTMLResponse:
    return await _page(request, approval_id, operator, YES.blank(), NO.blank())


@router.post("/{approval_id}/approve")
async def approve(
    request: Request, approval_id: str, operator: Decider, actor: OperatorActor
) -> Response:
    """Carries the act out at once, in the transaction of this yes."""
    form, house = await YES.read(request), house_of(request)
    found, now = parse_id(PREFIX, approval_id), house.clock.now()
    if form.ok:
        await prove(house, form, operator, actor, now)

    async def act(tx: Tx) -> None:
        await house.get(Approvals).approve(tx, found, operator=operator, actor=actor, now=now)

    if not form.ok or not await did(request, actor, form, act):
        return await _page(request, approval_id, operator, form, NO.blank())
    return redirect(request, "/approvals", "Approved and done.")


@router.post("/{approval_id}/reject")
async def reject(
    request: Request, approval_id: str, operator: Decider, actor: OperatorActor
) -> Response:
    form, house = await NO.read(request), house_of(request)
    found, now = parse_id(PREFIX, approval_id), house.clock.now()

    async def act(tx: Tx) -> None:
        await house.get(Approvals).reject(
            tx, found, operator=operator, actor=actor, answer=form.value(WHY_NOT), now=now
        )

    if not form.ok or not await did(request, actor, form, act):
        return await _page(request, approval_id, operator, YES.blank(), form)
    return redirect(request, "/approvals", "Rejected: nothing was done.")


async def _page(
    request: Request, approval_id: str, operator: Operator, yes: Form, no: Form
) -> HTMLResponse:
    house, found = house_of(request), parse_id(PREFIX, approval_id)
    approvals, now = house.get(Approvals), house.clock.now()
    one = await approvals.get(house.db, found)
    wire = wire_id(PREFIX, one.id)
    own = one.asked_by == operator.id
    return render(
        request,
        "desk/approval.html",
        status=max(yes.status, no.status),
        one=one,
        own=own,
        may=operator.role in MAY,
        factor=await house.get(OperatorFactors).is_on(house.db, operator.id),
        evidence=approvals.page_of(one),
        url=f"/approvals/{wire}",
        chip=ANSWERS[one.state],
        tone=TONES[one.state],
        lines=_lines(one, wire, now),
        yes=yes,
        no=no,
    )


def _lines(one: Approval, wire: str, now: datetime) -> list[Line]:
    asked = [
        Line("Why", one.reason),
        Line("Asked by", one.asked_by_name),
        Line("Asked", one.asked_at, f"{age(one.asked_at, now)} ago"),
    ]
    if one.state != "open":
        asked += [
            Line(ANSWERS[one.state], one.decided_at, f"by {one.decided_by_name}"),
            *([Line("Their words", one.answer)] if one.answer else []),
        ]
    return [*asked, Line("Act", one.act), Line("Id", wire)]


def _link(one: Approval) -> Markup:
    return Markup('<a href="/approvals/{}">{}</a>').format(wire_id(PREFIX, one.id), one.summary)


def _open_row(one: Approval, now: datetime) -> list[Value]:
    return [_link(one), one.reason, one.asked_by_name, age(one.asked_at, now)]


def _decided_row(one: Approval) -> list[Value]:
    chip = Markup('<span class="chip {}">{}</span>').format(TONES[one.state], ANSWERS[one.state])
    return [_link(one), one.asked_by_name, chip, one.decided_by_name, one.decided_at]
