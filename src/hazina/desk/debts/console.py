"""Debts in the console: who owes what since when, and asking a second person to give one up."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from hazina.desk.approvals import Approvals
from hazina.desk.debts.service import Debts
from hazina.desk.webkit.current import CurrentOperator, OperatorActor, require_role
from hazina.desk.webkit.flash import redirect
from hazina.desk.webkit.forms import Field, Form, FormSpec
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Column, Figure, Value
from hazina.identity.bearer import house_of
from hazina.identity.customers import Customers
from hazina.identity.people import Operator, Role
from hazina.infra.db import Tx
from hazina.kernel.errors import Refusal
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES

router = APIRouter(prefix="/debts")
Keeper = Annotated[Operator, Depends(require_role(Role.MANAGER, Role.ADMINISTRATOR))]
REASON = Field("reason", "Why it is given up", str, max_length=500,
               help="A second person reads it, and so does the audit trail.")  # fmt: skip
FORM = FormSpec(REASON)
DAY_S = 86_400
COLUMNS = [
    Column("Customer"),
    Column("Owed", numeric=True),
    Column("Of", numeric=True),
    Column("For", numeric=True),
    Column("Taken back by M-Pesa"),
    Column("Next step"),
]


@router.get("")
async def show_list(request: Request, _operator: CurrentOperator) -> HTMLResponse:
    """Every open debt, the oldest first."""
    house = house_of(request)
    debts = await house.get(Debts).list_open(house.db)
    asked = {one.subject for one in await house.get(Approvals).list_open(house.db)}
    now, rows = house.clock.now(), list[list[Value]]()
    for debt in debts:
        owner = await house.get(Customers).get(house.db, debt.customer_id)
        link = Markup('<a href="/debts/{}">Give up</a>').format(wire_id("dbt", debt.id))
        rows.append(
            [
                owner.username,
                debt.outstanding,
                debt.amount,
                f"{int((now - debt.since).total_seconds()) // DAY_S} d",
                debt.cause,
                "Waits for a second person" if debt.id in asked else link,
            ]
        )
    total = sum(d.outstanding.units for d in debts if d.outstanding.asset == KES)
    figures = [Figure("Owed to us", KES.units(total)), Figure("Debts", len(debts))]
    return render(request, "desk/debts.html", columns=COLUMNS, rows=rows, figures=figures)


@router.get("/{debt_id}")
async def show(request: Request, debt_id: str, _operator: Keeper) -> HTMLResponse:
    """The form that asks a second person to give a debt up."""
    return await _show(request, debt_id, FORM.blank())


@router.post("/{debt_id}")
async def ask_write_off(
    request: Request, debt_id: str, operator: Keeper, actor: OperatorActor
) -> Response:
    """This will ask a second person; asking twice is refused by the open request."""
    form, house, which = await FORM.read(request), house_of(request), parse_id("dbt", debt_id)
    if not form.ok:
        return await _show(request, debt_id, form)
    reason, now = form.value(REASON), house.clock.now()

    async def ask(tx: Tx) -> None:
        await house.get(Debts).ask_write_off(
            tx, which, reason=reason, operator=operator, actor=actor, now=now
        )

    try:
        await house.db.run(ask)
    except Refusal as refusal:
        form.refuse_with(refusal)
        return await _show(request, debt_id, form)
    return redirect(request, "/debts", "A second person is asked to approve it.")


async def _show(request: Request, debt_id: str, form: Form) -> HTMLResponse:
    house, which = house_of(request), parse_id("dbt", debt_id)
    debt = await house.get(Debts).get(house.db, which)
    owner = await house.get(Customers).get(house.db, debt.customer_id)
    return render(
        request,
        "desk/debt.html",
        status=form.status,
        form=form,
        debt=debt,
        owner=owner.username,
        url=f"/debts/{wire_id('dbt', which)}",
    )
