"""The edge of every shell: what happens to each request around its route.

From the outside in: request id and trace, metrics, headers that keep a browser safe, compression,
where a bug ends, the body's limit, what a read-only house refuses, the route. One application does
it all: as a middleware each of them took a coroutine for every request and one for every message,
and together as long as the query of an authenticated read (docs/decisions/0045-edge.md).
"""

import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.middleware.gzip import GZipResponder, IdentityResponder
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hazina.infra.observability import given_id, observe_request, route_of
from hazina.infra.tracing import Noted, SpanKind, span
from hazina.kernel.ids import new_id
from hazina.web.body import LIMIT_BYTES, BodyTooLarge, announced
from hazina.web.errors import BUG, InternalError, answer
from hazina.web.readonly import ReadOnly
from hazina.web.table import RouteTable

GZIP_FROM_BYTES = 600
_CACHE = b"cache-control"
_NOT_KEPT = (_CACHE, b"no-store")


@dataclass(frozen=True, slots=True)
class EdgePlan:
    """What makes one edge differ from the other. ``headers`` go with every answer, whatever a
    handler said; where there are none, answers are for machines and nothing is packed. ``larger``:
    limits of their own for the few paths to which people bring files, if ``knows`` who they are: a
    form is read before it is looked at, and nobody else's is worth so much room."""

    limit_bytes: int = LIMIT_BYTES
    headers: Mapping[bytes, bytes] | None = None
    larger: Mapping[str, int] = field(default_factory=dict)
    knows: Callable[[Request], Awaitable[bool]] | None = None

    async def limit_for(self, scope: Scope) -> int:
        larger = self.larger.get(scope["path"])
        if larger is None or self.knows is None or not await self.knows(Request(scope)):
            return self.limit_bytes
        return larger


class HouseApp(FastAPI):
    """An application behind the edge; routes are added before the first request."""

    def __init__(self, plan: EdgePlan, **settings: Any) -> None:  # noqa: ANN401 - FastAPI's
        super().__init__(**settings)
        self._plan = plan

    @cached_property
    def edge(self) -> "Edge":
        return Edge(self, self._plan)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.edge(scope, receive, send)


