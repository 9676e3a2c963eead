"""Named points between two steps of a process, at which a test can have it killed.

A point is not listed anywhere: it is made of what passes it, a transition (`deposit.sending.lost`
with its three phases), the birth of a row (`deposit.created`) or an outside call
(`call.mpesa.pay`). Nothing happens at any of them unless HAZINA_KILL_AT names one, which production
refuses. The end is SIGKILL: nothing is closed, flushed or said.
"""

import os
import signal
from dataclasses import dataclass
from enum import StrEnum

NONE = ""


class Phase(StrEnum):
    """Where between two steps a point lies."""

    LEAVING = "leaving"  # the row is locked, nothing is written yet
    ENTERED = "entered"  # the new state is written, not committed
    COMMITTED = "committed"  # the commit is durable, nothing after it has happened
    BEFORE = "before"  # the outside has not been called
    AFTER = "after"  # the outside has answered, nothing is written yet


@dataclass(slots=True)
class Armed:
    """``left``: how often the point is passed unharmed. ``victim``: whose end it is."""

    point: str
    left: int
    victim: int


_armed: Armed | None = None


def arm(text: str) -> None:
    """This will arm ``point:phase[,nth][,pid]``: at its nth passing, at first by default, the
    process is killed, or the one with that number. Empty: nothing. Raises: ValueError."""
    global _armed
    if text == NONE:
        _armed = None
        return
    point, *rest = text.split(",")
    numbers = [int(one) for one in rest]
    nth = numbers[0] if numbers else 1
    _armed = Armed(point, nth - 1, numbers[1] if len(numbers) > 1 else os.getpid())


def is_armed() -> bool:
    return _armed is not None


def reach(name: str, phase: Phase) -> None:
    """This will do nothing, or be the last that the process does."""
    global _armed
    if _armed is None or _armed.point != f"{name}:{phase.value}":
        return
    if _armed.left:
        _armed.left -= 1
        return
    victim, _armed = _armed.victim, None
    os.kill(victim, signal.SIGKILL)
