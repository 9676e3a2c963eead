"""The house's processes: wallet, console, worker and, where its port is set, the ledger's door for
services; each until SIGTERM or SIGINT.

Web processes hold no state; several of them may share one port.
"""

import asyncio
import gc
import signal
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from fastapi import FastAPI

from hazina.bootstrap.registry import manifests
from hazina.bootstrap.schema import expected_heads
from hazina.bootstrap.wiring import open_house
from hazina.infra.house import House
from hazina.infra.observability import configure_logging
from hazina.infra.settings import Settings
from hazina.infra.tracing import configure_tracing
from hazina.infra.worker import Worker
from hazina.kernel.clock import Clock
from hazina.web.console.app import create_console_app
from hazina.web.internal.app import create_internal_app
from hazina.web.wallet.app import create_wallet_app

GRACE_S = 3  # what an open page stream may hold up a stop


async def run_web(settings: Settings, clock: Clock | None = None) -> None:
    """This will serve customers' pages, the JSON API and callbacks."""
    await _serve(settings, settings.port, wallet_app, clock=clock)


async def run_console(settings: Settings) -> None:
    """This will serve the operators' console."""
    await _serve(settings, settings.console_port, console_app)


class NoInternalPort(Exception):
    """The door for services was to be opened, and no port is set for it."""


async def run_internal(settings: Settings) -> None:
    """This will serve the ledger's door for services. Raises: NoInternalPort."""
    if settings.internal_port is None:
        raise NoInternalPort("HAZINA_INTERNAL_PORT is not set: the door for services stays shut")
    await _serve(settings, settings.internal_port, internal_app, host=settings.internal_host)


async def run_worker(settings: Settings, clock: Clock | None = None) -> None:
    """This will work off jobs and sweeps."""
    configure_logging(settings)
    configure_tracing(settings, "worker")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_house(settings, clock) as house:
        await Worker(house, concurrency=settings.worker_jobs).run(stop)


def wallet_app(house: House) -> FastAPI:
    return create_wallet_app(house, manifests(), heads=expected_heads())


def console_app(house: House) -> FastAPI:
    return create_console_app(house, manifests(), heads=expected_heads())


def internal_app(house: House) -> FastAPI:
    return create_internal_app(house, heads=expected_heads())


def listen(settings: Settings, port: int, host: str | None = None) -> socket.socket:
    """This will bind the port; several web processes may share it."""
    # With the protocol named asyncio sets TCP_NODELAY; without it each small answer waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.web_processes > 1:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind((host or settings.host, port))
    listener.listen(2048)
    return listener


async def _serve(
    settings: Settings,
    port: int,
    make: Callable[[House], FastAPI],
    *,
    host: str | None = None,
    clock: Clock | None = None,
) -> None:
    configure_logging(settings)
    configure_tracing(settings, make.__name__.removesuffix("_app"))
    async with open_house(settings, clock) as house:
        config = uvicorn.Config(
            make(house),
            log_config=None,
            access_log=False,
            server_header=False,
            # Who is asking is read once, in infra.client_ip, from the proxies that are trusted.
            proxy_headers=False,
            lifespan="off",
            timeout_graceful_shutdown=GRACE_S,
        )
        with listen(settings, port, host) as listener, suppress(asyncio.CancelledError):
            _settle_memory()
            await uvicorn.Server(config).serve(sockets=[listener])


def _settle_memory() -> None:
    """What was loaded by now stays until the end: Python's collector need not walk through all of
    it again and again while it answers."""
    gc.collect()
    gc.freeze()
