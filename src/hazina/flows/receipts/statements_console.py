"""M-Pesa's statements and its own list in the console: bringing a file, reading the list now.

A file credits nobody: what it tells of payments that nobody knew is asked about. Every operator but
auditors may bring one; who did is kept.
"""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from markupsafe import Markup
from starlette.datastructures import UploadFile
from starlette.responses import HTMLResponse, Response

from hazina.desk.webkit.current import CurrentOperator, OperatorActor, require_role
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import Field, Form, FormSpec
from hazina.desk.webkit.templates import render
from hazina.desk.webkit.view import Column, Value
from hazina.flows.receipts import repository as sql
from hazina.flows.receipts.again import AskAgain
from hazina.flows.receipts.statements import Imported, Statements
from hazina.flows.watch import NEWEST
from hazina.identity.bearer import house_of
from hazina.identity.people import Operator, Role
from hazina.infra.db import Row
from hazina.kernel.clock import EAT
from hazina.kernel.errors import Invalid, Refusal
from hazina.kernel.ids import parse_id, wire_id
from hazina.kernel.page import Page
from hazina.rails.receipts import ReceiptRail

router = APIRouter(prefix="/statements")
Asker = Annotated[Operator, Depends(require_role(Role.OPERATOR, Role.MANAGER))]
Cursor = Annotated[str | None, Query(max_length=60)]

PAGE, MEGABYTE = 30, 1024 * 1024
PREFIX = "stm"
COLUMNS = [
    Column("From"),
    Column("To"),
    Column("Lines", numeric=True),
    Column("Proves absence"),
    Column("Brought by"),
    Column("When"),
]


def _moment(text: str) -> datetime:
    """``2026-11-21 08:00``, East Africa Time. Raises: Invalid."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=EAT).astimezone(UTC)
    except ValueError:
        raise Invalid("Write it like 2026-11-21 08:00.") from None


SINCE = Field("covers_from", "It shows every movement from", _moment, max_length=20,
              help="As in the portal, like 2026-11-20 00:00, East Africa Time.")  # fmt: skip
UNTIL = Field("covers_to", "to", _moment, max_length=20)
STATEMENT = FormSpec(SINCE, UNTIL)
PULL = FormSpec()


@router.get("")
async def show(request: Request, operator: CurrentOperator, cursor: Cursor = None) -> HTMLResponse:
    return await _page(request, operator, STATEMENT.blank(), cursor=cursor)


@router.post("")
async def bring(request: Request, operator: Asker, actor: OperatorActor) -> Response:
    """Takes the portal's CSV; the same file twice is known already. A long one lies in a temporary
    file, and is read from there."""
    form, house = await STATEMENT.read(request), house_of(request)
    file = (await request.form()).get("file")
    most = house.settings.statement_max_mb
    if not isinstance(file, UploadFile) or not file.size:
        form.refuse_with(Invalid("Choose the file that the portal gave you."))
        return await _page(request, operator, form)
    if file.size > most * MEGABYTE:
        form.refuse_with(Invalid(f"That file is longer than {most} MB: bring it in parts."))
    if not form.ok:
        return await _page(request, operator, form)
    try:
        done = await house.get(Statements).take(
            file.file, form.value(SINCE), form.value(UNTIL), by=operator.username, actor=actor
        )
    except Refusal as refusal:
        form.refuse_with(refusal)
        return await _page(request, operator, form)
    odd = done.unread or done.unknown or done.doubted or done.unlisted or done.unmatched
    tone = Tone.WARN if odd else Tone.GOOD
    return redirect(request, "/statements", _told(done), tone)


@router.post("/list")
async def read_list(request: Request, _operator: Asker, actor: OperatorActor) -> Response:
    """Reads M-Pesa's own list of what was paid to us, as every quarter of an hour."""
    house = house_of(request)
    lines = await house.get(AskAgain).read_list(actor, house.clock.now())
    if lines is None:
        words = "M-Pesa gave no whole list. The log says why; it is read again by itself."
        return redirect(request, "/statements", words, Tone.WARN)
    return redirect(request, "/statements", f"M-Pesa's list was read: {lines} lines.")


async def _page(
    request: Request, operator: Operator, form: Form, *, cursor: str | None = None
) -> HTMLResponse:
    house = house_of(request)
    before = parse_id(PREFIX, cursor) if cursor else NEWEST
    rows = await house.db.fetch(sql.STATEMENTS, PAGE + 1, before)
    page = Page.of(rows, PAGE, lambda row: wire_id(PREFIX, row["id"]))
    rail = house.get(ReceiptRail)  # type: ignore[type-abstract]
    return render(
        request,
        "receipts/statements.html",
        status=form.status,
        form=form,
        read=await house.db.fetchrow(sql.READ, rail.shortcode),
        may=operator.role is not Role.AUDITOR,
        columns=COLUMNS,
        rows=[_row(row) for row in page.items],
        older=f"/statements?cursor={page.next_cursor}" if page.next_cursor else "",
        newer="/statements" if cursor else "",
    )


def _told(done: Imported) -> str:
    found = [f"{done.lines} lines read{' (known already)' if done.again else ''}."]
    if done.unread:
        found.append(f"{done.unread} could not be read: it proves no absence.")
    if done.unknown:
        found.append(f"M-Pesa is asked about {len(done.unknown)} that no book of ours has.")
    if done.doubted:
        found.append(f"It has payouts that we had called not paid: {done.doubted} are asked about.")
    if done.unlisted:
        found.append(f"It lacks {done.unlisted} payouts that are booked as paid: see Questions.")
    if done.unmatched:
        found.append(f"{done.unmatched} are in one of both books only: see Questions.")
    if done.returns:
        found.append(f"{len(done.returns)} went back at M-Pesa.")
    return " ".join(found)


def _row(row: Row) -> list[Value]:
    good, tone = ("Yes", "good") if row["complete"] else ("No: some lines unread", "warn")
    chip = Markup('<span class="chip {}">{}</span>').format(tone, good)
    return [
        row["covers_from"], row["covers_to"], row["lines"], chip, row["imported_by"],
        row["imported_at"],
    ]  # fmt: skip
