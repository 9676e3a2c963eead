"""Operators sign in and out; the control room leads to what their role may see."""

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from hazina.desk.webkit.cookies import clear_session_cookie, set_session_cookie
from hazina.desk.webkit.current import CurrentOperator, OperatorSession, OptionalOperator
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import Field, Form, FormSpec, code_field, password_field
from hazina.desk.webkit.links import safe_next
from hazina.desk.webkit.templates import render, viewer_of
from hazina.desk.webkit.view import Link
from hazina.identity.bearer import VisitorDep, house_of
from hazina.identity.login import OperatorLogin
from hazina.identity.people import CONSOLE
from hazina.identity.second_factor import SecondFactorNeeded
from hazina.identity.sessions import OperatorSessions
from hazina.identity.tokens import NotSignedIn
from hazina.kernel.errors import Refusal
from hazina.web.console.waits import COLUMNS, heaps, rows

router = APIRouter()

USERNAME = Field("username", "Username", str, autocomplete="username", max_length=64)
PASSWORD = password_field("password", "Password")
NEXT = Field("next", "Next", str, kind="hidden", required=False, max_length=600)
LOGIN = FormSpec(USERNAME, PASSWORD, NEXT)
CODE = replace(code_field(help="Or one of your recovery codes."), required=True)
TICKET = Field("ticket", "Ticket", str, kind="hidden", max_length=200)
SECOND = FormSpec(CODE, TICKET, NEXT)


@router.get("/")
async def control_room(request: Request, operator: CurrentOperator) -> HTMLResponse:
    nav = request.app.state.shell.nav_for(viewer_of(request))
    places = [Link(item.label, item.path, item.icon) for item in nav if item.path != "/"]
    house = house_of(request)
    waiting = rows(await heaps(house), house.clock.now())
    return render(
        request, "console/home.html", operator=operator, places=places, waits_columns=COLUMNS,
        waits=waiting,
    )  # fmt: skip


@router.get("/login")
async def show_login(request: Request, operator: OptionalOperator, next: str = "/") -> Response:  # noqa: A002 - the query's word
    to = safe_next(next)
    if operator is not None:
        return redirect(request, to)
    return _page(request, LOGIN.blank(next=to))


@router.post("/login")
async def login(request: Request, origin: VisitorDep) -> Response:
    form = await LOGIN.read(request)
    if not form.ok:
        return _page(request, form)
    house = house_of(request)
    now = house.clock.now()
    try:
        session = await house.get(OperatorLogin).for_page(
            form.value(USERNAME), form.value(PASSWORD), origin, now
        )
    except SecondFactorNeeded as needed:
        return _code_page(request, SECOND.blank(ticket=needed.ticket, next=form.find(NEXT) or "/"))
    except Refusal as refusal:
        form.refuse_with(refusal)
        return _page(request, form)
    response = redirect(request, safe_next(form.find(NEXT)))
    set_session_cookie(response, CONSOLE, session, house.settings, now)
    return response


@router.post("/login/code")
async def login_with_code(request: Request, origin: VisitorDep) -> Response:
    """The second step."""
    form = await SECOND.read(request)
    if TICKET.name in form.errors:
        return redirect(request, "/login")
    if not form.ok:
        return _code_page(request, form)
    house = house_of(request)
    now = house.clock.now()
    try:
        session = await house.get(OperatorLogin).finish_page(
            form.value(TICKET), replace(origin, otp=form.find(CODE)), now
        )
    except NotSignedIn:
        return redirect(request, "/login", "That took too long. Sign in once more.", Tone.WARN)
    except Refusal as refusal:
        form.refuse_with(refusal)
        return _code_page(request, form)
    response = redirect(request, safe_next(form.find(NEXT)))
    set_session_cookie(response, CONSOLE, session, house.settings, now)
    return response


@router.post("/logout")
async def logout(request: Request, origin: VisitorDep, session: OperatorSession) -> Response:
    """Ends this session on the server, then in the browser."""
    house = house_of(request)
    sessions, me, now = house.get(OperatorSessions), session.person, house.clock.now()
    await house.db.run(
        lambda tx: sessions.revoke(
            tx, me.id, session.session_id, me.as_actor(origin), now, why="logged out"
        )
    )
    response = redirect(request, "/login", "You are signed out.")
    clear_session_cookie(response, CONSOLE, house.settings)
    return response


def _code_page(request: Request, form: Form) -> HTMLResponse:
    return render(request, "console/login_code.html", status=form.status, form=form)


def _page(request: Request, form: Form) -> HTMLResponse:
    return render(request, "console/login.html", status=form.status, form=form)
