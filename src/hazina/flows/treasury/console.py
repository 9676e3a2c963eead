"""The house's own money in the console: what M-Pesa holds, what it takes, and what was moved."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from markupsafe import Markup
from starlette.responses import HTMLResponse, Response

from hazina.desk.webkit.acts import did
from hazina.desk.webkit.current import CurrentOperator, OperatorActor, require_role
from hazina.desk.webkit.flash import redirect
from hazina.desk.webkit.forms import (
    Choice,
    Field,
    Form,
    FormSpec,
    amount_field,
    choice_field,
    moment_field,
)
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Column, Figure, Line, Value
from hazina.flows.treasury.balances import Balances
from hazina.flows.treasury.movements import PREFIX, WORDS, Movements
from hazina.flows.treasury.postings import Movement
from hazina.flows.treasury.tariffs import Tariffs
from hazina.flows.treasury.terms import TariffKind, written
from hazina.identity.bearer import house_of
from hazina.identity.people import Operator, Role
from hazina.infra.db import Row, Tx
from hazina.kernel.errors import Refusal
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.money import KES

router = APIRouter(prefix="/treasury")
Keeper = Annotated[Operator, Depends(require_role(Role.MANAGER, Role.ADMINISTRATOR))]


KINDS = [
    Choice(TariffKind.PAYOUT.value, "Payouts (B2C)"),
    Choice(TariffKind.PAYMENT.value, "Payments to us (C2B)"),
]
KIND = choice_field("kind", "What it is for", KINDS)
FROM = moment_field(
    "valid_from", "From", help="Like 2026-12-01 00:00, East Africa Time, in the future."
)
BANDS = Field("bands", "Bands", str, max_length=500,
              help="Up to so many shillings: charge. 100:0,1500:5,…,250000:13")  # fmt: skip
NOTE = Field("note", "Note", str, required=False, max_length=300, help="Where it is announced.")
TARIFF = FormSpec(KIND, FROM, BANDS, NOTE)

MOVES = [Choice(kind.value, words) for kind, words in WORDS.items()]
MOVE = choice_field("movement", "What was moved", MOVES)
AMOUNT = amount_field("amount", "Amount", KES)
REFERENCE = Field("reference", "Its reference", str, max_length=60,
                  help="M-Pesa's receipt or the bank's reference; booked once.")  # fmt: skip
REASON = Field("reason", "Why", str, max_length=500, help="A second person reads it.")
MOVEMENT = FormSpec(MOVE, AMOUNT, REFERENCE, REASON)
BACK = FormSpec(REASON)

BALANCE_COLUMNS = [
    Column("Asked"),
    Column("Shortcode"),
    Column("Utility", numeric=True),
    Column("Working", numeric=True),
    Column("Charges", numeric=True),
    Column("Answer"),
]
TARIFF_COLUMNS = ["For", "From", "Bands (up to: charge)", "By", "Note"]
MOVEMENT_COLUMNS = [
    Column("When"),
    Column("What"),
    Column("Amount", numeric=True),
    Column("Reference"),
    Column("Why"),
    Column("Mistaken"),
]


@router.get("")
async def show(request: Request, _operator: CurrentOperator) -> HTMLResponse:
    """Balances, tariffs, movements and the two forms."""
    return await _page(request, TARIFF.blank(), MOVEMENT.blank())


@router.post("/tariffs")
async def add_tariff(request: Request, operator: Keeper, actor: OperatorActor) -> Response:
    """This will put a tariff in force from a future moment on."""
    form, house = await TARIFF.read(request), house_of(request)
    if not form.ok:
        return await _page(request, form, MOVEMENT.blank())
    kind, now = TariffKind(form.value(KIND)), house.clock.now()

    async def add(tx: Tx) -> None:
        await house.get(Tariffs).add(
            tx,
            kind,
            form.value(FROM),
            form.value(BANDS),
            form.find(NOTE) or "",
            by=operator.username,
            actor=actor,
            now=now,
        )

    try:
        await house.db.run(add)
    except Refusal as refusal:
        form.refuse_with(refusal)
        return await _page(request, form, MOVEMENT.blank())
    return redirect(request, "/treasury", "The tariff is in force from then on.")


@router.post("/movements")
async def ask_movement(request: Request, operator: Keeper, actor: OperatorActor) -> Response:
    """This will ask a second person; the same reference twice is refused."""
    form, house = await MOVEMENT.read(request), house_of(request)
    if not form.ok:
        return await _page(request, TARIFF.blank(), form)
    kind, now = Movement(form.value(MOVE)), house.clock.now()

    async def ask(tx: Tx) -> None:
        await house.get(Movements).ask(
            tx,
            kind,
            form.value(AMOUNT),
            form.value(REFERENCE),
            reason=form.value(REASON),
            operator=operator,
            actor=actor,
            now=now,
        )

    try:
        await house.db.run(ask)
    except Refusal as refusal:
        form.refuse_with(refusal)
        return await _page(request, TARIFF.blank(), form)
    return redirect(request, "/treasury", "A second person is asked to approve it.")


@router.get("/movements/{movement_id}/back")
async def show_back(request: Request, movement_id: str, _operator: Keeper) -> HTMLResponse:
    """The second look at a movement, and the form that asks a second person."""
    return await _back_page(request, movement_id, BACK.blank())


@router.post("/movements/{movement_id}/back")
async def ask_back(
    request: Request, movement_id: str, operator: Keeper, actor: OperatorActor
) -> Response:
    """This will ask a second person to take it back."""
    form, house, which = await BACK.read(request), house_of(request), parse_id(PREFIX, movement_id)

    async def ask(tx: Tx) -> None:
        await house.get(Movements).ask_back(
            tx, which, reason=form.value(REASON), operator=operator, actor=actor,
            now=house.clock.now(),
        )  # fmt: skip

    if not form.ok or not await did(request, actor, form, ask):
        return await _back_page(request, movement_id, form)
    return redirect(request, "/treasury", "A second person is asked to approve it.")


async def _back_page(request: Request, movement_id: str, form: Form) -> HTMLResponse:
    house, which = house_of(request), parse_id(PREFIX, movement_id)
    row = await house.get(Movements).get(house.db, which)
    lines = [
        Line("Movement", WORDS[Movement(row["kind"])], strong=True),
        Line("Amount", KES.units(int(row["amount"])), strong=True),
        Line("Reference", row["reference"]),
        Line("Booked", row["at"]),
        Line("Why it was booked", row["reason"]),
        Line("Afterwards", "It is booked the other way, as a whole, once."),
        Line("And then", "Book it anew as it was, under the same reference."),
        Line("Takes effect", "when a second person agrees"),
    ]
    return render(
        request, "treasury/back.html", status=form.status, form=form, lines=lines,
        back=row["back_at"], url=f"/treasury/movements/{wire_id(PREFIX, which)}/back",
    )  # fmt: skip


def _back_cell(row: Row) -> Value:
    if row["back_at"] is not None:
        return Markup('<span class="chip warn">Taken back</span>')
    path = f"/treasury/movements/{wire_id(PREFIX, row['id'])}/back"
    return Markup('<a href="{}">Take it back</a>').format(path)


async def _page(request: Request, tariff: Form, movement: Form) -> HTMLResponse:
    house = house_of(request)
    balances = await house.get(Balances).list_newest(house.db)
    known = await house.get(Balances).find_known(house.db, house.clock.now())
    tariffs: list[list[Value]] = [
        [
            "Payouts" if one.kind is TariffKind.PAYOUT else "Payments to us",
            one.valid_from or "The beginning",
            written(one.bands).replace(",", ", "),
            one.made_by,
            one.note,
        ]
        for one in await house.get(Tariffs).list_all(house.db)
    ]
    moved: list[list[Value]] = [
        [
            row["at"],
            WORDS[Movement(row["kind"])],
            KES.units(int(row["amount"])),
            row["reference"],
            row["reason"],
            _back_cell(row),
        ]
        for row in await house.get(Movements).list_all(house.db)
    ]
    held = [
        [
            row["asked_at"],
            row["shortcode"],
            *(_kes(row[name]) for name in ("utility", "working", "charges")),
            row["why"] or ("told" if row["told_at"] else "awaited"),
        ]
        for row in balances
    ]
    figures = [
        Figure("Utility", known.utility, "What payouts can be made of")
        if known
        else Figure("Utility", "Not known", "M-Pesa has not said lately; nothing is held back")
    ]
    return render(
        request,
        "treasury/treasury.html",
        status=max(tariff.status, movement.status),
        figures=figures,
        balance_columns=BALANCE_COLUMNS,
        balances=held,
        tariff_columns=TARIFF_COLUMNS,
        tariffs=tariffs,
        tariff=tariff,
        movement_columns=MOVEMENT_COLUMNS,
        movements=moved,
        movement=movement,
    )


def _kes(units: Decimal | None) -> Value:
    return None if units is None else KES.units(int(units))
