"""Register, sign in, sign out: the pages around identity's services."""

from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from hazina.desk.webkit.cookies import (
    clear_session_cookie,
    device_of,
    set_device_cookie,
    set_session_cookie,
)
from hazina.desk.webkit.current import CustomerSession, OptionalCustomer
from hazina.desk.webkit.flash import Tone, redirect
from hazina.desk.webkit.forms import Field, Form, FormSpec, code_field, password_field
from hazina.desk.webkit.links import safe_next
from hazina.desk.webkit.templates import render
from hazina.identity.bearer import VisitorDep, house_of
from hazina.identity.login import CustomerLogin
from hazina.identity.people import WALLET
from hazina.identity.register import Application, Registration
from hazina.identity.second_factor import SecondFactorNeeded
from hazina.identity.sessions import CustomerSessions, PageSession
from hazina.identity.tokens import NotSignedIn
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Refusal

router = APIRouter()

USERNAME = Field("username", "Username", str, autocomplete="username", max_length=64)
PASSWORD = password_field("password", "Password")
NEXT = Field("next", "Next", str, kind="hidden", required=False, max_length=600)
LOGIN = FormSpec(USERNAME, PASSWORD, NEXT)
CODE = replace(code_field(help="Or one of your recovery codes."), required=True)
TICKET = Field("ticket", "Ticket", str, kind="hidden", max_length=200)
SECOND = FormSpec(CODE, TICKET, NEXT)

NEW_USERNAME = Field(
    "username",
    "Choose a username",
    str,
    help="3 to 32 letters, digits, dots or underscores. It is how you sign in.",
    autocomplete="username",
    max_length=64,
)
EMAIL = Field("email", "E-mail", str, kind="email", autocomplete="email", max_length=320)
PHONE = Field(
    "phone",
    "M-Pesa phone number",
    str,
    kind="tel",
    help="Money comes from here and goes back here.",
    autocomplete="tel",
    max_length=32,
)
NEW_PASSWORD = password_field(
    "password", "Password", new=True, help="At least 10 characters. Four random words are good."
)
REGISTER = FormSpec(NEW_USERNAME, PHONE, EMAIL, NEW_PASSWORD, NEXT)


@router.get("/login")
async def show_login(request: Request, customer: OptionalCustomer, next: str = "/") -> Response:  # noqa: A002 - the query's word
    to = safe_next(next)
    if customer is not None:
        return redirect(request, to)
    return _login_page(request, LOGIN.blank(next=to))


@router.post("/login")
async def login(request: Request, origin: VisitorDep) -> Response:
    form = await LOGIN.read(request)
    if not form.ok:
        return _login_page(request, form)
    try:
        return await _signed_in(request, form, origin)
    except SecondFactorNeeded as needed:
        return _code_page(request, SECOND.blank(ticket=needed.ticket, next=form.find(NEXT) or "/"))
    except Refusal as refusal:
        form.refuse_with(refusal)
        return _login_page(request, form)


@router.post("/login/code")
async def login_with_code(request: Request, origin: VisitorDep) -> Response:
    """The second step, for who has set up a second factor."""
    form = await SECOND.read(request)
    if TICKET.name in form.errors:
        return redirect(request, "/login")
    if not form.ok:
        return _code_page(request, form)
    house = house_of(request)
    now = house.clock.now()
    try:
        session = await house.get(CustomerLogin).finish_page(
            form.value(TICKET),
            replace(origin, otp=form.find(CODE)),
            now,
            device=device_of(request),
        )
    except NotSignedIn:
        return redirect(request, "/login", "That took too long. Sign in once more.", Tone.WARN)
    except Refusal as refusal:
        form.refuse_with(refusal)
        return _code_page(request, form)
    return _welcome(request, session, form.find(NEXT), None)


@router.get("/register")
async def show_register(request: Request, customer: OptionalCustomer, next: str = "/") -> Response:  # noqa: A002 - the query's word
    to = safe_next(next)
    if customer is not None:
        return redirect(request, to)
    return _register_page(request, REGISTER.blank(next=to))


@router.post("/register")
async def register(request: Request, origin: VisitorDep) -> Response:
    """Makes the account and signs in with it."""
    form = await REGISTER.read(request)
    if not form.ok:
        return _register_page(request, form)
    application = Application(
        username=form.value(NEW_USERNAME),
        email=form.value(EMAIL),
        phone=form.value(PHONE),
        password=form.value(NEW_PASSWORD),
    )
    house = house_of(request)
    try:
        await house.get(Registration).register(application, origin, house.clock.now())
        return await _signed_in(request, form, origin, "Welcome. Your account is ready.")
    except Refusal as refusal:
        form.refuse_with(refusal)
        return _register_page(request, form)


@router.post("/logout")
async def logout(request: Request, origin: VisitorDep, session: CustomerSession) -> Response:
    """Ends this session on the server, then in the browser."""
    house = house_of(request)
    sessions, me, now = house.get(CustomerSessions), session.person, house.clock.now()
    await house.db.run(
        lambda tx: sessions.revoke(
            tx, me.id, session.session_id, me.as_actor(origin), now, why="logged out"
        )
    )
    response = redirect(request, "/login", "You are signed out.")
    clear_session_cookie(response, WALLET, house.settings)
    return response


async def _signed_in(
    request: Request, form: Form, origin: Actor, greeting: str | None = None
) -> Response:
    house = house_of(request)
    now = house.clock.now()
    session = await house.get(CustomerLogin).for_page(
        form.value(USERNAME), form.value(PASSWORD), origin, now, device=device_of(request)
    )
    return _welcome(request, session, form.find(NEXT), greeting)


def _welcome(
    request: Request, session: PageSession, to: str | None, greeting: str | None
) -> Response:
    house = house_of(request)
    response = redirect(request, safe_next(to), greeting)
    set_session_cookie(response, WALLET, session, house.settings, house.clock.now())
    set_device_cookie(response, session, house.settings)
    return response


def _code_page(request: Request, form: Form) -> HTMLResponse:
    return render(request, "wallet/login_code.html", status=form.status, form=form)


def _login_page(request: Request, form: Form) -> HTMLResponse:
    return render(request, "wallet/login.html", status=form.status, form=form)


def _register_page(request: Request, form: Form) -> HTMLResponse:
    return render(request, "wallet/register.html", status=form.status, form=form)
