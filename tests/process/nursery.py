"""Real web and worker processes, born quickly: `python -m tests.process.nursery CLOCK`.

It imports the house once and forks a process for each line on its standard input, a JSON object:
what to run (`name`), more settings (`more`), and for `act` which act of people (`acts`) with what.
A child is a process like any other: it connects, serves and dies by itself, and SIGKILL is SIGKILL.
Only the second that Python needs to import the house is saved, hundreds of times.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hazina.bootstrap.lifeline import die_with_parent
from hazina.bootstrap.schema import expected_heads
from hazina.bootstrap.serving import run_web, run_worker
from hazina.bootstrap.wiring import open_house
from hazina.infra.settings import Settings
from tests.process import acts
from tests.process.moving import SharedClock

Order = dict[str, Any]


async def learn(settings: Settings) -> None:
    """Whatever is loaded or compiled when a house is opened for the first time."""
    async with open_house(settings):
        return


async def lead(order: Order, settings: Settings, clock: SharedClock) -> str:
    """One life, as long as it lasts; what it says in the end."""
    match order["name"]:
        case "web":
            await run_web(settings, clock)
        case "worker":
            await run_worker(settings, clock)
        case "act":
            return await acts.carry_out(settings, clock, order)
    return ""


def live(order: Order, settings: Settings, clock: SharedClock, tied: Callable[[], None]) -> None:
    """The child's whole life; it does not come back."""
    code = 1
    try:
        tied()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if order["more"]:
            os.environ.update(order["more"])
            settings = Settings()
        said = asyncio.run(lead(order, settings, clock))
        if said:
            Path(order["answer"]).write_text(said)
        code = 0
    except BaseException:  # noqa: BLE001 - told, and then it is over
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def bury(_number: int, _frame: object) -> None:
    """No zombie stays."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a house says is no answer of ours
    # Everything that a life needs to know is known before it begins.
    settings = Settings()
    asyncio.run(learn(settings))
    expected_heads()
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, bury)
    tied = die_with_parent(signal.SIGKILL)
    clock = SharedClock(Path(sys.argv[1]))
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            live(json.loads(line), settings, clock, tied)
        print(pid, file=answers, flush=True)


if __name__ == "__main__":
    main()
