"""The door for services over ASGI, and services with credentials of their own to knock at it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta

import httpx
import pytest
from fastapi import FastAPI

from hazina.client import Account, LedgerClient, Retry
from hazina.identity.credentials import Credential, Credentials, NewCredential, Scope
from hazina.infra.house import House
from hazina.kernel.actor import SYSTEM
from hazina.kernel.ids import new_id
from hazina.web.internal.app import create_internal_app

ADDRESS = "203.0.113.9"
EVERYTHING = frozenset(Scope)


@dataclass
class Services:
    """Other institutions, as tests speak of them."""

    house: House
    app: FastAPI
    stack: AsyncExitStack
    pauses: list[float] = field(default_factory=list)

    async def issue(
        self,
        namespace: str | None = None,
        *,
        scopes: frozenset[Scope] = EVERYTHING,
        networks: tuple[str, ...] = (),
        lifetime: timedelta = timedelta(days=1),
    ) -> tuple[Credential, str]:
        """A credential and its secret; in a namespace nobody has, unless told."""
        name = namespace or f"n{new_id().hex[-16:]}"
        wanted = NewCredential(name, "test", scopes, networks, lifetime)
        credentials, now = self.house.get(Credentials), self.house.clock.now()
        return await self.house.db.run(lambda tx: credentials.create(tx, wanted, SYSTEM, now))

    async def client(
        self,
        issued: tuple[Credential, str] | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        now_s: Callable[[], int] | None = None,
        retry: Retry | None = None,
    ) -> LedgerClient:
        credential, secret = issued or await self.issue()

        async def pause(seconds: float) -> None:
            self.pauses.append(seconds)

        made = LedgerClient(
            "http://ledger.test",
            credential.wire_id,
            secret,
            transport=transport or self.transport(),
            now_s=now_s or (lambda: int(self.house.clock.now().timestamp())),
            pause=pause,
            retry=retry or Retry(),
        )
        return await self.stack.enter_async_context(made)

    def transport(self) -> httpx.ASGITransport:
        return httpx.ASGITransport(app=self.app, client=(ADDRESS, 1234))


@pytest.fixture
async def services(house: House) -> AsyncIterator[Services]:
    async with AsyncExitStack() as stack:
        yield Services(house, create_internal_app(house), stack)


@pytest.fixture
async def client(services: Services) -> LedgerClient:
    """A service with every scope, a namespace of its own, and accounts for alice and bob."""
    made = await services.client()
    await made.open([Account("alice", "KES"), Account("bob", "KES"), Account("alice", "XAU")])
    return made
