"""The FastAPI application: routes, life, and the line that can go dead."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from fastapi import FastAPI
from fastapi.exception_handlers import http_exception_handler
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hazina.simulators.daraja import (
    b2b,
    b2c,
    c2b,
    control,
    control_books,
    control_money,
    errands,
    oauth,
    pages,
    pages_board,
    prompts,
    pull,
    qr,
    reversal,
    status,
    stk,
)
from hazina.simulators.daraja.clock import Clock, system_clock
from hazina.simulators.daraja.config import SimConfig
from hazina.simulators.daraja.gate import HANGUP, Hangup, world_of
from hazina.simulators.daraja.wire import Refused, refusal
from hazina.simulators.daraja.world import World


class DarajaSimulator(FastAPI):
    """A FastAPI app that can cut the line: under uvicorn the transport is aborted, in-process the
    client sees httpx.RemoteProtocolError, which is what a dead line looks like over a socket.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """This will serve one request, and cut the line when a fault asked for it."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        self.state.world.awake()
        hangup = scope[HANGUP] = Hangup()
        await super().__call__(scope, receive, send)
        if hangup.wanted:
            await _cut(receive, send)


async def _cut(receive: Receive, send: Send) -> None:
    # uvicorn's send is a method of the request cycle, which holds the socket's transport.
    transport = getattr(getattr(send, "__self__", None), "transport", None)
    if transport is None:
        raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
    transport.abort()
    # Return only when the server knows, or it would complain that nothing was answered.
    while (await receive())["type"] != "http.disconnect":
        pass


async def _refused(_: Request, problem: Exception) -> Response:
    return problem.response if isinstance(problem, Refused) else Response(status_code=500)


async def _no_route(request: Request, problem: Exception) -> Response:
    """Wrong API paths and methods get Daraja's envelope, all others FastAPI's own answer."""
    if not isinstance(problem, HTTPException):
        return Response(status_code=500)
    if not request.url.path.startswith(("/mpesa/", "/oauth/", "/pulltransactions/")):
        return await http_exception_handler(request, problem)
    request_id = world_of(request).ids.request()
    if problem.status_code == 405:
        return refusal(request_id, 405, "405.001", "Method Not Allowed").response
    return refusal(request_id, 404, "404.001.01", "Resource not found").response


def create_app(
    config: SimConfig | None = None,
    *,
    clock: Clock = system_clock,
    callback_transport: httpx.AsyncBaseTransport | None = None,
) -> FastAPI:
    """This will build a simulator.

    `callback_transport` lets callbacks reach an app in the same process (httpx.ASGITransport);
    by default they go over the network. Without a lifespan the first request wakes it up.
    """
    world = World(config or SimConfig(), clock, callback_transport)
    world.resumers += [
        lambda: prompts.resume(world),
        lambda: b2c.resume(world),
        lambda: c2b.resume(world),
        lambda: errands.resume(world),
    ]

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        world.awake()
        yield
        await world.stop()

    app = DarajaSimulator(
        title="Daraja simulator", lifespan=life, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.world = world
    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(HTTPException, _no_route)
    _wire_routes(app)
    return app


def _wire_routes(app: FastAPI) -> None:
    routes: list[tuple[str, str, Any]] = [
        ("GET", "/oauth/v1/generate", oauth.generate),
        ("POST", "/mpesa/stkpush/v1/processrequest", stk.process_request),
        ("POST", "/mpesa/stkpushquery/v1/query", stk.query),
        ("POST", "/mpesa/b2c/v3/paymentrequest", b2c.payment_request),
        ("POST", "/mpesa/b2c/v1/paymentrequest", b2c.old_version),
        ("POST", "/mpesa/transactionstatus/v1/query", status.transaction_status),
        ("POST", "/mpesa/accountbalance/v1/query", status.account_balance),
        ("POST", "/mpesa/c2b/v1/registerurl", c2b.register_v1),
        ("POST", "/mpesa/c2b/v2/registerurl", c2b.register_v2),
        ("POST", "/mpesa/c2b/v1/simulate", c2b.simulate),
        ("POST", "/mpesa/c2b/v2/simulate", c2b.simulate),
        ("POST", "/mpesa/reversal/v1/request", reversal.request),
        ("POST", "/mpesa/b2b/v1/paymentrequest", b2b.payment_request),
        ("POST", "/mpesa/qrcode/v1/generate", qr.generate),
        ("POST", "/pulltransactions/v1/register", pull.register),
        ("POST", "/pulltransactions/v1/query", pull.query),
        ("GET", "/pulltransactions/v1/query", pull.query),
    ]
    for method, path, endpoint in routes:
        app.add_route(path, endpoint, methods=[method])
    for rooms in (control, control_books, control_money, pages, pages_board):
        app.include_router(rooms.router)
