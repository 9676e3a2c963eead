"""Who sent a JSON request: its ``Authorization: Bearer`` header, and nothing else.

**Invariant:** a cookie never authenticates the JSON API, so another site cannot make a browser
act on it. Pages have theirs in ``desk.webkit.current``.

Each dependency here asks for the request alone: every further level of dependencies costs as much
as the query does, and this runs before everything.
"""

from collections.abc import Awaitable, Callable
from functools import cache
from typing import Annotated, Generic, TypeVar

from fastapi import Depends, Request
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase

from hazina.identity.api_keys import ApiKeys, KeyScope
from hazina.identity.outward import KeyScopeMissing
from hazina.identity.people import Customer, Operator
from hazina.identity.second_factor import MAX_CODE
from hazina.identity.session_rows import USER_AGENT_LENGTH
from hazina.identity.sessions import CustomerSessions, OperatorSessions, SignedIn
from hazina.identity.signing import Claim
from hazina.identity.tokens import NotSignedIn
from hazina.infra.client_ip import client_ip, parse_networks
from hazina.infra.house import House
from hazina.kernel.actor import Actor, ActorKind

T = TypeVar("T")
KEY_SCOPE = "x-key-scope"

_trusted = cache(parse_networks)


class Door(SecurityBase, Generic[T]):
    """A dependency that ``/docs`` shows with a lock."""

    def __init__(self, ask: Callable[[Request], Awaitable[T]]) -> None:
        self.model = HTTPBearer(description="The access token of a login.")
        self.scheme_name = "AccessToken"
        self._ask = ask

    async def __call__(self, request: Request) -> T:
        return await self._ask(request)


def house_of(request: Request) -> House:
    house = request.app.state.house
    assert isinstance(house, House)
    return house


def origin_of(request: Request) -> Actor:
    """Where a request comes from, before anyone knows whose it is: nobody, with an address."""
    trusted = _trusted(house_of(request).settings.trusted_proxies)
    peer = request.client.host if request.client else None
    return Actor(
        ActorKind.SYSTEM,
        ip=client_ip(peer, request.headers.getlist("x-forwarded-for"), trusted),
        # As much as a session keeps: the trail must not hold whatever somebody sends.
        user_agent=request.headers.get("user-agent", "")[:USER_AGENT_LENGTH] or None,
        request_id=getattr(request.state, "request_id", None),
        otp=request.headers.get("hazina-otp", "")[:MAX_CODE] or None,
    )


async def visitor(request: Request) -> Actor:
    """The same as a dependency."""
    return origin_of(request)


async def bearer_customer(request: Request) -> SignedIn[Customer]:
    """This will say whose customer's token or API key a request carries. Raises: NotSignedIn,
    CredentialRefused, KeyScopeMissing."""
    house, origin = house_of(request), origin_of(request)
    if "hazina-credential" in request.headers:
        return await _key_holder(request, house, origin)
    sessions = house.get(CustomerSessions)
    return await sessions.authenticate(house.db, token_of(request), origin, house.clock.now())


async def bearer_operator(request: Request) -> SignedIn[Operator]:
    """The same for operators. Raises: NotSignedIn."""
    house, origin = house_of(request), origin_of(request)
    sessions = house.get(OperatorSessions)
    return await sessions.authenticate(house.db, token_of(request), origin, house.clock.now())


def key_scope(scope: str) -> dict[str, str]:
    """``openapi_extra`` of a route that an API key with ``scope`` may call. Reading needs none of
    this; whatever else has no scope, no key may call."""
    return {KEY_SCOPE: scope}


async def _key_holder(request: Request, house: House, origin: Actor) -> SignedIn[Customer]:
    found = await house.get(ApiKeys).authenticate(
        claim_of(request), request.body, origin.ip, house.clock.now()
    )
    needed = _scope_needed(request)
    if needed not in found.scopes:
        raise KeyScopeMissing(details={"needed": needed})
    return SignedIn(found.customer, found.key_id, found.expires_at, found.scopes)


def _scope_needed(request: Request) -> str | None:
    if request.method in ("GET", "HEAD"):
        return KeyScope.READ
    extra = getattr(request.scope.get("route"), "openapi_extra", None) or {}
    needed: str | None = extra.get(KEY_SCOPE)
    return needed


def claim_of(request: Request) -> Claim:
    """The four headers of a signed request, and what they are said about."""
    scope, headers = request.scope, request.headers
    target = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    if query := scope["query_string"].decode("latin-1"):
        target = f"{target}?{query}"
    return Claim(
        method=scope["method"],
        target=target,
        credential=headers.get("hazina-credential", ""),
        timestamp=headers.get("hazina-timestamp", ""),
        nonce=headers.get("hazina-nonce", ""),
        signature=headers.get("hazina-signature", ""),
    )


def token_of(request: Request) -> str:
    """Raises: NotSignedIn when there is no bearer token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotSignedIn
    return token.strip()


VisitorDep = Annotated[Actor, Depends(visitor)]
BearerCustomer = Annotated[SignedIn[Customer], Depends(Door(bearer_customer))]
BearerOperator = Annotated[SignedIn[Operator], Depends(Door(bearer_operator))]
