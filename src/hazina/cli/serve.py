"""`hazina web`, `console`, `internal`, `worker`: one process each, as `up` starts them and as a
machine of its own would. They run until SIGTERM."""

import asyncio
import sys
from collections.abc import Coroutine

import typer

from hazina.cli import screen


def register(app: typer.Typer) -> None:
    for command in (web, console, internal, worker):
        app.command(rich_help_panel=screen.SERVE)(command)


def web() -> None:
    """The customers' pages and the JSON API."""
    from hazina.bootstrap.serving import run_web
    from hazina.infra.settings import load_settings

    _run(run_web(load_settings()))


def console() -> None:
    """The operators' console."""
    from hazina.bootstrap.serving import run_console
    from hazina.infra.settings import load_settings

    _run(run_console(load_settings()))


def internal() -> None:
    """The ledger's door for other services; its port is HAZINA_INTERNAL_PORT."""
    from hazina.bootstrap.serving import NoInternalPort, run_internal
    from hazina.infra.settings import load_settings

    try:
        _run(run_internal(load_settings()))
    except NoInternalPort as why:
        raise screen.fail(why) from None


def worker() -> None:
    """Jobs and sweepers."""
    from hazina.bootstrap.serving import run_worker
    from hazina.infra.settings import load_settings

    _run(run_worker(load_settings()))


def _run(work: Coroutine[object, object, None]) -> None:
    """On uvloop, which halves what an answer costs; elsewhere than on Unix on Python's own loop."""
    if sys.platform == "win32":
        asyncio.run(work)
    else:
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(work)
