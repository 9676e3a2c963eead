"""Real web and worker processes, born quickly: `python -m tests.process.nursery`.

It imports the house once and forks a process for each line on its standard input, a JSON object
with what to run (`web`, `worker`, `register`) and the point at which it is to be killed. A child is
a process like any other: it connects, serves and dies by itself, and SIGKILL is SIGKILL. Only the
second that Python needs to import the house is saved, hundreds of times.
"""

import asyncio
import gc
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable, Coroutine
from typing import Any

from hazina.bootstrap.lifeline import die_with_parent
from hazina.bootstrap.registry import manifests
from hazina.bootstrap.schema import expected_heads
from hazina.bootstrap.serving import run_web, run_worker
from hazina.bootstrap.wiring import open_house
from hazina.infra.settings import Settings
from hazina.kernel.outcome import Accepted
from hazina.rails.receipts import ReceiptRail


async def register(settings: Settings) -> None:
    """M-Pesa is told where to say what was paid unasked."""
    async with open_house(settings) as house:
        rail: ReceiptRail = house.get(ReceiptRail)  # type: ignore[type-abstract]
        assert isinstance(await rail.register_notices(), Accepted)
        assert isinstance(await rail.register_pull("254722000000"), Accepted)


LIVES: dict[str, Callable[[Settings], Coroutine[Any, Any, None]]] = {
    "web": run_web,
    "worker": run_worker,
    "register": register,
}


def live(name: str, kill_at: str, tied: Callable[[], None]) -> None:
    """One life, in the child; it does not come back."""
    code = 1
    try:
        tied()
        os.environ["HAZINA_KILL_AT"] = kill_at
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        asyncio.run(LIVES[name](Settings()))
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
    # Everything that a life needs to know is known before it begins.
    manifests()
    expected_heads()
    gc.freeze()
    signal.signal(signal.SIGCHLD, bury)
    tied = die_with_parent(signal.SIGKILL)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if not pid:
            os.dup2(2, 1)  # what a child says is no answer of ours
            live(order["name"], order["kill_at"], tied)
        print(pid, flush=True)


if __name__ == "__main__":
    main()
