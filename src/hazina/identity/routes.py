"""Identity as JSON: ``/auth/…`` and ``/user/me`` for customers, ``/operator/…`` for operators."""

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response, status

from hazina.identity.bearer import BearerCustomer, BearerOperator, VisitorDep, house_of
from hazina.identity.login import CustomerLogin, Login, OperatorLogin
from hazina.identity.password_change import PasswordChange
from hazina.identity.people import Customer, Operator
from hazina.identity.register import Application, Registration
from hazina.identity.sessions import CustomerSessions, OperatorSessions, Sessions
from hazina.identity.wire import (
    CustomerOut,
    LoginIn,
    OperatorOut,
    PasswordIn,
    PasswordOut,
    RefreshIn,
    RegisterIn,
    SessionOut,
    SessionsOut,
    TokensOut,
)
from hazina.kernel.actor import Actor
from hazina.kernel.ids import parse_id
from hazina.kernel.page import MAX_LIMIT

router = APIRouter(tags=["identity"])
operator_router = APIRouter(prefix="/operator", tags=["identity"])

Cursor = Annotated[str | None, Query(max_length=64)]
Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT)]


@router.post("/auth/register", status_code=status.HTTP_201_CREATED)
async def register(request: Request, body: RegisterIn, origin: VisitorDep) -> CustomerOut:
    """Make an account; sign in with it afterwards."""
    house = house_of(request)
    application = Application(body.username, body.email, body.phone, body.password)
    customer = await house.get(Registration).register(application, origin, house.clock.now())
    return CustomerOut.of(customer)


@router.post("/auth/login")
async def login(
    request: Request, response: Response, body: LoginIn, origin: VisitorDep
) -> TokensOut:
    """Sign in: an access token for minutes and a refresh token that works once."""
    return await _login(request, response, house_of(request).get(CustomerLogin), body, origin)


@router.post("/auth/refresh")
async def refresh(
    request: Request, response: Response, body: RefreshIn, origin: VisitorDep
) -> TokensOut:
    """Take the next pair of tokens. A refresh token seen twice ends its session."""
    sessions = house_of(request).get(CustomerSessions)
    return await _refresh(request, response, sessions, body, origin)


@router.post("/auth/logout", status_code=status.HTTP_204_NO_CONTENT)
async def logout(request: Request, me: BearerCustomer, origin: VisitorDep) -> None:
    """End this session, at once and everywhere."""
    house, actor = house_of(request), me.person.as_actor(origin)
    sessions, now = house.get(CustomerSessions), house.clock.now()
    await house.db.run(
        lambda tx: sessions.revoke(tx, me.person.id, me.session_id, actor, now, why="logged out")
    )


@router.post("/auth/password")
async def change_password(
    request: Request, body: PasswordIn, me: BearerCustomer, origin: VisitorDep
) -> PasswordOut:
    """Change the password; every other session ends."""
    house = house_of(request)
    ended = await house.get(PasswordChange).change(
        me.person.id,
        current=body.current_password,
        new=body.new_password,
        keep_session=me.session_id,
        actor=me.person.as_actor(origin),
        now=house.clock.now(),
    )
    return PasswordOut(ended_sessions=ended)


@router.get("/auth/sessions")
async def list_sessions(
    request: Request, me: BearerCustomer, cursor: Cursor = None, limit: Limit = 50
) -> SessionsOut:
    """Where this account is signed in, newest first."""
    house = house_of(request)
    sessions, now = house.get(CustomerSessions), house.clock.now()
    before = parse_id("ses", cursor) if cursor else None
    page = await house.db.run(
        lambda tx: sessions.list_sessions(tx, me.person.id, before=before, limit=limit, now=now)
    )
    items = [SessionOut.of(one, current=one.id == me.session_id) for one in page.items]
    return SessionsOut(items=items, next_cursor=page.next_cursor)


@router.delete("/auth/sessions/{session_id}", status_code=status.HTTP_204_NO_CONTENT)
async def revoke_session(
    request: Request, session_id: str, me: BearerCustomer, origin: VisitorDep
) -> None:
    """End one session of this account, such as that of a lost phone."""
    house, actor = house_of(request), me.person.as_actor(origin)
    sessions, now = house.get(CustomerSessions), house.clock.now()
    which = parse_id("ses", session_id)
    await house.db.run(
        lambda tx: sessions.revoke(tx, me.person.id, which, actor, now, why="ended by its owner")
    )


@router.get("/user/me")
async def read_me(me: BearerCustomer) -> CustomerOut:
    """Who this token belongs to."""
    return CustomerOut.of(me.person)


@operator_router.post("/auth/login")
async def login_operator(
    request: Request, response: Response, body: LoginIn, origin: VisitorDep
) -> TokensOut:
    """Sign in as an operator, for the JSON of the console's acts."""
    return await _login(request, response, house_of(request).get(OperatorLogin), body, origin)


@operator_router.post("/auth/refresh")
async def refresh_operator(
    request: Request, response: Response, body: RefreshIn, origin: VisitorDep
) -> TokensOut:
    """Take the next pair of an operator's tokens."""
    sessions = house_of(request).get(OperatorSessions)
    return await _refresh(request, response, sessions, body, origin)


@operator_router.post("/auth/logout", status_code=status.HTTP_204_NO_CONTENT)
async def logout_operator(request: Request, me: BearerOperator, origin: VisitorDep) -> None:
    """End this operator's session."""
    house, actor = house_of(request), me.person.as_actor(origin)
    sessions, now = house.get(OperatorSessions), house.clock.now()
    await house.db.run(
        lambda tx: sessions.revoke(tx, me.person.id, me.session_id, actor, now, why="logged out")
    )


@operator_router.get("/me")
async def read_operator(me: BearerOperator) -> OperatorOut:
    """Which operator this token belongs to."""
    return OperatorOut.of(me.person)


async def _login(
    request: Request, response: Response, door: Login, body: LoginIn, origin: Actor
) -> TokensOut:
    now = house_of(request).clock.now()
    origin = replace(origin, otp=body.otp or origin.otp)
    tokens = await door.for_tokens(
        body.username, body.password, origin, now, device=body.device_token
    )
    return _handed_out(response, TokensOut.of(tokens, now))


async def _refresh(
    request: Request,
    response: Response,
    sessions: Sessions[Customer] | Sessions[Operator],
    body: RefreshIn,
    origin: Actor,
) -> TokensOut:
    house = house_of(request)
    now = house.clock.now()
    tokens = await sessions.refresh(house.db, body.refresh_token, origin, now)
    return _handed_out(response, TokensOut.of(tokens, now))


def _handed_out(response: Response, tokens: TokensOut) -> TokensOut:
    # RFC 6749 5.1: no cache on the way may keep a token.
    response.headers["Cache-Control"] = "no-store"
    return tokens
