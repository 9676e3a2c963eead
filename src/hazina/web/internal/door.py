"""Who signed a request: the dependency every route of ``/internal`` has, with its scope.

The body is read and proven before anything of it is parsed: what nobody signed is never looked at.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from fastapi import Request

from hazina.identity.bearer import claim_of, house_of, origin_of
from hazina.identity.credentials import Credential, Credentials, Scope
from hazina.infra.house import House
from hazina.kernel.actor import Actor, ActorKind
from hazina.web.internal.books import Namespace


@dataclass(frozen=True, slots=True)
class Caller:
    """A service that proved itself, where it may act, and what it sent."""

    house: House
    credential: Credential
    actor: Actor
    body: bytes

    @property
    def namespace(self) -> Namespace:
        return Namespace(self.credential.namespace_id)


def signed(scope: Scope | None = None) -> Callable[[Request], Awaitable[Caller]]:
    """A dependency that lets in who signed this request and has ``scope`` (None: any service); all
    others look alike.

    Raises: CredentialRefused.
    """

    async def authenticate(request: Request) -> Caller:
        house, origin = house_of(request), origin_of(request)
        found = await house.get(Credentials).authenticate(
            claim_of(request), scope, request.body, origin.ip, house.clock.now()
        )
        actor = replace(origin, kind=ActorKind.SERVICE, id=found.id)
        return Caller(house, found, actor, await request.body())

    return authenticate