class Edge:
    """The way of each request through one shell."""

    def __init__(self, app: FastAPI, plan: EdgePlan) -> None:
        self._app = app
        self._plan = plan
        self._table = RouteTable(app.routes)
        self._read_only = ReadOnly(app)
        handlers = app.exception_handlers
        # What FastAPI's routes look for: handlers of exceptions, and of statuses.
        self._handlers = (
            {kind: handler for kind, handler in handlers.items() if not isinstance(kind, int)},
            {status: handler for status, handler in handlers.items() if isinstance(status, int)},
        )
        self._elsewhere: ASGIApp = ExceptionMiddleware(
            AsyncExitStackMiddleware(app.router), handlers=handlers
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["app"] = self._app
        if scope["type"] != "http":
            await self._elsewhere(scope, receive, send)
            return
        heads = dict(scope["headers"])
        given = given_id(heads) or new_id().hex
        scope.setdefault("state", {})["request_id"] = given
        exchange = Exchange(self._plan, heads, given, receive, send)
        method = scope["method"]
        bound = structlog.contextvars.bind_contextvars(request_id=given)
        try:
            facts = {"http.request.method": method, "hazina.request_id": given}
            with span(method, SpanKind.SERVER, facts) as noted:
                begun = time.perf_counter()
                try:
                    await self._answer(scope, heads, exchange)
                finally:
                    _tell(scope, exchange.status, time.perf_counter() - begun, noted)
        finally:
            structlog.contextvars.reset_contextvars(**bound)

    async def _answer(self, scope: Scope, heads: Mapping[bytes, bytes], to: "Exchange") -> None:
        try:
            response: Response | None
            if self._plan.larger:
                to.limit_bytes = await self._plan.limit_for(scope)
            if announced(heads) > to.limit_bytes:
                response = answer(Request(scope), BodyTooLarge(), 413)
            else:
                response = await self._read_only.refuse(scope)
            if response is not None:
                await response(scope, to.receive, to.send)
            else:
                await self._routed(scope, to)
        except Exception as bug:
            # The route's template: a path may hold a callback's token.
            words, path = "a request ended in a bug", route_of(scope)
            BUG.ring(words, exc_info=bug, method=scope["method"], path=path)
            if to.begun:
                raise  # half an answer cannot be taken back: the connection has to break
            to.begin_again()
            await answer(Request(scope), InternalError(), 500)(scope, to.receive, to.send)

    async def _routed(self, scope: Scope, to: "Exchange") -> None:
        found = self._table.find(scope["method"], scope["path"])
        if found is None:
            await self._elsewhere(scope, to.receive, to.send)
            return
        way, scope["path_params"] = found
        scope["route"] = way.route
        scope["router"] = self._app.router
        scope["starlette.exception_handlers"] = self._handlers
        async with AsyncExitStack() as files:
            scope["fastapi_middleware_astack"] = files
            await way.app(scope, to.receive, to.send)


class Exchange:
    """One request's messages: its body is counted, its answer gets headers and is packed."""

    __slots__ = (
        "_heads",
        "_id",
        "_packer",
        "_plan",
        "_read",
        "_receive",
        "_send",
        "begun",
        "limit_bytes",
        "status",
    )

    def __init__(
        self,
        plan: EdgePlan,
        heads: Mapping[bytes, bytes],
        request_id: str,
        receive: Receive,
        send: Send,
    ) -> None:
        self._plan = plan
        self.limit_bytes = plan.limit_bytes
        self._heads = heads
        self._id = request_id
        self._receive = receive
        self._send = send
        self._read = 0
        self._packer: IdentityResponder | None = None
        self.status = 500
        self.begun = False  # whether anything of the answer has left

    async def receive(self) -> Message:
        """Raises: HTTPException, 413, once more was sent than is read here."""
        message = await self._receive()
        self._read += len(message.get("body", b""))
        if self._read > self.limit_bytes:
            raise HTTPException(413)
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and self._is_worth_packing(message):
            self._packer = self._new_packer()
        if self._packer is None:
            await self._leave(message)
        else:
            await self._packer.send_with_compression(message)

    def begin_again(self) -> None:
        """This will forget an answer of which nothing has left yet."""
        self._packer = None

    async def _leave(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.begun = True
            self.status = message["status"]
            headers = message.get("headers", [])
            ours = self._plan.headers
            if ours is not None:
                headers = [pair for pair in headers if pair[0] not in ours]
                # Nothing may be kept by a cache unless its handler said so: balances on a shared
                # phone.
                if not any(name == _CACHE for name, _ in headers):
                    headers.append(_NOT_KEPT)
                headers.extend(ours.items())
            message["headers"] = [*headers, (b"x-request-id", self._id.encode())]
        await self._send(message)

    def _is_worth_packing(self, message: Message) -> bool:
        """Whether it is longer than it is worth, or nobody knows."""
        if self._plan.headers is None:
            return False
        for name, value in message.get("headers", ()):
            if name == b"content-length":
                return int(value) >= GZIP_FROM_BYTES
        return True

    def _new_packer(self) -> IdentityResponder:
        packs = b"gzip" in self._heads.get(b"accept-encoding", b"")
        kind = GZipResponder if packs else IdentityResponder
        packer = kind(_nobody, GZIP_FROM_BYTES)
        packer.send = self._leave
        return packer


async def _nobody(_scope: Scope, _receive: Receive, _send: Send) -> None:
    """Only the packer's way with messages is used: no application is inside it."""


def _tell(scope: Scope, status: int, seconds: float, noted: Noted) -> None:
    """Metrics and traces know a request by its route's template: a path holds ids and tokens."""
    route = route_of(scope)
    observe_request(scope["method"], route, status, seconds)
    noted.call(f"{scope['method']} {route}")
    noted.note("http.route", route)
    noted.note("http.response.status_code", status)
