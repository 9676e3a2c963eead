"""The current user, as FastAPI dependencies: who is asking, by the door they came through.

JSON (``/api/…``, ``/internal/…``) takes a bearer token and never a cookie; pages take a cookie and
never a token. Each realm has its own: a customer's session does not open the console. One request
asks the database once, however many of these dependencies it uses.
"""

from dataclasses import replace
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, Request

from hazina.desk.notifications.service import unread
from hazina.desk.webkit.links import safe_next
from hazina.desk.webkit.templates import Viewer
from hazina.identity.bearer import (
    Door,
    bearer_customer,
    bearer_operator,
    house_of,
    origin_of,
)
from hazina.identity.people import CONSOLE, WALLET, Customer, Operator, Role
from hazina.identity.sessions import CustomerSessions, OperatorSessions, SignedIn
from hazina.identity.tokens import NotSignedIn
from hazina.kernel.actor import Actor
from hazina.kernel.errors import Kind, Refusal

JSON_PATHS = ("/api/", "/internal/")


class LoginRequired(NotSignedIn):
    """A page for people who are signed in was asked for by somebody who is not.

    The shell answers 303 to ``location``. It stays a refusal, so that a shell that forgot to map
    it says 401 and never shows the page.
    """

    def __init__(self, next_path: str) -> None:
        super().__init__()
        self.next = safe_next(next_path)

    @property
    def location(self) -> str:
        return f"/login?next={quote(self.next, safe='')}"


class RoleMissing(Refusal):
    """This operator's role does not include that act."""

    code = "role_missing"
    kind = Kind.FORBIDDEN
    message = "Your role does not allow this."
    action = "Ask somebody who has the role."


def is_json(request: Request) -> bool:
    return str(request.scope["path"]).startswith(JSON_PATHS)


async def customer_session(request: Request) -> SignedIn[Customer]:
    """Raises: NotSignedIn for JSON, LoginRequired for a page."""
    found: SignedIn[Customer] | None = getattr(request.state, "signed_in_customer", None)
    if found is None:
        found = await (bearer_customer if is_json(request) else _page_customer)(request)
        request.state.signed_in_customer = found
    return found


async def operator_session(request: Request) -> SignedIn[Operator]:
    """Raises: NotSignedIn for JSON, LoginRequired for a page."""
    found: SignedIn[Operator] | None = getattr(request.state, "signed_in_operator", None)
    if found is None:
        found = await (bearer_operator if is_json(request) else _page_operator)(request)
        request.state.signed_in_operator = found
    return found


async def current_customer(request: Request) -> Customer:
    return (await customer_session(request)).person


async def current_operator(request: Request) -> Operator:
    return (await operator_session(request)).person


async def customer_actor(request: Request) -> Actor:
    found = await customer_session(request)
    return replace(found.person.as_actor(origin_of(request)), scopes=found.scopes)


async def operator_actor(request: Request) -> Actor:
    return (await operator_session(request)).person.as_actor(origin_of(request))


async def optional_customer(request: Request) -> Customer | None:
    """For pages that look different to a stranger, such as the front page."""
    try:
        return await current_customer(request)
    except NotSignedIn:
        return None


async def optional_operator(request: Request) -> Operator | None:
    try:
        return await current_operator(request)
    except NotSignedIn:
        return None


async def current_actor(request: Request) -> Actor:
    """Whoever is signed in, for the few routes that serve customers and operators alike."""
    if not is_json(request):
        cookie = getattr(request.app.state, "session_cookie", WALLET.cookie)
        return await (operator_actor if cookie == CONSOLE.cookie else customer_actor)(request)
    try:
        return await customer_actor(request)
    except NotSignedIn:
        return await operator_actor(request)


CustomerSession = Annotated[SignedIn[Customer], Depends(Door(customer_session))]
OperatorSession = Annotated[SignedIn[Operator], Depends(Door(operator_session))]
CurrentCustomer = Annotated[Customer, Depends(Door(current_customer))]
CurrentOperator = Annotated[Operator, Depends(Door(current_operator))]
OptionalCustomer = Annotated[Customer | None, Depends(optional_customer)]
OptionalOperator = Annotated[Operator | None, Depends(optional_operator)]
CustomerActor = Annotated[Actor, Depends(Door(customer_actor))]
OperatorActor = Annotated[Actor, Depends(Door(operator_actor))]
ActorDep = Annotated[Actor, Depends(Door(current_actor))]


def require_role(*roles: Role) -> Door[Operator]:
    """This will make a dependency that lets these roles pass, and administrators always.

    ``operator: Annotated[Operator, Depends(require_role(Role.MANAGER))]``. Raises: RoleMissing.
    """
    allowed = {Role.ADMINISTRATOR, *roles}

    async def check(request: Request) -> Operator:
        operator = await current_operator(request)
        if operator.role not in allowed:
            raise RoleMissing(details={"needed": sorted(role.value for role in allowed)})
        return operator

    return Door(check)


async def _page_customer(request: Request) -> SignedIn[Customer]:
    house, secret = house_of(request), request.cookies.get(WALLET.cookie, "")
    sessions, origin = house.get(CustomerSessions), origin_of(request)
    try:
        found = await sessions.authenticate_page(house.db, secret, origin, house.clock.now())
    except NotSignedIn:
        raise LoginRequired(_here(request)) from None
    request.state.viewer = Viewer(found.person.username, found.person.kind.value)
    if request.method == "GET":
        request.state.badges = {"/messages": await unread(house.db, found.person.id)}
    return found


async def _page_operator(request: Request) -> SignedIn[Operator]:
    house, secret = house_of(request), request.cookies.get(CONSOLE.cookie, "")
    sessions, origin = house.get(OperatorSessions), origin_of(request)
    try:
        found = await sessions.authenticate_page(house.db, secret, origin, house.clock.now())
    except NotSignedIn:
        raise LoginRequired(_here(request)) from None
    request.state.viewer = Viewer(found.person.username, found.person.role.value)
    return found


def _here(request: Request) -> str:
    # A form cannot be sent again after signing in: its reader starts from the front page.
    if request.method not in ("GET", "HEAD"):
        return "/"
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path
