"""Runs one ASGI app as one process: free port, printed address, clean end on SIGTERM."""

import ctypes
import os
import signal
import socket
import sys

import typer
import uvicorn
from starlette.types import ASGIApp

_PR_SET_PDEATHSIG = 1


def serve(app: ASGIApp, title: str, host: str, port: int, *, die_with_parent: bool) -> None:
    """This will serve until SIGTERM or SIGINT, then return; prints the address when bound."""
    if die_with_parent:
        _die_with_parent()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left at 0, asyncio does not set TCP_NODELAY and each answer waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(2048)
    shown = f"[{host}]" if ":" in host else host
    typer.echo(f"{title} on http://{shown}:{listener.getsockname()[1]}")
    sys.stdout.flush()
    # uvicorn raises the signal again once it has shut down; asked to end, we end with success.
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.signal(signal.SIGINT, lambda *_: None)
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=2
        )
    )
    server.run(sockets=[listener])


def _die_with_parent() -> None:
    if not sys.platform.startswith("linux"):
        raise typer.BadParameter("needs Linux", param_hint="--die-with-parent")
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
    if os.getppid() != parent:  # it died in between; the signal will not come
        raise typer.Exit(1)
