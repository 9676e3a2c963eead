"""Named points between two steps of a process, at which a test can have it killed.

A point is not listed anywhere: it is made of what passes it, a transition (`deposit.sending.lost`
with its three phases), the birth of a row (`deposit.created`) or an outside call
(`call.mpesa.pay`). Nothing happens at any of them unless HAZINA_KILL_AT names a folder, which
production refuses. A file in it that is called as a point is orders somebody's death there. Whoever
reaches the point takes the order, which only one process can, and is killed; where the order holds
the path of a pid file, the process of that number is killed instead, and who is there goes on;
where it says `halt`, who is there stands still until somebody wakes it. The end is SIGKILL: nothing
is closed, flushed or said.
"""

import os
import signal
from enum import StrEnum
from pathlib import Path

NONE, HALT = "", "halt"
TAKEN = "taken"  # the folder of the orders that were carried out


class Phase(StrEnum):
    """Where between two steps a point lies."""

    LEAVING = "leaving"  # the row is locked, nothing is written yet
    ENTERED = "entered"  # the new state is written, not committed
    COMMITTED = "committed"  # the commit is durable, nothing after it has happened
    BEFORE = "before"  # the outside has not been called
    AFTER = "after"  # the outside has answered, nothing is written yet


_orders: Path | None = None


def arm(folder: str) -> None:
    """This will have every point look for its order in ``folder`` from now on. Empty: nothing."""
    global _orders
    _orders = None if folder == NONE else Path(folder)


def is_armed() -> bool:
    return _orders is not None


def reach(phase: Phase, *names: str) -> None:
    """This will do nothing, or be the last that a process does. Several names are one moment: what
    one commit made durable."""
    if _orders is None:
        return
    taken = [found for name in names if (found := _take(_orders, f"{name}:{phase.value}"))]
    if not taken:
        return
    other = taken[0].read_text().strip()
    if other == HALT:
        os.kill(os.getpid(), signal.SIGSTOP)
        return
    try:
        victim = int(Path(other).read_text().split("\n", 1)[0]) if other else os.getpid()
        os.kill(victim, signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError):  # dead already, of something else
        for one in taken:
            one.rename(_orders / one.name)


def _take(orders: Path, point: str) -> Path | None:
    taken = orders / TAKEN / point
    try:
        (orders / point).rename(taken)
    except FileNotFoundError:
        return None
    return taken
